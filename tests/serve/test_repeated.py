"""What a session writes and prints, and what `detect` makes of it: the same."""

from __future__ import annotations

import base64
import json
import logging
import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import served
from places import QUICK
from typer.testing import CliRunner, Result

from searchdet.cli import app
from searchdet.config import BackboneOptions, ScoringOptions, Settings
from searchdet.config.settings import settings_from
from searchdet.index.file import load
from searchdet.integrations.sources import Sources
from searchdet.records import read_record
from searchdet.serve.indexed import settings_of

pytestmark = pytest.mark.model


def repeated(command: str, out: str, code: int = 0) -> Result:
    """The printed command, with another folder for what it writes."""
    words = shlex.split(command)
    assert words[0] == "searchdet"
    done = CliRunner().invoke(app, [*words[1:], "-o", out, "--save", "none"])
    assert done.exit_code == code, done.stderr
    return done


def picked(made: served.Served, label: str = "red") -> None:
    """An exemplar: the smallest region on the red patch of a.png."""
    row = made.asker.get("/api/images/0/at?x=40&y=60")["regions"][0]["row"]
    pick = {"kind": "pick", "image": "a.png", "row": row, "label": label}
    assert made.asker.send(pick)[0] == 200


def test_images_that_cannot_be_used_have_records_as_detect_writes_them(
    cold_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cold_world)
    images = cold_world / "in/images"
    (images / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (images / "empty.png").write_bytes(b"")
    with served.serving(served.job(images, cold_world / "out")) as made:
        picked(made)
        made.desk.session.write_records(range(made.desk.done))
        command = made.asker.get("/api/state")["command"]
    repeated(command, "again", code=3)
    for name in ("a.png", "broken.png", "empty.png"):
        one, two = (Path(out, "records", f"{name}.json").read_bytes() for out in ("out", "again"))
        assert one == two
    both = [json.loads(Path(out, "run.json").read_text())["counts"] for out in ("out", "again")]
    assert both[0] == both[1]
    assert both[0]["failed"] == 2


def test_a_renamed_class_keeps_its_limit_in_the_printed_command(
    cold_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cold_world)
    scoring = ScoringOptions(class_min_score=(("red", 0.42), ("other", 0.9)))
    job = served.job(cold_world / "in/images", cold_world / "out")
    job = replace(job, settings=replace(job.settings, scoring=scoring))
    with served.serving(job) as made:
        assert made.asker.get("/api/state")["command"] == ""
        picked(made)
        rename = {"kind": "rename_class", "label": "red", "to": "a name = of it"}
        assert made.asker.send(rename)[0] == 200
        (known,) = made.asker.get("/api/state")["classes"]
        assert (known["name"], known["min_score"]) == ("a name = of it", 0.42)
        made.desk.session.write_records(range(made.desk.done))
        command = made.asker.get("/api/state")["command"]
    repeated(command, "again")
    for name in ("a.png", "deep/a.png", "none.png"):
        one, two = (Path(out, "records", f"{name}.json").read_bytes() for out in ("out", "again"))
        assert one == two, name


def found(out: str, name: str) -> list[tuple[object, ...]]:
    """The detections of a record."""
    record = read_record(Path(out, "records", f"{name}.json"))
    return [(d.id, d.label, d.score, d.bbox, d.segmentation) for d in record.detections]


def indexed(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    made = ("--proposals", "regions", *words)
    done = CliRunner().invoke(app, ["index", "in/images", "-r", "-o", "idx", *made])
    assert done.exit_code == 0, done.stderr
    log = logging.getLogger("searchdet")  # as before the command took it to its own stderr
    monkeypatch.setattr(log, "propagate", True)
    monkeypatch.setattr(log, "handlers", [])


OTHERS = (
    *("--keep", "60", "--max-area", "60", "--drop-border", "--feat-short-side", "160"),
    *("--pooling", "topk", "--scored-masks", "400", "--value-range", "0,255"),
)


@pytest.mark.parametrize(
    ("backbone", "made"),
    [
        (QUICK, ("--keep", "60")),
        (QUICK, ("--keep", "0", *OTHERS[2:])),
        ("embedded", ("--keep", "60")),  # where a variable of the shell names another one
    ],
)
def test_over_an_index_command_bridges_and_page_find_the_same(
    cold_world: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    backbone: str,
    made: tuple[str, ...],
) -> None:
    monkeypatch.chdir(cold_world)
    indexed(monkeypatch, *made, "--backbone", backbone)
    caplog.clear()
    job = served.job(Path("in/images"), cold_world / "out", index=Path("idx"))
    job = replace(job, settings=Settings(BackboneOptions(os.environ["SEARCHDET_BACKBONE"])))
    with served.serving(job, sources=Sources()) as made_of:
        assert len(caplog.records) == (backbone != QUICK)
        picked(made_of)
        made_of.desk.session.write_records(range(made_of.desk.done))
        command = made_of.asker.get("/api/state")["command"]
        image = base64.b64encode(Path("in/images/a.png").read_bytes()).decode()
        sent = json.dumps({"model": "searchdet", "image": image}).encode()
        _, _, body = made_of.asker.ask("/v1/predict", sent, Content_Type="application/json")
    repeated(command, "again")
    names = ("a.png", "deep/a.png", "none.png")
    assert found("out", "a.png")
    assert [found("again", name) for name in names] == [found("out", name) for name in names]
    record = read_record(Path("out/records/a.png.json"))
    shapes = json.loads(body)["data"]["shapes"]
    assert {item["score"] for item in shapes} == {item.probability for item in record.detections}


def test_other_options_than_those_of_the_index_are_said(
    cold_world: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(cold_world)
    indexed(monkeypatch, *OTHERS)
    index = load(Path("idx"))
    caplog.clear()
    given = {"tile": 128, "max_area": 60, "drop_border": True, "pooling": "topk", "topk_share": 0.25}
    given |= {"value_range": "0,255.0", "backbone": "filterbank", "feat_short_side": 128}
    own = settings_of(Path("idx"), index, settings_from(given))
    (other, cut) = caplog.messages
    assert other.startswith(
        "idx: was made with other options, which hold here: --feat-short-side 128 (the index has 160), "
        "--tile 128 (the index has 0), --topk-share 0.25 (the index has 0.5)."
    )
    assert "`searchdet index`" in other
    assert "--drop-border" in cut  # the best of all are not those that would be scored
    assert "--keep 0" in cut
    proposals = own.proposals
    assert (proposals.tile, proposals.max_area, proposals.scored_masks) == (0, 60, 400)
    assert (own.embedding.pooling, own.backbone.feat_short_side) == ("topk", 160)


def test_files_that_an_index_was_made_of_are_asked_for(
    cold_world: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(cold_world)
    indexed(monkeypatch, "--keep", "0")
    index = load(Path("idx"))
    proposer = index.models.proposer
    for name, says in (("sam", "needs weights"), ("masks", "--masks-from")):
        caplog.clear()
        options = replace(proposer.options, name=name)
        index.models = replace(index.models, proposer=replace(proposer, name=name, options=options))
        assert settings_of(Path("idx"), index, Settings()).proposals.name == name
        (warned,) = caplog.messages
        assert warned.startswith("The printed command, boxes and pictures cannot be used here")
        assert says in warned
