"""Drawn objects of annotation files (LabelMe, COCO) to masks."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import DAMAGE, ExemplarError
from ..masks import rle
from .coco import require_polygon

BoolArray = npt.NDArray[np.bool_]
Points = tuple[float, ...]
"""x0, y0, x1, y1, ... in pixels of the upright image."""


@dataclass(frozen=True, slots=True)
class Bitmap:
    """A base64 PNG whose top left pixel lies at (x, y)."""

    data: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """One object: the union of its polygons, boxes (x0, y0, x1, y1), encodings and bitmaps.

    size (H, W) of the image by its file; kind: the form that its mask came from, for the record.
    """

    size: tuple[int, int]
    kind: str
    polygons: tuple[Points, ...] = ()
    boxes: tuple[Points, ...] = ()
    encodings: tuple[dict[str, Any], ...] = ()
    bitmaps: tuple[Bitmap, ...] = ()


def paint(drawn: Drawn, size: tuple[int, int]) -> BoolArray:
    """The object as a mask (H, W). Raises ExemplarError where the sizes differ or a part is broken."""
    from pycocotools import mask as coco

    height, width = size
    if drawn.size != size:
        raise ExemplarError(
            f"its annotation is for {drawn.size[1]}x{drawn.size[0]}, the image is {width}x{height}.",
            "Annotate the image in its upright frame.",
        )
    mask = np.zeros(size, bool)
    polygons = [list(points) for points in drawn.polygons]
    try:
        for points in polygons:
            require_polygon(points, size)
        if polygons:
            mask |= coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)
        for code in drawn.encodings:
            mask |= _decode(code, size)
        for x0, y0, x1, y1 in drawn.boxes:
            rows = slice(max(0, round(min(y0, y1))), max(0, round(max(y0, y1))))
            mask[rows, max(0, round(min(x0, x1))) : max(0, round(max(x0, x1)))] = True
    except DAMAGE as error:
        raise ExemplarError(f"its annotation cannot be drawn ({error}).") from error
    for bitmap in drawn.bitmaps:
        _stamp(mask, bitmap)
    return mask


def circle(centre: Sequence[float], edge: Sequence[float]) -> Points:
    """A circle as a polygon of 64 corners. Raises ValueError for numbers that are not finite."""
    if not np.isfinite([*centre, *edge]).all():
        raise ValueError("a circle has no centre or no edge")
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    radius = float(np.hypot(edge[0] - centre[0], edge[1] - centre[1]))
    x, y = centre[0] + radius * np.cos(turn), centre[1] + radius * np.sin(turn)
    return tuple(np.stack([x, y], axis=1).ravel().tolist())


def _decode(code: dict[str, Any], size: tuple[int, int]) -> BoolArray:
    from pycocotools import mask as coco

    rle.require(code, size)
    packed = coco.frPyObjects(code, *size) if isinstance(code["counts"], list) else code
    decoded: BoolArray = coco.decode(packed).astype(bool)
    return decoded


def _stamp(mask: BoolArray, bitmap: Bitmap) -> None:
    try:
        data = base64.b64decode(bitmap.data, validate=True)
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.width > mask.shape[1] or image.height > mask.shape[0]:
                raise ExemplarError("its annotation has a bitmap larger than the image.")
            part = np.asarray(image.convert("L")) > 0
    except ExemplarError:
        raise
    except Exception as error:  # decoders raise many types on damaged files
        raise ExemplarError(f"its annotation has a broken bitmap ({error}).") from error
    y, x = max(0, bitmap.y), max(0, bitmap.x)
    room = mask[y : y + part.shape[0], x : x + part.shape[1]]
    room |= part[: room.shape[0], : room.shape[1]]
