"""How far scores lie from the threshold, in units that travel between classes and spaces. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .view import FloatArray, View

IntArray = npt.NDArray[np.int64]
LEAST = 0.01
"""The smallest scatter that is reckoned with: below it all regions look alike."""

SAMPLED = 1 << 13
"""Regions of a class, evenly taken of all, that its scatter is told from: more tell it no better."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The line of each class and the unit that distances from it are told in, both (C,)."""

    least: FloatArray
    scatter: FloatArray

    @classmethod
    def of(cls, view: View) -> Scale:
        """The scale of a view. Its unit is how much the scores of the regions that are likest to a
        class scatter. Most of them are not of the class, so this is what chance does to a score; where
        all things look alike it is small."""
        parts = rows_by_class(view)
        units = [_scatter(view.score[rows[:: 1 + len(rows) // SAMPLED]]) for rows in parts]
        return cls(np.asarray([item.min_score for item in view.limits]), np.asarray(units))

    def away(self, label: npt.NDArray[Any] | int, scores: npt.NDArray[Any] | float) -> FloatArray:
        """(N,): how far scores lie above the thresholds of their classes."""
        return np.asarray((np.asarray(scores, np.float64) - self.least[label]) / self.scatter[label])


def rows_by_class(view: View) -> list[IntArray]:
    """The rows of each class, ascending."""
    order = np.argsort(view.label.astype(np.int16), kind="stable")  # by counting: few labels
    ends = np.searchsorted(view.label[order], np.arange(len(view.limits) + 1))
    return [order[first:stop] for first, stop in pairwise(ends.tolist())]


def _scatter(scores: FloatArray) -> float:
    """The median deviation of scores, as the deviation of a normal distribution."""
    if not len(scores):
        return LEAST
    return max(1.4826 * float(np.median(np.abs(scores - np.median(scores)))), LEAST)
