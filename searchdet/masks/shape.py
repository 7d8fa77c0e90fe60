"""The shape of a mask in a few numbers that do not change with its place, size and rotation. Pure.

Pooled features say nothing of shape; these say it: elongation, solidity, rectangularity, and how
the mask's pixels are spread around its centre. All masks are measured together, from their runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from . import rle
from .rle import AllRuns, Rle

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
RINGS = np.asarray([0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0])
"""Ends of the histogram of distances to the centre, in radii of the disc of equal area."""
MEASURES = 3
DIM = MEASURES + len(RINGS) + 1
DIRECTIONS = 16
"""Directions over half a turn in which a mask is measured."""
_WEIGHTS = np.asarray([0.5, 1.0, 1.0], np.float32)
"""How much one unit of each measure counts; chosen on photographs of seven kinds."""


def outlines(rles: Sequence[Rle]) -> FloatArray:
    """(N, DIM): per mask log elongation, area by convex hull, area by smallest rectangle, then the
    histogram of distances. NaN for an empty mask. Of a mask in several parts the largest counts: a
    stray pixel far off would change the hull."""
    return outlines_of(rle.all_runs(rles), len(rles))


def outlines_of(runs: AllRuns, count: int) -> FloatArray:
    """``outlines`` of ``count`` masks by their runs."""
    out = np.full((count, DIM), np.nan, np.float32)
    if not len(runs.owner):
        return out
    runs = _largest_parts(runs)
    starts = np.flatnonzero(np.r_[True, np.diff(runs.owner) > 0])
    row = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(runs.owner)]))
    height = (runs.bottom - runs.top).astype(np.float64)
    area = np.add.reduceat(height, starts)
    x = np.add.reduceat(height * (runs.column + 0.5), starts) / area
    y = np.add.reduceat(height * (runs.bottom + runs.top), starts) / (2 * area)
    left, top, bottom = runs.column - x[row], runs.top - y[row], runs.bottom - y[row]
    long, short, hull = _extents(left, top, bottom, starts)
    measures = (
        np.log(np.maximum(long, short) / np.maximum(np.minimum(long, short), 0.5)),
        area / np.maximum(hull, 1),
        area / np.maximum(long * short, 1),
    )
    rings = _rings(left + 0.5, top, bottom, (starts, row), area)
    out[runs.owner[starts]] = np.column_stack([*measures, rings])
    return out


def similarity(one: FloatArray, two: FloatArray) -> FloatArray:
    """(N, DIM), (M, DIM) -> (N, M), 0..1, 1 for equal outlines: half how near the measures are, half
    the intersection of the histograms. NaN where a row is NaN."""
    apart, shared = (np.zeros((len(one), len(two)), np.float32) for _ in range(2))
    pairs = zip(np.ascontiguousarray(one.T)[:, :, None], two.T[:, None], strict=True)
    for k, (mine, theirs) in enumerate(pairs):  # number by number, so that nothing larger is made
        if k < MEASURES:
            apart += np.abs(mine - theirs) * _WEIGHTS[k]
        else:
            shared += np.minimum(mine, theirs)
    return np.asarray(0.5 * np.exp(-apart) + 0.5 * shared, np.float32)


def _flat(runs: AllRuns) -> tuple[IntArray, IntArray, int]:
    """Start and end of each run on one line on which no two columns touch, ascending, and how far apart
    neighbouring columns of a mask lie on it."""
    stride, wide = int(runs.bottom.max()) + 3, int(runs.column.max()) + 3
    base = (runs.owner * wide + runs.column) * stride + 1
    return base + runs.top, base + runs.bottom, stride


def _largest_parts(runs: AllRuns) -> AllRuns:
    """The runs of the largest connected part of each mask (8 neighbours)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    start, end, stride = _flat(runs)
    first = np.searchsorted(end, start + stride, side="left")  # in the next column
    count = np.maximum(np.searchsorted(start, end + stride, side="right") - first, 0)
    one = np.repeat(np.arange(len(start)), count)
    two = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count) + first[one]
    touching = coo_matrix((np.ones(len(one), np.int8), (one, two)), shape=(len(start),) * 2)
    _, part = connected_components(touching, directed=False)
    area = np.bincount(part, runs.bottom - runs.top)
    owner = np.zeros(len(area), np.int64)
    owner[part] = runs.owner
    order = np.lexsort((np.arange(len(area)), -area, owner))
    largest = np.zeros(len(area), bool)
    largest[order[np.r_[True, np.diff(owner[order]) > 0]]] = True
    kept = largest[part]
    return AllRuns(runs.owner[kept], runs.column[kept], runs.top[kept], runs.bottom[kept])


def _extents(
    left: DoubleArray, top: DoubleArray, bottom: DoubleArray, starts: IntArray
) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Sides of the smallest rectangle around each mask, and the area of the polygon of its tangents, in
    ``DIRECTIONS`` directions. left, top, bottom: of each run, from the centre of its mask."""
    low, high = (np.empty((len(starts), DIRECTIONS)) for _ in range(2))
    for k, turn in enumerate(np.arange(DIRECTIONS) * np.pi / DIRECTIONS):
        across, down = np.cos(turn), np.sin(turn)
        sides = (left * across, (left + 1) * across)
        near, far = np.minimum(*sides), np.maximum(*sides)
        high[:, k] = np.maximum.reduceat(far + bottom * down, starts)
        low[:, k] = np.minimum.reduceat(near + top * down, starts)
    width = high - low
    across_it = np.roll(width, -DIRECTIONS // 2, axis=1)
    best = (width * across_it).argmin(axis=1)
    rows = np.arange(len(starts))
    reach = np.concatenate([high, -low], axis=1)
    turn = np.pi / DIRECTIONS
    ahead, behind = np.roll(reach, -1, axis=1), np.roll(reach, 1, axis=1)
    edges = (ahead + behind - 2 * reach * np.cos(turn)) / np.sin(turn)
    hull = 0.5 * (reach * np.maximum(edges, 0)).sum(axis=1)
    return width[rows, best], across_it[rows, best], hull


def _rings(
    x: DoubleArray,
    top: DoubleArray,
    bottom: DoubleArray,
    places: tuple[IntArray, IntArray],
    area: DoubleArray,
) -> DoubleArray:
    """Shares (N, len(RINGS) + 1) of the pixels by distance to the centre, in radii of the disc of equal
    area. x: middle of each run's column from the centre. places: where the runs of each mask start, and
    the mask of each run."""
    starts, row = places
    unit = np.sqrt(area / np.pi)[row]
    within = np.zeros((len(starts), len(RINGS) + 2))
    within[:, -1] = 1
    for k, ring in enumerate(RINGS):
        half = np.sqrt(np.maximum((ring * unit) ** 2 - x**2, 0))
        inside = np.maximum(np.minimum(bottom, half) - np.maximum(top, -half), 0)
        within[:, k + 1] = np.add.reduceat(inside, starts) / area
    return np.diff(within, axis=1)
