"""Duplicates and fragments: class-wise non-maximum suppression by mask overlap. Pure.

Masked pooling is blind to size, so a fragment of an object scores as high as the object. What tells
them apart is the proposal's own quality, so suppression goes by score and quality together, and a mask
also falls where better detections of its class jointly cover it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .proposals.rle import Rle

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
QUALITY_POWER = 2


def rank(scores: FloatArray, quality: FloatArray) -> npt.NDArray[np.float64]:
    """What suppression sorts by, (N,): score * quality^2 for positive scores."""
    wide = np.asarray(scores, np.float64)
    weighted = np.where(wide > 0, wide, 0.0) * np.asarray(quality, np.float64) ** QUALITY_POWER
    return np.where(wide > 0, weighted, wide)


def total_order(values: FloatArray, labels: IntArray, boxes: FloatArray) -> IntArray:
    """Rows (N,) by value (high first), class, then y, x, height, width of the box: a total order."""
    x, y = boxes[:, 0], boxes[:, 1]
    width, height = boxes[:, 2] - x, boxes[:, 3] - y
    return np.asarray(np.lexsort((width, height, x, y, labels, -values)), np.int64)


def nms(
    rles: Sequence[Rle], labels: IntArray, order: IntArray, max_iou: float, max_covered: float
) -> IntArray:
    """Class-wise suppression. order: rows best first (only these take part).

    A row falls where its mask IoU with a kept row of its class exceeds ``max_iou``, or where the kept
    rows of its class together cover more than ``max_covered`` of it. Returns (N,): the kept row that
    overlaps a suppressed row most, -1 for rows that were not suppressed.
    """
    from pycocotools import mask as coco

    by = np.full(len(rles), -1, np.int64)
    kept: dict[int, list[int]] = {}
    union: dict[int, Rle] = {}
    for row in order:
        label = int(labels[row])
        rivals = kept.setdefault(label, [])
        if rivals:
            overlap = np.asarray(coco.iou([rles[row]], [rles[k] for k in rivals], [0] * len(rivals)))[0]
            # With the crowd flag pycocotools divides by the first mask's area alone.
            covered = float(coco.iou([rles[row]], [union[label]], [1])[0, 0])
            if overlap.max() > max_iou or covered > max_covered:
                by[row] = rivals[int(overlap.argmax())]
                continue
        rivals.append(int(row))
        parts = [union[label], rles[row]] if label in union else [rles[row]]
        union[label] = coco.merge(parts)
    return by
