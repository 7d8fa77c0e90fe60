"""What the Ray engine needs, and says where it is missing; Ray itself does not run here."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from searchdet.batch import actor
from searchdet.cli import app
from searchdet.errors import OutputError, SearchdetError, UsageError

WORDS = ["in/images", "--positive", "in/positive", "--no-save"]


def detect(*words: str) -> Result:
    return CliRunner().invoke(app, ["detect", *WORDS, *words])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--actors", "2"], "--actors is for --engine ray, which is not given."),
        (["--ray-address", "auto"], "--ray-address is for --engine ray, which is not given."),
        (["--engine", "local", "--actors", "2"], "--actors is for --engine ray"),
        (["--engine", "ray", "--actors", "0"], "--actors is 0; it must lie between 1 and 10000."),
        (["--engine", "spark"], "--engine is 'spark'; choose one of local, ray."),
        (["--engine", "ray", "--timeout", "0"], "--timeout 0.0 must be a number of seconds above 0."),
    ],
)
def test_options_without_effect_are_refused(cold_world: Path, words: list[str], said: str) -> None:
    result = detect(*words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_without_ray_it_is_said_how_to_install_it(
    cold_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "ray" else real(name, *more)
    )
    result = detect("--engine", "ray", "--actors", "2")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        'error: --engine ray needs ray, which is not installed. Run `pip install "searchdet[ray]"`.'
    )


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"version": "0.0.0"}, UsageError, "and not 0.0.0"),
        ({"folder": Path("/no/such/folder")}, UsageError, "does not see the working folder"),
        ({"token": (Path("none"), b"x")}, OutputError, "does not see the output folder"),
        ({"token": (Path("other"), b"x")}, OutputError, "does not see the output folder"),
    ],
)
def test_a_node_that_is_another_place_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, object],
    kind: type[SearchdetError],
    said: str,
) -> None:
    monkeypatch.setattr(actor, "SEEN_SECONDS", 0.1)
    monkeypatch.chdir(tmp_path)
    Path("other").write_bytes(b"y")
    place = actor.Needs(**{"folder": tmp_path, "variables": (), **change})
    with pytest.raises(kind, match=said):
        place.enter()


def test_a_node_that_is_the_same_place_is_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEARCHDET_TRIED", "before")
    (tmp_path / "deep").mkdir()
    (tmp_path / "token").write_bytes(b"x")
    given = (("SEARCHDET_TRIED", "after"),)
    actor.Needs(tmp_path / "deep", given, token=(tmp_path / "token", b"x")).enter()
    assert Path.cwd() == tmp_path / "deep"
    assert os.environ["SEARCHDET_TRIED"] == "after"
