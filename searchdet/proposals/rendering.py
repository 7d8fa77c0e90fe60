"""Masks that were drawn on a small copy, at the size of their image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..masks import rle
from ..masks.rle import Rle
from .types import Proposals

if TYPE_CHECKING:
    from .frame import Frame


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
    rles = tuple(_stretched(code, chosen.drawn, frame) for code in chosen.rles)
    return replace(chosen, boxes=rle.boxes(rles), rles=rles, drawn=None)


def _stretched(code: Rle, drawn: tuple[int, int], frame: Frame) -> Rle:
    """One mask at the size of the frame's image."""
    from .frame import crop_window, render

    window, corner = rle.window(code)
    if not window.size:
        return rle.encode_window(np.zeros((1, 1), bool), (0, 0), frame.size)
    mask, corner_there = render(crop_window(window, corner, frame), 0.5, frame)
    if mask.any():
        return rle.encode_window(mask, corner_there, frame.size)
    y, x = (int(n[len(n) // 2]) for n in np.nonzero(window))
    middle = [
        int((2 * at + 1) * n // (2 * m))
        for at, n, m in zip((corner[0] + y, corner[1] + x), frame.size, drawn, strict=True)
    ]
    return rle.encode_window(np.ones((1, 1), bool), (middle[0], middle[1]), frame.size)
