"""Settings files: which there are, what they say, and what each key sets. Pure but for reading them.

``searchdet.toml``, or ``[tool.searchdet]`` of ``pyproject.toml``, in the working folder goes before
``searchdet.toml`` in the user's configuration folder. A file that is named is read instead of these.
Keys are long option names. Those outside a table, or in the table of a group, hold for every command
that has the option; ``[detect]`` and ``[bank.build]`` are for one command and go before them.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from ...errors import UsageError, meant
from .option_tree import Node, Option, leaves, spelled, tree, variables

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME, PROJECT = "searchdet.toml", "pyproject.toml"
_OURS = "SEARCHDET_"
VARIABLE = "SEARCHDET_CONFIG"
RESERVED = (VARIABLE, "SEARCHDET_CACHE", "SEARCHDET_MODELS")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value as the option takes it, and the ``file:key`` it comes from."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What the files say: by command, then by parameter."""

    values: Mapping[tuple[str, ...], Mapping[str, Setting]]

    def of(self, path: tuple[str, ...]) -> Mapping[str, Setting]:
        """The settings of a command, by the names of its parameters."""
        return self.values.get(path, {})

    def defaults(self, path: tuple[str, ...]) -> dict[str, Any]:
        """The values of a command as Click's ``default_map``."""
        return {name: setting.value for name, setting in self.of(path).items()}


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A file and what it says about searchdet, below the tables ``prefix``."""

    path: Path
    text: str
    prefix: tuple[str, ...]
    table: Mapping[str, Any]

    def origin(self, tables: tuple[str, ...], key: str) -> str:
        """``file:key``"""
        return f"{self.path}:{'.'.join((*self.prefix, *tables, key))}"

    def place(self, tables: tuple[str, ...], key: str) -> str:
        """``file:line``, or the file alone where the key is not written plainly."""
        wanted = ".".join((*self.prefix, *tables))
        whole = f"{wanted}.{key}".lstrip(".")
        current = ""
        for number, line in enumerate(self.text.splitlines(), 1):
            header = re.match(r"\s*\[+([^\[\]]+)\]", line)
            if header:
                current = re.sub(r"[\s\"']", "", header[1])
                if f"{current}.".startswith(f"{whole}."):
                    return f"{self.path}:{number}"
            elif current == wanted and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
                return f"{self.path}:{number}"
        return str(self.path)


def places(named: str | None = None, none: bool = False) -> tuple[Path, ...]:
    """The files to look at, the strongest first. ``named``, or else the variable, is the only one, and
    empty text is none. Raises UsageError if that one is not there."""
    if none and named:
        raise UsageError("--config and --no-config exclude each other.")
    if none:
        return ()
    flag = "--config" if named is not None else VARIABLE
    named = os.environ.get(VARIABLE) if named is None else named
    if named is None:
        return (Path(NAME), Path(PROJECT), user_file())
    if named and not os.access(named, os.F_OK):
        raise UsageError(f"{flag}: {named}: no such file.", "Name a settings file, or use --no-config.")
    return (Path(named),) if named else ()


def user_file() -> Path:
    """The user's own file, there or not."""
    import platformdirs

    return Path(platformdirs.user_config_dir("searchdet", appauthor=False)) / NAME


def read(path: Path) -> TomlFile | None:
    """A file; None where it is not there or is a ``pyproject.toml`` that says nothing to searchdet.

    A folder that may not be entered has no file for us: in containers HOME is often somebody else's.
    """
    if not os.access(path, os.F_OK):
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).") from error
    shared = path.name == PROJECT
    if shared and b"searchdet" not in data:
        return None  # not ours, sound or not
    try:
        text = data.decode("utf-8-sig")
        table = tomllib.loads(text)
    except ValueError as error:  # of the decoder or the parser
        raise UsageError(f"{path}: not a TOML file: {error}.") from error
    if not shared:
        return TomlFile(path, text, (), table)
    table = table.get("tool", {}).get("searchdet")
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{path}: tool.searchdet must be a table.", "Write [tool.searchdet].")
    return None if table is None else TomlFile(path, text, ("tool", "searchdet"), table)


