"""A record is read back as it was written, and anything else is refused by its field."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import exported
import pytest
import reports

from searchdet.errors import ImageError
from searchdet.records import ImageRecord, failed, read_record
from searchdet.records.record import SCHEMA

Change = Callable[[dict[str, Any]], object]


def record() -> ImageRecord:
    classes = ("bolt", "nut")
    return reports.record("deep/a.png", classes, reports.run(classes), 0)


def written(path: Path, value: ImageRecord | dict[str, Any]) -> Path:
    path.write_bytes(value.to_bytes() if isinstance(value, ImageRecord) else json.dumps(value).encode())
    return path


@pytest.mark.parametrize(
    "made",
    [
        record(),
        exported.record("b.jpg", classes=("bolt",)),
        failed("c.png", ImageError("decode", "c.png: cut short.")),
    ],
    ids=["detections", "none", "failed"],
)
def test_a_record_read_back_is_the_record(tmp_path: Path, made: ImageRecord) -> None:
    found = read_record(written(tmp_path / "a.json", made))
    assert found == made
    assert found.to_bytes() == made.to_bytes()


def test_a_record_of_before_an_option_is_read_with_what_acted_then(tmp_path: Path) -> None:
    data = json.loads(record().to_bytes())
    assert data["proposer"]["options"].pop("crop_points_downscale") == 1
    assert read_record(written(tmp_path / "a.json", data)) == record()
    data["proposer"]["options"].pop("crop_layers")
    with pytest.raises(ValueError, match="options has other options"):
        read_record(written(tmp_path / "b.json", data))


def test_a_record_file_can_be_read_without_what_was_rejected(tmp_path: Path) -> None:
    whole = record()
    path = written(tmp_path / "a.json", whole)
    assert path.read_bytes().isascii()
    part = read_record(path, rejected=False)
    assert part == replace(whole, candidates=whole.detections, partial=True)
    with pytest.raises(ValueError, match="without its rejected"):
        part.to_json()
    path.write_bytes(path.read_bytes()[:-4])
    for rejected in (True, False):
        with pytest.raises(ValueError, match="not a searchdet"):
            read_record(path, rejected)
    assert read_record(written(path, dict(whole.to_json())), rejected=False) == whole
    assert read_record(tmp_path / "absent.json") is None


def set_at(*keys: Any, value: Any) -> Change:
    def change(data: dict[str, Any]) -> None:
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = value

    return change


def without(name: str) -> Change:
    return lambda data: data.pop(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("classes"), "classes is missing"),
        (set_at("image", value=3), "image is 3, not text"),
        (set_at("status", value="fine"), "its status is 'fine'"),
        (set_at("status", value="failed"), "does not look so"),
        (set_at("width", value=-1), "width is -1, not a whole number"),
        (set_at("width", value=10**9), "its size 1000000000x90"),
        (set_at("classes", value=["bolt"]), "there is no class 'nut'"),
        (set_at("thresholds", value={}), "do not agree"),
        (set_at("levels", value={"bolt": 0.1}), "classes and levels do not agree"),
        (set_at("levels", "nut", value="0.1"), "levels.nut is '0.1', not a number"),
        (without("levels"), "levels is missing"),
        (set_at("looked_at", value=-1), "looked_at is -1, not a whole number"),
        (set_at("scoring", "topk", value="3"), "scoring.topk is '3'"),
        (set_at("scoring", "topk", value=0), "--topk"),
        (set_at("scoring", "extra", value=0), "scoring has other options"),
        (set_at("thresholds", "bolt", "min_score", value=None), "thresholds.bolt.min_score is None"),
        (
            set_at("detections", 0, "score", value="0.9"),
            r"detections\[0\].score is '0.9', not a number",
        ),
        (set_at("detections", 0, "score", value=None), "has no class or score"),
        (set_at("detections", 0, "accepted", value=False), "accepted and rejected at once"),
        (set_at("detections", 0, "reason", value="so"), "has the reason 'so'"),
        (set_at("detections", 0, "bbox", value=[1, 2, 3]), "a list of 4 numbers"),
        (set_at("detections", 0, "segmentation", "size", value=[1, 2]), "of another image"),
        (set_at("rejected", 1, "evidence", value=[]), r"rejected\[1\].evidence is \[\], not an object"),
        (set_at("rejected", value={}), "rejected is {}, not a list"),
        (
            set_at("schema", value="searchdet.record/3"),
            "is a searchdet.record/3, which this version does not read",
        ),
        (set_at("schema", value="other/1"), "its schema is 'other/1'"),
    ],
)
def test_another_form_is_refused_by_its_field(tmp_path: Path, change: Change, said: str) -> None:
    data = json.loads(record().to_bytes())
    change(data)
    with pytest.raises(ValueError, match=said):
        read_record(written(tmp_path / "a.json", data))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"schema": NaN}', "[" * 100_000])
def test_what_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=SCHEMA):
        read_record(path)
