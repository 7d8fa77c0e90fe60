"""Figures of anomaly sets, from arrays: AUROC, AP and best F1 of images and of pixels, and AUPRO.

All follow from one curve: how much weight of what is abnormal, and of what is normal, has at least a
score. Images are added one by one; of each its different scores are kept, not its pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
LIMIT = 0.3
"""False positive rate up to which AUPRO integrates (MVTec AD, Bergmann et al. 2021)."""


@dataclass(slots=True)
class Pixels:
    """Scores of the pixels of many images against their defects. Make it, ``add`` images, then read
    ``auroc``, ``ap``, ``best_f1`` and ``aupro``."""

    _scores: list[FloatArray] = field(default_factory=list)
    _weights: list[FloatArray] = field(default_factory=list)
    _parts: int = 0

    def add(self, scores: npt.NDArray[Any], defects: BoolArray) -> None:
        """scores (H, W): how abnormal each pixel is; defects (H, W): where it is. Raises ValueError for
        different sizes, and for scores that are not finite."""
        if scores.shape != defects.shape or not np.isfinite(scores).all():
            raise ValueError(f"scores {scores.shape} of {defects.shape} pixels, or not finite")
        share, parts = _share_of_part(defects)
        flat, places = np.unique(np.asarray(scores, np.float64), return_inverse=True)
        places = places.reshape(-1)
        rows = (defects.ravel(), share.ravel(), ~defects.ravel())
        self._scores.append(flat)
        self._weights.append(np.stack([np.bincount(places, row, len(flat)) for row in rows]))
        self._parts += parts

    def auroc(self) -> float | None:
        """Area under the curve of pixels; None unless there are both normal and abnormal ones."""
        return _area(*self._curve(0))

    def ap(self) -> float | None:
        """Average precision of pixels; None without an abnormal one."""
        return _average_precision(*self._curve(0))

    def best_f1(self) -> float | None:
        """The highest F1 over all thresholds; None without an abnormal pixel."""
        return _best_f1(*self._curve(0))

    def aupro(self, limit: float = LIMIT) -> float | None:
        """Area under the per-region overlap, the mean share of each connected part of a defect (8
        neighbours), over the false positive rate of pixels from 0 to ``limit``, divided by it."""
        return _area(*self._curve(1), limit)

    def _curve(self, row: int) -> tuple[FloatArray, FloatArray]:
        if not self._scores:
            return np.zeros(0), np.zeros(0)
        weights = np.concatenate(self._weights, axis=1)
        return _cumulated(np.concatenate(self._scores), weights[row], weights[2])


def auroc(scores: Sequence[float], abnormal: Sequence[bool]) -> float | None:
    """Chance that an abnormal image scores above a normal one; None unless there are both."""
    return _area(*_of_images(scores, abnormal))


def ap(scores: Sequence[float], abnormal: Sequence[bool]) -> float | None:
    """Average precision of images; None without an abnormal one."""
    return _average_precision(*_of_images(scores, abnormal))


def best_f1(scores: Sequence[float], abnormal: Sequence[bool]) -> float | None:
    """The highest F1 of images over all thresholds; None without an abnormal one."""
    return _best_f1(*_of_images(scores, abnormal))


def _of_images(scores: Sequence[float], abnormal: Sequence[bool]) -> tuple[FloatArray, FloatArray]:
    truth = np.asarray(abnormal, bool)
    return _cumulated(np.asarray(scores, float), truth.astype(float), (~truth).astype(float))


def _share_of_part(defects: BoolArray) -> tuple[FloatArray, int]:
    """(H, W): one over the pixels of the connected part of a pixel, 0 outside; and the parts."""
    from scipy.ndimage import label

    numbers, count = label(defects, np.ones((3, 3)))
    sizes = np.bincount(numbers.ravel(), minlength=count + 1).astype(float)
    shares = 1 / np.maximum(sizes, 1)
    shares[0] = 0
    return shares[numbers], int(count)


def _cumulated(
    scores: FloatArray, abnormal: FloatArray, normal: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(abnormal, normal), each (N + 1,): the weight with at least each different score, from none to
    all of it."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan))
    hits, alarms = (np.cumsum(weights[order])[ends] for weights in (abnormal, normal))
    return np.append(0.0, hits), np.append(0.0, alarms)


def _area(hits: FloatArray, alarms: FloatArray, limit: float = 1.0) -> float | None:
    """Area under share of hits over share of alarms, up to that share, divided by it; straight lines
    between thresholds."""
    if not len(hits) or not hits[-1] or not alarms[-1]:
        return None
    high, wide = hits / hits[-1], alarms / alarms[-1]
    within = wide <= limit
    x = np.append(wide[within], limit)
    y = np.append(high[within], np.interp(limit, wide, high))
    return float((np.diff(x) * (y[1:] + y[:-1])).sum() / 2 / limit)


def _average_precision(hits: FloatArray, alarms: FloatArray) -> float | None:
    """Precision at each different score, weighted by the recall that it adds."""
    if not len(hits) or not hits[-1]:
        return None
    precision = hits[1:] / (hits[1:] + alarms[1:])
    return float((np.diff(hits) * precision).sum() / hits[-1])


def _best_f1(hits: FloatArray, alarms: FloatArray) -> float | None:
    if not len(hits) or not hits[-1]:
        return None
    return float((2 * hits / np.maximum(hits + alarms + hits[-1], 1e-12)).max())
