"""The words of `searchdet detect` that say the same as those of a session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from ..config import Limits, ScanOptions, Settings
from ..config.option import Declared, declaration, declared, says_more

_OWN = frozenset(
    {
        *("prompting", "guided_share", "second_look"),
        *("normal_self", "normal_method", "normal_views"),
    }
)
"""What the bank of a session says itself."""
_OF_CLASSES = frozenset(item.key for item in declared(Limits) if item.repeats)
"""Limits of single classes, which go with these."""


def words_of(
    images: Sequence[str], scan: ScanOptions, settings: Settings, given: Settings | None = None
) -> tuple[str, ...]:
    """Images, and every option that is not as it comes, but those of single classes. given: what the
    user gave in some way, which a file of settings or a variable may give again; None: the same."""
    named = (f"./{name}" if name.startswith("-") and name != "-" else name for name in images)
    return (*named, *_words(scan, scan), *_words(settings, given or settings))


def _words(options: Any, given: Any) -> Iterator[str]:
    for item in fields(options):
        value, other = getattr(options, item.name), getattr(given, item.name)
        if is_dataclass(value):
            yield from _words(value, other)
        found = declaration(item)
        if found is None or found.key in _OWN | _OF_CLASSES:
            continue
        if says_more(value, found.default) or value != other:
            yield from _said(found, value)


def _said(option: Declared, value: Any) -> Iterator[str]:
    flag = option.flags[0]
    if value is True:
        yield flag
    elif value is not None and value is not False:  # for which there are no words
        yield from (flag, str(value))
