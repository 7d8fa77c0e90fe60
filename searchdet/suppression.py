"""Fragments and duplicates: what a region keeps of its score beside the other regions. Pure.

Masked pooling is blind to size, so a fragment of an object scores as high as the object. Everything
here works on shares of overlap between masks: one matrix product of their coverage on a coarse grid.
Three ways: hard suppression (``nms``), semantic soft merging (No-Time-To-Train, arXiv 2507.02798) and
graph diffusion (FSOD-VFM, arXiv 2602.03137). All give each row a factor 0..1 and the row to blame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .masks.coverage import Masks, runs_coverage

FloatArray = npt.NDArray[np.floating[Any]]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
SAME_OBJECT = 0.5
"""IoU from which on two masks are of one object."""
GRID = 128
"""Cells along the long side of the grid on which masks are compared."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """How N masks lie on each other. coverage (N, cells): share of each cell that lies under each mask;
    inside (N, N): share of mask i that lies in mask j; iou (N, N)."""

    coverage: Float32Array
    inside: FloatArray
    iou: FloatArray

    def __len__(self) -> int:
        return len(self.inside)


@dataclass(frozen=True, slots=True)
class Suppressed:
    """factor (N,): what is left of each row's score, 0..1. by (N,): the row that took most of it, -1
    where nothing was taken."""

    factor: FloatArray
    by: IntArray


def overlaps(masks: Masks) -> Overlaps:
    """Overlaps of run-length masks on a grid of at most ``GRID`` cells
    a side. A mask's area is its product with itself, so a mask smaller than a cell lies fully in
    itself."""
    scale = min(1.0, GRID / max(masks.size))
    grid = (max(1, round(masks.size[0] * scale)), max(1, round(masks.size[1] * scale)))
    from scipy.sparse import csr_matrix

    cover = runs_coverage(masks, grid).flatten(1).numpy()
    # most shares are 0; and a sparse product adds up in one order, whatever the number of threads
    some = csr_matrix(cover, dtype=np.float64)
    shared = (some @ some.T).toarray()
    area = np.maximum(shared.diagonal(), 1e-12)
    union = area[:, None] + area[None] - shared
    inside = np.minimum(shared / area[:, None], 1.0)
    return Overlaps(cover, inside, np.minimum(shared / np.maximum(union, 1e-12), 1.0))


def total_order(values: FloatArray, labels: IntArray, boxes: FloatArray) -> IntArray:
    """Rows (N,) by value (high first), class, then y, x, height, width of the box: a total order."""
    x, y = boxes[:, 0], boxes[:, 1]
    width, height = boxes[:, 2] - x, boxes[:, 3] - y
    return np.asarray(np.lexsort((width, height, x, y, labels, -values)), np.int64)


def nms(
    found: Overlaps, labels: IntArray, order: IntArray, max_iou: float, max_covered: float
) -> Suppressed:
    """Hard suppression within classes. order: rows best first; only these take part.

    A row falls to 0 where its IoU with a kept row of its class exceeds ``max_iou``, or where the kept
    rows of its class together cover more than ``max_covered`` of it; the kept row that overlaps it most
    is to blame.
    """
    factor, by = _untouched(len(found))
    for label in np.unique(labels[order]):
        kept: list[int] = []
        union = np.zeros(found.coverage.shape[1], np.float32)
        for row in order[labels[order] == label]:
            cover = found.coverage[row]
            overlap = found.iou[row, kept]
            covered = float(np.minimum(cover, union) @ cover) / max(float(cover @ cover), 1e-12)
            if kept and (overlap.max() > max_iou or covered > max_covered):
                factor[row], by[row] = 0.0, kept[int(overlap.argmax())]
                continue
            kept.append(int(row))
            np.maximum(union, cover, out=union)
    return Suppressed(factor, by)


def mutual(vectors: Float32Array) -> npt.NDArray[np.float64]:
    """Cosines (N, N) of N regions to each other, 0..1. vectors (N, D): unit rows."""
    wide = vectors.astype(np.float64)  # so that the order of sums is beyond the digits of a record
    return np.asarray(np.clip(wide @ wide.T, 0, 1))


def merge(found: Overlaps, alike: FloatArray, labels: IntArray, order: IntArray) -> Suppressed:
    """Semantic soft merging (No-Time-To-Train, arXiv 2507.02798) within classes: a row keeps
    1 - max over rows j before it in ``order`` of (share of it that lies in j) * (cosine to j).

    alike (N, N): cosines, as of ``mutual``. order: rows best first; only these take part.
    """
    factor, by = _untouched(len(found))
    if not len(found):
        return Suppressed(factor, by)
    taken = found.inside * alike * _before(labels, order, len(found))
    worst = taken.argmax(axis=1)
    most = taken[np.arange(len(found)), worst]
    hit = most > 0
    factor[hit] = 1 - most[hit]
    by[hit] = worst[hit]
    return Suppressed(factor, by)


def diffuse(
    found: Overlaps, labels: IntArray, order: IntArray, alpha: float, power: float, steps: int = 30
) -> Suppressed:
    """Graph diffusion (FSOD-VFM, arXiv 2602.03137) within classes. With S the share of a row in each
    row before it in ``order`` and v the row maximum of S, pi = alpha S pi + (1 - alpha) v is iterated,
    and a row keeps max(0, 1 - pi)^power."""
    factor, by = _untouched(len(found))
    share = found.inside * _before(labels, order, len(found))
    if not len(found):
        return Suppressed(factor, by)
    worst = share.argmax(axis=1)
    covered = share[np.arange(len(found)), worst].astype(np.float64)
    decay = covered
    for _ in range(steps):
        decay = alpha * (share @ decay) + (1 - alpha) * covered
    hit = covered > 0
    factor[hit] = np.clip(1 - decay[hit], 0, 1) ** power
    by[hit] = worst[hit]
    return Suppressed(factor, by)


def across_classes(
    found: Overlaps, taken: Suppressed, labels: IntArray, above: FloatArray, rest: FloatArray
) -> Suppressed:
    """One object is one detection: a row whose IoU with a better one of another class is over
    ``SAME_OBJECT`` keeps at most the share ``rest`` (N,) of its score. above (N,): how far over the
    threshold of its class a row is, -inf for what is no detection."""
    factor, by = taken.factor.copy(), taken.by.copy()
    rows = np.flatnonzero(above > -np.inf)
    rows = rows[np.argsort(-above[rows], kind="stable")]
    on = (found.iou[np.ix_(rows, rows)] > SAME_OBJECT) & (labels[rows, None] != labels[rows])
    kept = np.ones(len(rows), bool)
    for i in np.flatnonzero(on.any(axis=1)).tolist():
        lying = np.flatnonzero(on[i, :i] & kept[:i])
        if len(lying):
            row, kept[i] = rows[i], False
            factor[row], by[row] = min(factor[row], rest[row]), rows[lying[0]]
    return Suppressed(factor, by)


def _before(labels: IntArray, order: IntArray, count: int) -> npt.NDArray[np.bool_]:
    """(N, N): whether row j stands before row i in ``order`` and has its class."""
    place = np.full(count, count, np.int64)
    place[order] = np.arange(len(order))
    part = place < count
    same = labels[:, None] == labels[None]
    earlier = place[None] < place[:, None]
    return np.asarray(same & earlier & part[:, None] & part[None])


def _untouched(count: int) -> tuple[npt.NDArray[np.float64], IntArray]:
    return np.ones(count), np.full(count, -1, np.int64)
