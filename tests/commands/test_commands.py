"""What holds for every command: the whole tree is walked, so a new one is covered by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from searchdet import doctor, models
from searchdet.cli import app
from searchdet.errors import UsageError

BAD: dict[str, list[str]] = {
    "bank add": ["absent.bank"],
    "bank audit": ["absent.bank"],
    "bank build": ["-o", "b", "--positive", "absent"],
    "bank remove": ["absent.bank", "name"],
    "bank show": ["absent.bank"],
    "benchmark": ["nonsense", "--root", "absent"],
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
    "masks": ["file", "--images", "absent", "-o", "out.json"],
    "index": ["absent.png", "-o", "out"],
    "merge": ["absent"],
    "models list": [],
    "models pull": ["nonsense"],
    "models verify": ["absent.pth"],
    "quick": ["absent"],
    "report": ["absent"],
    "search": ["absent", "--positive", "absent"],
    "serve": ["absent.png", "-o", "file", "--port", "0", "--no-open"],
}
"""For each command words that it refuses."""
REFUSES_NOTHING = {"doctor": (doctor, "examine"), "models list": (models, "entries")}
"""Commands that refuse nothing, and what of them a test makes refuse."""


def walk(command: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """All commands and groups, by the words that call them."""
    found = {" ".join(path): command}
    for name, child in getattr(command, "commands", {}).items():
        found |= walk(child, (*path, name))
    return found


TREE = walk(typer.main.get_command(app))
LEAVES = {name: command for name, command in TREE.items() if not hasattr(command, "commands")}


def test_the_tree_is_walked_to_its_leaves() -> None:
    """Else the tests below would pass for nothing."""
    assert len(LEAVES) >= 22
    assert {"", "bank", "cache", "config", "models"} == TREE.keys() - LEAVES.keys()
    assert sum(len(command.params) for command in LEAVES.values()) > 250


@pytest.mark.parametrize("name", sorted(TREE))
def test_every_command_and_option_has_help(name: str) -> None:
    command = TREE[name]
    texts = {"the command": command.help}
    texts |= {"/".join(param.opts): param.help for param in command.params}
    for which, text in texts.items():
        assert text, which
        assert len(text) >= 8, which
        assert text.rstrip().endswith("."), which
    done = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "300"})
    assert done.exit_code == 0
    for flags in (param.opts for param in command.params if param.param_type_name == "option"):
        assert flags[0] in done.stdout


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
