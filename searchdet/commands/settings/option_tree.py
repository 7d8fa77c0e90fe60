"""The options of all commands and what each takes, read from the tree of commands itself. Pure.

So a new command or option can be set from a file without a word about it here.
"""

from __future__ import annotations

import enum
import os
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAIN = ("detect",)
UNSET = ("config",)
"""The commands about settings files; no file sets their options."""
CHOICE = ("config_file", "no_config")
"""The parameters that say which files are read; no file sets them either."""
_WANTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Path: "a path in quotes",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What an option takes: as many words as there are ``kinds``, any number of times if
    ``repeated``."""

    kinds: tuple[Any, ...]
    repeated: bool = False

    @property
    def wanted(self) -> str:
        """What to write in a file, in words."""
        words = [_WANTED.get(kind, "text in quotes") for kind in self.kinds]
        one = words[0] if len(words) == 1 else f"a list of {len(words)}: {', '.join(words)}"
        return f"a list, each item {one}" if self.repeated else one

    def taken(self, value: Any, folder: Path) -> Any:
        """A value of a TOML file as the option takes it; relative paths start from ``folder``.

        Raises ValueError for a value of another type: text is no number, and a number is no text.
        """
        if not self.repeated:
            return self._once(value, folder)
        if not isinstance(value, list):
            raise ValueError(self.wanted)
        return [self._once(item, folder) for item in value]

    def _once(self, value: Any, folder: Path) -> Any:
        if len(self.kinds) == 1:
            return _word(value, self.kinds[0], folder)
        if not isinstance(value, list) or len(value) != len(self.kinds):
            raise ValueError(self.wanted)
        return tuple(_word(item, kind, folder) for item, kind in zip(value, self.kinds, strict=True))


def _word(value: Any, kind: Any, folder: Path) -> Any:
    if kind is float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    elif kind is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        fits = isinstance(value, bool if kind is bool else str) and "\0" not in str(value)
    if not fits:
        raise ValueError(kind)
    # "-" is a stream, not a file; no shell has expanded ~ for us
    return str(folder / os.path.expanduser(value)) if kind is Path and value != "-" else value  # noqa: PTH111


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command; ``names`` are the keys that set it."""

    path: tuple[str, ...]
    command: Any
    param: Any
    names: tuple[str, ...]
    shape: Shape

    @property
    def name(self) -> str:
        """The key that stands for it."""
        return self.names[0]


@dataclass(frozen=True, slots=True)
class Node:
    """A command with its options, or a group with its commands."""

    path: tuple[str, ...]
    options: tuple[Option, ...]
    children: Mapping[str, Node]

    def commands(self) -> Iterator[Node]:
        """The command itself, or those of a group at any depth."""
        if not self.children:
            yield self
        for child in self.children.values():
            yield from child.commands()

    def sharing(self, key: str) -> list[Option]:
        """The options that a key here sets: the command's own, or those of a group's commands.

        Of a group first that of `detect`, if it has one, and only those of the same shape as the
        first. Options that a command requires are that command's own affair.
        """
        every = [option for node in self.commands() for option in node.options if key in option.names]
        if not self.children:
            return every
        every = [option for option in every if not option.param.required]
        every.sort(key=lambda option: option.path != MAIN)
        return [option for option in every if option.shape == every[0].shape]


def tree(command: Any, path: tuple[str, ...] = ()) -> Node:
    """The node of a Click command or group."""
    children = {
        spelled(name): tree(child, (*path, name))
        for name, child in getattr(command, "commands", {}).items()
        if (*path, name) != UNSET
    }
    return Node(path, () if children else tuple(_options(command, path)), children)


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, Click command) of all commands that files can set, without a look at their options."""
    if path == UNSET:
        return
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        yield from leaves(child, (*path, name))


def spelled(name: str) -> str:
    """Keys and tables are written with ``-`` or ``_``."""
    return name.replace("_", "-")


def variables(param: Any) -> tuple[str, ...]:
    """The environment variables of a parameter."""
    given = param.envvar or ()
    return (given,) if isinstance(given, str) else tuple(given)


def _options(command: Any, path: tuple[str, ...]) -> Iterator[Option]:
    hints = typing.get_type_hints(command.callback)
    for param in command.params:
        names = _keys(param.opts)
        # eager ones, such as --help, act instead of a command
        other = param.param_type_name != "option" or param.is_eager or param.name in CHOICE
        if names and not other:
            shape = _shape(hints.get(param.name, str))
            yield Option(path, command, param, names, shape)


def _keys(flags: list[str]) -> tuple[str, ...]:
    return tuple(spelled(flag[2:]) for flag in flags if flag.startswith("--"))


def _shape(hint: Any) -> Shape:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _shape(next(part for part in parts if part is not type(None)))
    if origin is list:
        return Shape(_shape(parts[0]).kinds, True)
    return Shape(parts if origin is tuple else (hint,))


def sample(shape: Shape) -> Any:
    """A value that the option takes, for an example."""
    words = [_sample(kind) for kind in shape.kinds]
    one = words[0] if len(words) == 1 else words
    return [one] if shape.repeated else one


def _sample(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind)).value
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)[0]
    return {bool: True, int: 1, float: 0.5, Path: "path"}.get(kind, "...")
