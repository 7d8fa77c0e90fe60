"""All regions of many images under one judge after another, fast where little of the judge changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bank import Bank
from ..bank.file import require_space
from ..bank.sizes import NEAR
from ..config import ScoringOptions
from ..decision import Judge, judge_regions
from ..decision.candidates import compare
from ..masks import rle
from ..proposals.rendering import rendered
from ..records import ImageRecord
from ..scoring import Marks, Told, marks_of, scenes_of
from ..suppression import total_order
from .alike import Alike, owners
from .lying import Neighbours
from .passing import Passing, joined, unsure_rows
from .remembering import Remembering
from .shelf import Shelf
from .view import Found, View

IntArray = npt.NDArray[np.int64]
PART = 1 << 14
"""Rows that are marked at once."""
Accepted = tuple[IntArray, IntArray, npt.NDArray[Any]]
"""Rows of the shelf, labels, final scores."""


class Board:
    """The fast way to what ``Judge.record`` accepts, image by image.

    The regions and classes of ``view`` are those that ``record`` accepts, and scores differ by at most
    2e-6: they come from sums in another order, and are rounded to six digits. Where a number lies so
    near to a limit, or two so near to each other, that this could decide, the image is scored as
    ``record`` does it. Rules that look at more than prototypes are followed image by image, slowly.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._alike = Alike(shelf)
        self._lying = Neighbours(shelf)
        self._known = Remembering(shelf)

    def view(self, judge: Judge) -> View:
        """All regions under a judge; a second look is not taken. Raises ExemplarError for a bank of
        another space, and UsageError for rows that are damaged."""
        if judge.bank.space is not None:
            require_space(judge.bank, self.shelf.space, "the bank")
        if judge.bank.dim != self.shelf.space.dim:
            raise ValueError(f"the bank has dimension {judge.bank.dim}, not {self.shelf.space.dim}")
        scoring = judge.rule.scoring
        if not _quick(scoring):
            marks, images = _nothing(self.shelf.rows), np.arange(len(self.shelf.images))
            self._mark_exactly(judge, images, marks)
            nothing = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
            parts = [nothing, *(self._slowly(judge, i) for i in images.tolist())]
            return self._viewed(judge, marks, parts)
        return self._quickly(judge, self.shelf.ends)

    def prepare(self, bank: Bank, scoring: ScoringOptions) -> None:
        """Compare all regions with a bank, whose ``view`` is asked for next and then has less to do.
        Raises UsageError for rows that are damaged."""
        if bank.dim == self.shelf.space.dim and _quick(scoring):
            self._alike.with_bank(bank, scoring)

    def record(self, judge: Judge, image: int, also: Sequence[int] = ()) -> ImageRecord:
        """The record of one image, with all candidates, and with the regions ``also`` among them."""
        return judge.record(self.shelf.images[image].image, self.shelf.regions(image), also=also)

    def under(self, image: int, x: float, y: float) -> list[int]:
        """Regions of an image whose mask holds the pixel (x, y), smallest first."""
        item, column, row = self.shelf.images[image], math.floor(x), math.floor(y)
        own = slice(item.start, item.start + item.count)
        boxes = np.asarray(self.shelf.arrays["boxes"][own], np.float64)
        # boxes of masks that were drawn on a small copy lie within a pixel
        near = (boxes[:, :2] - 1 <= [column, row]).all(1) & (boxes[:, 2:] + 1 > [column, row]).all(1)
        rows = np.flatnonzero(near)
        found = []
        drawn = rendered(self.shelf.regions(image, rows).proposals)
        for number, code in zip(rows.tolist(), drawn.rles, strict=True):
            runs = rle.runs(code)
            if ((runs.column == column) & (runs.top <= row) & (row < runs.bottom)).any():
                found.append((rle.area(code), number))
        return [number for _, number in sorted(found)]

    def _quickly(self, judge: Judge, ends: IntArray) -> View:
        rule, image = judge.rule, owners(ends)
        told = self._known.told(judge.gathered.said, judge.bank)
        marks, unsure = self._marks(judge, ends, told)
        limits = rule.limits(judge.bank.classes)
        exact = np.union1d(image[unsure_rows(marks, limits, rule.usual_least)], unsure)
        self._mark_exactly(judge, exact, marks)
        passing = Passing(
            self.shelf,
            self._lying,
            marks,
            image,
            limits,
            rule.usual_least,
            rule.suppression,
            told.right,
        )
        done = passing.settled(passing.rows())
        again = np.setdiff1d(done.unsure, exact)
        if len(again):
            self._mark_exactly(judge, again, marks)
            rows = passing.rows()
            redone = passing.settled(rows[np.isin(image[rows], again)])
            done = joined(done.take(~np.isin(image[done.rows], again)), redone)
        crowded = passing.crowded(done)
        rows, left = done.rows, done.left
        kept = done.accepted & ~np.isin(image[rows], crowded)
        parts = [(rows[kept], marks.label[rows[kept]], left[kept])]
        return self._viewed(judge, marks, [*parts, *(self._slowly(judge, i) for i in crowded.tolist())])

    def _marks(self, judge: Judge, ends: IntArray, told: Told) -> tuple[Marks, IntArray]:
        """Of all rows, part by part on the cores that there are: a part stays in their caches. And
        images of which two candidates are too near to each other to say which is the best."""
        import torch

        common = self._alike.with_bank(judge.bank, judge.rule.scoring)
        limits = judge.rule.limits(judge.bank.classes)
        least = min(item.min_score for item in limits) - max(item.class_margin for item in limits)
        least -= NEAR

        def marked(images: slice) -> tuple[Marks, IntArray]:
            rows = slice(int(ends[images.start]), int(ends[images.stop]))
            alike, rule = common.part(rows), judge.rule
            own = ends[images.start : images.stop + 1] - rows.start
            _, unsure, totals = scenes_of(alike, rule.scoring, np.asarray(rule.usual), own, least)
            marks = marks_of(alike, totals, rule.scoring.ratio, told.within(rows))
            return marks, images.start + np.flatnonzero(unsure)

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            done = list(pool.map(marked, _together(ends)))
        if not done:
            return _nothing(0), np.zeros(0, np.int64)
        parts = zip(*(marks.parts() for marks, _ in done), strict=True)
        unsure = np.concatenate([images for _, images in done])
        return Marks(*(np.concatenate(column) for column in parts)), unsure

    def _mark_exactly(self, judge: Judge, images: IntArray, marks: Marks) -> None:
        """Put in the marks of some images as ``record`` makes them."""
        for i in images.tolist():
            item = self.shelf.images[i]
            told = self._known.image(i, judge.gathered.said, judge.bank)
            made = compare(self.shelf.regions(i), judge.bank, judge.rule, told)
            exact = made.marks(judge.rule.scoring)
            for known, part in zip(marks.parts(), exact.parts(), strict=True):
                known[item.start : item.start + item.count] = part

    def _slowly(self, judge: Judge, image: int) -> Accepted:
        """What ``record`` accepts."""
        bank, start = judge.bank, self.shelf.images[image].start
        told = self._known.image(image, judge.gathered.said, bank)
        made = judge_regions(self.shelf.regions(image), bank, judge.rule, told=told).candidates
        found = [item for item in made if item.accepted]
        rows = np.asarray([start + item.id for item in found], np.int64)
        label = np.asarray([bank.classes.index(str(item.label)) for item in found], np.int64)
        return rows, label, np.asarray([item.score for item in found], np.float64)

    def _viewed(self, judge: Judge, marks: Marks, parts: Sequence[Accepted]) -> View:
        rows, label, score = (np.concatenate(part) for part in zip(*parts, strict=True))
        ends = self.shelf.ends
        order = total_order(score, label, np.asarray(self.shelf.arrays["boxes"][rows]))
        image = np.searchsorted(ends, rows, side="right") - 1
        order = order[np.argsort(image[order], kind="stable")]
        found = Found(image[order], (rows - ends[image])[order], label[order], score[order])
        limits = tuple(judge.rule.limits(judge.bank.classes))
        return View(marks.label, marks.score, marks.gap, limits, found)


def _quick(scoring: ScoringOptions) -> bool:
    """Whether a rule looks at no more than prototypes and the nearest negative."""
    nearest = scoring.negative_quantile == 1 and not scoring.cross_negatives
    plain = scoring.pos_agg == "prototype" and scoring.centring == "none"
    return plain and nearest


def _together(ends: IntArray) -> list[slice]:
    """Images whose rows are worked on at once."""
    cuts, last = [0], len(ends) - 1
    while cuts[-1] < last:
        stop = int(np.searchsorted(ends, ends[cuts[-1]] + PART, side="right")) - 1
        cuts.append(min(max(stop, cuts[-1] + 1), last))
    return [slice(first, stop) for first, stop in pairwise(cuts)]


def _nothing(rows: int) -> Marks:
    """Marks to be filled in."""
    score, margin, gap = (np.full(rows, np.nan) for _ in range(3))
    return Marks(np.zeros(rows, bool), np.full(rows, -1, np.int64), score, margin, gap)
