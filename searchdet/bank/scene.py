"""What an image as a whole says, before any of its regions is judged. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
LEVEL_ROWS = 600
"""Proposals that make the level, so that more of them, which are ever smaller, do not move it."""
USUAL_COUNT = 20
_TOGETHER = 1024
"""Images whose levels are found at once."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What one image says, (C,), or many, (I, C), a column a class. levels: ``levels_of`` it. sizes:
    how like in size to the exemplars its best candidate is, 0..1 (``sizes.best_sizes``); None where
    sizes are not compared."""

    levels: FloatArray
    sizes: FloatArray | None = None

    def of(self, image: IntArray | int) -> Scene:
        """Of the chosen image, or (N, C) for each of N rows, by which image it is of."""
        return Scene(self.levels[image], None if self.sizes is None else self.sizes[image])


def levels_of(
    plain: FloatArray, valid: BoolArray, usual: FloatArray, ends: IntArray
) -> npt.NDArray[np.float64]:
    """(I, C): what any region of an image scores for each class by its features alone (N, C), best
    proposal first: the median of the first ones, drawn to the ``usual`` (C,) of the bank as if that
    were the word of ``USUAL_COUNT`` regions, for an image of few regions may hold nothing but objects.
    Image i has the rows from ends[i] to ends[i + 1].
    """
    counts = np.minimum(np.diff(ends), LEVEL_ROWS)
    made = np.empty((len(counts), plain.shape[1]))
    for first in range(0, len(counts), _TOGETHER):
        images = slice(first, first + _TOGETHER)
        place = np.arange(counts[images].max(initial=0))
        there = place < counts[images, None]
        rows = np.where(there, ends[:-1][images, None] + place, 0)
        there &= valid[rows]
        many = there.sum(axis=1)
        middles = [_middles(np.where(there, column[rows], np.inf), many) for column in plain.T]
        own = np.stack(middles, axis=1) * many[:, None]
        made[images] = (own + USUAL_COUNT * usual) / (many + USUAL_COUNT)[:, None]
    return made


def _middles(values: FloatArray, many: IntArray) -> FloatArray:
    """(K,): medians of the ``many`` least values of each row (K, N); 0 of none."""
    if not values.shape[1]:
        return np.zeros(len(values))
    ranked, row = np.sort(values, axis=1), np.arange(len(values))
    low, high = ranked[row, np.maximum(many - 1, 0) // 2], ranked[row, many // 2]
    return np.where(many > 0, (low + high) / 2, 0.0)
