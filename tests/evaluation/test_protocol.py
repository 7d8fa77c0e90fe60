"""AP by size and of LVIS against pycocotools' own summary, and against counting by hand."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from searchdet.annotations import Notes, Truth
from searchdet.errors import UsageError
from searchdet.evaluation.metrics import Found
from searchdet.evaluation.protocol import (
    Federated,
    average_precision,
    false_per_absent,
    strongest,
)

LABELS = ("cat", "dog", "owl")


def dataset(seed: int, crowds: bool = False) -> dict[str, Any]:
    """Objects of all three sizes; areas are those of a mask that fills a part of its box."""
    chance = np.random.default_rng(seed)
    rows = []
    for number in range(60):
        x, y = (float(v) for v in chance.uniform(0, 300, 2))
        w, h = (float(v) for v in chance.choice([14.0, 60.0, 150.0], 2) * chance.uniform(0.7, 1.3, 2))
        area = w * h * float(chance.uniform(0.4, 0.9))
        row = {"id": number + 1, "image_id": 1 + number % 12, "category_id": 1 + number % 2}
        row |= {"bbox": [x, y, w, h], "area": area, "iscrowd": int(crowds and number % 9 == 0)}
        rows.append(row)
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 600, "height": 600} for i in range(1, 15)]
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(LABELS)]
    return {"images": images, "annotations": rows, "categories": categories}


def guesses(data: dict[str, Any], seed: int) -> list[Found]:
    """Boxes near the objects, some with the wrong class, and boxes anywhere; no two scores alike."""
    chance = np.random.default_rng(seed + 100)
    scores = iter(chance.permutation(400) / 400)
    found = []
    for row in data["annotations"]:
        for _ in range(3):
            x, y, w, h = np.asarray(row["bbox"]) + chance.normal(0, 0.08, 4) * row["bbox"][2]
            w, h = max(w, 2.0), max(h, 2.0)
            label = LABELS[int(row["category_id"]) - 1 if chance.uniform() < 0.8 else 1]
            box = (float(x), float(y), float(x + w), float(y + h))
            found.append(Found(row["image_id"], label, float(next(scores)), box))
    for _ in range(60):
        x, y, w, h = chance.uniform(5, 200, 4)
        box = (float(x), float(y), float(x + w), float(y + h))
        label = LABELS[int(chance.integers(3))]
        found.append(Found(int(chance.integers(1, 15)), label, float(next(scores)), box))
    return found


def truth_of(data: dict[str, Any]) -> Truth:
    truth = Truth(data)
    truth.settle_crowds("ignored", Notes(error=UsageError))
    return truth


def summary(data: dict[str, Any], found: list[Found], truth: Truth) -> np.ndarray:
    """What pycocotools prints of the dataset as it is, with its own settings."""
    with redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = data
        coco.createIndex()
        results = [
            {
                "image_id": f.image_id,
                "category_id": truth.category(f.label),
                "score": f.score,
                "bbox": [f.box[0], f.box[1], f.box[2] - f.box[0], f.box[3] - f.box[1]],
            }
            for f in found
        ]
        judge = COCOeval(coco, coco.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return np.asarray(judge.stats)


def mean_over(rows: dict[str, dict[str, float | None]], name: str) -> float:
    return float(np.mean([row[name] for row in rows.values() if row[name] is not None]))


@pytest.mark.parametrize(("seed", "crowds"), [(0, False), (1, False), (2, True)])
def test_the_six_figures_are_those_that_pycocotools_prints(seed: int, crowds: bool) -> None:
    data = dataset(seed, crowds)
    truth, found = truth_of(data), guesses(data, seed)
    rows = average_precision(truth, found)
    expected = summary(data, found, truth)[:6]
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    assert [mean_over(rows, name) for name in names] == pytest.approx(expected, abs=1e-12)
    assert set(rows["owl"].values()) == {None}
    assert len(set(np.round(expected, 3))) == 6, "sizes must differ, or the test says little"


def test_areas_are_those_that_the_file_says() -> None:
    """A thin thing in a large box is small, whatever its box."""
    data = dataset(0)
    for row in data["annotations"]:
        row["area"] = 100.0
    rows = average_precision(truth_of(data), guesses(data, 0))
    assert rows["cat"]["APs"] is not None
    assert rows["cat"]["APm"] is None
    assert rows["cat"]["APl"] is None
    for row in data["annotations"]:
        row["bbox"][2:], row["area"] = [120.0, 120.0], "unknown"
    rows = average_precision(truth_of(data), guesses(data, 0))
    assert rows["cat"]["APl"] is not None
    assert rows["cat"]["APs"] is None


def test_only_the_strongest_of_an_image_count() -> None:
    found = [Found(1, "cat", score, (0, 0, 5, 5)) for score in (0.1, 0.9, 0.5)]
    assert [item.score for item in strongest(found, 2)] == [0.9, 0.5]
    assert strongest(found, 5) == sorted(found, key=lambda item: -item.score)


def test_without_detections_there_is_nothing_or_no_object() -> None:
    rows = average_precision(truth_of(dataset(0)), [])
    assert set(rows["cat"].values()) == {0.0}
    assert set(rows["owl"].values()) == {None}


def test_lvis_judges_a_class_where_it_is_annotated() -> None:
    """As COCO's AP of each class on its own part of the images."""
    data = dataset(3)
    truth, found = truth_of(data), guesses(data, 3)
    shown = {label: truth.showing(label) for label in LABELS}
    absent = {"cat": frozenset({13}), "dog": frozenset({13, 14}), "owl": frozenset({1, 2})}
    rows = average_precision(truth, found, federated=Federated(absent))
    for label in ("cat", "dog"):
        part = truth.only(shown[label] | absent[label])
        own = [f for f in found if f.label == label and f.image_id in part.names]
        assert rows[label] == average_precision(part, own)[label]
    assert rows != average_precision(truth, found)