def load(paths: Iterable[Path], root: Any) -> Settings:
    """What files, the strongest first, say to the commands of the Click group ``root``.

    Raises UsageError for a file, table, key or value that cannot be used.
    """
    files = [file for file in map(read, paths) if file is not None]
    if {Path(NAME), Path(PROJECT)} <= {file.path for file in files}:
        raise UsageError(
            f"{NAME} and [tool.searchdet] of {PROJECT} are both here.", "Keep one of them."
        )
    values: dict[tuple[str, ...], dict[str, Setting]] = {}
    if files:
        node = tree(root)
        for file in reversed(files):
            _read_table(file, (), file.table, node, values)
    return Settings(values)


def _read_table(
    file: TomlFile,
    tables: tuple[str, ...],
    content: Mapping[str, Any],
    node: Node,
    values: dict[tuple[str, ...], dict[str, Setting]],
) -> None:
    """Note what a table says; its own tables, which are about less, go over it."""
    seen: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            continue
        options = node.sharing(spelled(key))
        if not options:
            raise _unknown_key(file, tables, key, node)
        first = seen.setdefault(options[0].name, key)
        if first != key:
            raise UsageError(f"{file.place(tables, key)}: {key!r} and {first!r} are the same option.")
        for option in options:
            setting = _setting(file, tables, (key, value), option)
            values.setdefault(option.path, {})[option.param.name] = setting
    for key, value in content.items():
        if isinstance(value, dict):
            child = node.children.get(spelled(key))
            if child is None:
                raise _unknown_table(file, tables, key, node)
            _read_table(file, (*tables, key), value, child, values)


def _setting(
    file: TomlFile, tables: tuple[str, ...], entry: tuple[str, Any], option: Option
) -> Setting:
    """A value that passed the type of the option and what Click checks in flags."""
    key, value = entry
    try:
        taken = option.shape.taken(value, file.path.parent)
    except ValueError as error:
        raise UsageError(
            f"{file.place(tables, key)}: {key!r} is {_shown(value)}; it must be {option.shape.wanted}."
        ) from error
    try:
        context = option.command.context_class(option.command, info_name=option.path[-1])
        option.param.process_value(context, taken)
    except typer.BadParameter as error:
        raise UsageError(
            f"{file.place(tables, key)}: {key!r} is {_shown(value)}; {error.message}"
        ) from error
    return Setting(taken, file.origin(tables, key))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"the text {value!r}" if isinstance(value, str) else str(value)


def _unknown_key(file: TomlFile, tables: tuple[str, ...], key: str, node: Node) -> UsageError:
    name = spelled(key)
    options = [option for command in node.commands() for option in command.options]
    holder = f"[{'.'.join(tables)}] has" if tables else "no command has"
    message = f"{file.place(tables, key)}: {holder} {'no' if tables else 'an'} option {key!r}."
    for option in options:
        if name in option.names:  # required, so not shared
            return UsageError(message, f"Write it in [{'.'.join(option.path)}].")
    if name in node.children:
        return UsageError(message, f"It is a command; its table is [{'.'.join((*tables, key))}].")
    return UsageError(message, meant(name, (each for option in options for each in option.names)))


def _unknown_table(file: TomlFile, tables: tuple[str, ...], key: str, node: Node) -> UsageError:
    place = file.place(tables, key)
    if node.sharing(spelled(key)):
        return UsageError(f"{place}: {key!r} is an option, not a table.", f"Write {key} = VALUE.")
    hint = meant(spelled(key), node.children)
    if not hint and node.children:
        hint = f"There are {', '.join(sorted(node.children))}."
    return UsageError(f"{place}: [{'.'.join((*tables, key))}] is not a command.", hint)


def strange_variables(root: Any, environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each ``SEARCHDET_*`` variable that sets nothing.

    Not an error as in a file, since variables may be another program's.
    """
    params = [param for _, command in leaves(root) for param in command.params]
    known = {*RESERVED, *(name for param in params for name in variables(param))}
    ends = {name.removeprefix(_OURS): name for name in known}
    for name in sorted(environment):
        if name.startswith(_OURS) and name not in known:
            near = difflib.get_close_matches(name.removeprefix(_OURS), sorted(ends), 1)
            hint = f" Did you mean {ends[near[0]]}?" if near else ""
            yield f"the variable {name} sets nothing.{hint}"
