"""A disk that fails at any moment: exit 5 or a WARNING, nothing partial, and the next run mends it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from faults import ERRORS, Faults
from PIL import Image
from typer.testing import CliRunner
from worlds import tree_hash

from searchdet.cli import app

WORDS = ["detect", "in/images/a.png", "in/images/deep/a.png", "--root", "in/images"]
WORDS += ["--positive", "in/positive", "--negative", "in/negative"]
WORDS += ["--save", "overlay,masks", "--scored-masks", "20"]


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*WORDS, *words])
    return result.exit_code, result.stderr


def results(folder: Path) -> str:
    """Digest of an output folder without its times."""
    (folder / "run.json").unlink(missing_ok=True)
    return tree_hash(folder)


def check_whole(folder: Path) -> None:
    assert not list(folder.rglob("*.tmp"))
    for path in folder.rglob("*.json"):
        json.loads(path.read_text())
    for path in (p for kind in ("*.jpg", "*.png") for p in folder.rglob(kind) if p.is_file()):
        with Image.open(path) as picture:
            picture.load()


@pytest.fixture
def clean(world: Path) -> str:
    """The digest of an undisturbed run; the cache is warm."""
    assert run("-o", "clean")[0] == 0
    return results(world / "clean")


def sample(count: int, step: int) -> list[int]:
    """Every step-th of the calls 1 to ``count``, the last one always."""
    return sorted({*range(1, count + 1, step), count})


STEPS = pytest.mark.parametrize(
    "step", [pytest.param(5, marks=pytest.mark.sample), pytest.param(1, marks=pytest.mark.slow)]
)
"""Every fifth call, so that all errors take turns; all calls where time does not matter."""


@pytest.mark.model
@STEPS
def test_the_disk_fails_at_every_call_in_turn(world: Path, clean: str, step: int) -> None:
    with Faults() as counted:
        assert run("-o", "count")[0] == 0
    assert {"open", "write", "fsync", "rename"} == set(counted.calls)
    names = list(ERRORS)
    inputs = tree_hash(world / "in")
    for at in sample(len(counted.calls), step):
        out = f"out{at}"
        with Faults(at, ERRORS[names[at % len(names)]], lasting=at % 3 == 0):
            code, said = run("-o", out)
        if code == 0:
            assert "Records are not remembered" in said, "of the cache, which is no result"
            assert results(world / out) == clean
            continue
        assert code == 5, (at, counted.calls[at - 1], said)
        assert said.splitlines()[-1].startswith("error: ")
        check_whole(world / out)
        if at % 6 == 0:
            assert run("-o", out)[0] == 0
            assert results(world / out) == clean
    assert tree_hash(world / "in") == inputs


@pytest.mark.model
@STEPS
def test_a_cache_that_fails_costs_a_warning_only(world: Path, clean: str, step: int) -> None:
    with Faults() as counted:
        assert run("--no-save", "--cache-dir", "c0")[0] == 0
    assert counted.calls
    for at in sample(len(counted.calls), 5 * step):
        with Faults(at, lasting=True) as met:
            code, said = run("--no-save", "--cache-dir", f"c{at}", "--json")
        assert code == 0, said
        assert "are kept in the cache" in said or len(met.calls) < at
        assert not list(Path(f"c{at}").rglob("*.tmp"))
    assert run("-o", "out", "--cache-dir", "c0")[0] == 0
    assert results(world / "out") == clean


def test_other_commands_on_a_full_disk(world: Path) -> None:
    def call(*words: str) -> int:
        return int(CliRunner().invoke(app, list(words)).exit_code)

    assert run("-o", "out")[0] == 0
    commands = {
        ("index", "in/images", "-o", "idx"): "idx",
        ("bank", "build", "--positive", "in/positive", "-o", "b.safetensors"): "b.safetensors",
        (
            "export",
            "out",
            "--to",
            "coco,yolo,csv,labelme,voc,labelstudio",
            "-o",
            "exp",
        ): "exp/coco.json",
        ("report", "out", "-o", "r.html"): "r.html",
        ("config", "init"): "searchdet.toml",
    }
    for words, made in commands.items():
        with Faults() as counted:
            assert call(*words) == 0, words
        assert (world / made).exists(), words
        keep = tree_hash(world / made) if (world / made).is_dir() else (world / made).read_bytes()
        if words[0] == "config":
            (world / made).unlink()
        for at in sorted({1, len(counted.calls) // 2 + 1, len(counted.calls)}):
            with Faults(at, lasting=True):
                assert call(*words) == 5, (words, at)
            assert not list(world.rglob("*.tmp")), (words, at)
            if words[0] == "config":
                assert not (world / made).exists()
            elif (world / made).is_dir():
                assert tree_hash(world / made) == keep
            else:
                assert (world / made).read_bytes() == keep
