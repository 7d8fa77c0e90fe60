"""Regions of many images that pass the decision rule, settled beside each other within their images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import SuppressionOptions
from ..decision.candidates import best
from ..decision.settling import Rivals, beside, least_of, values_of
from ..records import ACCEPTED, ClassLimits
from ..scoring import Marks, decide
from ..suppression import SAME_OBJECT
from .lying import Known, Neighbours, side_by_side
from .shelf import Shelf

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
NEAR = 3e-6
"""Scores of one region that were added up in another order, and rounded, lie nearer than this."""
TOGETHER = 128
"""Rows of whole images that are settled at once: their pairs stay in the processor's cache."""
SPARE = 8
"""Regions beyond twice those that pass of which overlaps are found too, as they may pass next."""


@dataclass(frozen=True, slots=True)
class Settled:
    """P rows that pass before suppression. left (P,): final scores; accepted (P,); unsure: images in
    which two numbers lie too near to each other to say."""

    rows: IntArray
    left: FloatArray
    accepted: BoolArray
    unsure: IntArray

    def take(self, which: BoolArray) -> Settled:
        """Some of the rows."""
        return Settled(self.rows[which], self.left[which], self.accepted[which], self.unsure)


def joined(one: Settled, two: Settled) -> Settled:
    """Rows of both; what the second is unsure of."""
    return Settled(
        np.concatenate([one.rows, two.rows]),
        np.concatenate([one.left, two.left]),
        np.concatenate([one.accepted, two.accepted]),
        two.unsure,
    )


@dataclass(frozen=True, slots=True)
class Passing:
    """All rows with their marks, and what decides. image (R,): of which image each row is.

    Only rows that pass before suppression are settled (``settling.beside`` says why that is enough),
    many images at once: rows of different images do not lie on each other, so none lowers another, and
    the order within an image stays what it is, as sorting is stable.
    """

    shelf: Shelf
    lying: Neighbours
    marks: Marks
    image: IntArray
    limits: Sequence[ClassLimits]
    options: SuppressionOptions

    def rows(self) -> IntArray:
        """Rows that pass before suppression, ascending."""
        reach = np.flatnonzero(self.marks.score >= least_of(self.limits)[self.marks.label])
        reasons = decide(self.marks.take(reach), self.limits)
        passed = np.asarray([reason == ACCEPTED for reason in reasons], bool)
        return np.asarray(reach[passed], np.int64)

    def settled(self, rows: IntArray) -> Settled:
        """What becomes of rows, ascending, all that pass of their images."""
        left, accepted = np.zeros(len(rows)), np.zeros(len(rows), bool)
        unsure = np.zeros(len(rows), bool)
        boxes, quality = (np.asarray(self.shelf.arrays[name][rows]) for name in ("boxes", "quality"))
        for part in self._groups(self.image[rows]):
            marks = self.marks.take(rows[part])
            rivals = side_by_side(self._known(rows[part]), boxes[part], quality[part])
            _, left[part], reasons = beside(marks, rivals, self.limits, self.options)
            accepted[part] = [reason == ACCEPTED for reason in reasons]
            unsure[part] = self._unsure(marks, rivals, left[part])
        return Settled(rows, left, accepted, np.unique(self.image[rows[unsure]]))

    def crowded(self, done: Settled, room: IntArray) -> IntArray:
        """Images in which so many regions score as much as some that count that not all of them may
        come to be candidates. room (I,): how many each has at most."""
        count = np.bincount(self.image, minlength=len(room))
        if not (count > room).any():
            return np.zeros(0, np.int64)
        lowest = np.full(len(room), np.inf)
        np.minimum.at(lowest, self.image[done.rows], done.left)
        above = self.marks.score >= lowest[self.image] - NEAR
        return np.flatnonzero(np.bincount(self.image[above], minlength=len(room)) > room)

    def _groups(self, image: IntArray) -> Iterator[slice]:
        """Parts of whole images; with ``nms`` one each, which looks at the cells of an image."""
        most = 1 if self.options.suppression == "nms" else TOGETHER
        first = 0
        for last in (np.flatnonzero(np.diff(image)) + 1).tolist():
            if last - first >= most:
                yield slice(first, last)
                first = last
        if first < len(image):
            yield slice(first, len(image))

    def _known(self, rows: IntArray) -> list[Known]:
        image, covers = self.image[rows], self.options.suppression == "nms"
        cuts = np.flatnonzero(np.diff(image)) + 1
        found = []
        for part in np.split(rows, cuts):
            item = int(self.image[part[0]])
            start, count = self.shelf.images[item].start, self.shelf.images[item].count
            scores = self.marks.score[start : start + count]
            near = partial(best, scores, 2 * len(part) + SPARE)
            found.append(self.lying.of(item, part - start, covers, near))
        return found

    def _unsure(self, marks: Marks, rivals: Rivals, left: FloatArray) -> BoolArray:
        """(N,): rows whose fate hangs on less than scores are sure to: they are as far as their least
        score, or as good as another that lies on them."""
        least, label = least_of(self.limits)[marks.label], marks.label
        same = label[:, None] == label
        pairs = np.zeros(same.shape, bool)
        if self.options.suppression != "diffusion":  # which ranks by quality, a given number
            on = (rivals.lying.inside > 0) & same
            pairs |= (on | on.T) & _as_good(values_of(rivals, marks, self.options))
        if self.options.class_overlap == "best":
            pairs |= (rivals.lying.iou > SAME_OBJECT) & ~same & _as_good(left - least)
        np.fill_diagonal(pairs, False)
        return np.asarray(pairs.any(axis=1) | (np.abs(left - least) <= NEAR), bool)


def unsure_rows(marks: Marks, limits: Sequence[ClassLimits]) -> IntArray:
    """Rows that pass or fail before suppression by less than scores are sure to."""
    least = least_of(limits)
    rows = np.flatnonzero(marks.score >= least.min() - NEAR)
    label, score = marks.label[rows], marks.score[rows]
    margin = np.asarray([item.min_margin for item in limits])[label]
    lead = np.asarray([item.class_margin for item in limits])[label]
    gap = marks.gap[rows]
    near = (np.abs(score - least[label]) <= NEAR) | (np.abs(marks.margin[rows] - margin) <= NEAR)
    near |= (gap <= NEAR) | ((lead > 0) & (np.abs(gap - lead) <= NEAR))
    return np.asarray(rows[near], np.int64)


def _as_good(values: FloatArray) -> BoolArray:
    """(N, N): pairs that may change places."""
    return np.asarray(np.abs(values[:, None] - values) <= 2 * NEAR, bool)
