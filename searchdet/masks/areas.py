"""How much of an image masks cover. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .rle import Rle

_AT_ONCE = 200
"""Masks whose area is asked for at once: pycocotools 2.0 counts them in a byte."""


def areas(rles: Sequence[Rle], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Pixels (N,) of an image of ``size`` (H, W) that each mask covers; where masks of one image are
    drawn at another size, about so many."""
    from pycocotools import mask as coco

    if not rles:
        return np.zeros(0)
    rows, columns = rles[0]["size"]
    parts = [coco.area(list(rles[i : i + _AT_ONCE])) for i in range(0, len(rles), _AT_ONCE)]
    return np.concatenate(parts).astype(np.float64) * (size[0] * size[1] / max(rows * columns, 1))
