"""Ground truth as tools write it: names, ids, crowds, frames, and truth without an object."""

from __future__ import annotations

import json
import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import exported
import numpy as np
import pytest
from exported import save
from typer.testing import CliRunner

from searchdet.annotations import Notes, Truth, read_truth
from searchdet.annotations.frames import turn_mask
from searchdet.cli import app
from searchdet.errors import UsageError
from searchdet.evaluation.scorecard import Scorecard, scorecard
from searchdet.records.image import SourceInfo
from searchdet.records.record import ImageRecord

SIZE = (40, 60)
MARK = np.zeros(SIZE, bool)
MARK[5:25, 8:38] = True


def record(name: str = "train/a.jpg", orientation: int = 1) -> ImageRecord:
    """A record of one right detection in the upright frame."""
    mask = turn_mask(MARK, orientation)
    made = exported.record(name, [("bolt", mask, 0.9)])
    return replace(made, source=SourceInfo(1, orientation, SIZE[::-1]))


def truth(**changes: Any) -> dict[str, Any]:
    rows = [5, 8, 25, 38]
    polygon = [8, 5, 38, 5, 38, 25, 8, 25]
    item = {"id": 4, "image_id": 1, "category_id": 2, "bbox": [rows[1], rows[0], 30, 20]}
    made = {
        "images": [{"id": 1, "file_name": "train/a.jpg", "height": SIZE[0], "width": SIZE[1]}],
        "categories": [{"id": 2, "name": "bolt"}],
        "annotations": [item | {"segmentation": [polygon], "iscrowd": 0}],
    }
    return made | changes


def require_perfect(card: Scorecard, kinds: tuple[str, ...] = ("bbox", "segm")) -> None:
    assert tuple(card.figures) == kinds
    for rows in card.figures.values():
        (row,) = rows
        assert (row.ap, row.recall, row.precision) == (pytest.approx(1), 1, 1)


def image(**changes: Any) -> list[dict[str, Any]]:
    return [truth()["images"][0] | changes]


def annotation(**changes: Any) -> list[dict[str, Any]]:
    return [truth()["annotations"][0] | changes]


@pytest.mark.parametrize(
    "name",
    ["images/a.jpg", "train\\a.jpg", "..\\..\\media\\a.jpg", "/data/local-files/?d=p/train/a.jpg"],
)
def test_the_resolver_is_that_of_examples(name: str) -> None:
    require_perfect(scorecard(Truth(truth(images=image(file_name=name))), [record()]))


NUMBERS = {"size": list(SIZE), "counts": [325, 20, *[20, 20] * 29, 895]}


@pytest.mark.parametrize(
    "changes",
    [
        {"images": [{"id": 1, "file_name": "a.jpg"}]},
        {"annotations": annotation(bbox=None)},
        {"annotations": annotation(segmentation=NUMBERS)},
        {"annotations": annotation(segmentation=NUMBERS, bbox=None)},
        {"annotations": annotation(image_id="1", category_id="2")},
        {"categories": [{"id": 2, "name": "bolt"}, {"id": 9, "name": "bolt"}]},
        {"annotations": annotation() + annotation(image_id=5)},
    ],
)
def test_forms_that_tools_write(changes: dict[str, Any]) -> None:
    require_perfect(scorecard(Truth(truth(**changes)), [record()]))


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("shape", ["polygon", "numbers", "box"])
def test_a_truth_of_the_stored_frame_is_turned(orientation: int, shape: str) -> None:
    made = {"polygon": annotation(), "numbers": annotation(segmentation=NUMBERS)}
    rows = made.get(shape, annotation(segmentation=None))
    kinds = ("bbox",) if shape == "box" else ("bbox", "segm")
    notes = Notes(error=UsageError)
    card = scorecard(Truth(truth(annotations=rows)), [record(orientation=orientation)], notes)
    if orientation >= 5:
        require_perfect(card, kinds)
        Notes(strict=True).tell()
    with pytest.raises(UsageError, match="EXIF") if orientation < 5 else nullcontext():
        strict = Notes(True, UsageError)
        scorecard(Truth(truth(annotations=rows)), [record(orientation=orientation)], strict)
        strict.tell()


def test_a_truth_of_another_size_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'train/a\.jpg' in the ground truth is 61x40, .* 60x40"):
        scorecard(Truth(truth(images=image(width=61))), [record()])


