"""The shape of a mask in a few numbers that do not change with its place, size and rotation. Pure.

Pooled features say nothing of shape; these say it: elongation, solidity, rectangularity, compactness,
and how the mask's pixels are spread around its centre.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from . import rle
from .rle import Rle

FloatArray = npt.NDArray[np.float32]
SIDE = 96
"""Masks are measured at no more than this many cells a side."""
RINGS = np.asarray([0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0])
"""Ends of the histogram of distances to the centre, in radii of the disc of equal area."""
MEASURES = 4
DIM = MEASURES + len(RINGS) + 1
_WEIGHTS = np.asarray([0.5, 1.0, 1.0, 0.75], np.float32)
"""How much one unit of each measure counts; chosen on photographs of seven kinds."""


def outlines(rles: Sequence[Rle]) -> FloatArray:
    """(N, DIM): per mask log elongation, area by convex hull, area by smallest rectangle, 4 pi area by
    squared perimeter, then the histogram of distances. NaN for an empty mask."""
    return np.stack([_outline(code) for code in rles]) if rles else np.zeros((0, DIM), np.float32)


def similarity(one: FloatArray, two: FloatArray) -> FloatArray:
    """(N, DIM), (M, DIM) -> (N, M), 0..1, 1 for equal outlines: half how near the measures are, half
    the intersection of the histograms. NaN where a row is NaN."""
    apart = np.abs(one[:, None, :MEASURES] - two[None, :, :MEASURES]) @ _WEIGHTS
    shared = np.minimum(one[:, None, MEASURES:], two[None, :, MEASURES:]).sum(axis=2)
    return np.asarray(0.5 * np.exp(-apart) + 0.5 * shared, np.float32)


def _outline(code: Rle) -> FloatArray:
    mask, _ = rle.window(code)
    if not mask.size:
        return np.full(DIM, np.nan, np.float32)
    small = _largest_part(_shrunk(mask))
    area = float(small.sum())
    contours, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    edge = np.concatenate([contour[:, 0] for contour in contours]).astype(np.float32)
    shifts = np.asarray([(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)], np.float32)
    corners = (edge[:, None] + shifts[None]).reshape(-1, 2)
    _, sides, _ = cv2.minAreaRect(corners)
    long, short = max(sides), max(min(sides), 0.5)
    hull = max(cv2.contourArea(cv2.convexHull(corners)), 1.0)
    around = sum(cv2.arcLength(contour, True) for contour in contours) + 4
    measures = (
        np.log(long / short),
        area / hull,
        area / max(long * short, 1.0),
        4 * np.pi * area / around**2,
    )
    return np.concatenate([measures, _spread(small, area)]).astype(np.float32)


def _shrunk(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """The mask (h, w) at no more than SIDE cells a side, in a frame of zeros; never empty."""
    height, width = mask.shape
    scale = SIDE / max(height, width)
    small = mask.astype(np.uint8)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(small * np.uint8(255), size, interpolation=cv2.INTER_AREA)
        small = (grey >= min(128, int(grey.max()))).astype(np.uint8)
    return np.pad(small, 1)


def _largest_part(small: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The largest connected part of a mask: a stray pixel far off would change its hull."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(small, connectivity=8)
    if count <= 2:
        return small
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return np.asarray(labels == largest, np.uint8)


def _spread(small: npt.NDArray[np.uint8], area: float) -> npt.NDArray[np.float64]:
    """Shares of the pixels by distance to the centre, in radii of the disc of equal area."""
    y, x = np.nonzero(small)
    far = np.hypot(y - y.mean(), x - x.mean()) / np.sqrt(area / np.pi)
    return np.bincount(np.searchsorted(RINGS, far, side="right"), minlength=len(RINGS) + 1) / area
