"""One declaration, and the flag, variable, key, check and help of an option follow from it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from searchdet import config
from searchdet.commands.config import config_app
from searchdet.commands.options import with_options
from searchdet.commands.settings.group import ConfigFile, NoConfig, SettingsGroup
from searchdet.config.option import (
    Pairs,
    Usual,
    between,
    check_options,
    declared,
    from_values,
    option,
    usual,
)
from searchdet.errors import UsageError


@dataclass(frozen=True)
class Inner:
    """Options within options."""

    folder: Path | None = option(None, "Where it is.", "Places", flags=("--folder", "-f"))
    weights: Pairs = option((), "How much.", "Places", check=between(0, 1))
    shared: bool = option(False, "In both.", "Places")


@dataclass(frozen=True)
class Part:
    """The options of a command that is there for this test only."""

    inner: Inner = Inner()
    level: int = option(2, "How high.", "Heights", check=between(1, 5), key="height")
    shared: bool = option(False, "In both.", "Places")
    hidden: float = 0.5

    def __post_init__(self) -> None:
        check_options(self)
        check_options(self.inner)


def program(body: Callable[..., None]) -> Callable[..., Any]:
    app = typer.Typer(cls=SettingsGroup)
    app.command("climb")(body)
    app.add_typer(config_app, name="config")

    @app.callback()
    def _root(config_file: ConfigFile = None, no_config: NoConfig = False) -> None: ...

    return lambda *words: CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default_backbone: None) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEARCHDET_CONFIG")

    @with_options()
    def climb(part: Part, name: str = "x") -> None:
        """Climb."""
        print(part, name)

    return program(climb)


def test_a_field_is_a_flag_a_variable_a_key_and_a_check(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gives(*words: str) -> str:
        result = call("climb", *words)
        assert result.exit_code == 0, result.output
        return str(result.stdout.strip())

    assert gives() == f"{Part()} x"
    Path("searchdet.toml").write_text('height = 3\n[climb]\nweights = ["a=0.5"]\nfolder = "f"\n')
    assert gives() == f"{Part(Inner(Path('f'), (('a', 0.5),)), 3)} x"
    monkeypatch.setenv("SEARCHDET_HEIGHT", "4")
    assert "level=4" in gives()
    assert f"{Part(Inner(Path('g'), (('b', 1.0),), True), 5, True)} y" == gives(
        *("--height", "5", "-f", "g", "--weights", "b=1", "--shared", "--name", "y")
    )
    Path("searchdet.toml").write_text("heigth = 3\n")
    assert "'heigth'. Did you mean 'height'?" in call("climb").stderr
    Path("searchdet.toml").write_text("height = 'high'\n")
    assert "height is 'high'; it must be a whole number." in call("climb").stderr


def test_a_value_that_a_check_refuses_is_one_line_and_exit_2(call: Callable[..., Any]) -> None:
    for words, says in (
        (["--height", "6"], "error: --height is 6; it must lie between 1 and 5.\n"),
        (["--weights", "b=2"], "error: --weights of b is 2; it must lie between 0 and 1.\n"),
        (["--weights", "b=nan"], "error: --weights of b is nan; it must lie between 0 and 1.\n"),
        (
            ["--weights", "b"],
            "error: --weights 'b' is not NAME=VALUE. For example --weights bolt=0.4.\n",
        ),
    ):
        result = call("climb", *words)
        assert (result.exit_code, result.stdout, result.stderr) == (2, "", says)


def test_help_and_settings_tell_what_is_declared(call: Callable[..., Any]) -> None:
    text = call("climb", "--help").stdout
    for words in ("Places", "Heights", "How high.", "-f", "SEARCHDET_HEIGHT", "default: 2", "--debug"):
        assert words in text
    assert "hidden" not in text
    assert text.count("--shared") == 1
    shown = json.loads(call("config", "show", "climb", "--json").stdout)["options"]
    assert {"folder", "weights", "shared", "height", "name", "debug"} == set(shown)
    assert call("config", "init").exit_code == 0
    assert "# How high.\n#height = 2\n" in Path("searchdet.toml").read_text()


@dataclass(frozen=True)
class Yielding:
    """Defaults that give way where something else is suited."""

    depth: int = option(usual(300), "How deep.", "Depths")
    slope: float = option(usual(0.5), "How steep.", "Depths")


def test_the_usual_value_that_somebody_names_is_told_from_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, default_backbone: None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEARCHDET_CONFIG")

    @with_options()
    def dive(part: Yielding) -> None:
        """Dive."""
        print(part, *(isinstance(value, Usual) for value in (part.depth, part.slope)))

    @with_options()
    def rise(context: typer.Context, part: Yielding) -> None:
        """With a context of its own."""
        print(context.info_name, isinstance(part.depth, Usual))

    call = program(dive)
    said = "Yielding(depth=300, slope=0.5)"
    assert call("climb").stdout == f"{said} True True\n"
    assert call("climb", "--depth", "300").stdout == f"{said} False True\n"
    assert program(rise)("climb", "--depth", "300").stdout == "climb False\n"
    monkeypatch.setenv("SEARCHDET_DEPTH", "300")
    Path("searchdet.toml").write_text("slope = 0.5\n")
    assert call("climb").stdout == f"{said} False False\n"
    assert "default: 300" in call("climb", "--help").stdout


def test_a_usual_value_is_written_compared_and_sent_as_its_number() -> None:
    made = Yielding()
    assert made == Yielding(300, 0.5)
    assert hash(made) == hash(Yielding(300, 0.5))
    assert json.dumps(asdict(made)) == '{"depth": 300, "slope": 0.5}'
    sent = copy.deepcopy(made)  # as a process in between does
    assert all(isinstance(value, Usual) for value in (sent.depth, sent.slope))
    named = from_values(Yielding, {"depth": 300})
    assert (isinstance(named.depth, Usual), isinstance(named.slope, Usual)) == (False, True)


def test_a_command_leaves_out_what_it_names() -> None:
    @with_options(without=(Inner, "height"))
    def climb(part: Part) -> None:
        print(part)

    call = program(climb)
    assert call("climb", "--no-config", "--shared").stdout.strip().startswith("Part(inner=Inner(")
    assert call("climb", "--height", "3").exit_code == 2
    with pytest.raises(ValueError, match="no parameter has it"):
        with_options(without=("hight",))(climb.__wrapped__)


def test_two_different_options_of_one_name_are_a_mistake() -> None:
    @dataclass(frozen=True)
    class Other:
        shared: bool = option(True, "Another one.", "Places")

    def climb(part: Part, other: Other) -> None: ...

    climb.__annotations__ = {"part": Part, "other": Other}
    with pytest.raises(ValueError, match="two options are called 'shared'"):
        with_options()(climb)


def test_flat_values_lead_to_the_parts() -> None:
    given = {"folder": "f", "weights": [("a", 0.5)], "height": 3, "shared": True, "hidden": 0.1}
    assert from_values(Part, given) == Part(Inner(Path("f"), (("a", 0.5),), True), 3, True, 0.1)
    with pytest.raises(UsageError, match="--height is 'high'"):
        from_values(Part, {"height": "high"})


KINDS = [kind for name, kind in vars(config).items() if isinstance(kind, type)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_declaration_is_whole(kind: type[Any]) -> None:
    for item in declared(kind):
        assert item.option.text.endswith((".", "}")), item.key
        assert item.option.panel
        assert item.flags[0].startswith("--")
        assert all(flag.startswith("--") or len(flag) == 2 for flag in item.flags)
