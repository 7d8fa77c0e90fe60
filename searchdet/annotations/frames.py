"""Photos with an EXIF rotation: which frame a drawing is of, and from the stored frame to the upright.

Sizes are (H, W) here. Points are in pixels from the top left corner, so 0 and W are both edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Size = tuple[int, int]
Fit = Literal["upright", "stored", "either", "neither"]
SIDEWAYS = 5
"""From this EXIF orientation on width and height are exchanged."""


@dataclass(frozen=True, slots=True)
class Photo:
    """What a drawing must fit: the upright size, and the EXIF orientation that led to it (1: none)."""

    size: Size
    orientation: int = 1

    @property
    def stored(self) -> Size:
        """The size before the rotation."""
        height, width = self.size
        return (width, height) if self.orientation >= SIDEWAYS else self.size

    @property
    def back(self) -> Photo:
        """The way from the upright frame to the stored one, as if that were a rotation of its own."""
        return Photo(self.stored, {6: 8, 8: 6}.get(self.orientation, self.orientation))

    def fit(self, drawn: Size | None, reach: tuple[float, float] = (0.0, 0.0)) -> Fit:
        """The frame of a drawing by its size; None for one that does not say it. reach: (y, x) of its
        furthest point, which shows sizes that a tool has exchanged."""
        if self.orientation == 1:
            return "upright" if drawn in (None, self.size) else "neither"
        if drawn is None or drawn == self.size == self.stored:
            return "either"
        if drawn == self.size:
            return "upright"
        if drawn != self.stored:
            return "neither"
        beyond = reach[0] > drawn[0] + 1 or reach[1] > drawn[1] + 1
        return "upright" if beyond else "stored"


def turn_mask(mask: BoolArray, orientation: int) -> BoolArray:
    """A mask of the stored frame (H, W), upright."""
    if orientation >= SIDEWAYS:
        mask = mask.T
    across, down = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    mask = mask[:, ::-1] if across else mask
    return np.ascontiguousarray(mask[::-1] if down else mask)


def turn_points(points: tuple[float, ...], stored: Size, orientation: int) -> tuple[float, ...]:
    """x0, y0, x1, y1, ... of the stored frame of that size, upright."""
    xs, ys = list(points[0::2]), list(points[1::2])
    height, width = stored
    if orientation >= SIDEWAYS:
        xs, ys, height, width = ys, xs, width, height
    if orientation in (2, 3, 6, 7):
        xs = [width - x for x in xs]
    if orientation in (3, 4, 7, 8):
        ys = [height - y for y in ys]
    return tuple(value for pair in zip(xs, ys, strict=True) for value in pair)
