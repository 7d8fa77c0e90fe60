"""Decisions that are taken again over stored candidates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from searchdet.config import SUPPRESSIONS
from searchdet.detector import Detector
from searchdet.errors import UsageError
from searchdet.records.record import read_json
from searchdet.records.thresholds import Limits, detections, pairs


def record_of(world: Path, **options: object) -> dict[str, object]:
    detector = Detector.from_folders(
        world / "in/positive", world / "in/negative", proposals="regions", **options
    )
    path = world / "record.json"
    path.write_bytes(detector.detect(world / "in/images/a.png", "a.png").to_bytes())
    return json.loads(path.read_text())


@pytest.mark.parametrize("suppression", SUPPRESSIONS)
def test_the_limits_of_the_run_give_its_detections(world: Path, suppression: str) -> None:
    record = record_of(world, suppression=suppression)
    assert record["detections"]
    own = record["thresholds"]["red"]["score"]
    for limits in (
        Limits(),
        Limits(min_score=own),
        Limits(min_score=2, class_min_score=(("red", own),)),
        Limits(min_margin=record["scoring"]["min_margin"], class_margin=0),
    ):
        found = detections(record, limits)
        assert {item["id"] for item in found} == {item["id"] for item in record["detections"]}


def test_limits_move_the_decision(world: Path) -> None:
    record = record_of(world)
    every = [*record["detections"], *record["rejected"]]
    loose = detections(record, Limits(min_score=-2, min_margin=-2))
    assert len(loose) == sum(item["score"] is not None and item["kept"] > 0 for item in every)
    assert [item["score"] for item in loose] == sorted((i["score"] for i in loose), reverse=True)
    assert not detections(record, Limits(min_score=1))
    best = record["detections"][0]
    assert not detections(record, Limits(class_min_margin=(("red", best["margin"] + 0.1),)))


def test_limits_of_classes_decide_in_detect_too(world: Path) -> None:
    record = record_of(world, class_min_score=(("red", 0.9999),))
    assert not record["detections"]
    assert (
        record["thresholds"]["red"] | {"score": 0.9999, "source": "given"}
        == record["thresholds"]["red"]
    )
    assert record_of(world, class_min_margin=(("red", 2.0),))["detections"] == []
    with pytest.raises(UsageError, match="no class 'rad'") as caught:
        record_of(world, class_min_score=(("rad", 0.5),))
    assert caught.value.hint == "Did you mean 'red'?"


def test_words_to_pairs() -> None:
    assert pairs(["a=0.5", "b=c=-1"], "--x") == (("a", 0.5), ("b=c", -1.0))
    for text in ("a", "a=", "=1", "a=b"):
        with pytest.raises(UsageError):
            pairs([text], "--x")


def test_a_record_file_can_be_read_without_what_was_rejected(world: Path) -> None:
    whole = record_of(world)
    path = world / "record.json"
    assert read_json(path) == whole
    part = read_json(path, rejected=False)
    assert part == whole | {"rejected": []}
    assert path.read_bytes().isascii()
    path.write_bytes(path.read_bytes()[:-4])
    for rejected in (True, False):
        with pytest.raises(ValueError):  # noqa: PT011
            read_json(path, rejected)
    path.write_text(json.dumps(whole))
    assert read_json(path, rejected=False) == whole
    assert np.isfinite(whole["detections"][0]["score"])
