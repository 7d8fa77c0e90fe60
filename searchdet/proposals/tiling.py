"""Tiles of a large image, and how what is found in them goes back into the image. Pure.

A mask that an inner edge of its tile cuts is dropped (the overlap, or the pass over the whole image,
has the target in one piece), and of one target found in several views the one from the smallest view
stays: so a target on a seam appears once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..masks import rle
from ..masks.rle import Rle
from .nms import prefer_small_views
from .rendering import rendered
from .types import Proposals

IntArray = npt.NDArray[np.int64]
EDGE = 2
"""A mask that comes this near to an inner edge of its tile, in pixels, is cut by it."""


@dataclass(frozen=True, slots=True)
class View:
    """A part of an image: pixels x0 to x1 and y0 to y1 (exclusive)."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def area(self) -> int:
        return (self.x1 - self.x0) * (self.y1 - self.y0)


def views(size: tuple[int, int], tile: int, overlap: float) -> list[View]:
    """The whole image, then, where it is larger than a tile, tiles of equal size that cover it and
    share at least ``overlap`` of their side. ``tile`` 0: the whole image alone."""
    height, width = size
    whole = View(0, 0, width, height)
    if tile == 0 or max(size) <= tile:
        return [whole]
    rows, columns = _starts(height, tile, overlap), _starts(width, tile, overlap)
    high, wide = min(tile, height), min(tile, width)
    return [whole, *(View(x, y, x + wide, y + high) for y in rows for x in columns)]


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    """Even starts; the last tile ends with the image."""
    if length <= tile:
        return [0]
    step = max(1, int(tile * (1 - overlap)))
    count = -(-(length - tile) // step) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def uncut(found: Proposals, view: View, size: tuple[int, int]) -> IntArray:
    """Rows of a view's proposals that no inner edge of the view cuts."""
    height, width = found.size
    x0, y0, x1, y1 = found.boxes.T
    cut = np.zeros(len(found), bool)
    cut |= (view.x0 > 0) & (x0 < EDGE)
    cut |= (view.y0 > 0) & (y0 < EDGE)
    cut |= (view.x1 < size[1]) & (x1 > width - EDGE)
    cut |= (view.y1 < size[0]) & (y1 > height - EDGE)
    return np.flatnonzero(~cut)


SUMMED = {"points_asked", "memory_retries", "unusual_parts"}
LARGEST = {"top_percent_millideviations"}
"""Details of the views that together are those of the image; others are as of the first."""


def join(parts: Sequence[tuple[View, Proposals]], size: tuple[int, int]) -> tuple[Proposals, IntArray]:
    """One list in image coordinates, best first, and for each row its row in the stacked parts."""
    quality = np.concatenate([found.quality for _, found in parts])
    shifts = [np.tile(np.asarray([v.x0, v.y0], np.float32), 2) for v, _ in parts]
    boxes = np.concatenate([f.boxes + shift for (_, f), shift in zip(parts, shifts, strict=True)])
    areas = np.repeat([view.area for view, _ in parts], [len(found) for _, found in parts])
    kept = prefer_small_views(boxes, areas)
    removed: Counter[str] = Counter(duplicate=len(boxes) - len(kept))
    for _, found in parts:
        removed.update(found.removed)
    rows = kept[np.argsort(-quality[kept], kind="stable")]
    chosen = _placed(parts, rows, size)
    details = dict(parts[0][1].details) | {"views": len(parts)}
    for names, join_all in ((SUMMED, sum), (LARGEST, max)):
        for name in names & details.keys():
            details[name] = join_all(found.details[name] for _, found in parts)
    return Proposals(size, rle.boxes(chosen), quality[rows], chosen, removed, details), rows


def _placed(
    parts: Sequence[tuple[View, Proposals]], rows: IntArray, size: tuple[int, int]
) -> tuple[Rle, ...]:
    """Masks at image size of rows of the stacked parts."""
    codes: dict[int, Rle] = {}
    start = 0
    for view, found in parts:
        mine = rows[(rows >= start) & (rows < start + len(found))]
        for row, code in zip(mine, rendered(found, mine - start).rles, strict=True):
            codes[int(row)] = rle.moved(code, (view.y0, view.x0), size)
        start += len(found)
    return tuple(codes[int(row)] for row in rows)
