"""One declaration for each option: its type, default, help, flags, check and what it needs to act.

An option is a field of a frozen dataclass. Its flag, its ``SEARCHDET_*`` variable, its key in settings
files, its name in Python and its check all come from there, so a new option is one more field.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

from ..errors import UsageError
from .address import Remote, place_of

T = TypeVar("T")
Pairs = tuple[tuple[str, float], ...]
"""(name, value) of an option that is given as ``NAME=VALUE``, any number of times."""
_KEY = "searchdet"
"""Where the declaration lies in the metadata of a field."""


@dataclass(frozen=True, slots=True)
class Check:
    """What a value must be, and the words for it: they follow ``--flag is VALUE;``."""

    words: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Need:
    """When an option acts, by the options of its own part, and the words for it."""

    words: str
    met: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Option:
    """A declaration. flags: if they do not follow from the name. key: its name outside of its part, if
    that is not the field's. variable: whether a ``SEARCHDET_*`` variable sets it. fetched: whether it
    takes addresses of stores too, from which it is fetched."""

    text: str
    panel: str
    flags: tuple[str, ...] = ()
    key: str = ""
    check: Check | None = None
    needs: Need | None = None
    variable: bool = True
    fetched: bool = False


def option(
    default: T,
    text: str,
    panel: str,
    *,
    flags: tuple[str, ...] = (),
    key: str = "",
    check: Check | None = None,
    needs: Need | None = None,
    variable: bool = True,
    fetched: bool = False,
) -> T:
    """A field that is an option. text: its help; {formats} and {proposals} stand for what there is."""
    made = Option(text, panel, flags, key, check, needs, variable, fetched)
    return field(default=default, metadata={_KEY: made})


class Usual:
    """Of a default that gives way to what suits the examples; the same value, when somebody names it,
    does not."""


class UsualCount(Usual, int):
    """A whole number that nobody named."""


class UsualNumber(Usual, float):
    """A number that nobody named."""


class UsualText(Usual, str):
    """A word that nobody named."""


def usual(value: T) -> T:
    """A number or a word as a default that gives way. It counts, compares and is written as that is."""
    kind = {int: UsualCount, float: UsualNumber, str: UsualText}[cast(Any, type(value))]
    return cast(T, kind(cast(Any, value)))


def says_more(value: object, default: object) -> bool:
    """Whether a value says more than its option left out does: another one, or the same by name where
    the default gives way."""
    return value != default or (isinstance(default, Usual) and not isinstance(value, Usual))


def between(low: float, high: float, unit: str = "") -> Check:
    """``low`` to ``high``, both included; not a number is not between."""
    words = f"it must lie between {low:g} and {high:g}"
    return Check(f"{words} {unit}".rstrip() + ".", lambda value: low <= value <= high)


def above_zero(high: float) -> Check:
    """More than 0 and at most ``high``."""
    return Check(f"it must lie in (0, {high:g}].", lambda value: 0 < value <= high)


def at_least(low: float, unit: str = "") -> Check:
    """``low`` or more."""
    return Check(f"it must be at least {low:g} {unit}".rstrip() + ".", lambda value: value >= low)


def one_of(*choices: str) -> Check:
    """One of some words."""
    return Check(f"choose one of {', '.join(choices)}.", lambda value: value in choices)


@dataclass(frozen=True, slots=True)
class Declared:
    """An option with what its field says of it."""

    name: str
    hint: Any
    default: object
    option: Option

    @property
    def key(self) -> str:
        """Its name in Python and as a parameter of commands."""
        return self.option.key or self.name

    @property
    def flags(self) -> tuple[str, ...]:
        """As on the command line, the long one first."""
        return self.option.flags or ("--" + self.key.replace("_", "-"),)

    @property
    def variable(self) -> str | None:
        """The environment variable that sets it."""
        name = self.flags[0].removeprefix("--").replace("-", "_").upper()
        return f"SEARCHDET_{name}" if self.option.variable else None

    @property
    def repeats(self) -> bool:
        """Whether it is given as ``NAME=VALUE``, any number of times."""
        return bool(self.hint == Pairs)


def declared(kind: type[Any], without: Container[object] = ()) -> Iterator[Declared]:
    """The options of a dataclass and of the dataclasses in it, in order.

    without: keys, and dataclasses in it, that do not count.
    """
    hints = get_type_hints(kind)
    for item in fields(kind):
        hint = hints[item.name]
        if is_dataclass(hint) and hint not in without:
            yield from declared(cast(type[Any], hint), without)
        found = declaration(item, hint)
        if found is not None and found.key not in without:
            yield found


def declaration(item: Field[Any], hint: Any = None) -> Declared | None:
    """The option that a field is; None for another field."""
    found = item.metadata.get(_KEY)
    return None if found is None else Declared(item.name, hint, item.default, found)


def check_options(options: Any) -> None:
    """Raise UsageError for the first value that is not what its option must be."""
    for item in fields(options):
        found = declaration(item)
        value = getattr(options, item.name)
        if found is None or found.option.check is None or value is None:
            continue
        if isinstance(value, tuple):
            for label, one in value:
                _require(found.option.check, f"{found.flags[0]} of {label}", one)
        else:
            _require(found.option.check, found.flags[0], value)


def _require(check: Check, what: str, value: object) -> None:
    try:
        good = check.holds(value)
    except TypeError:  # text where a number belongs
        good = False
    if not good:
        shown = f"{value:g}" if isinstance(value, float) else repr(value)
        raise UsageError(f"{what} is {shown}; {check.words}")


def keys(kind: type[Any]) -> Iterator[str]:
    """What ``from_values`` looks for: the keys of options, and the names of fields that are none."""
    hints = get_type_hints(kind)
    for item in fields(kind):
        if is_dataclass(hints[item.name]):
            yield from keys(cast(type[Any], hints[item.name]))
        else:
            yield _key(item)


def from_values(kind: type[T], values: Mapping[str, object]) -> T:
    """A dataclass, and those in it, of flat values; what is not among them keeps its default. Raises
    UsageError for a value that cannot be used."""
    hints = get_type_hints(kind)
    given: dict[str, object] = {}
    for item in fields(cast(Any, kind)):
        hint = hints[item.name]
        if is_dataclass(hint):
            given[item.name] = from_values(cast(type[object], hint), values)
        elif _key(item) in values:
            given[item.name] = _taken(values[_key(item)], item, hint)
    return kind(**given)


def _key(item: Field[Any]) -> str:
    found = declaration(item)
    return item.name if found is None else found.key


def _taken(value: object, item: Field[Any], hint: Any) -> object:
    """A value as its field wants it: paths may be text, pairs ``NAME=VALUE`` words."""
    if isinstance(value, str) and Path in (hint, *get_args(hint)):
        return place_of(value) if Remote in get_args(hint) else Path(value)
    if hint == Pairs:
        found = declaration(item, hint)
        return pairs(cast(Iterable[Any], value or ()), found.flags[0] if found else item.name)
    return value


def pairs(given: Iterable[str | tuple[str, float]], flag: str) -> Pairs:
    """``NAME=VALUE`` words as (name, value); pairs stay. Raises UsageError for another form."""
    return tuple(_pair(item, flag) if isinstance(item, str) else item for item in given)


def _pair(text: str, flag: str) -> tuple[str, float]:
    name, _, value = text.rpartition("=")
    with contextlib.suppress(ValueError):
        if name:
            return name, float(value)
    raise UsageError(f"{flag} {text!r} is not NAME=VALUE.", f"For example {flag} bolt=0.4.")


def names_of(text: str) -> tuple[str, ...]:
    """``a,b`` as names, each once; ``none`` is none."""
    names = [name.strip().lower() for name in text.split(",")]
    return () if names == ["none"] else tuple(dict.fromkeys(names))
