"""Figures against pycocotools' own summary and against counting by hand; what a truth must be."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import exported
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from searchdet.annotations.coco import Truth, read_truth
from searchdet.errors import ImageError, UsageError
from searchdet.evaluation.metrics import Found, Region, evaluate, mean, proposal_recall
from searchdet.evaluation.scorecard import scorecard
from searchdet.records import ImageRecord, failed


def box(rng: np.random.Generator) -> list[float]:
    x, y, w, h = rng.uniform(0, 150), rng.uniform(0, 150), rng.uniform(20, 60), rng.uniform(20, 60)
    return [float(v) for v in (x, y, w, h)]


def dataset(seed: int, images: int = 6, classes: int = 2) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "width": 220, "height": 220}
            for i in range(1, images + 1)
        ],
        "categories": [{"id": c + 3, "name": f"class{c}"} for c in range(classes)],
        "annotations": [],
    }
    for i in range(1, images):  # the last image is empty
        for c in range(classes):
            for _ in range(rng.integers(0, 4)):
                made["annotations"].append({"image_id": i, "category_id": c + 3, "bbox": box(rng)})
    return made


def guesses(data: dict[str, Any], seed: int) -> list[Found]:
    """The annotations, shifted, some left out, with false ones among them."""
    rng = np.random.default_rng(seed)
    names = {c["id"]: c["name"] for c in data["categories"]}
    found = []
    for item in data["annotations"]:
        if rng.random() < 0.8:
            x, y, w, h = (v + rng.normal(0, 4) for v in item["bbox"])
            score = float(np.round(rng.uniform(0.3, 1), 3))
            found.append(
                Found(item["image_id"], names[item["category_id"]], score, (x, y, x + w, y + h))
            )
    for _ in range(8):
        x, y, w, h = box(rng)
        label, image = f"class{rng.integers(0, 2)}", int(rng.integers(1, 7))
        score = float(np.round(rng.uniform(0, 0.9), 3))
        found.append(Found(image, label, score, (x, y, x + w, y + h)))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_ap_and_ar_are_those_of_pycocotools(seed: int) -> None:
    data = dataset(seed)
    found = guesses(data, seed)
    truth = Truth(data)
    with redirect_stdout(io.StringIO()):
        coco = truth.coco()
        results = [
            {
                "image_id": f.image_id,
                "category_id": truth.category(f.label),
                "bbox": [f.box[0], f.box[1], f.box[2] - f.box[0], f.box[3] - f.box[1]],
                "score": f.score,
            }
            for f in found
        ]
        judge = COCOeval(coco, coco.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    got = evaluate(truth, found)
    assert mean(got, "ap") == pytest.approx(judge.stats[0], abs=1e-9)
    assert mean(got, "ap50") == pytest.approx(judge.stats[1], abs=1e-9)
    assert mean(got, "ap75") == pytest.approx(judge.stats[2], abs=1e-9)
    assert mean(got, "ar") == pytest.approx(judge.stats[8], abs=1e-9)


def one_class() -> dict[str, Any]:
    data = dataset(0, images=3, classes=1)
    data["annotations"] = [
        {"image_id": 1, "category_id": 3, "bbox": [10, 10, 20, 20]},
        {"image_id": 1, "category_id": 3, "bbox": [100, 100, 20, 20]},
    ]
    return data


def test_decisions_count_the_accepted_and_thresholds_are_the_best_there_are() -> None:
    found = [
        Found(1, "class0", 0.9, (10, 10, 30, 30)),
        Found(1, "class0", 0.8, (50, 50, 70, 70)),
        Found(1, "class0", 0.7, (100, 100, 120, 120), accepted=False),
        Found(2, "class0", 0.6, (0, 0, 9, 9)),
        Found(3, "class0", 0.2, (0, 0, 9, 9), accepted=False),
    ]
    (got,) = evaluate(Truth(one_class()), found)
    assert (got.precision, got.recall) == (pytest.approx(1 / 3), 0.5)
    assert got.f1 == pytest.approx(2 / 5)
    assert got.false_per_absent == 0.5
    assert got.best_f1 == pytest.approx(2 * 2 / 5)
    assert got.best_threshold == 0.7
    assert (got.images, got.instances) == (3, 2)


def test_nothing_found_and_nothing_to_find() -> None:
    (got,) = evaluate(Truth(one_class()), [])
    assert (got.ap, got.recall, got.f1, got.precision, got.false_per_absent) == (0, 0, 0, None, 0)
    data = one_class()
    data["annotations"] = []
    (empty,) = evaluate(Truth(data), [Found(1, "class0", 0.5, (0, 0, 1, 1))])
    assert (empty.ap, empty.f1) == (None, None)
    assert empty.false_per_absent == pytest.approx(1 / 3)
    assert mean([empty], "ap") is None


def test_a_class_is_judged_on_its_own_images() -> None:
    truth = Truth(one_class(), {"class0": ["1.jpg"]})
    (got,) = evaluate(truth, [Found(2, "class0", 0.9, (0, 0, 5, 5))])
    assert (got.images, got.false_per_absent) == (1, None)


def test_proposal_recall_counts_the_first_proposals() -> None:
    truth = Truth(one_class())
    near, exact = (10.0, 10.0, 30.0, 24.0), (100.0, 100.0, 120.0, 120.0)
    regions = {1: [Region(0.9, near), Region(0.8, exact)]}
    assert proposal_recall(truth, regions) == {0.5: 1.0, 0.75: 0.5}
    assert proposal_recall(truth, regions, limit=1) == {0.5: 0.5, 0.75: 0.0}
    assert proposal_recall(truth, {}) == {0.5: 0.0, 0.75: 0.0}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": None}, "no list 'images'"),
        ({"annotations": [{"image_id": 1}]}, "annotation 1 of the ground truth has no"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "the id 1 twice"),
    ],
)
def test_a_truth_that_is_none_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Truth(one_class() | change)


def test_truth_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text in ("", "[]", "3", "{"):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"x\.json"):
            read_truth(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_truth(tmp_path / "absent.json")
    with pytest.raises(UsageError, match="no image 'z'"):
        Truth(one_class(), {"class0": ["z"]})
    with pytest.raises(UsageError, match="no class 'cat'"):
        evaluate(Truth(one_class()), [Found(1, "cat", 0.5, (0, 0, 1, 1))])


def record(name: str, status: str = "ok") -> ImageRecord:
    """One detection, the same suppressed, and one that is invalid; or an image that failed."""
    if status == "failed":
        return failed(name, ImageError("decode", "cut short."))
    mask = np.zeros((220, 220), bool)
    mask[10:30, 10:30] = True
    item = exported.candidate(0, "class0", mask, 0.9, "accepted")
    copy = replace(item, id=1, score=0.1, reason="suppressed")
    invalid = replace(copy, id=2, label=None, score=None, reason="invalid")
    return replace(exported.record(name, classes=["class0"]), candidates=(item, copy, invalid))


def test_records_are_judged_on_the_images_that_have_one() -> None:
    card = scorecard(Truth(one_class()), [record("1.jpg"), record("sub/3.jpg", "failed")])
    assert (card.images, card.of, card.failed) == (2, 3, 1)
    (got,) = card.figures["bbox"]
    assert (got.recall, got.precision, got.images) == (0.5, 1.0, 2)
    assert "segm" not in card.figures
    text = "\n".join(card.lines())
    assert "2 of 3 images have a record, 1 of them failed." in text
    assert max(map(len, card.lines())) <= 120
    assert json.loads(json.dumps(card.to_json()))["proposal_recall"] == {"0.5": 0.5, "0.75": 0.5}


@pytest.mark.parametrize(
    ("records", "says"),
    [
        ([], "no record"),
        ([record("9.jpg")], "has no image '9.jpg'"),
        ([record("1.jpg"), record("x/1.jpg")], "are one image"),
    ],
)
def test_records_that_do_not_fit_the_truth(records: list[ImageRecord], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        scorecard(Truth(one_class()), records)


def test_pycocotools_reads_what_a_truth_gives() -> None:
    assert isinstance(Truth(one_class()).coco(), COCO)
