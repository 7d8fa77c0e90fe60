"""Near copies among very many masks, by their boxes and how full these are, without comparing pairs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
STEP = 0.12
"""Boxes whose sides differ by less than about this share of their size are near copies."""
FULLNESS = 0.15


def distinct(boxes: IntArray, areas: IntArray, step: float = STEP) -> tuple[IntArray, IntArray]:
    """(rows, copies): rows to keep, ascending, of near copies the first, and how many each stands for.
    boxes (N, 4) xyxy, areas (N,) pixels.

    Masks are near copies where size, place in units of size, and share of the box fall into one cell of
    a grid; a second grid, half a cell further, finds those that a border of the first one parts.
    """
    kept, copies = np.arange(len(boxes)), np.ones(len(boxes), np.int64)
    for shift in (0.0, 0.5):
        first, cell = _grouped(_cells(boxes[kept], areas[kept], step, shift))
        copies = np.bincount(cell, weights=copies, minlength=len(first)).astype(np.int64)
        kept = kept[first]
    return kept, copies


def _grouped(cells: IntArray) -> tuple[IntArray, IntArray]:
    """(first, group): the first row of each cell, ascending, and for each row its place there."""
    order = np.lexsort(cells.T[::-1])  # stable: the first of a cell stays first
    fresh = np.ones(len(order), bool)
    fresh[1:] = (cells[order[1:]] != cells[order[:-1]]).any(axis=1)
    heads = order[fresh]
    place = np.empty(len(heads), np.int64)
    place[np.argsort(heads)] = np.arange(len(heads))
    group = np.empty(len(order), np.int64)
    group[order] = place[np.cumsum(fresh) - 1]
    return np.sort(heads), group


def _cells(boxes: IntArray, areas: IntArray, step: float, shift: float) -> IntArray:
    sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    size = np.floor(np.log(sides) / np.log1p(step) + shift)
    unit = np.exp(size * np.log1p(step)) * step
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    place = np.floor(middle / np.maximum(unit, 0.5) + shift)
    full = np.floor(areas / sides.prod(axis=1) / FULLNESS + shift)
    return np.concatenate([size, place, full[:, None]], axis=1).astype(np.int64)
