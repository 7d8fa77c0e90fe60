"""The commands of ``searchdet config``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ..errors import OutputError, UsageError, meant
from .console import say
from .options import AsJson, with_options
from .settings.file import NAME, PROJECT, FileSettings, read
from .settings.group import ConfigFile, NoConfig, chosen, settings_of
from .settings.keys import MAIN, UNSET, keys_of

config_app = typer.Typer(help="What is set, and which files set it.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class _Row:
    """An option: its value, what set it, and the file or variable if that was one."""

    name: str
    value: object
    source: str
    origin: str | None


@config_app.command("show", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@with_options()
def config_show(
    context: typer.Context,
    words: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="[COMMAND]...", help="A command, `detect` if none, and flags of it."),
    ] = None,
    json_lines: AsJson = False,
    config_file: ConfigFile = None,
    no_config: NoConfig = False,
) -> None:
    """Each option of a command: its value, and whether a flag, a variable or a file set it."""
    settings = settings_of(context, config_file, no_config)
    root = context.find_root().command
    path, rest = _command(root, list(words or ()))
    rows = list(_rows(root, path, rest, settings))
    if json_lines:
        options = {r.name: {"value": r.value, "source": r.source, "from": r.origin} for r in rows}
        print(json.dumps({"command": " ".join(path), "options": options}, indent=1, default=str))
        return
    shown = [(row.name, _text(row.value), row.origin or row.source) for row in rows]
    wide = [max((len(row[column]) for row in shown), default=0) for column in (0, 1)]
    for name, value, source in shown:
        print(f"{name:{wide[0]}}  {value:{min(wide[1], 40)}}  {source}")


@config_app.command("path")
@with_options()
def config_path(
    context: typer.Context, config_file: ConfigFile = None, no_config: NoConfig = False
) -> None:
    """The settings files that are looked at, the strongest first."""
    for path in chosen(context, config_file, no_config):
        print(f"{path.absolute()}  {_state(path)}")


@config_app.command("init")
@with_options()
def config_init(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path(NAME),
) -> None:
    """Write a settings file with every option, all commented out."""
    from ..storage import files
    from .settings.example import example

    if os.path.lexists(file):
        raise OutputError(f"{file} is already there.", "Remove it or name another file.")
    if file == Path(NAME) and read(Path(PROJECT)) is not None:
        raise UsageError(f"{PROJECT} has [tool.searchdet] already.", "Keep the settings there.")
    files.write_bytes(file, example(context.find_root().command).encode())
    say(f"{file}: every option, all commented out.")


def _state(path: Path) -> str:
    try:
        found = read(path)
    except UsageError as error:
        return f"broken ({error.message})"
    if found is not None:
        return "read"
    return "without [tool.searchdet]" if os.access(path, os.F_OK) else "not there"


def _command(root: Any, words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The path of the command that words begin with, and the other words. Raises UsageError for no
    command."""
    words = words if words and not words[0].startswith("-") else [*MAIN, *words]
    path: tuple[str, ...] = ()
    while children := getattr(root, "commands", None):
        known = ", ".join(sorted(children))
        if not words or words[0].startswith("-"):
            raise UsageError(f"`{' '.join(path)}` is a group.", f"Name one of {known}.")
        if words[0] not in children:
            hint = meant(words[0], children) or f"There are {known}."
            raise UsageError(f"there is no command {words[0]!r}.", hint)
        root, path, words = children[words[0]], (*path, words[0]), words[1:]
        if path == UNSET:
            raise UsageError("no file sets the options of `config`.")
    return path, words


def _rows(root: Any, path: tuple[str, ...], words: list[str], settings: FileSettings) -> Iterator[_Row]:
    """What Click would hand to a command that is called with these words."""
    keys = [key for key in keys_of(root) if key.path == path]
    if not keys:
        return
    command = keys[0].command
    context = command.context_class(
        command, info_name=" ".join(path), default_map=settings.defaults(path)
    )
    given, left, _ = command.make_parser(context).parse_args(args=words)
    if left and not context.allow_extra_args:
        context.fail(f"Got unexpected extra argument(s) ({' '.join(left)})")
    for param in [key.param for key in keys]:
        value, source = param.consume_value(context, given)
        origin = param.envvar if source.name == "ENVIRONMENT" else None
        if source.name == "DEFAULT_MAP":
            origin = settings.of(path)[param.name].origin
        # a required option that is not set has no value here, which only its command complains about
        missing = source.name == "DEFAULT" and param.required
        made = None if missing else param.process_value(context, value)
        name = next(flag for flag in param.opts if flag.startswith("--"))
        yield _Row(name[2:], made, _SOURCES.get(source.name, source.name.lower()), origin)


_SOURCES = {"COMMANDLINE": "flag", "ENVIRONMENT": "environment", "DEFAULT_MAP": "file"}


def _text(value: object) -> str:
    if value is None or value == () or value == []:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
