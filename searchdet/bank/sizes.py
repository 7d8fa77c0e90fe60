"""How large regions are beside the exemplars of a class. Pure.

A size says something only where exemplars and image were taken at one scale, which no file says. So the
image is asked: what a region loses is how much less it is of the size of the exemplars than the image's
own best candidate is. Where that one is of another size, the scale may be another too, and no region
loses anything.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
USUAL_SPREAD, USUAL_COUNT = math.log(1.5), 2
"""Of logs of areas: what sizes of one kind differ by where nothing is known of them, and of how many
exemplars that is the word."""
MOST_SPREADS = 4.0
"""So many spreads away nothing is of the same size."""
NEAR = 3e-6
"""Scores of one region that were added up in another order, and rounded, lie nearer than this."""


def like_in_size(areas: FloatArray, known: FloatArray) -> npt.NDArray[np.float32]:
    """How like each of N regions of these areas is in size to K exemplars of a class, (N,), 0..1; NaN
    where not known. areas (N,), known (K,): pixels, NaN where unknown.

    The distance is the log of the ratio of an area to the median of the exemplars', in units of their
    spread: up to 1 nothing is lost, from ``MOST_SPREADS`` on everything is. The spread is that of the
    next one: of their variance around the median, drawn to ``USUAL_SPREAD`` as if that were the word of
    ``USUAL_COUNT`` more (a scaled inverse chi-squared prior), times 1 + 1 / K for what the median is
    off.
    """
    own, logs = _logs(areas), _logs(known)
    logs = logs[np.isfinite(logs)]
    if not len(logs):
        return np.full(len(own), np.nan, np.float32)
    middle, count = float(np.median(logs)), len(logs)
    variance = float(((logs - middle) ** 2).sum()) + USUAL_COUNT * USUAL_SPREAD**2
    variance *= (1 + 1 / count) / (count - 1 + USUAL_COUNT)
    far = (np.abs(own - middle) / math.sqrt(variance) - 1) / (MOST_SPREADS - 1)
    return np.where(np.isfinite(own), 1 - np.clip(far, 0, 1), np.nan).astype(np.float32)


def best_sizes(
    scores: FloatArray, size: FloatArray, valid: BoolArray, ends: IntArray, needed: FloatArray
) -> tuple[npt.NDArray[np.float64], BoolArray]:
    """How like in size to each of C classes the best candidate of each of I images is, (I, C), 0..1,
    and whether scores lie too near to each other to say which that is, (I,). scores (N, C): without
    sizes; size (N, C): as of ``like_in_size``; valid (N,). Image i has the rows from ends[i] to
    ends[i + 1]; without a valid one, or one whose size is known, it has 0. needed (I, C): what the best
    candidate must score for it to matter which it is.
    """
    made = np.zeros((len(ends) - 1, scores.shape[1]))
    unsure = np.zeros(len(ends) - 1, bool)
    some = np.flatnonzero(np.diff(ends))
    if not len(some):
        return made, unsure
    rows = np.where(valid[:, None], scores, -np.inf)
    first, count = ends[:-1][some], np.diff(ends)[some]
    top = np.maximum.reduceat(rows, first, axis=0)
    near, kind = np.nonzero(rows >= np.repeat(top - NEAR, count, axis=0))
    image = np.searchsorted(ends, near, side="right") - 1
    like = np.where(valid[near] & ~np.isnan(size[near, kind]), size[near, kind], 0.0)
    best = rows[near, kind] >= top[np.searchsorted(some, image), kind]
    low, high = np.ones_like(made), np.zeros_like(made)
    np.maximum.at(made, (image[best], kind[best]), like[best])
    np.maximum.at(high, (image, kind), like)
    np.minimum.at(low, (image, kind), like)
    unsure[some] = ((high > low)[some] & (top >= needed[some])).any(axis=1)
    return made, unsure


def _logs(areas: FloatArray) -> npt.NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(np.asarray(areas, np.float64)))
