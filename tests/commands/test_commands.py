"""What holds for every command: the whole tree is walked, so a new one is covered by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
import typer
from typer.testing import CliRunner

from searchdet.cli import app
from searchdet.doctor import checks as doctor
from searchdet.errors import UsageError
from searchdet.models import catalogue

BAD: dict[str, list[str]] = {
    "bank add": ["absent.bank"],
    "bank audit": ["absent.bank"],
    "bank build": ["-o", "b", "--positive", "absent"],
    "bank remove": ["absent.bank", "name"],
    "bank show": ["absent.bank"],
    "cache clear": ["--kind", "nonsense"],
    "cache info": ["--cache-dir", "file"],
    "cache prune": [],
    "config init": ["file"],
    "config path": ["--config", "absent.toml"],
    "config show": ["nonsense"],
    "demo": ["-o", "file"],
    "detect": ["absent.png", "--positive", "absent"],
    "doctor": [],
    "eval": ["absent.json", "absent"],
    "export": ["absent"],
    "index": ["absent.png", "-o", "out"],
    "models list": [],
    "models pull": ["nonsense"],
    "models verify": ["absent.pth"],
    "report": ["absent"],
    "search": ["absent", "--positive", "absent"],
}
"""For each command words that it refuses."""
REFUSES_NOTHING = {"doctor": (doctor, "examine"), "models list": (catalogue, "entries")}
"""Commands that refuse nothing, and what of them a test makes refuse."""


def leaves(command: Any, path: tuple[str, ...] = ()) -> dict[str, click.Command]:
    """All commands that are no groups, by the words that call them."""
    children = getattr(command, "commands", None)
    if children is None:
        return {" ".join(path): command}
    found: dict[str, click.Command] = {}
    for name, child in children.items():
        found |= leaves(child, (*path, name))
    return found


LEAVES = leaves(typer.main.get_command(app))


def test_each_command_has_words_that_it_refuses() -> None:
    assert sorted(LEAVES) == sorted(BAD)


@pytest.mark.parametrize("name", sorted(LEAVES))
def test_debug_shows_the_traceback_of_a_refusal(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise UsageError("refused.")

    monkeypatch.chdir(tmp_path)
    Path("file").write_text("a file")
    if name in REFUSES_NOTHING:
        monkeypatch.setattr(*REFUSES_NOTHING[name], refuse)
    plain, debug = (
        CliRunner().invoke(app, [*name.split(), *BAD[name], *more]) for more in ([], ["--debug"])
    )
    assert plain.exit_code == debug.exit_code != 0, plain.output
    assert plain.stderr.count("error: ") == 1
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debug.stderr
    assert debug.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", sorted(name for name in LEAVES if not name.startswith("config ")))
def test_debug_shows_the_traceback_of_a_refused_settings_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEARCHDET_CONFIG")
    Path("bad.toml").write_text("nonsense = 1\n")
    done = CliRunner().invoke(app, [*name.split(), "--config", "bad.toml", *BAD[name], "--debug"])
    assert done.exit_code == 2
    assert "Traceback" in done.stderr
    assert "bad.toml" in done.stderr.splitlines()[-1]


def test_eval_hands_debug_on_to_detect(tmp_path: Path) -> None:
    words = ["eval", "t.json", str(tmp_path / "out"), "--images", str(tmp_path / "absent"), "--debug"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "Traceback" in done.stderr
