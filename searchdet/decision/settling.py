"""What becomes of scored regions beside each other: ranked, suppressed, decided. Pure.

Nothing here looks at more than marks and at how regions lie on each other, so regions of several images
may be settled together where those of different images do not lie on each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import SuppressionOptions
from ..records import ACCEPTED, ClassLimits
from ..scoring import Marks, decide, final
from ..suppression import Overlaps, Suppressed, across_classes, diffuse, merge, nms, total_order

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]
Float32Array = npt.NDArray[np.float32]
DIFFUSION_ALPHA, DIFFUSION_POWER = 0.3, 0.5
BELOW = 0.99
"""Of its threshold is what a detection keeps that lies on a better one of another class."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """N regions as suppression sees them. boxes (N, 4), quality (N,): of the proposals; lying: how they
    lie on each other; mutual: gives their cosines to each other (N, N), where these are needed."""

    boxes: Float32Array
    quality: Float32Array
    lying: Overlaps
    mutual: Callable[[], FloatArray]


def beside(
    marks: Marks, rivals: Rivals, limits: Sequence[ClassLimits], options: SuppressionOptions
) -> tuple[Suppressed, FloatArray, list[str]]:
    """What is left of N regions beside each other: what was taken, final scores (N,), reasons.

    A region is only ever lowered by one that passes the rules itself, so what does not pass may be
    left out: the others come out the same. For what passes stands before what does not (``ranking``);
    each of the three ways lowers a row by rows before it alone, and counts as kept, or iterates over,
    rows before it alone; and ``across_classes`` is between detections, which have passed.
    """
    order = ranking(rivals, marks, decide(marks, limits), options)
    taken = suppress(rivals, marks, order, options)
    if options.class_overlap == "best":
        taken = _one_class_each(marks, rivals, limits, taken)
    left = final(marks, taken.factor)
    return taken, left, decide(marks, limits, taken.factor)


def _one_class_each(
    marks: Marks, rivals: Rivals, limits: Sequence[ClassLimits], taken: Suppressed
) -> Suppressed:
    least = least_of(limits)[np.maximum(marks.label, 0)]
    left = final(marks, taken.factor)
    found = np.asarray([reason == ACCEPTED for reason in decide(marks, limits, taken.factor)], bool)
    above = np.where(found, left - least, -np.inf)
    # just below the threshold: no detection, and still before what is unlike the class
    rest = np.clip(BELOW * least / np.maximum(np.maximum(marks.score, least), 1e-9), 0, BELOW)
    return across_classes(rivals.lying, taken, marks.label, above, rest)


def least_of(limits: Sequence[ClassLimits]) -> FloatArray:
    """(C,): the least score of each class."""
    return np.asarray([item.min_score for item in limits], np.float64)


def ranking(
    rivals: Rivals, marks: Marks, reasons: Sequence[str], options: SuppressionOptions
) -> IntArray:
    """Valid rows, best first: what passes the rules before what does not, so that nothing falls to a
    region that is not accepted itself; then by score and quality, for diffusion by quality alone."""
    order = total_order(values_of(rivals, marks, options), marks.label, rivals.boxes)
    order = order[marks.valid[order]]
    failed = np.asarray([reasons[i] != ACCEPTED for i in order], bool)
    return order[np.argsort(failed, kind="stable")]


def values_of(rivals: Rivals, marks: Marks, options: SuppressionOptions) -> FloatArray:
    """(N,): what regions are ranked by."""
    value = np.asarray(rivals.quality, np.float64)
    if options.suppression == "diffusion":
        return value
    score = np.where(marks.valid, marks.score, -np.inf)
    return np.where(score > 0, score * value, score)


def suppress(rivals: Rivals, marks: Marks, order: IntArray, options: SuppressionOptions) -> Suppressed:
    """What is left of each row beside the others."""
    lying = rivals.lying
    if options.suppression == "nms":
        return nms(lying, marks.label, order, options.nms_iou, options.max_covered)
    if options.suppression == "merge":
        return merge(lying, rivals.mutual(), marks.label, order)
    return diffuse(lying, marks.label, order, DIFFUSION_ALPHA, DIFFUSION_POWER)
