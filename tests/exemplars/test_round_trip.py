"""Exported datasets as examples: every detection comes back with its class and its mask."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from exported import blob, export, iou, record, save, square
from PIL import Image

from searchdet.exemplars import Exemplar, find_coco, find_positives, load

SIZE = (48, 64)
MASKS = {
    "a.png": [("nut", blob(1)), ("bolt", square(SIZE)), ("nut", blob(3, share=0.1))],
    "b.png": [("bolt", blob(4, share=0.5)), ("й", blob(5, grain=2.0))],
    "none.png": [],
}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The output of a run over three images, one without detections."""
    for name in MASKS:
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.new("RGB", SIZE[::-1], "red").save(tmp_path / "photos" / name)
    made = []
    for name, found in MASKS.items():
        rows = [(label, mask, 0.9 - 0.1 * i) for i, (label, mask) in enumerate(found)]
        content = hashlib.sha256((tmp_path / "photos" / name).read_bytes()).hexdigest()
        made.append(record(name, rows, size=SIZE, sha256=content))
    return save(tmp_path / "out", *made)


def require_all(found: list[Exemplar], least: float) -> None:
    """Every mask of each image is there once, with its class."""
    wanted = [(name, *item) for name, items in MASKS.items() for item in items]
    assert len(found) == len(wanted)
    left = list(found)
    for name, label, mask in wanted:
        own = [item for item in left if item.label == label and f"{name}#" in item.name]
        best = max(own, key=lambda item: iou(item.mask, mask))
        assert iou(best.mask, mask) >= least, (name, label)
        left.remove(best)


@pytest.mark.parametrize("anylabeling", [False, True])
def test_labelme(
    out: Path, tmp_path: Path, anylabeling: bool, caplog: pytest.LogCaptureFixture
) -> None:
    export(out, ["labelme"], images=tmp_path / "photos")
    folder = out / "labelme"
    if anylabeling:  # as X-AnyLabeling saves the same file again
        for path in folder.glob("*.json"):
            value = json.loads(path.read_text())
            for shape in value["shapes"]:
                shape |= {"difficult": False, "kie_linking": [], "attributes": {}}
            path.write_text(json.dumps(value | {"version": "4.2.1", "checked": False}), "utf-8-sig")
    with caplog.at_level(logging.WARNING):
        found = load(find_positives(folder))
    require_all(found, 0.99)
    assert "left out: 1 (first: " in caplog.text
    assert "none.png" in caplog.text


@pytest.mark.parametrize(("polygons", "least"), [(False, 1.0), (True, 0.99)])
def test_coco(out: Path, tmp_path: Path, polygons: bool, least: float) -> None:
    export(out, ["coco"], polygons=polygons)
    require_all(load(find_coco(out / "coco.json", tmp_path / "photos")), least)


@pytest.mark.parametrize("crowd", [0, 1])
@pytest.mark.parametrize("name", ["images\\{}", "..\\..\\media\\x\\{}", "/data/local-files/?d=p/{}"])
def test_coco_as_other_tools_save_it_again(out: Path, tmp_path: Path, crowd: int, name: str) -> None:
    export(out, ["coco"])
    value = json.loads((out / "coco.json").read_text())
    for item in value["images"]:
        item["file_name"] = name.format(item["file_name"])
    for item in value["annotations"]:
        item["iscrowd"] = crowd
        del item["bbox"], item["area"]
    (out / "again.json").write_text(json.dumps(value), "utf-16")
    require_all(load(find_coco(out / "again.json", tmp_path / "photos")), 1.0)


def test_masks_of_results_are_masks_of_examples(out: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pos" / "nut"
    folder.mkdir(parents=True)
    Image.new("RGB", SIZE[::-1], "red").save(folder / "a.png")
    mask = MASKS["a.png"][0][1]
    Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(folder / "a_mask.png")
    (made,) = load(find_positives(tmp_path / "pos"))
    assert (made.mask == mask).all()
