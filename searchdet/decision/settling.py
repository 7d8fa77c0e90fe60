"""What becomes of scored regions beside each other: ranked, suppressed, decided. Pure.

Nothing here looks at more than marks and at how regions lie on each other, so regions of several images
may be settled together where those of different images do not lie on each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import SuppressionOptions
from ..records import ClassLimits
from ..scoring import Marks, accepted, final
from ..suppression import (
    Overlaps,
    Pairs,
    Suppressed,
    across_classes,
    box_nms,
    diffuse,
    merge,
    nms,
    total_order,
)

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]
Float32Array = npt.NDArray[np.float32]
DIFFUSION_ALPHA, DIFFUSION_POWER = 0.3, 0.5
BELOW = 0.99
"""Of its threshold is what a detection keeps that lies on a better one of another class."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """N regions as suppression sees them. boxes (N, 4), quality (N,): of the proposals; pairs: those
    that lie on each other; alike: gives the cosines of these (M,), where they are needed; cells: the
    same with what each covers, for ``nms``; None where that is not asked for. sure: rows of which a
    person said that they are of their class, which nothing comes before."""

    boxes: Float32Array
    quality: Float32Array
    pairs: Pairs
    alike: Callable[[], FloatArray]
    cells: Overlaps | None
    sure: IntArray


def beside(
    marks: Marks,
    rivals: Rivals,
    limits: Sequence[ClassLimits],
    usual: FloatArray,
    options: SuppressionOptions,
) -> tuple[Suppressed, FloatArray]:
    """What is left of N regions beside each other: what was taken, final scores (N,). usual (C,): the
    least scores by which fewer would pass, where more are wanted: what is found by these is found.

    A region is only ever lowered by one that passes the rules itself, so what does not pass may be
    left out: the others come out the same. For what passes stands before what does not (``ranking``);
    each of the four ways lowers a row by rows before it alone, and counts as kept, or iterates over,
    rows before it alone; and ``across_classes`` is between detections, which have passed. What a person
    is sure of stands before all others, and is not lowered.
    """
    passed = accepted(marks, limits)
    clear = passed & (marks.score >= usual[marks.label])
    order = ranking(rivals, marks, (passed, clear), options)
    taken = _spared(suppress(rivals, marks, order, options), rivals.sure)
    if options.class_overlap == "best":
        taken = _spared(_one_class_each(marks, rivals, limits, taken), rivals.sure)
    return taken, final(marks, taken.factor)


def _spared(taken: Suppressed, sure: IntArray) -> Suppressed:
    factor, by = np.array(taken.factor), np.array(taken.by)
    factor[sure], by[sure] = 1.0, -1
    return replace(taken, factor=factor, by=by)


def _one_class_each(
    marks: Marks, rivals: Rivals, limits: Sequence[ClassLimits], taken: Suppressed
) -> Suppressed:
    least = least_of(limits)[np.maximum(marks.label, 0)]
    left = final(marks, taken.factor)
    above = np.where(accepted(marks, limits, taken.factor), left - least, -np.inf)
    above[rivals.sure] = np.inf
    # just below the threshold: no detection, and still before what is unlike the class
    rest = np.clip(BELOW * least / np.maximum(np.maximum(marks.score, least), 1e-9), 0, BELOW)
    return across_classes(rivals.pairs, taken, marks.label, above, rest)


def least_of(limits: Sequence[ClassLimits]) -> FloatArray:
    """(C,): the least score of each class."""
    return np.asarray([item.min_score for item in limits], np.float64)


def ranking(
    rivals: Rivals, marks: Marks, passed: tuple[BoolArray, BoolArray], options: SuppressionOptions
) -> IntArray:
    """Valid rows, best first: what a person is sure of, what clearly passes the rules (the second of
    ``passed``), what passes (the first), then what does not, so that nothing falls to a region that is
    not accepted itself, or only because more are wanted; then by score and quality, for diffusion by
    quality alone."""
    order = total_order(values_of(rivals, marks, options), marks.label, rivals.boxes)
    order = order[marks.valid[order]]
    place = 3 - passed[0].astype(np.int64) - passed[1]
    place[rivals.sure] = 0
    return order[np.argsort(place[order], kind="stable")]


def values_of(rivals: Rivals, marks: Marks, options: SuppressionOptions) -> FloatArray:
    """(N,): what regions are ranked by."""
    value = np.asarray(rivals.quality, np.float64)
    if options.suppression == "diffusion":
        return value
    score = np.where(marks.valid, marks.score, -np.inf)
    return np.where(score > 0, score * value, score)


def suppress(rivals: Rivals, marks: Marks, order: IntArray, options: SuppressionOptions) -> Suppressed:
    """What is left of each row beside the others."""
    if options.suppression == "nms":
        if rivals.cells is None:
            raise ValueError("nms looks at what each region covers")
        return nms(rivals.cells, marks.label, order, options.nms_iou, options.max_covered)
    if options.suppression == "box_nms":
        return box_nms(rivals.boxes, marks.label, order, options.nms_iou)
    if options.suppression == "merge":
        return merge(rivals.pairs, rivals.alike(), marks.label, order)
    return diffuse(rivals.pairs, marks.label, order, DIFFUSION_ALPHA, DIFFUSION_POWER)
