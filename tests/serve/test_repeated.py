"""What a session writes and prints, and what `detect` makes of it: the same."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import served
from typer.testing import CliRunner, Result

from searchdet.cli import app
from searchdet.config import ScoringOptions

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
