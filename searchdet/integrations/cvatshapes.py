"""Masks as CVAT has them: runs in a box, polygons, rectangles. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..masks import rle
from .answers import rings
from .predictor import Found

MASK, POLYGON, RECTANGLE = "mask", "polygon", "rectangle"
KINDS = (MASK, POLYGON, RECTANGLE)


def points_of(found: Found, kind: str) -> Sequence[Sequence[float]]:
    """What a shape of that kind has as its points, once for each part of a mask that is drawn as
    polygons."""
    if kind == MASK:
        return [mask_points(found)]
    if kind == RECTANGLE:
        return [list(found.box)]
    return [[float(value) for value in ring.ravel()] for ring in rings(found)]


def mask_points(found: Found) -> list[float]:
    """Lengths of runs along the rows of the mask's box, first of what is not the mask, then the first
    and the last column and row of the box: left, top, right, bottom."""
    window, (y, x) = rle.window(found.mask)
    flat = window.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.r_[0, edges, flat.size]).tolist()
    lead = [0] if flat[0] else []
    height, width = window.shape
    return [float(v) for v in (*lead, *lengths, x, y, x + width - 1, y + height - 1)]
