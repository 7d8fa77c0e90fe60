"""Fragments and duplicates: what a region keeps of its score beside the other regions. Pure.

Masked pooling is blind to size, so a fragment of an object scores as high as the object. Everything
here works on shares of overlap between masks: one matrix product of their coverage on a coarse grid, of
which few are not 0. Masks of several images may stand beside each other: they do not lie on each other.
Four ways: hard suppression (``nms``), the same by boxes alone (``box_nms``), semantic soft merging
(No-Time-To-Train, arXiv 2507.02798) and graph diffusion (FSOD-VFM, arXiv 2602.03137). All give each row
a factor 0..1 and the row to blame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .masks.coverage import Masks, sparse_coverage

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FloatArray = npt.NDArray[np.floating[Any]]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
SAME_OBJECT = 0.5
"""IoU from which on two masks are of one object."""
GRID = 128
"""Cells along the long side of the grid on which masks are compared."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """How N masks lie on each other. coverage (N, cells), sparse: share of each cell that lies under
    each mask; inside (N, N): share of mask i that lies in mask j; iou (N, N)."""

    coverage: csr_array
    inside: FloatArray
    iou: FloatArray

    def __len__(self) -> int:
        return len(self.inside)

    def pairs(self) -> Pairs:
        """The masks that lie on each other."""
        on = self.inside > 0
        np.fill_diagonal(on, False)
        one, other = np.nonzero(on)
        return Pairs(len(self), one, other, self.inside[one, other], self.iou[one, other])


@dataclass(frozen=True, slots=True)
class Pairs:
    """Those of ``count`` masks that lie on each other: M pairs of two, each both ways round.

    one, other (M,): rows, ascending by one, then by other. inside (M,): share of one that lies in the
    other. iou (M,).
    """

    count: int
    one: IntArray
    other: IntArray
    inside: FloatArray
    iou: FloatArray

    def __len__(self) -> int:
        return self.count


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
    # most shares are 0; and a sparse product adds up in one order, whatever the number of threads
    cover = sparse_coverage(masks, grid)
    shared = (cover @ cover.T).toarray()
    area = np.maximum(shared.diagonal(), 1e-12)
    union = area[:, None] + area[None] - shared
    inside = np.minimum(shared / area[:, None], 1.0)
    return Overlaps(cover, inside, np.minimum(shared / np.maximum(union, 1e-12), 1.0))


def total_order(values: FloatArray, labels: IntArray, boxes: FloatArray) -> IntArray:
    """Rows (N,) by value (high first), class, then y, x, height, width of the box: a total order."""
    order = np.argsort(-values, kind="stable")
    equal = values[order][1:] == values[order][:-1]
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    rows = order[tied]
    x, y = boxes[rows, 0], boxes[rows, 1]
    width, height = boxes[rows, 2] - x, boxes[rows, 3] - y
    order[tied] = rows[np.lexsort((width, height, x, y, labels[rows], -values[rows]))]
    return np.asarray(order, np.int64)


def nms(
    found: Overlaps, labels: IntArray, order: IntArray, max_iou: float, max_covered: float
) -> Suppressed:
    """Hard suppression within classes. order: rows best first; only these take part.

    A row falls to 0 where its IoU with a kept row of its class exceeds ``max_iou``, or where the kept
    rows of its class together cover more than ``max_covered`` of it; the kept row that overlaps it most
    is to blame.
    """
    factor, by = _untouched(len(found))
    every = found.coverage.toarray()
    for label in np.unique(labels[order]):
        kept: list[int] = []
        union = np.zeros(every.shape[1])
        for row in order[labels[order] == label]:
            cover = every[row]
            overlap = found.iou[row, kept]
            covered = float(np.minimum(cover, union) @ cover) / max(float(cover @ cover), 1e-12)
            if kept and (overlap.max() > max_iou or covered > max_covered):
                factor[row], by[row] = 0.0, kept[int(overlap.argmax())]
                continue
            kept.append(int(row))
            np.maximum(union, cover, out=union)
    return Suppressed(factor, by)


def box_nms(boxes: Float32Array, labels: IntArray, order: IntArray, max_iou: float) -> Suppressed:
    """Hard suppression by boxes (N, 4) xyxy within classes, exclusive maximum. order: rows best first;
    only these take part. A row falls to 0 where the IoU of its box with that of a kept row of its class
    exceeds ``max_iou``; the kept row that overlaps it most is to blame."""
    factor, by = _untouched(len(boxes))
    for label in np.unique(labels[order]):
        kept: list[int] = []
        for row in order[labels[order] == label].tolist():
            shared = _box_iou(boxes[row], boxes[kept])
            if kept and shared.max() > max_iou:
                factor[row], by[row] = 0.0, kept[int(shared.argmax())]
            else:
                kept.append(row)
    return Suppressed(factor, by)


def _box_iou(box: Float32Array, others: Float32Array) -> npt.NDArray[np.float64]:
    """(M,): IoU of one box (4,) with others (M, 4)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1, dtype=np.float64)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1, dtype=np.float64)
    own = np.prod(box[2:] - box[:2], dtype=np.float64)
    return np.asarray(shared / np.maximum(own + areas - shared, 1e-12))