OF_LVIS = {
    0: (0.361958, 0.594946, 0.414644, 0.495041, 0.334697, 0.399437),
    1: (0.329684, 0.611248, 0.285999, 0.429160, 0.274722, 0.351898),
}
"""AP, AP50, AP75, APs, APm and APl of the package lvis 0.5.3 on this data, for each seed."""


@pytest.mark.parametrize("seed", OF_LVIS)
def test_the_figures_of_lvis_are_those_of_its_package(seed: int) -> None:
    data, chance = dataset(seed), np.random.default_rng(seed)
    absent: dict[str, set[int]] = {label: set() for label in LABELS}
    partly: dict[str, set[int]] = {label: set() for label in LABELS}
    for image in data["images"]:
        number = image["id"]
        there = {a["category_id"] for a in data["annotations"] if a["image_id"] == number}
        for c in [c for c in (1, 2, 3) if c not in there]:
            absent[LABELS[c - 1]] |= {number} if chance.uniform() < 0.5 else set()
        for c in there:
            partly[LABELS[c - 1]] |= {number} if chance.uniform() < 0.4 else set()
    federated = Federated(*({k: frozenset(v) for k, v in part.items()} for part in (absent, partly)))
    rows = average_precision(truth_of(data), guesses(data, seed), limit=300, federated=federated)
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    assert [mean_over(rows, name) for name in names] == pytest.approx(OF_LVIS[seed], abs=1e-6)


def one(number: int, image: int, category: int, x: float) -> dict[str, Any]:
    row = {"id": number, "image_id": image, "category_id": category, "iscrowd": 0}
    return row | {"bbox": [x, 10.0, 40.0, 40.0], "area": 1600.0}


def few(*rows: dict[str, Any]) -> Truth:
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 600, "height": 600} for i in (1, 2, 3)]
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(LABELS)]
    return truth_of({"images": images, "annotations": list(rows), "categories": categories})


def at(image: int, x: float, score: float, label: str = "cat") -> Found:
    return Found(image, label, score, (x, 10.0, x + 40.0, 50.0))


def test_lvis_forgives_what_hits_nothing_where_not_all_is_annotated() -> None:
    """By hand: a false one above a right one halves the precision; where it is forgiven it does not."""
    truth = few(one(1, 1, 1, 10.0))
    found = [at(1, 300.0, 0.9), at(1, 10.0, 0.5)]
    assert average_precision(truth, found)["cat"]["AP"] == pytest.approx(0.5)
    partly = Federated(partly={"cat": frozenset({1})})
    assert average_precision(truth, found, federated=partly)["cat"]["AP"] == pytest.approx(1.0)
    other = Federated(partly={"cat": frozenset({2}), "dog": frozenset({1})})
    assert average_precision(truth, found, federated=other)["cat"]["AP"] == pytest.approx(0.5)


def test_an_unjudged_image_harms_nobody_and_a_known_absence_does() -> None:
    truth = few(one(1, 1, 1, 10.0))
    found = [at(2, 10.0, 0.9), at(1, 10.0, 0.5)]
    assert average_precision(truth, found, federated=Federated())["cat"]["AP"] == pytest.approx(1.0)
    absent = Federated({"cat": frozenset({2})})
    assert average_precision(truth, found, federated=absent)["cat"]["AP"] == pytest.approx(0.5)


def test_false_detections_are_counted_on_images_that_do_not_show_the_class() -> None:
    truth = few(one(1, 1, 1, 10.0), one(2, 2, 2, 10.0), {**one(3, 3, 1, 10.0), "iscrowd": 1})
    found = [at(1, 300.0, 0.9), at(2, 10.0, 0.9), at(2, 90.0, 0.8), at(3, 10.0, 0.8, "dog")]
    rows = false_per_absent(truth, found)
    assert rows == {"cat": 2.0, "dog": 0.5, "owl": 0.0}  # a crowd shows its class
    said = Federated({"cat": frozenset({2, 3}), "dog": frozenset({1})})
    assert false_per_absent(truth, found, said) == {"cat": 1.0, "dog": 0.0, "owl": None}


def test_masks_are_needed_for_figures_of_masks() -> None:
    truth = few(one(1, 1, 1, 10.0))
    with pytest.raises(UsageError, match="no mask"):
        average_precision(truth, [replace(at(1, 10.0, 0.9), mask=None)], "segm")
