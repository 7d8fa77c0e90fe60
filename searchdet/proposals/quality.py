"""How much each of many masks looks like an object, from its runs, with array operations.

Along columns and along rows every run of a mask has two ends; at each end the outline crosses, so the
gradient there, and the colours shortly before and behind it, say how the mask stands out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..masks.rle import AllRuns
from .scene import Scene
from .types import FloatArray, UInt8Array

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Whole = npt.NDArray[np.int32]
RING = 3
"""Width of the rim inside and the ring outside of an outline, pixels."""
FAINT = 1.5
"""A gradient of Lab a pixel that is hardly an edge."""


CONTRAST = 18.0
"""A difference of colours, in Lab, that is plain to see."""
PLAIN, WEAK, AGREED, BIAS = 3.4, 2.2, 0.4, -1.0
"""Weights of contrast, faint outline and near copies: a logistic fit to which masks hold an annotated
object, on sets of photographs; benchmarks/README.md."""
CROWD = 0.7
"""How much the place among masks of one size lowers a mask."""
_UNIT = 16
"""Colours are rounded to this part of one."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What quality is made of, a value for each mask. contrast: between the mean colours of rim and
    ring, 0 where nothing is around; faint: share of the outline that lies on no edge."""

    contrast: Float64Array
    faint: Float64Array


def look(scene: Scene, columns: AllRuns, rows: AllRuns, count: int) -> Looks:
    """Looks of ``count`` masks, none of them empty, with these runs along columns, and along rows
    (those of the transposed masks)."""
    plain = (cv2.dilate(scene.edges, np.ones((3, 3), np.uint8)) >= FAINT).astype(np.uint8)
    lab = np.round(scene.lab * _UNIT).astype(np.int32)
    total = _sums(lab, plain, columns, count)
    total += _sums(lab.transpose(1, 0, 2), plain.T, rows, count)
    ends, wide, near = np.maximum(total[[0, 2, 3]], 1)
    rim, ring = total[4:7] / wide / _UNIT, total[7:10] / near / _UNIT
    contrast = np.sqrt(((rim - ring) ** 2).sum(axis=0)) * (total[3] > 0)
    return Looks(contrast, 1 - total[1] / ends)


def _sums(lab: Whole, plain: UInt8Array, runs: AllRuns, count: int) -> Float64Array:
    """(10, count) sums over the ends of runs along columns, but those on the picture's frame: ends,
    ends on plain edges, pixels of rim and of ring, Lab of rim and of ring. Whole numbers, so that sums
    do not depend on their order."""
    height = plain.shape[0]
    flat = np.ascontiguousarray(plain.T).ravel()
    base = runs.column * height
    start, end = base + runs.top, base + runs.bottom
    upper, lower = runs.top > 0, runs.bottom < height
    width = np.minimum(RING, end - start)
    above = base + np.maximum(runs.top - RING, 0)
    below = base + np.minimum(runs.bottom + RING, height)
    heads = np.searchsorted(runs.owner, np.arange(count))
    ends = upper.astype(np.int32) + lower
    edges = (flat[start] & upper).astype(np.int32) + (flat[end - 1] & lower)
    values = [ends, edges, 2 * width, (start - above) + (below - end)]
    found = [np.add.reduceat(value, heads) for value in values]
    rims, rings = [], []
    for channel in range(3):
        sums = np.zeros(len(flat) + 1, np.int32)
        np.cumsum(lab[..., channel].T.ravel(), out=sums[1:])
        at_start, at_end = sums[start], sums[end]
        rim = sums[start + width] - at_start + at_end - sums[end - width]
        ring = at_start - sums[above] + sums[below] - at_end
        rims.append(np.add.reduceat(rim, heads))
        rings.append(np.add.reduceat(ring, heads))
    return np.stack([*found, *rims, *rings]).astype(np.float64)


def quality(looks: Looks, copies: IntArray, areas: IntArray) -> FloatArray:
    """0..1, a logistic of contrast, faint outline and near copies (so many sources and levels agree on
    the mask), lowered by the place among masks of about the same size: otherwise the many small ones of
    a picture would stand before all others, or behind them."""
    contrast = 1 - np.exp(-looks.contrast / CONTRAST)
    value = BIAS + PLAIN * contrast - WEAK * looks.faint + AGREED * np.log(copies)
    octave = np.floor(np.log2(np.maximum(areas, 1)) / 2).astype(np.int64)
    order = np.lexsort((-value, octave))
    before = np.arange(len(order)) - np.searchsorted(octave[order], octave[order])
    value[order] -= CROWD * np.log1p(before / 10)
    return np.asarray(1 / (1 + np.exp(-value)), np.float32)
