"""Examples that are boxes get the mask of the object in the box, or stay boxes and say so."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import labelme, shape
from PIL import Image
from typer.testing import CliRunner

from searchdet import exemplars
from searchdet.cli import app
from searchdet.exemplars import Exemplar, boxmask
from searchdet.exemplars.boxmask import Finder
from searchdet.masks import rle
from searchdet.records import WeightsInfo
from searchdet.storage import kinds
from searchdet.storage.cache import Store
from searchdet.weights import Compute

SIZE = (60, 80)
BASIS = {"by": "inner"}
RED, GREY = (200, 40, 40), 225
NO_STORE = Store(None, kinds.AUTOMASKS)


class Inner:
    """Finds the middle of each box, counted; nothing in boxes that begin at 0."""

    name = "inner"
    weights: WeightsInfo | None = None
    compute: Compute | None = None

    def __init__(self) -> None:
        self.asked: list[int] = []

    def masks_of_boxes(self, image: np.ndarray, boxes: np.ndarray) -> list[rle.Rle]:
        self.asked.append(len(boxes))
        masks = []
        for x0, y0, x1, y1 in boxes.astype(int):
            mask = np.zeros(image.shape[:2], bool)
            if x0:
                mask[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] = True
            masks.append(rle.encode(mask))
        return masks


def boxed(name: str, x: int, photo: str = "1", source: str = "box") -> Exemplar:
    mask = np.zeros(SIZE, bool)
    mask[10:30, x : x + 20] = True
    return Exemplar(name, "red", np.zeros((*SIZE, 3), np.uint8), mask, source, photo * 64)


def test_boxes_get_the_mask_in_them_and_a_photo_is_looked_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inner = Inner()
    items = [boxed("a", 10), boxed("b", 40), boxed("c", 5, "2"), boxed("d", 5, "2", "coco")]
    with caplog.at_level(logging.WARNING):
        found = boxmask.apply(items, Finder(inner, BASIS, NO_STORE))
    assert [item.mask_source for item in found] == ["boxed", "boxed", "boxed", "coco"]
    assert [int(item.mask.sum()) for item in found] == [256, 256, 256, 400]
    assert inner.asked == [2, 1]
    assert not caplog.records


def test_a_box_without_an_object_stays_one_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = boxmask.apply([boxed("a", 0), boxed("b", 30)], Finder(Inner(), BASIS, NO_STORE))
    assert [item.mask_source for item in found] == ["box", "boxed"]
    assert "In 1 of 2 examples that are boxes no object stands out" in caplog.text
    assert "(a)" in caplog.text


def test_masks_are_remembered_by_photo_box_and_what_found_them(tmp_path: Path) -> None:
    inner, store = Inner(), Store(tmp_path, kinds.AUTOMASKS)
    items = [boxed("a", 10), boxed("b", 40)]
    one = boxmask.apply(items, Finder(inner, BASIS, store))
    two = boxmask.apply([*items, boxed("c", 20)], Finder(inner, BASIS, store))
    assert inner.asked == [2, 1]
    assert all((a.mask == b.mask).all() for a, b in zip(one, two, strict=False))
    boxmask.apply(items, Finder(inner, {"by": "another"}, store))
    boxmask.apply([boxed("a", 10, "3")], Finder(inner, BASIS, store))
    assert inner.asked == [2, 1, 2, 1]


def disc(x: int, y: int, radius: int = 18, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)


def photo(path: Path, *discs: np.ndarray) -> None:
    pixels = np.full((120, 160, 3), GREY, np.float64)
    for one in discs:
        pixels[one] = RED
    noise = np.random.default_rng(len(discs)).normal(0, 2, pixels.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A COCO file of two boxes, and a picture to search."""
    monkeypatch.chdir(tmp_path)
    photo(Path("examples/images/a.png"), disc(40, 60), disc(110, 50))
    photo(Path("q.png"), disc(80, 70))
    made: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "red"}],
        "annotations": [
            {"id": 5, "image_id": 1, "category_id": 1, "bbox": [22, 42, 37, 37]},
            {"id": 6, "image_id": 1, "category_id": 1, "bbox": [92, 32, 37, 37]},
        ],
    }
    Path("examples/coco.json").write_text(json.dumps(made))
    return tmp_path


def record(*words: str) -> dict[str, Any]:
    base = ["detect", "q.png", "--positive-coco", "examples/coco.json", "--proposals", "regions"]
    done = CliRunner().invoke(app, [*base, "-o", "out", "--overwrite", *words])
    assert done.exit_code == 0, done.stderr
    return dict(json.loads(Path("out/records/q.png.json").read_text()))


@pytest.mark.model
def test_detect_looks_for_the_object_in_boxes_and_says_so(folder: Path) -> None:
    found = record()
    assert found["exemplars"]["auto_masks"] == ["a.png#1", "a.png#2"]
    assert found["exemplars"]["shapes_known"], "an outline is known now"
    assert len(found["detections"]) == 1
    assert len(list(Path("out/exemplars").rglob("*.jpg"))) == 2
    plain = record("--exemplar-mask", "whole")
    assert plain["exemplars"]["auto_masks"] == []
    assert not plain["exemplars"]["shapes_known"]
    assert plain["settings_sha256"] != found["settings_sha256"]


@pytest.mark.model
def test_a_bank_says_where_masks_come_from(folder: Path) -> None:
    words = ["bank", "build", "--positive-coco", "examples/coco.json", "-o", "b.safetensors"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    shown = CliRunner().invoke(app, ["bank", "show", "b.safetensors", "--json"])
    rows = json.loads(shown.stdout)["exemplars"]
    assert [row["mask_source"] for row in rows] == ["boxed", "boxed"]


def test_a_labelme_rectangle_is_a_box_and_other_shapes_are_not(tmp_path: Path) -> None:
    path = tmp_path / "red" / "a.png"
    path.parent.mkdir()
    Image.new("RGB", (40, 30), "red").save(path)
    corners = [[5, 6], [15, 20]]
    for shapes, source in (
        ([shape("red", corners, "rectangle")], "box"),
        ([shape("red", corners, "circle")], "labelme"),
        ([shape("red", c, "rectangle", group_id=1) for c in (corners, [[20, 2], [30, 9]])], "labelme"),
    ):
        labelme(path.with_suffix(".json"), shapes)
        (item,) = exemplars.load(exemplars.find_positives(tmp_path))
        assert item.mask_source == source
