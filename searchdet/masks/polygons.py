"""Masks to polygons along the edges of their pixels, so that drawing them gives the masks. Pure.

Contours through pixel centres, as OpenCV gives them, lose half a pixel on every side and have no area
where a mask is one pixel wide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from .bridges import joined

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TOLERANCES = (1.0, 0.5, 0.3)
"""Pixels that a simpler outline may be off, tried in order; the exact outline comes last."""
LEAST_AGREEMENT = 0.99
"""Least IoU of a part drawn from its simpler outline with the part itself."""
OFF_MIDDLE = 0.05
"""Pixels that a corner lies off the middle of a pixel, where fillers round one way or the other, and a
file with few decimals decides which."""
FEW_CORNERS = 12
"""An outline of so few corners stays exact."""


@dataclass(frozen=True)
class Part:
    """One connected part of a mask (pixels that share a corner are connected).

    outer (n, 2) and holes (n, 2) each: x, y of the corners in pixels of the image; pixel (x, y) covers
    x to x + 1. n >= 3.
    """

    outer: FloatArray
    holes: tuple[FloatArray, ...] = ()

    @cached_property
    def ring(self) -> FloatArray:
        """One polygon (n, 2) of the part with no corner twice, its holes cut out through slits of no
        width."""
        return joined((self.outer, *self.holes))


def parts(mask: BoolArray, corner: tuple[int, int] = (0, 0)) -> tuple[Part, ...]:
    """The parts of a mask (H, W) whose top left pixel lies at ``corner`` (y, x) of the image, from top
    to bottom. Drawn, each agrees with what it stands for to an IoU of at least 0.99."""
    shift = np.asarray(corner[::-1], np.float64)
    return tuple(
        Part(part.outer + shift, tuple(hole + shift for hole in part.holes))
        for part in map(_simpler, _exact(mask))
    )


def outline(mask: BoolArray, corner: tuple[int, int] = (0, 0)) -> FloatArray:
    """A mask as ``parts`` takes it as one polygon (n, 2): parts and holes are joined by bridges of no
    width. Drawn, it agrees with the mask to an IoU of at least 0.99."""
    exact = _exact(mask)
    made = _all(map(_simpler, exact))
    if len(exact) > 1 and _likeness(made, mask) < LEAST_AGREEMENT:
        made = _all(exact)  # bridges between corners that lie within pixels cost some of these
    return made + np.asarray(corner[::-1], np.float64)


def _all(found: Iterable[Part]) -> FloatArray:
    return joined([ring for part in found for ring in (part.outer, *part.holes)])


def _exact(mask: BoolArray) -> tuple[Part, ...]:
    """The parts of a mask along the edges of its pixels, from top to bottom."""
    outer: dict[int, FloatArray] = {}
    holes: dict[int, list[FloatArray]] = {}
    traced = list(_loops(mask))
    labels = None
    if sum(not loop.hole for loop in traced) > 1:
        labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[1]
    for loop in traced:
        owner = 0 if labels is None else int(labels[loop.pixel])
        if loop.hole:
            holes.setdefault(owner, []).append(loop.corners)
        else:
            outer[owner] = loop.corners
    return tuple(Part(ring, tuple(holes.get(owner, ()))) for owner, ring in outer.items())


@dataclass(frozen=True, slots=True)
class _Loop:
    """A closed outline: corners (n, 2) x, y; whether it bounds a hole; a pixel (y, x) of its part."""

    corners: FloatArray
    hole: bool
    pixel: tuple[int, int]


def _loops(mask: BoolArray) -> Iterator[_Loop]:
    """Outlines of a mask, from top to bottom. Along a row of the corner grid two neighbouring corners
    are joined by an edge, then the next two, and likewise along a column: outlines alternate."""
    y, x, upright, below = _corners(mask)
    seen = bytearray(len(y))
    for left in range(0, len(y), 2):
        if seen[left]:
            continue
        hole = not below[left]
        node, walked = left + hole, []
        while not seen[node]:
            other = node ^ 1
            seen[node] = seen[other] = 1
            walked += [node, other]
            node = upright[other]
        corners = np.stack([x[walked], y[walked]], axis=1).astype(np.float64)
        yield _Loop(corners, hole, (int(y[left]) - hole, int(x[left])))


def _corners(mask: BoolArray) -> tuple[IntArray, IntArray, list[int], list[bool]]:
    """Corners row by row: y, x, the one at the other end of each one's upright edge, and whether the
    pixel below and right of it is in the mask. Where two pixels touch at a corner only, it counts
    twice, so that both pixels come to lie in one part."""
    around = np.pad(mask, 1).astype(np.int8)
    first, second = around[:-1, :-1], around[:-1, 1:]
    third, fourth = around[1:, :-1], around[1:, 1:]
    count = first + second + third + fourth
    touching = (count == 2) & (first == fourth)
    y, x = np.nonzero((count & 1).astype(bool) | touching)
    twice = touching[y, x]
    y, x = np.repeat(y, 1 + twice), np.repeat(x, 1 + twice)
    copy = np.r_[False, (y[1:] == y[:-1]) & (x[1:] == x[:-1])]
    # of a doubled corner the first copy ends the edge on its left, the second begins that on its right
    downward = touching[y, x] & (copy != fourth[y, x].astype(bool))
    order = np.lexsort((downward, y, x))
    upright = np.empty(len(y), np.int64)
    upright[order[0::2]], upright[order[1::2]] = order[1::2], order[0::2]
    return y, x, upright.tolist(), fourth[y, x].astype(bool).tolist()


def _simpler(part: Part) -> Part:
    """A part with fewer corners where it still agrees."""
    if max(len(part.outer), *map(len, part.holes), 0) <= FEW_CORNERS:
        return part
    exact = np.concatenate([part.outer, *(np.r_[part.outer[:1], h, h[:1]] for h in part.holes)])
    for tolerance in TOLERANCES:
        made = Part(
            _smoothed(part.outer, tolerance), tuple(_smoothed(hole, tolerance) for hole in part.holes)
        )
        if _agreement(made.ring, exact) >= LEAST_AGREEMENT:
            return made
    return part


def _smoothed(corners: FloatArray, tolerance: float) -> FloatArray:
    """An outline with the middles of its steps as corners, then with fewer of them.

    An edge is a step where the outline turns one way before it and the other way after it; the edges
    of a rectangle are none, so its corners stay.
    """
    if len(corners) <= FEW_CORNERS:
        return corners
    along = np.roll(corners, -1, axis=0) - corners
    before = np.roll(along, 1, axis=0)
    turn = np.sign(before[:, 0] * along[:, 1] - before[:, 1] * along[:, 0])
    step = turn != np.roll(turn, -1)
    kept = ~step | ~np.roll(step, 1)
    points = np.stack([corners, corners + along / 2], axis=1).reshape(-1, 2)
    chosen = points[np.stack([kept, step], axis=1).ravel()].astype(np.float32)
    made = cv2.approxPolyDP(chosen[:, None], tolerance, True)[:, 0].astype(np.float64)
    return made + OFF_MIDDLE * (made % 1 == 0.5) if len(made) >= 3 else corners


def _likeness(ring: FloatArray, mask: BoolArray) -> float:
    """IoU of a polygon, drawn, with a mask."""
    from pycocotools import mask as coco

    drawn = coco.frPyObjects([ring.ravel().tolist()], *mask.shape)
    return float(coco.iou(drawn, [coco.encode(np.asfortranarray(mask, np.uint8))], [0])[0, 0])


def _agreement(*compared: FloatArray) -> float:
    """IoU of two polygons, drawn. Those along the edges of pixels may have slits of any length."""
    from pycocotools import mask as coco

    low = np.floor(np.minimum(*(ring.min(axis=0) for ring in compared)))
    high = np.ceil(np.maximum(*(ring.max(axis=0) for ring in compared)))
    width, height = (high - low).astype(int).tolist()
    drawn = coco.frPyObjects([(ring - low).ravel().tolist() for ring in compared], height, width)
    return float(coco.iou(drawn[:1], drawn[1:], [0])[0, 0])
