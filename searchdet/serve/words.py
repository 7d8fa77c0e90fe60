"""The words of `searchdet detect` that say the same as those of a session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from ..config import Limits, ScanOptions, Settings
from ..config.option import Declared, declaration, declared

_OWN = frozenset({"prompting", "guided_share", "second_look"})
"""What the bank of a session says itself."""
_OF_CLASSES = frozenset(item.key for item in declared(Limits) if item.repeats)
"""Limits of single classes, which go with these."""


def words_of(images: Sequence[str], scan: ScanOptions, settings: Settings) -> tuple[str, ...]:
    """Images, and every option that is not as it comes, but those of single classes."""
    named = (f"./{name}" if name.startswith("-") and name != "-" else name for name in images)
    return (*named, *_words(scan), *_words(settings))


def _words(options: Any) -> Iterator[str]:
    for item in fields(options):
        value = getattr(options, item.name)
        if is_dataclass(value):
            yield from _words(value)
        found = declaration(item)
        if found is not None and found.key not in _OWN | _OF_CLASSES and value != found.default:
            yield from _said(found, value)


def _said(option: Declared, value: Any) -> Iterator[str]:
    flag = option.flags[0]
    if isinstance(value, bool):
        yield flag
    elif value is not None:
        yield from (flag, str(value))
