"""Exemplars that come and go while a bridge runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from ..bank import Bank, Rows
from ..bank.types import indexed, join
from ..config import ScoringOptions
from ..exemplars import Exemplar
from ..regions import Space


def named(key: str, name: str) -> str:
    """The name of a lesson's exemplar in a bank."""
    return f"{key}#{name}"


def of_key(key: str) -> Callable[[str], bool]:
    """Whether a name in a bank is of an exemplar with that key."""
    return lambda name: name.startswith(named(key, ""))


class Exemplars(Protocol):
    """Where exemplars of a bridge are kept."""

    @property
    def bank(self) -> Bank | None:
        """All exemplars; None while there is no positive one."""
        ...

    @property
    def saved(self) -> Bank | None:
        """Those that persons gave, beside which an object is looked for."""
        ...

    def scoring(self, options: ScoringOptions, bank: Bank) -> ScoringOptions:
        """The options with the limits that the classes of a bank have now."""
        ...

    def put(self, key: str, items: Sequence[Exemplar], rows: Rows) -> None:
        """Take exemplars, named by ``named``, with their rows, in the place of all with that key.
        Raises ExemplarError for one that cannot be kept."""
        ...

    def drop(self, key: str) -> int:
        """Take back all with that key; how many there were."""
        ...


class Growing:
    """Exemplars in memory, those of a bank first. space: where the vectors come from."""

    def __init__(self, start: Bank | None, space: Space | None) -> None:
        self._start, self._space = start, space
        self._parts: list[tuple[Rows, str | None]] = []
        if start is not None:
            if not start.by_normality:  # which has no exemplar
                self._add(start.positives, [start.classes[c] for c in start.labels])
            self._add(start.negatives, [None] * len(start.negatives))
        self._bank = start

    @property
    def bank(self) -> Bank | None:
        return self._bank

    @property
    def saved(self) -> Bank | None:
        return self._bank

    def scoring(self, options: ScoringOptions, bank: Bank) -> ScoringOptions:
        return options

    def put(self, key: str, items: Sequence[Exemplar], rows: Rows) -> None:
        self._without(key)
        self._add(rows, [item.label for item in items])
        self._bank = self._joined()

    def drop(self, key: str) -> int:
        gone = self._without(key)
        self._bank = self._joined()
        return gone

    def _add(self, rows: Rows, labels: Sequence[str | None]) -> None:
        self._parts += [(rows.take([i]), label) for i, label in enumerate(labels)]

    def _without(self, key: str) -> int:
        mine = of_key(key)
        kept = [part for part in self._parts if not mine(part[0].names[0])]
        gone = len(self._parts) - len(kept)
        self._parts = kept
        return gone

    def _joined(self) -> Bank | None:
        labels = [label for _, label in self._parts if label is not None]
        if not labels:
            return self._unusual()
        rows = join([part for part, _ in self._parts])
        positive = np.asarray([label is not None for _, label in self._parts])
        classes, numbers = indexed(labels)
        sides = rows.take(np.flatnonzero(positive)), rows.take(np.flatnonzero(~positive))
        if self._start is None:
            return Bank(classes, sides[0], numbers, sides[1], self._space)
        return replace(
            self._start, classes=classes, positives=sides[0], labels=numbers, negatives=sides[1]
        )

    def _unusual(self) -> Bank | None:
        """Without an exemplar: what is not normal, where the start says that and nothing else."""
        if self._start is None or not self._start.by_normality:
            return None
        none = [part for part, _ in self._parts]
        return replace(self._start, negatives=join(none) if none else self._start.negatives.take([]))
