"""Regions of many images that pass the decision rule, settled beside each other within their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bank.sizes import NEAR
from ..config import SuppressionOptions
from ..decision.candidates import best, room_of
from ..decision.settling import Rivals, beside, least_of, values_of
from ..records import ClassLimits
from ..scoring import Marks, accepted
from ..suppression import SAME_OBJECT, Pairs
from .lying import Neighbours
from .shelf import Shelf

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
MORE, SPARE = 2.0, 10
"""How many times as many regions of an image as pass, and how many more, overlaps are found of, as the
next ones may pass soon."""


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
    """All rows with their marks, and what decides. image (R,): of which image each row is; usual (C,):
    as for ``beside``; sure: rows that a person said are of a class.

    Only rows that pass before suppression are settled (``settling.beside`` says why that is enough),
    many images at once: rows of different images do not lie on each other, so none lowers another, and
    the order within an image stays what it is, as sorting is stable.
    """

    shelf: Shelf
    lying: Neighbours
    marks: Marks
    image: IntArray
    limits: Sequence[ClassLimits]
    usual: FloatArray
    options: SuppressionOptions
    sure: IntArray

    def rows(self) -> IntArray:
        """Rows that pass before suppression, ascending."""
        reach = np.flatnonzero(self.marks.score >= least_of(self.limits)[self.marks.label])
        return np.asarray(reach[accepted(self.marks.take(reach), self.limits)], np.int64)

    def settled(self, rows: IntArray) -> Settled:
        """What becomes of rows, ascending, all that pass of their images."""
        left, accepts = np.zeros(len(rows)), np.zeros(len(rows), bool)
        unsure = np.zeros(len(rows), bool)
        for part in self._parts(self.image[rows]):
            marks, rivals = self.marks.take(rows[part]), self._rivals(rows[part])
            taken, left[part] = beside(marks, rivals, self.limits, self.usual, self.options)
            accepts[part] = accepted(marks, self.limits, taken.factor)
            unsure[part] = self._unsure(marks, rivals, left[part])
        return Settled(rows, left, accepts, np.unique(self.image[rows[unsure]]))

    def crowded(self, done: Settled) -> IntArray:
        """Images in which so many regions score as much as some detection that not all detections may
        come to be candidates."""
        images = self.shelf.images
        room = np.full(len(images), np.iinfo(np.int64).max)
        large = np.flatnonzero(np.bincount(self.image) > self.options.max_masks).tolist()
        if not large:
            return np.zeros(0, np.int64)
        for i in large:
            room[i] = room_of(images[i].facts.counts("details"), self.options)
        lowest = np.full(len(images), np.inf)
        found = done.accepted
        np.minimum.at(lowest, self.image[done.rows[found]], done.left[found])
        above = self.marks.score >= lowest[self.image] - NEAR
        return np.flatnonzero(np.bincount(self.image[above], minlength=len(images)) > room)

    def _parts(self, image: IntArray) -> list[slice]:
        """All rows at once, or, with ``nms``, which looks at the cells of an image, and ``box_nms``,
        whose boxes would lie on those of other images, image by image."""
        if self.options.suppression not in ("nms", "box_nms"):
            return [slice(0, len(image))]
        cuts = [0, *(np.flatnonzero(np.diff(image)) + 1).tolist(), len(image)]
        return [slice(first, last) for first, last in pairwise(cuts) if last > first]

    def _rivals(self, rows: IntArray) -> Rivals:
        boxes, quality = (np.asarray(self.shelf.arrays[name][rows]) for name in ("boxes", "quality"))
        sure = np.flatnonzero(np.isin(rows, self.sure))
        if self.options.suppression == "nms":
            number = int(self.image[rows[0]])
            cells = self.lying.cells(number, rows - self.shelf.images[number].start)
            pairs = cells.pairs()
            return Rivals(boxes, quality, pairs, lambda: np.zeros(len(pairs.one)), cells, sure)
        count = np.bincount(self.image[rows], minlength=len(self.shelf.images))

        def near(image: int) -> IntArray:
            item = self.shelf.images[image]
            scores = self.marks.score[item.start : item.start + item.count]
            return best(scores, int(MORE * count[image]) + SPARE)

        known = self.lying.of(rows, self.image[rows], near)
        return Rivals(boxes, quality, known.pairs, lambda: known.alike, None, sure)

    def _unsure(self, marks: Marks, rivals: Rivals, left: FloatArray) -> BoolArray:
        """(N,): rows whose fate hangs on less than scores are sure to: they are as far as their least
        score, or as good as another that lies on them."""
        least, label, pairs = least_of(self.limits)[marks.label], marks.label, rivals.pairs
        same = label[pairs.one] == label[pairs.other]
        close = np.zeros(len(same), bool)
        if self.options.suppression != "diffusion":  # which ranks by quality, a given number
            close |= same & _as_good(values_of(rivals, marks, self.options), pairs)
        if self.options.class_overlap == "best":
            close |= (pairs.iou > SAME_OBJECT) & ~same & _as_good(left - least, pairs)
        made = np.abs(left - least) <= NEAR
        made[pairs.one[close]] = True
        return made


def unsure_rows(marks: Marks, limits: Sequence[ClassLimits], usual: FloatArray) -> IntArray:
    """Rows that pass or fail before suppression by less than scores are sure to."""
    least = least_of(limits)
    rows = np.flatnonzero(marks.score >= least.min() - NEAR)
    label, score = marks.label[rows], marks.score[rows]
    margin = np.asarray([item.min_margin for item in limits])[label]
    lead = np.asarray([item.class_margin for item in limits])[label]
    gap = marks.gap[rows]
    near = np.abs(score - usual[label]) <= NEAR
    near |= (np.abs(score - least[label]) <= NEAR) | (np.abs(marks.margin[rows] - margin) <= NEAR)
    near |= (gap <= NEAR) | ((lead > 0) & (np.abs(gap - lead) <= NEAR))
    return np.asarray(rows[near], np.int64)


def _as_good(values: FloatArray, pairs: Pairs) -> BoolArray:
    """(M,): pairs that may change places."""
    return np.asarray(np.abs(values[pairs.one] - values[pairs.other]) <= 2 * NEAR, bool)
