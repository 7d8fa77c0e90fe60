"""Which of the regions under a click a person means."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from ..proposals.nms import iou
from .board import Board

FloatArray = npt.NDArray[np.floating[Any]]
SPREAD = 0.12
"""How far from the middle of an object people click, as a share of its sides (standard deviation). With
0.05 to 0.22 the first region was the object about as often."""
FITS = 0.75
"""Overlap (IoU) of a drawn box and that of a region from which on the region is what was drawn."""
ALIKE = 0.05
"""Of regions that fit so nearly as well as the best the one of the best quality is taken."""
LARGE = 0.5
"""Share of the image from which on a region is hardly ever meant."""


def pointed(board: Board, image: int, x: float, y: float) -> list[int]:
    """Regions of an image whose mask holds the pixel (x, y), likeliest first (``meant``)."""
    rows = np.asarray(board.under(image, x, y), np.int64)
    item = board.shelf.images[image]
    boxes, quality = (
        np.asarray(board.shelf.arrays[name][item.start + rows], np.float64)
        for name in ("boxes", "quality")
    )
    likely = meant(boxes, quality, (x, y), (item.image.height, item.image.width))
    likely[~np.asarray(board.shelf.arrays["valid"][item.start + rows])] = -1  # no exemplar can be made
    return [int(row) for row in rows[np.argsort(-likely, kind="stable")]]


def filled(
    board: Board, image: int, box: tuple[float, float, float, float], wrong: Collection[int] = ()
) -> int | None:
    """The region of an image whose box is that which a person drew around an object, xyxy, as near as
    hands are; None where none is. wrong: regions that were said to be wrong, which a box over them is
    to mend."""
    item = board.shelf.images[image]
    own = slice(item.start, item.start + item.count)
    valid = np.array(board.shelf.arrays["valid"][own])
    valid[list(wrong)] = False
    overlap = iou(np.asarray(box, np.float32), np.asarray(board.shelf.arrays["boxes"][own]))
    overlap = np.where(valid, overlap, 0.0)
    least = max(FITS, overlap.max(initial=0) - ALIKE)
    fits = np.flatnonzero(overlap >= least)
    quality = np.asarray(board.shelf.arrays["quality"][own])[fits]
    return int(fits[quality.argmax()]) if len(fits) else None


def meant(
    boxes: FloatArray, quality: FloatArray, at: tuple[float, float], size: tuple[int, int]
) -> FloatArray:
    """(N,) how likely each region is what a click at ``at`` (x, y) in an image of ``size`` (height,
    width) means: its quality, less the further the click is from the middle of its box (N, 4), xyxy."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    away = (np.asarray(at) - (boxes[:, :2] + boxes[:, 2:]) / 2) / sides
    near = np.exp(-(away**2).sum(axis=1) / (2 * SPREAD**2))
    whole = sides.prod(axis=1) > LARGE * size[0] * size[1]
    return np.asarray(quality * near * np.where(whole, 1e-3, 1.0))
