"""Decisions that are taken again over stored candidates."""

from __future__ import annotations

from pathlib import Path

import pytest
from places import QUICK

from searchdet.config import SUPPRESSIONS, Limits, ScoringOptions
from searchdet.config.option import pairs
from searchdet.detector import Detector
from searchdet.errors import UsageError
from searchdet.records import ImageRecord, read_record
from searchdet.records.thresholds import detections

pytestmark = pytest.mark.model


def record_of(world: Path, **options: object) -> ImageRecord:
    folders = world / "in/positive", world / "in/negative"
    detector = Detector.from_folders(*folders, backbone=QUICK, proposals="regions", **options)
    path = world / "record.json"
    path.write_bytes(detector.detect(world / "in/images/a.png", "a.png").to_bytes())
    return read_record(path)


@pytest.mark.parametrize("suppression", SUPPRESSIONS)
def test_the_limits_of_the_run_give_its_detections(world: Path, suppression: str) -> None:
    record = record_of(world, suppression=suppression)
    assert record.detections
    own = record.run.thresholds["red"].min_score
    for limits in (
        Limits(),
        Limits(min_score=own),
        Limits(min_score=1, class_min_score=(("red", own),)),
        Limits(min_margin=record.run.scoring.min_margin, class_margin=0),
    ):
        found = detections(record, limits)
        assert {item.id for item in found} == {item.id for item in record.detections}


def test_limits_move_the_decision(world: Path) -> None:
    record = record_of(world)
    loose = detections(record, Limits(min_score=-2, min_margin=-2))
    there = [
        item for item in record.candidates if item.score is not None and item.suppression_factor > 0
    ]
    assert len(loose) == len(there)
    assert [item.score for item in loose] == sorted((i.score for i in loose), reverse=True)
    assert not detections(record, Limits(min_score=1))
    best = record.detections[0]
    assert not detections(record, Limits(class_min_margin=(("red", best.margin + 0.1),)))


def test_limits_of_classes_decide_in_detect_too(world: Path) -> None:
    record = record_of(world, class_min_score=(("red", 0.9999),))
    assert not record.detections
    threshold = record.run.thresholds["red"]
    assert (threshold.min_score, threshold.source) == (0.9999, "given")
    assert not record_of(world, class_min_margin=(("red", 2.0),)).detections
    with pytest.raises(UsageError, match="no class 'rad'") as caught:
        record_of(world, class_min_score=(("rad", 0.5),))
    assert caught.value.hint == "Did you mean 'red'?"


@pytest.mark.parametrize(
    ("name", "low", "high"), [("min_score", -2, 1), ("min_margin", -2, 2), ("class_margin", 0, 2)]
)
def test_limits_are_those_that_detect_takes(name: str, low: float, high: float) -> None:
    kinds = (Limits, ScoringOptions)
    for kind in kinds:
        for value in (low, high):
            assert getattr(kind(**{name: value}), name) == value
        for value in (low - 0.001, high + 0.001, float("nan"), float("inf"), -float("inf")):
            with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} is .*between {low} and"):
                kind(**{name: value})
            if name != "class_margin":
                with pytest.raises(UsageError, match=f"--class-{name.replace('_', '-')} of b"):
                    kind(**{f"class_{name}": (("b", value), ("b", 0.0))})


def test_words_to_pairs() -> None:
    assert pairs(["a=0.5", "b=c=-1"], "--x") == (("a", 0.5), ("b=c", -1.0))
    for text in ("a", "a=", "=1", "a=b"):
        with pytest.raises(UsageError):
            pairs([text], "--x")
