"""How regions of an image lie on each other and how alike they are, remembered as far as it fits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..decision.settling import Rivals
from ..masks.coverage import Masks
from ..suppression import Overlaps, mutual, overlaps
from .shelf import Shelf

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
MOST_BYTES = 1 << 27
_NOTHING = Overlaps(np.zeros((1, 0), np.float32), np.zeros((1, 1)), np.zeros((1, 1)))
"""Of one region alone."""
Near = Callable[[], IntArray]
"""Rows of an image that may be asked for soon."""


@dataclass(frozen=True, slots=True)
class Known:
    """Regions of one image. rows (K,), ascending: which they are; alike (K, K): their cosines."""

    rows: IntArray
    lying: Overlaps
    alike: FloatArray

    @property
    def nbytes(self) -> int:
        parts = (self.lying.inside, self.lying.iou, self.lying.coverage, self.alike)
        return sum(part.nbytes for part in parts)

    def take(self, rows: IntArray) -> Known:
        """Some of the rows, ascending."""
        if len(rows) == len(self.rows):
            return self
        at = np.searchsorted(self.rows, rows)
        both = np.ix_(at, at)
        lying = Overlaps(self.lying.coverage[at], self.lying.inside[both], self.lying.iou[both])
        return Known(rows, lying, self.alike[both])

    def holds(self, rows: IntArray) -> bool:
        return bool(np.isin(rows, self.rows).all())


class Neighbours:
    """Overlaps of regions of a shelf. They depend on no exemplar, so they are found once, for the rows
    that are asked for and those near to them; those of images not asked for lately are forgotten."""

    def __init__(self, shelf: Shelf, most: int = MOST_BYTES) -> None:
        self._shelf, self._most, self._bytes = shelf, most, 0
        self._known: OrderedDict[tuple[int, bool], Known] = OrderedDict()

    def of(self, image: int, rows: IntArray, covers: bool, near: Near) -> Known:
        """Regions of one image; rows ascending. covers: with the cells that each covers."""
        if len(rows) == 1 and not covers:  # nothing lies on it
            return Known(rows, _NOTHING, np.ones((1, 1)))
        key = (image, covers)
        found = self._known.get(key)
        if found is None or not found.holds(rows):
            before = rows[:0] if found is None else found.rows
            self._bytes -= 0 if found is None else found.nbytes
            found = self._measured(image, np.unique(np.concatenate([before, rows, near()])), covers)
            self._known[key] = found
            self._bytes += found.nbytes
        self._known.move_to_end(key)
        self._forget()
        return found.take(rows)

    def _measured(self, image: int, rows: IntArray, covers: bool) -> Known:
        regions = self._shelf.regions(image, rows)
        found = regions.proposals
        lying = overlaps(Masks.of(found.rles, found.mask_size))
        if not covers:
            lying = Overlaps(lying.coverage[:, :0].copy(), lying.inside, lying.iou)
        return Known(rows, lying, mutual(regions.described.embedded.vectors))

    def _forget(self) -> None:
        while self._bytes > self._most and len(self._known) > 1:
            _, gone = self._known.popitem(last=False)
            self._bytes -= gone.nbytes


def side_by_side(parts: Sequence[Known], boxes: Float32Array, quality: Float32Array) -> Rivals:
    """Regions of several images, N of them, one image after another: those of different images do not
    lie on each other. boxes (N, 4), quality (N,). One image alone keeps the cells that it covers."""
    if len(parts) == 1:
        (only,) = parts
        return Rivals(boxes, quality, only.lying, lambda: only.alike)
    count = len(quality)
    inside, iou, alike = (np.zeros((count, count)) for _ in range(3))
    start = 0
    for part in parts:
        own = slice(start, start + len(part.rows))
        inside[own, own], iou[own, own] = part.lying.inside, part.lying.iou
        alike[own, own] = part.alike
        start = own.stop
    cells = np.zeros((count, 0), np.float32)
    return Rivals(boxes, quality, Overlaps(cells, inside, iou), lambda: alike)