BOX = {"segmentation": None}


@pytest.mark.parametrize(
    ("more", "says", "costs"),
    [
        (BOX | {"bbox": [8, 5, 38, 50]}, "reach beyond their image", False),
        (BOX | {"bbox": [8, 5, 55, 10]}, "reach beyond their image", False),
        (BOX | {"bbox": [0.1, 0.2, 0.5, 0.25]}, "in shares of the image", True),
        (BOX | {"bbox": [8, 5, 0, 10]}, "without an area", True),
        ({"segmentation": [[1, 1, 5, 1, 9, 1]], "bbox": None}, "without an area", True),
        (BOX | {"bbox": [8, 5, 12, 10]}, "boxes alone are compared", False),
    ],
)
def test_boxes_that_may_be_meant_otherwise_are_told(
    tmp_path: Path, more: dict[str, Any], says: str, costs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path = put(tmp_path, truth(annotations=annotation() + annotation(id=9, **more)))
    with caplog.at_level(logging.WARNING):
        scorecard(read_truth(path), [record()])
    assert says in caplog.text
    assert "truth.json" in caplog.text
    strict = Notes(True, UsageError)
    with pytest.raises(UsageError, match=says) if costs else nullcontext():
        scorecard(read_truth(path, None, "auto", strict), [record()], strict)
        strict.tell()


def test_boxes_that_are_rounded_are_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = put(tmp_path, truth(annotations=annotation(bbox=[-1, -1, 63, 43])))
    with caplog.at_level(logging.WARNING):
        read_truth(path)
    assert not caplog.records


def put(folder: Path, value: dict[str, Any]) -> Path:
    path = folder / "truth.json"
    path.write_text(json.dumps(value), "utf-8-sig")
    return path


def test_crowds_alone_are_objects(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = annotation(segmentation=NUMBERS, iscrowd=1)
    path = put(tmp_path, truth(annotations=rows))
    with caplog.at_level(logging.WARNING):
        require_perfect(scorecard(read_truth(path), [record()]))
    assert "taken for objects" in caplog.text
    path = put(tmp_path, truth(annotations=rows + annotation()))
    with caplog.at_level(logging.WARNING):
        card = scorecard(read_truth(path), [record()])
    assert card.figures["bbox"][0].instances == 1
    assert "iscrowd 1 are left out: 1" in caplog.text
    assert scorecard(read_truth(path, crowds="objects"), [record()]).figures["bbox"][0].instances == 2


def test_a_truth_without_objects_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        card = scorecard(Truth(truth(annotations=[])), [record()])
    assert "without an object" in caplog.text
    assert "nan" not in "\n".join(card.lines()).lower()
    assert json.loads(json.dumps(card.to_json(), allow_nan=False))["proposal_recall"]["0.5"] is None


def test_labels_of_another_normal_form_are_equal() -> None:
    made = replace(record(), candidates=())
    for one, other in (("й", "и\u0306"), ("и\u0306", "й")):
        found = exported.record("train/a.jpg", [(one, MARK, 0.9)])
        value = truth(categories=[{"id": 2, "name": other}])
        require_perfect(scorecard(Truth(value), [replace(found, source=made.source)]))


def test_eval_passes_its_options_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "out", record())
    rows = annotation() + annotation(segmentation=NUMBERS, iscrowd=1, id=9)
    words = ["eval", str(put(tmp_path, truth(annotations=rows))), "out"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    assert "iscrowd 1 are left out: 1 (first: annotation 9 of " in result.stderr
    result = CliRunner().invoke(app, [*words, "--strict"])
    assert result.exit_code == 2
    assert "annotation 9" in result.stderr
    assert CliRunner().invoke(app, [*words, "--crowds", "objects", "--strict"]).exit_code == 0
    result = CliRunner().invoke(app, [*words, "--crowds", "some"])
    assert result.exit_code == 2
    assert "auto, objects, ignored" in result.stderr


def test_ids_that_are_text_cannot_number_results(tmp_path: Path) -> None:
    save(tmp_path / "out", record())
    value = truth(images=image(id="a"), annotations=annotation(image_id="a"))
    path = put(tmp_path, value)
    require_perfect(scorecard(read_truth(path), [record()]))
    with pytest.raises(UsageError, match="no whole numbers"):
        exported.export(tmp_path / "out", ["coco"], ids_from=path)
