"""Masks that were drawn on a small copy, at the size of their image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..masks import rle
from ..masks.rle import Rle
from .families import runs_of_windows, windows_of
from .types import BoolArray, Proposals

if TYPE_CHECKING:
    from .frame import Frame

Placed = tuple[BoolArray, tuple[int, int]]
"""A mask (h, w) and its corner (y, x)."""
_TOGETHER = 256
"""Masks whose pixels are held at once."""


def rendered(found: Proposals, rows: npt.NDArray[np.int64] | None = None) -> Proposals:
    """The chosen rows (None: all), in that order, with masks at image size and their exact boxes.

    Outlines are stretched smoothly (bilinear, at half). Rows never vanish: what would have no pixel
    left has one. An empty mask stays empty.
    """
    from .frame import make_stretch

    chosen = found if rows is None else found.take(rows)
    if chosen.drawn is None or chosen.drawn == chosen.size:
        return replace(chosen, drawn=None)
    frame = make_stretch(chosen.drawn, chosen.size)
    rles: list[Rle] = []
    for start in range(0, len(chosen), _TOGETHER):
        rles += _stretched(chosen.rles[start : start + _TOGETHER], chosen.drawn, frame)
    return replace(chosen, boxes=rle.boxes(rles), rles=tuple(rles), drawn=None)


def _stretched(codes: Sequence[Rle], drawn: tuple[int, int], frame: Frame) -> list[Rle]:
    """Masks at the size of the frame's image."""
    small = windows_of(rle.all_runs(codes), len(codes))
    placed = [_place(window, corner, drawn, frame) for window, corner in small]
    boxes = [(x, y, x + part.shape[1], y + part.shape[0]) for part, (y, x) in placed]
    runs = runs_of_windows([part for part, _ in placed], np.asarray(boxes, np.int64))
    return rle.from_runs(runs, len(codes), frame.size)


def _place(window: BoolArray, corner: tuple[int, int], drawn: tuple[int, int], frame: Frame) -> Placed:
    """One mask at the size of the frame's image."""
    from .frame import crop_window, render

    if not window.size:
        return np.zeros((1, 1), bool), (0, 0)
    mask, there = render(crop_window(window, corner, frame), 0.5, frame)
    if mask.any():
        return mask, there
    cell = (int(n[len(n) // 2]) for n in np.nonzero(window))
    middle = [
        (2 * (first + at) + 1) * pixels // (2 * cells)
        for first, at, pixels, cells in zip(corner, cell, frame.size, drawn, strict=True)
    ]
    return np.ones((1, 1), bool), (middle[0], middle[1])