def mutual(vectors: Float32Array, found: Pairs) -> npt.NDArray[np.float64]:
    """Cosines (M,) of regions that lie on each other, 0..1. vectors (N, D): unit rows."""
    wide = vectors.astype(np.float64)  # so that the order of sums is beyond the digits of a record
    return np.asarray(np.clip(wide @ wide.T, 0, 1)[found.one, found.other])


def merge(found: Pairs, alike: FloatArray, labels: IntArray, order: IntArray) -> Suppressed:
    """Semantic soft merging (No-Time-To-Train, arXiv 2507.02798) within classes: a row keeps
    1 - max over rows j before it in ``order`` of (share of it that lies in j) * (cosine to j).

    alike (M,): cosines, as of ``mutual``. order: rows best first; only these take part.
    """
    factor, by = _untouched(len(found))
    most = _largest(found, np.where(_before(found, labels, order), found.inside * alike, 0.0), by)
    hit = by >= 0
    factor[hit] = 1 - most[hit]
    return Suppressed(factor, by)


def diffuse(
    found: Pairs, labels: IntArray, order: IntArray, alpha: float, power: float, steps: int = 30
) -> Suppressed:
    """Graph diffusion (FSOD-VFM, arXiv 2602.03137) within classes. With S the share of a row in each
    row before it in ``order`` and v the row maximum of S, pi = alpha S pi + (1 - alpha) v is iterated,
    and a row keeps max(0, 1 - pi)^power."""
    factor, by = _untouched(len(found))
    share = np.where(_before(found, labels, order), found.inside, 0.0)
    covered = decay = _largest(found, share, by)
    for _ in range(steps):
        spread = np.bincount(found.one, share * decay[found.other], len(found))
        decay = alpha * spread + (1 - alpha) * covered
    hit = by >= 0
    factor[hit] = np.clip(1 - decay[hit], 0, 1) ** power
    return Suppressed(factor, by)


def across_classes(
    found: Pairs, taken: Suppressed, labels: IntArray, above: FloatArray, rest: FloatArray
) -> Suppressed:
    """One object is one detection: a row whose IoU with a better one of another class is over
    ``SAME_OBJECT`` keeps at most the share ``rest`` (N,) of its score. above (N,): how far over the
    threshold of its class a row is, -inf for what is no detection."""
    factor, by = taken.factor.copy(), taken.by.copy()
    rank = np.empty(len(found), np.int64)
    rank[np.argsort(-above, kind="stable")] = np.arange(len(found))
    one, other = found.one, found.other
    on = (found.iou > SAME_OBJECT) & (labels[one] != labels[other]) & (above[one] > -np.inf)
    on &= (above[other] > -np.inf) & (rank[other] < rank[one])
    one, other = one[on], other[on]
    fallen: set[int] = set()
    for at in np.lexsort((rank[other], rank[one])).tolist():  # best first, the best it lies on first
        row, better = int(one[at]), int(other[at])
        if row not in fallen and better not in fallen:
            fallen.add(row)
            factor[row], by[row] = min(factor[row], rest[row]), better
    return Suppressed(factor, by)


def _before(found: Pairs, labels: IntArray, order: IntArray) -> npt.NDArray[np.bool_]:
    """(M,): pairs whose other stands before the one in ``order`` and has its class."""
    place = np.full(len(found), len(found), np.int64)
    place[order] = np.arange(len(order))
    one, other = place[found.one], place[found.other]
    same = labels[found.one] == labels[found.other]
    return np.asarray(same & (other < one) & (one < len(found)))


def _largest(found: Pairs, values: FloatArray, by: IntArray) -> npt.NDArray[np.float64]:
    """(N,): the largest value of each row's pairs, 0 for none; the first row that has it goes into
    ``by``."""
    most = np.zeros(len(found))
    np.maximum.at(most, found.one, values)
    hit = np.flatnonzero((values > 0) & (values == most[found.one]))[::-1]  # the first is the last word
    by[found.one[hit]] = found.other[hit]
    return most


def _untouched(count: int) -> tuple[npt.NDArray[np.float64], IntArray]:
    return np.ones(count), np.full(count, -1, np.int64)
