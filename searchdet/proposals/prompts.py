"""Which points are asked, and in which order: all of a grid, or the promising ones first. Pure.

Guided prompting works on the very grid that ``everything`` uses, so it can only ask fewer of the same
points. A sparse part of the grid is always asked (the safety grid); the rest of the share goes to the
most promising points in rounds. A point waits until all others are asked where a mask that was accepted
in an earlier round already explains it: the mask holds the point and is, on the whole, clearly more
promising than the point.
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
EXPLAINED = 1.25
"""A mask explains a point if its mean promise is so many times the point's, both counted from the least
promise of the image. At 0.9 four of 46 objects were lost instead of one; benchmarks/README.md."""


class Prompts(Protocol):
    """Points (x, y) as shares of the image, and what is still to be asked."""

    points: FloatArray

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

    def __init__(self, per_side: int, promise: FloatArray, share: float) -> None:
        self.points = grid(per_side)
        self._value = at_points(promise, self.points)
        self._value = self._value - self._value.min()
        self._open = np.ones(len(self.points), bool)
        self._explained = np.zeros(len(self.points), bool)
        self._first = safety(per_side)
        self._open[self._first] = False
        self._left = max(0, round(share * len(self.points)) - len(self._first))

    def take(self) -> IntArray:
        count = min(self._left, ROUND)
        order = np.argsort(-self._value, kind="stable")
        best = order[self._open[order]][:count]
        if len(best) < count:  # all others are explained: what is left of the share goes to them
            best = np.concatenate([best, order[self._explained[order]][: count - len(best)]])
        self._left -= len(best)
        rows = np.unique(np.concatenate([best, self._first]))
        self._first = self._first[:0]
        self._open[rows] = self._explained[rows] = False
        return np.asarray(rows, np.int64)

    def tell(self, inside: BoolArray) -> None:
        for held in inside:
            if held.any():
                mean = self._value[held].mean()
                skipped = held & (mean >= EXPLAINED * self._value) & self._open
                self._open[skipped], self._explained[skipped] = False, True


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
