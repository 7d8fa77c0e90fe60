"""What was found, made ready for a protocol: fewer objects, and outlines with fewer corners. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ..masks import rle
from ..masks.polygons import Part, parts
from .predictor import Found

FloatArray = npt.NDArray[np.float64]


def only(found: Sequence[Found], labels: Collection[str]) -> list[Found]:
    """Those of the named classes; all where none is named."""
    return [item for item in found if not labels or item.label in labels]


def apart(found: Sequence[Found], overlap: float) -> list[Found]:
    """Without those whose mask has an IoU above ``overlap`` with a better one of its class."""
    from pycocotools import mask as coco

    kept: list[Found] = []
    for item in sorted(found, key=lambda one: -(one.score or 0.0)):
        mine = [other.mask for other in kept if other.label == item.label]
        if not mine or float(coco.iou([item.mask], mine, [0] * len(mine)).max()) <= overlap:
            kept.append(item)
    return kept


def rings(found: Found, fineness: float = 0.0) -> list[FloatArray]:
    """A polygon (n, 2) for each part of a mask, its holes cut out through slits of no width.

    fineness: share of the length of an outline that a simpler one may be off; 0: as exports draw it.
    """
    mask, corner = rle.window(found.mask)
    return [_simpler(part, fineness).ring for part in parts(mask, corner)]


def _simpler(part: Part, fineness: float) -> Part:
    if fineness <= 0:
        return part
    return Part(_fewer(part.outer, fineness), tuple(_fewer(hole, fineness) for hole in part.holes))


def _fewer(corners: FloatArray, fineness: float) -> FloatArray:
    """An outline with fewer corners; as it is where fewer than three would be left."""
    line = corners.astype(np.float32)[:, None]
    made = cv2.approxPolyDP(line, fineness * cv2.arcLength(line, True), True)[:, 0]
    return made.astype(np.float64) if len(made) >= 3 else corners
