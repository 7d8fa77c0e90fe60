"""How far scores lie from the threshold, in units that travel between classes and spaces. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .view import FloatArray, View

LEAST = 0.01
"""The smallest scatter that is reckoned with: below it all regions look alike."""


def scatter(view: View, label: int) -> float:
    """How much the scores of the regions that are likest to a class scatter: their median deviation, as
    the deviation of a normal distribution. Most of them are not of the class, so this is what chance
    does to a score; where all things look alike it is small."""
    scores = view.score[view.label == label]
    if not len(scores):
        return LEAST
    away = np.abs(scores - np.median(scores))
    return max(1.4826 * float(np.median(away)), LEAST)


def clearance(view: View, label: int, scores: npt.NDArray[Any]) -> FloatArray:
    """(N,): how far scores of a class lie above its threshold, in units of its scatter."""
    away = np.asarray(scores, np.float64) - view.limits[label].min_score
    return np.asarray(away / scatter(view, label), np.float64)
