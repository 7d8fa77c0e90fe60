"""``searchdet serve`` as a process: begins, is stopped, is killed, begins again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import Asker
from places import TESTS, Figure
from typer.testing import CliRunner
from worlds import call, tree_hash

from searchdet.cli import app
from searchdet.records import read_record

EXAMPLES = ("--positive", "in/positive", "--negative", "in/negative")
HEARD = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("searchdet", run_name="__main__")
"""
"""A shell has its background jobs ignore SIGINT, and so what these start, as tests may be."""
PROGRAM = (sys.executable, "-c", HEARD, "serve", "in/images", "-r", "--port", "0", "--no-open")
KILLS = int(os.environ.get("SERVE_KILLS", "5"))


@contextlib.contextmanager
def running(*words: str) -> Iterator[tuple[Asker, subprocess.Popen[str]]]:
    """The program, once it has said where it is."""
    process = subprocess.Popen(
        [*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)\n", line)
        if found is None:
            raise AssertionError(line + process.communicate(timeout=60)[1])
        yield Asker(int(found[1]), found[2]), process
    finally:
        process.kill()
        process.communicate(timeout=60)


def ended(process: subprocess.Popen[str], signum: int) -> tuple[int, str]:
    """End it by a signal: its code, and what it said."""
    process.send_signal(signum)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def described(asker: Asker) -> dict[str, object]:
    """The state once all images are described, by the stream."""
    while True:
        state = asker.get("/api/state")
        if state["done"] + len(state["failed"]) == state["total"]:
            return dict(state)


@pytest.mark.process
def test_sigint_ends_it_with_bank_and_records(world: Path) -> None:
    before = tree_hash(world / "in")
    with running(*EXAMPLES) as (asker, process):
        state = described(asker)
        assert [item["name"] for item in state["classes"]] == ["red"]
        shown = {item["source"] for item in state["exemplars"]}
        assert shown == {"file"}
        assert asker.ask(state["exemplars"][0]["picture"])[0] == 200
        counts = {item["name"]: item["counts"] for item in asker.get("/api/images")["images"]}
        code, said = ended(process, signal.SIGINT)
    assert code == -signal.SIGINT
    assert "3 images are described" in said
    assert "Traceback" not in said
    assert tree_hash(world / "in") == before
    out = world / "searchdet-serve"
    for name, count in counts.items():
        record = read_record(out / "records" / f"{name}.json")
        assert record is not None
        assert len(record.detections) == count.get("red", 0)
    assert (out / "coco.json").is_file()
    assert json.loads((out / "run.json").read_text())["counts"]
    assert not list(out.glob(".searchdet-*"))
    assert call("in/images", "-r", "-o", "again").exit_code == 0


@pytest.mark.process
def test_sigterm_ends_it_without_records_and_says_how_to_make_them(world: Path) -> None:
    with running(*EXAMPLES) as (asker, process):
        described(asker)
        code, said = ended(process, signal.SIGTERM)
    assert code == -signal.SIGTERM
    assert "searchdet detect in/images --recursive" in said
    out = world / "searchdet-serve"
    assert (out / "bank.safetensors").is_file()
    assert not (out / "records").exists()


@pytest.mark.process
def test_it_begins_with_nothing_and_goes_on_where_it_was(world: Path) -> None:
    with running() as (asker, process):
        assert described(asker)["classes"] == []
        row = asker.get("/api/images/0/at?x=40&y=60")["regions"][0]["row"]
        pick = {"kind": "pick", "image": "a.png", "row": row, "label": "red"}
        assert asker.send(pick)[0] == 200
        draw = {"kind": "draw", "image": "none.png", "box": [15, 25, 65, 95], "label": None}
        status, said = asker.send(draw)
        assert status == 200, said
        picture = (world / "in/positive/red/1.png").read_bytes()
        status, _, body = asker.ask(
            "/api/pictures?label=red&name=red.png", picture, Content_Type="image/png"
        )
        assert status == 200, body
        state = asker.get("/api/state")
        sources = sorted(item["source"] for item in state["exemplars"])
        assert sources == ["box", "paste", "region"]
        for item in state["exemplars"]:
            assert asker.ask(item["picture"])[0] == 200
        assert ended(process, signal.SIGTERM)[0] == -signal.SIGTERM
    with running() as (asker, process):
        again = described(asker)
        for name in ("classes", "exemplars", "negatives", "undo", "command"):
            assert again[name] == state[name]
        assert ended(process, signal.SIGTERM)[0] == -signal.SIGTERM


@pytest.mark.process
def test_two_do_not_share_a_folder(world: Path) -> None:
    with running() as (asker, _):
        described(asker)
        second = subprocess.run(PROGRAM, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 2
        assert "another process works in it" in second.stderr


@pytest.mark.process
def test_an_index_is_served_without_describing_anything(made: Path) -> None:
    given = ("--index", "idx", "--bank", "bank.safetensors", "--tile", "128")
    with running(*given) as (asker, process):
        state = asker.get("/api/state")
        assert state["done"] == state["total"] == 2
        assert {item["source"] for item in state["exemplars"]} == {"file"}
        assert asker.ask("/api/images/0/picture?side=256")[0] == 200
        draw = {"kind": "draw", "image": "a.png", "box": [15, 25, 65, 95], "label": "red"}
        assert asker.send(draw)[0] == 200  # for which the models are loaded now
        code, said = ended(process, signal.SIGTERM)
    assert code == -signal.SIGTERM
    assert "Traceback" not in said
    assert "idx: was made with other options, which hold here: --tile 128 (the index has 0)" in said
    assert "1 image is not in the index" in said
    assert "(deep/a.png)" in said


@pytest.mark.process
def test_strict_ends_it_at_an_image_that_cannot_be_used(world: Path) -> None:
    (world / "in/images/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    words = [*PROGRAM, *EXAMPLES, "--strict"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3  # as that of `detect --strict`
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: in/images/broken.png: ")
    assert last.endswith("Or leave out the image, or --strict.")
    assert (world / "searchdet-serve/bank.safetensors").is_file()
    assert call("in/images", "-r", "--strict", "-o", "again").exit_code == 3


def refused(*words: str) -> str:
    """What is said of words that are not right."""
    result = CliRunner().invoke(app, ["serve", "in/images", "--port", "0", "--no-open", *words])
    assert result.exit_code == 2, result.output
    return result.stderr


def test_words_that_do_not_go_together_are_refused(world: Path) -> None:
    assert "needs a token of your own" in refused("--host", "0.0.0.0")
    assert "must be 16 to 200" in refused("--token", "short")
    assert "cannot listen" in refused("--host", "203.0.113.1", "--token", "t" * 20)
    with socket.create_server(("127.0.0.1", 0)) as other:
        said = refused("--port", str(other.getsockname()[1]))
        assert "cannot listen there" in said
        assert "Pass --port 0" in said
    assert "without examples of a class" in refused("--negative", "in/negative")
    assert "--bank goes with no other" in refused("--bank", "b", "--positive", "in/positive")
    assert "no image in this folder" in refused("-o", "in")
    assert "cannot be read as an index" in refused("--index", "absent")


def test_without_its_packages_it_says_how_to_get_them(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    real = importlib.util.find_spec
    gone = lambda name, *more: None if name == "uvicorn" else real(name, *more)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", gone)
    said = refused()
    assert said.count("\n") == 1
    assert 'pip install "searchdet[serve]"' in said


@pytest.mark.process
@pytest.mark.slow
def test_confirmed_verdicts_outlive_kills(tmp_path: Path, figure: Figure) -> None:
    words = [sys.executable, str(TESTS / "clicks.py"), str(tmp_path), str(KILLS), "7"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["lost"] == []
    assert found["left over"] == []
    assert found["confirmed"] > 0
    figure("verdicts confirmed through kills", found["confirmed"])
