"""Which points are asked, and in which order: all of a grid, or the promising ones first. Pure.

Guided prompting works on the very grid that ``everything`` uses, so it can only ask fewer of the same
points. A sparse part of the grid is always asked (the safety grid); the rest of the share goes to the
most promising points in rounds. What the masks of a round say counts in the next: a point is at least
as promising as an accepted mask that holds it is on the whole, since the point that gives the best mask
of an object is often not where it looks most like an example; and a point waits until all others are
asked once many masks agree on the object that it lies in. Measured in benchmarks/README.md.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

SAFETY_STEP = 4
"""Every fourth point of the grid in both directions is always asked."""
ROUND = 48
"""Points asked before looking at what they gave."""
AGREE, ALIKE = 30, 0.9
"""An object is settled when so many accepted masks hold the same grid points, up to this IoU of them.
A point gives up to three masks."""

_BITS = np.asarray([number.bit_count() for number in range(256)], np.uint8)
"""How many bits a byte has."""


class Prompts(Protocol):
    """Points (x, y) as shares of the image, and what is still to be asked."""

    points: FloatArray
    listens: bool
    """Whether what it is told changes what it asks."""

    def take(self) -> IntArray:
        """Rows of ``points`` to ask next; none when all is done."""
        ...

    def tell(self, inside: BoolArray) -> None:
        """Accepted masks of the last round: inside (M, P), which points each mask holds."""
        ...


def grid(per_side: int) -> FloatArray:
    """(per_side^2, 2): centres of equal cells of the unit square, row by row."""
    one = (np.arange(per_side) + 0.5) / per_side
    x, y = np.meshgrid(one, one)
    return np.stack([x.ravel(), y.ravel()], axis=1)


class Everything:
    """All points at once."""

    listens = False

    def __init__(self, per_side: int) -> None:
        self.points = grid(per_side)
        self._done = False

    def take(self) -> IntArray:
        rows = np.arange(0 if self._done else len(self.points))
        self._done = True
        return rows

    def tell(self, inside: BoolArray) -> None:
        """Nothing follows from it."""


class Guided:
    """The safety grid and then the most promising points, ``share`` of the grid in all."""

    listens = True

    def __init__(self, per_side: int, promise: FloatArray, share: float) -> None:
        self.points = grid(per_side)
        self._value = at_points(promise, self.points)
        self._value = self._value - self._value.min()
        self._open = np.ones(len(self.points), bool)
        self._waiting = np.zeros(len(self.points), bool)
        self._own = self._value.copy()
        self._sets = np.zeros((0, len(self.points)), bool)
        self._agreeing = np.zeros(0, np.int64)
        self._first = safety(per_side)
        self._open[self._first] = False
        self._left = max(0, round(share * len(self.points)) - len(self._first))

    def take(self) -> IntArray:
        count = min(self._left, ROUND)
        order = np.argsort(-self._value, kind="stable")
        best = order[self._open[order]][:count]
        if len(best) < count:  # all others are asked: what is left of the share goes to these
            best = np.concatenate([best, order[self._waiting[order]][: count - len(best)]])
        self._left -= len(best)
        rows = np.unique(np.concatenate([best, self._first]))
        self._first = self._first[:0]
        self._open[rows] = self._waiting[rows] = False
        return np.asarray(rows, np.int64)

    def tell(self, inside: BoolArray) -> None:
        inside = inside[inside.any(axis=1)]
        for held in inside:
            self._value[held] = np.maximum(self._value[held], self._own[held].mean())
        self._compare(inside)
        settled = self._sets[self._agreeing >= AGREE].any(axis=0) & self._open
        self._open[settled], self._waiting[settled] = False, True

    def _compare(self, inside: BoolArray) -> None:
        """Count for each mask how many hold the same points, itself included."""
        known = len(self._sets)
        self._sets = np.concatenate([self._sets, inside])
        self._agreeing = np.concatenate([self._agreeing, np.ones(len(inside), np.int64)])
        sizes = np.count_nonzero(self._sets, axis=1)
        packed = np.packbits(self._sets, axis=1)
        for i in range(known, len(self._sets)):
            shared = _BITS[packed[:i] & packed[i]].sum(axis=1, dtype=np.int64)
            alike = shared >= ALIKE * (sizes[:i] + sizes[i] - shared)
            self._agreeing[:i] += alike
            self._agreeing[i] += np.count_nonzero(alike)


def safety(per_side: int) -> IntArray:
    """Rows of the sparse part of the grid."""
    one = np.arange(min(SAFETY_STEP, per_side) // 2, per_side, SAFETY_STEP)
    return np.asarray((one[:, None] * per_side + one).ravel(), np.int64)


def at_points(promise: FloatArray, points: FloatArray) -> FloatArray:
    """Promise (h, w) at points (P, 2) given as shares: the largest of the cells around each."""
    height, width = promise.shape
    at = points * np.asarray([width, height]) - 0.5
    low = np.floor(at).astype(np.int64)
    found = []
    for dy in (0, 1):
        for dx in (0, 1):
            x = np.clip(low[:, 0] + dx, 0, width - 1)
            y = np.clip(low[:, 1] + dy, 0, height - 1)
            found.append(promise[y, x])
    return np.asarray(np.max(found, axis=0), np.float32)
