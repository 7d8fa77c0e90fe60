"""What settings files can set: the options of all commands, read from the commands themselves. Pure."""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config import address
from ..places import PLACE

MAIN = ("detect",)
UNSET = ("config",)
"""The commands about settings files; no file sets their options."""
CHOICE = ("config_file", "no_config")
"""The parameters that say which files are read; no file sets them either."""
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", Path: "a path in quotes"}
_SAMPLES: dict[Any, object] = {bool: True, int: 1, float: 0.5, Path: "path"}


@dataclass(frozen=True, slots=True)
class Key:
    """An option of a command. names: the keys that set it; hint: the type of its value, not None."""

    path: tuple[str, ...]
    command: Any
    param: Any
    names: tuple[str, ...]
    hint: Any


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, Click command) of all commands that files can set."""
    if path == UNSET:
        return
    if not hasattr(command, "commands"):
        yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from leaves(child, (*path, name))


def keys_of(root: Any) -> Iterator[Key]:
    """The options of all commands; not the eager ones, such as --help, which act instead of one."""
    for path, command in leaves(root):
        hints = typing.get_type_hints(command.callback)
        for param in command.params:
            names = tuple(flag[2:] for flag in param.opts if flag.startswith("--"))
            ours = names and param.param_type_name == "option" and param.name not in CHOICE
            if ours and not param.is_eager:
                hint = _plain(hints[param.name])
                if param.metavar == PLACE:  # text for Typer
                    hint = list[Path] if typing.get_origin(hint) is list else Path
                yield Key(path, command, param, names, hint)


def spelled(name: str) -> str:
    """Keys and tables are written with ``-`` or ``_``."""
    return name.replace("_", "-")


def words(hint: Any) -> str:
    """What to write for a type."""
    parts = [words(part) for part in typing.get_args(hint)]
    if typing.get_origin(hint) is list:
        return f"a list, each item {parts[0]}"
    return (
        f"a list of {len(parts)}: {', '.join(parts)}" if parts else _WORDS.get(hint, "text in quotes")
    )


def sample(hint: Any) -> object:
    """A value of a type, for an example."""
    parts = [sample(part) for part in typing.get_args(hint)]
    return parts or _SAMPLES.get(hint, "...")


def taken(value: object, hint: Any, folder: Path) -> object:
    """A value of a TOML file as an option of this type takes it; relative paths start from ``folder``.

    Raises ValueError for a value of another type: text is no number, and a number is no text.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is list and isinstance(value, list):
        return [taken(item, parts[0], folder) for item in value]
    if origin is tuple and isinstance(value, list) and len(value) == len(parts):
        return tuple(taken(item, part, folder) for item, part in zip(value, parts, strict=True))
    wanted: Any = {bool: bool, int: int, float: (int, float)}.get(hint, str)
    if origin or not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
        raise ValueError(hint)
    if isinstance(value, str) and "\0" in value:
        raise ValueError(hint)
    if hint is Path and address.is_address(str(value)):
        return value
    if hint is Path and value != "-":  # a stream; no shell has expanded ~ for us
        return str(folder / os.path.expanduser(str(value)))  # noqa: PTH111
    return value


def _plain(hint: Any) -> Any:
    """A type without None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint
