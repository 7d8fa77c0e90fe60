"""Limits of single classes, as options gave them: they go with a class that is renamed. Pure."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace

from ..config import Limits, ScoringOptions
from ..config.option import Declared, Pairs, declared

log = logging.getLogger(__name__)


def given(scoring: ScoringOptions) -> Limits:
    """Those of the options."""
    return Limits(class_min_score=scoring.class_min_score, class_min_margin=scoring.class_min_margin)


def renamed(limits: Limits, label: str, to: str) -> Limits:
    """Those of a class under its new name; where that of another class has its own, that one stays."""
    return replace(
        limits,
        class_min_score=_renamed(limits.class_min_score, label, to),
        class_min_margin=_renamed(limits.class_min_margin, label, to),
    )


def tell_lost(before: Limits, after: Limits) -> None:
    """Say in a WARNING which options act no more, as two classes became one that has another limit."""
    for item in _each():
        old, new = (getattr(side, item.name) for side in (before, after))
        there = {name for name, _ in new}
        lost = Counter(value for _, value in old) - Counter(value for _, value in new)
        for pair in old:
            if pair[0] not in there and lost[pair[1]] > 0:  # else it has another name now
                lost[pair[1]] -= 1
                log.warning(
                    "%s acts no more: its class is one with another that has a limit of its own. To "
                    "have this one, undo that, and merge the other into it.",
                    " ".join(_said(item, *pair)),
                )


def of_classes(scoring: ScoringOptions, limits: Limits, classes: Collection[str]) -> ScoringOptions:
    """The options with the limits of classes that have an exemplar."""
    score, margin = (
        tuple(pair for pair in pairs if pair[0] in classes)
        for pairs in (limits.class_min_score, limits.class_min_margin)
    )
    return replace(scoring, class_min_score=score, class_min_margin=margin)


def words(limits: Limits, classes: Collection[str]) -> tuple[str, ...]:
    """The same as options of a command."""
    pairs = ((item, pair) for item in _each() for pair in getattr(limits, item.name))
    return tuple(word for item, pair in pairs if pair[0] in classes for word in _said(item, *pair))


def _each() -> Iterator[Declared]:
    return (item for item in declared(Limits) if item.repeats)


def _said(item: Declared, name: str, value: float) -> tuple[str, str]:
    return item.flags[0], f"{name}={value}"


def _renamed(pairs: Pairs, label: str, to: str) -> Pairs:
    if any(name == to for name, _ in pairs):
        return tuple(pair for pair in pairs if pair[0] != label)
    return tuple((to if name == label else name, value) for name, value in pairs)
