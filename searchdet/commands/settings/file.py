"""Settings files: which there are, what they say, and what each key sets. Pure but for reading them.

``searchdet.toml``, or ``[tool.searchdet]`` of ``pyproject.toml``, in the working folder goes before
``searchdet.toml`` in the user's configuration folder. A file that is named is read instead of these.
Keys are long option names. Those outside a table, or in the table of a group, hold for every command
that has the option; ``[detect]`` and ``[bank.build]`` are for one command and go before them.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from ...errors import UsageError, meant
from ...storage import text
from .keys import MAIN, Key, keys_of, leaves, spelled, taken, words

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME, PROJECT = "searchdet.toml", "pyproject.toml"
_OURS = "SEARCHDET_"
VARIABLE = "SEARCHDET_CONFIG"
RESERVED = (VARIABLE, "SEARCHDET_CACHE", "SEARCHDET_MODELS")
Tables = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """A value as the option takes it, and the ``file:key`` it comes from."""

    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class FileSettings:
    """What the files say: by command, then by parameter."""

    values: Mapping[Tables, Mapping[str, Setting]]

    def of(self, path: Tables) -> Mapping[str, Setting]:
        """The settings of a command, by the names of its parameters."""
        return self.values.get(path, {})

    def defaults(self, path: Tables) -> dict[str, object]:
        """The values of a command as Click's ``default_map``."""
        return {name: setting.value for name, setting in self.of(path).items()}


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A file and what it says about searchdet, below the tables ``prefix``."""

    path: Path
    prefix: Tables
    table: Mapping[str, Any]


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
        import platformdirs

        user = platformdirs.user_config_dir("searchdet", appauthor=False)
        return (Path(NAME), Path(PROJECT), Path(user) / NAME)
    if named and not os.access(named, os.F_OK):
        raise UsageError(f"{flag}: {named}: no such file.", "Name a settings file, or use --no-config.")
    return (Path(named),) if named else ()


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
    encoding, rest = text.parted(data)
    if shared and "searchdet".encode(encoding) not in rest:
        return None  # not ours, sound or not
    try:
        table = tomllib.loads(rest.decode(encoding))
    except ValueError as error:  # of the decoder or the parser
        raise UsageError(f"{path}: not a TOML file: {error}.") from error
    if not shared:
        return TomlFile(path, (), table)
    table = table.get("tool", {}).get("searchdet")
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{path}: tool.searchdet must be a table.", "Write [tool.searchdet].")
    return None if table is None else TomlFile(path, ("tool", "searchdet"), table)


def load(paths: Iterable[Path], root: Any) -> FileSettings:
    """What files, the strongest first, say to the commands of the Click group ``root``.

    Raises UsageError for a file, table, key or value that cannot be used.
    """
    files = [file for file in map(read, paths) if file is not None]
    if {Path(NAME), Path(PROJECT)} <= {file.path for file in files}:
        raise UsageError(
            f"{NAME} and [tool.searchdet] of {PROJECT} are both here.", "Keep one of them."
        )
    values: dict[Tables, dict[str, Setting]] = {}
    every = list(keys_of(root)) if files else []
    for file in reversed(files):
        for key, setting in _settings(file, (), file.table, every):
            values.setdefault(key.path, {})[str(key.param.name)] = setting
    return FileSettings(values)


def _settings(
    file: TomlFile, tables: Tables, content: Mapping[str, Any], below: list[Key]
) -> Iterator[tuple[Key, Setting]]:
    """What a table says of the options of its commands, ``below``; what its own tables say comes later,
    so it goes before."""
    inner = {name: value for name, value in content.items() if isinstance(value, dict)}
    seen: dict[tuple[str, ...], str] = {}
    for name in [name for name in content if name not in inner]:
        keys = _sharing(below, tables, spelled(name))
        if not keys:
            raise _unknown(file, tables, name, below)
        if seen.setdefault(keys[0].names, name) != name:
            both = f"{name!r} and {seen[keys[0].names]!r}"
            raise UsageError(f"{file.path}: {both} are the same option.")
        for key in keys:
            yield key, _setting(file, (*tables, name), content[name], key)
    for name, table in inner.items():
        own = [key for key in below if key.path[: len(tables) + 1] == (*tables, spelled(name))]
        if not own:
            children = {key.path[len(tables)] for key in below if len(key.path) > len(tables)}
            raise UsageError(
                f"{file.path}: [{'.'.join((*tables, name))}] is not a command.",
                meant(spelled(name), children) or f"There are {', '.join(sorted(children))}.",
            )
        yield from _settings(file, (*tables, spelled(name)), table, own)


def _sharing(below: list[Key], tables: Tables, name: str) -> list[Key]:
    """The options that a key sets. Outside the table of a command not those that a command requires,
    and only those of the type that `detect` gives the option, or else the first command that has it."""
    found = [key for key in below if name in key.names]
    if all(key.path == tables for key in found):
        return found
    found = sorted((k for k in found if not k.param.required), key=lambda k: k.path != MAIN)
    return [key for key in found if key.hint == found[0].hint]


def _setting(file: TomlFile, place: Tables, value: object, key: Key) -> Setting:
    """A value that passed the type of the option and what Click checks in flags."""
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    what = f"{file.path}: {'.'.join(place)} is {shown}"
    try:
        made = taken(value, key.hint, file.path.parent)
        key.param.process_value(key.command.context_class(key.command), made)
    except ValueError as error:
        raise UsageError(f"{what}; it must be {words(key.hint)}.") from error
    except typer.BadParameter as error:
        raise UsageError(f"{what}; {error.message}") from error
    return Setting(made, f"{file.path}:{'.'.join((*file.prefix, *place))}")


def _unknown(file: TomlFile, tables: Tables, name: str, below: list[Key]) -> UsageError:
    holder = f"[{'.'.join(tables)}] has no" if tables else "no command has an"
    known = {each for key in below for each in key.names} - {spelled(name)}
    return UsageError(f"{file.path}: {holder} option {name!r}.", meant(spelled(name), known))


def strange_variables(root: Any, environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each ``SEARCHDET_*`` variable that sets nothing.

    Not an error as in a file, since variables may be another program's.
    """
    named = {param.envvar for _, command in leaves(root) for param in command.params}
    ends = sorted(name.removeprefix(_OURS) for name in {*RESERVED, *filter(None, named)})
    for name in sorted(environment):
        end = name.removeprefix(_OURS)
        if name.startswith(_OURS) and end not in ends:
            near = difflib.get_close_matches(end, ends, 1)
            hint = f" Did you mean {_OURS}{near[0]}?" if near else ""
            yield f"the variable {name} sets nothing.{hint}"
