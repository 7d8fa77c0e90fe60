"""Our own files, damaged or forged, and names of any kind: each of these once ended a run."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reports
from exported import record as exported_record
from exported import save, square
from places import ROOT
from typer.testing import CliRunner
from worlds import call, rows_of

from searchdet import report
from searchdet.bank import file as bankfile
from searchdet.bank.audit import audit
from searchdet.calibration import thresholds_of
from searchdet.cli import app
from searchdet.errors import ExemplarError, UsageError
from searchdet.exemplars import find_positives
from searchdet.images.inputs import Scan, discover
from searchdet.index import file as index
from searchdet.output.folder import read_records
from searchdet.records.record import SCHEMA, ImageRecord, read_record
from searchdet.storage import tensors
from searchdet.storage.hashes import cache_folder
from searchdet.storage.values import Fields

sys.path.insert(0, str(ROOT / "fuzz"))
import memories
from forged import judged

pytestmark = pytest.mark.model

RECORD = {"schema": SCHEMA}


@pytest.mark.parametrize("value", [RECORD, RECORD | {"image": 3}, None, float("nan")])
def test_what_is_no_whole_record_is_made_again(
    world: Path, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert call("in/images/a.png", "-o", "out").exit_code == 0
    path = world / "out/records/in/images/a.png.json"
    before = path.read_bytes()
    whole = json.loads(before)
    path.write_text(json.dumps(value if isinstance(value, dict) else whole | {"width": value}))
    with pytest.raises(ValueError, match="record"):
        read_record(path)
    again = call("in/images/a.png", "-o", "out")
    assert again.exit_code == 0, again.stderr
    assert "made again" in again.stderr
    assert path.read_bytes() == before


def test_damaged_records_are_told_by_name(tmp_path: Path) -> None:
    good = json.loads(judged("a.png").to_bytes())
    # times a million it would be 10 GB
    text = [good["detections"][0] | {"score_before_suppression": "x" * 10_000}]
    changes = {"thresholds": {}, "scoring": [], "detections": [{}], "exemplars": None, "rejected": text}
    for key, value in changes.items():
        folder = tmp_path / key
        (folder / "records").mkdir(parents=True)
        (folder / "records/a.json").write_text(json.dumps(good | {key: value}))
        with pytest.raises(UsageError, match=r"a\.json: is damaged"):
            report.write(folder)
    item = json.loads(exported_record("1.png", [("bolt", square(reports.SIZE), 0.8)]).to_bytes())
    for key, value in {"score": "x", "bbox": [1], "quality": None, "segmentation": {}}.items():
        broken = item | {"detections": [item["detections"][0] | {key: value}]}
        with pytest.raises(ValueError, match=f"{key}"):
            ImageRecord.from_json(Fields(broken))


def test_a_record_of_an_impossible_size(tmp_path: Path) -> None:
    made = json.loads(exported_record("a.png", [("nut", square(), 0.8)]).to_bytes())
    size = {"width": 60_000, "height": 60_000}
    made["detections"][0]["segmentation"] = {"size": [60_000, 60_000], "counts": "0" + "P" * 4}
    save(tmp_path).mkdir(exist_ok=True)
    (tmp_path / "records").mkdir()
    (tmp_path / "records/a.json").write_text(json.dumps(made | size))
    with pytest.raises(UsageError, match=r"a\.json: is damaged"):
        list(read_records(tmp_path))


def test_a_bank_of_an_unknown_backbone_and_names_of_no_file(tmp_path: Path) -> None:
    path = tmp_path / "bank"
    bankfile.save(memories.bank(), path)
    arrays, fields = tensors.read(path)
    facts = json.loads(json.dumps(fields.values))
    facts["space"]["backbone"] = "other"
    path.write_bytes(tensors.pack(arrays, facts))
    loaded = bankfile.load(path)
    assert audit(loaded)
    assert thresholds_of(loaded) == thresholds_of(memories.bank())
    with pytest.raises(ExemplarError, match="backbone is filterbank here and other there"):
        bankfile.require_space(loaded, memories.SPACE, "--bank")
    for change in ({"classes": ["a", "\ud800"]}, {"classes": 3}, {"space": {"dim": "x"}}):
        path.write_bytes(tensors.pack(arrays, facts | change))
        with pytest.raises(ExemplarError, match="--bank"):
            bankfile.load(path)


@pytest.mark.parametrize("kind", list(memories.MEMORIES))
def test_an_entry_of_another_form_is_made_again(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "cache"
    memories.MEMORIES[kind](folder)
    (path,) = memories.entries(folder, kind)
    sound = path.read_bytes()
    other = b"[" * 100_000 if kind == "sha256" else tensors.pack({"x": np.ones(3)}, {"x": 1})
    path.write_bytes(other)
    with caplog.at_level(logging.WARNING):
        memories.MEMORIES[kind](folder)
    assert path.read_bytes() == sound
    assert kind == "sha256" or "made again" in caplog.text


LINES = [("start", 1), ("start", "0"), ("count", -1), ("count", 2.5), ("facts", []), ("image", {})]


@pytest.mark.parametrize(("key", "value"), LINES)
def test_lines_of_an_index(world: Path, key: str, value: Any) -> None:
    assert CliRunner().invoke(app, ["index", "in/images", "-o", "idx"]).exit_code == 0
    path = rows_of(world / "idx") / "images.jsonl"
    first, *rest = path.read_text().splitlines()
    changed = json.dumps(json.loads(first) | {key: value})
    text = "\n".join([changed, *rest]) + "\n"
    path.write_text(text)
    facts = json.loads((world / "idx/index.json").read_text())
    facts["bytes"]["images.jsonl"] = len(text)
    (world / "idx/index.json").write_text(json.dumps(facts))
    with pytest.raises(UsageError, match="is not an index"):
        index.load(world / "idx")


@pytest.mark.parametrize("name", ["vectors", "boxes", "counts", "offsets"])
def test_rotten_rows_of_an_index_are_told_by_image(world: Path, name: str) -> None:
    words = ["--positive", "in/positive", "--negative", "in/negative"]
    assert CliRunner().invoke(app, ["index", "in/images", "-o", "idx"]).exit_code == 0
    path = rows_of(world / "idx") / name
    path.write_bytes(b"\xff" * path.stat().st_size)
    done = CliRunner().invoke(app, ["search", "idx", *words, "--min-score", "-1"])
    assert done.exit_code == 2, (done.stderr, done.stdout)
    assert "part of the index is damaged" in done.stderr


def test_names_that_no_file_can_have(world: Path) -> None:
    long = "x" * 300
    for words in (
        [long, "--positive", "in/positive"],
        ["in/images", "--positive", long],
        ["in/images", "--positive", "in/positive", "--sam-checkpoint", long],
    ):
        done = CliRunner().invoke(app, ["detect", *words])
        assert done.exit_code == 2, done.stderr
        assert "no file has so long a name" in done.stderr
    (world / "list").write_text(f"in/images/a.png\n{long}\n")
    done = call("@list", "-o", "out")
    assert done.exit_code == 3
    assert "FAILED (missing)" in done.stderr
    (world / "list").write_bytes(b"in/images/a.png\0in/images/none.png")
    done = call("@list", "--no-save")
    assert done.exit_code == 2
    assert "--null" in done.stderr
    assert call("@list", "--null", "--no-save").exit_code == 0
    (world / "s.toml").write_text('positive = "a\\u0000b"')
    done = CliRunner().invoke(app, ["--config", "s.toml", "detect", "in/images"])
    assert done.exit_code == 2, done.stderr


def test_loops_of_links_and_linked_exemplars(world: Path) -> None:
    loop = world / "in/images/loop.png"
    loop.symlink_to(loop)
    assert "loop.png" in [query.name for query in discover([str(loop.parent)], Scan())]
    done = call("in/images", "-o", "out")
    assert done.exit_code == 3, done.stderr
    assert "loop.png: FAILED (missing)" in done.stderr
    loop.unlink()
    elsewhere = world / "elsewhere"
    elsewhere.mkdir()
    (world / "in/positive/red/2.png").rename(elsewhere / "other.png")
    (world / "in/positive/red/2.png").symlink_to(elsewhere / "other.png")
    (world / "in/positive/linked").symlink_to(elsewhere)
    names = [item.name for item in find_positives(world / "in/positive")]
    assert names == ["positive/linked/other.png", "positive/red/1.png", "positive/red/2.png"]


@pytest.mark.process
def test_names_that_are_no_utf8_are_printed_as_their_bytes(world: Path) -> None:
    name = os.fsdecode(b"\xff.png")
    (world / "in/positive/red/2.png").rename(world / "in/positive/red" / name)
    words = ["--positive", "in/positive", "--negative", "in/negative", "-o", "b"]
    assert CliRunner().invoke(app, ["bank", "build", *words]).exit_code == 0
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    for command in ("show", "audit"):
        line = [sys.executable, "-m", "searchdet", "bank", command, "b"]
        done = subprocess.run(line, capture_output=True, env=environment, check=True)
        assert b"positive/red/\xff.png" in done.stdout


def test_a_cache_of_files_that_are_none(world: Path) -> None:
    first = call("in/images/a.png", "--json", "--no-save")
    for path in cache_folder().rglob("*.safetensors"):
        path.write_bytes(tensors.pack({"a": np.zeros(1)}, {}))
    second = call("in/images/a.png", "--json", "--no-save")
    assert second.exit_code == 0
    assert second.stdout == first.stdout
