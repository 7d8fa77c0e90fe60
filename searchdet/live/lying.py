"""Which regions of an image lie on each other, and how alike these are; remembered if it fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..index.blocks import let_go
from ..masks.coverage import Masks
from ..suppression import Overlaps, Pairs, mutual, overlaps
from .shelf import Shelf

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
MOST_PAIRS = 3_000_000
"""That are remembered; each takes 40 bytes."""
TOGETHER = 64
"""Images whose mapped rows are in memory together."""
Near = Callable[[int], IntArray]
"""Number of an image -> rows of it that may be asked for soon."""


@dataclass(frozen=True, slots=True)
class Lying:
    """Pairs of regions, by the rows of the shelf. alike (M,): cosines of the two."""

    pairs: Pairs
    alike: FloatArray

    def among(self, rows: IntArray, every: int) -> Lying:
        """Pairs of two of the rows (N,), ascending, by their places there. every: how many rows the
        shelf has."""
        asked, place = np.zeros(every, bool), np.empty(every, np.int64)
        asked[rows], place[rows] = True, np.arange(len(rows))
        pairs = self.pairs
        on = np.flatnonzero(asked[pairs.one] & asked[pairs.other])
        one, other = place[pairs.one[on]], place[pairs.other[on]]
        found = Pairs(len(rows), one, other, pairs.inside[on], pairs.iou[on])
        return Lying(found, self.alike[on])


def joined(parts: list[Lying], every: int) -> Lying:
    """The pairs of images one after another."""
    none, nothing = np.zeros(0, np.int64), np.zeros(0)
    pairs = [part.pairs for part in parts]
    return Lying(
        Pairs(
            every,
            np.concatenate([none, *(item.one for item in pairs)]),
            np.concatenate([none, *(item.other for item in pairs)]),
            np.concatenate([nothing, *(item.inside for item in pairs)]),
            np.concatenate([nothing, *(item.iou for item in pairs)]),
        ),
        np.concatenate([nothing, *(part.alike for part in parts)]),
    )


class Neighbours:
    """Pairs of regions of a shelf. They depend on no exemplar, so they are found once: of the rows that
    are asked for, and of those that may be next. Where too many are known, all are forgotten."""

    def __init__(self, shelf: Shelf, most: int = MOST_PAIRS) -> None:
        self._shelf, self._most = shelf, most
        self._known: BoolArray = np.zeros(0, bool)
        self._parts: dict[int, Lying] = {}
        self._whole = joined([], 0)

    def of(self, rows: IntArray, image: IntArray, near: Near) -> Lying:
        """Pairs among rows, ascending. image (N,): which they are of."""
        every = self._shelf.rows
        self._known = np.concatenate([self._known, np.zeros(every - len(self._known), bool)])
        new = np.unique(image[~self._known[rows]]).tolist()
        if new and len(self._whole.alike) > self._most:
            self._forget()
            return self.of(rows, image, near)
        for done, number in enumerate(new):
            if done % TOGETHER == TOGETHER - 1:
                self._let_go()
            first, count = self._shelf.images[number].start, self._shelf.images[number].count
            before = np.flatnonzero(self._known[first : first + count])
            asked = rows[np.searchsorted(image, number) : np.searchsorted(image, number, "right")]
            wanted = np.unique(np.concatenate([before, asked - first, near(number)]))
            self._parts[number] = self._measured(number, wanted)
            self._known[first + wanted] = True
        if new:
            self._let_go()
            self._whole = joined([self._parts[number] for number in sorted(self._parts)], every)
        return self._whole.among(rows, every)

    def cells(self, image: int, rows: IntArray) -> Overlaps:
        """How rows of an image, by their number in it, lie on each other; not remembered."""
        found = self._shelf.regions(image, rows).proposals
        return overlaps(Masks.of(found.rles, found.mask_size))

    def _measured(self, image: int, rows: IntArray) -> Lying:
        regions = self._shelf.regions(image, rows)
        found = regions.proposals
        pairs = overlaps(Masks.of(found.rles, found.mask_size)).pairs()
        alike = mutual(regions.described.embedded.vectors, pairs)
        place = self._shelf.images[image].start + rows
        moved = Pairs(len(rows), place[pairs.one], place[pairs.other], pairs.inside, pairs.iou)
        return Lying(moved, alike)

    def _let_go(self) -> None:
        """Of mapped files what is not looked at again: masks, and what is unpacked with them."""
        for name in ("contexts", "counts"):
            let_go(self._shelf.arrays[name])

    def _forget(self) -> None:
        self._known = np.zeros(0, bool)
        self._parts = {}
        self._whole = joined([], 0)
