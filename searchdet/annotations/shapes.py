"""Drawn objects of annotation files (LabelMe, COCO) to masks."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..config import MOST_PIXELS
from ..errors import DAMAGE, ExemplarError
from ..masks import rle
from .frames import Fit, Photo, turn_mask

BoolArray = npt.NDArray[np.bool_]
Points = tuple[float, ...]
"""x0, y0, x1, y1, ... in pixels of the annotated frame."""
AGAIN = "Draw it again, or remove it."
FAR = 16
"""Long sides of an image, further than which no corner of a polygon may lie from its origin."""


@dataclass(frozen=True, slots=True)
class Bitmap:
    """A base64 PNG whose top left pixel lies at (x, y)."""

    data: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """One object: the union of its polygons, boxes (x0, y0, x1, y1), encodings and bitmaps.

    size (H, W) of the image by its file, None where it does not say; kind: the form that its mask came
    from, for the record. reach (y, x): the furthest point that is annotated on the image.
    """

    size: tuple[int, int] | None
    kind: str
    polygons: tuple[Points, ...] = ()
    boxes: tuple[Points, ...] = ()
    encodings: tuple[Mapping[str, Any], ...] = ()
    bitmaps: tuple[Bitmap, ...] = ()
    reach: tuple[float, float] = (0.0, 0.0)


def paint(drawn: Drawn, size: tuple[int, int]) -> BoolArray:
    """The object as a mask (H, W) of an image without rotation. Raises as ``paint_upright``."""
    return paint_upright(drawn, Photo(size))[0]


def paint_upright(drawn: Drawn, photo: Photo) -> tuple[BoolArray, Fit]:
    """The object as a mask (H, W) of the upright photo, and which frame it was drawn in. Raises
    ExemplarError where the sizes differ or a part is broken."""
    fit = photo.fit(drawn.size, drawn.reach)
    if fit == "neither" and drawn.size is not None:
        raise misfit(drawn.size, photo)
    mask = _painted(drawn, photo.stored if fit == "stored" else photo.size)
    return (turn_mask(mask, photo.orientation) if fit == "stored" else mask), fit


def misfit(size: tuple[int, int], photo: Photo, what: str = "its annotation is for") -> ExemplarError:
    """The error for a drawing whose size is of neither frame of its photo."""
    text = f"{what} {size[1]}x{size[0]}, the image is {photo.size[1]}x{photo.size[0]}"
    if photo.stored != photo.size:
        text += f" ({photo.stored[1]}x{photo.stored[0]} before its EXIF rotation)"
    return ExemplarError(f"{text}.", "Annotate the image itself, at its full size.")


def _painted(drawn: Drawn, size: tuple[int, int]) -> BoolArray:
    from pycocotools import mask as coco

    mask = np.zeros(size, bool)
    polygons = [list(points) for points in drawn.polygons]
    try:
        for points in polygons:
            require_polygon(points, size)
        if polygons:
            mask |= coco.decode(coco.merge(coco.frPyObjects(polygons, *size))).astype(bool)
        for code in drawn.encodings:
            mask |= decode(code, size)
        for x0, y0, x1, y1 in drawn.boxes:
            rows = slice(max(0, round(min(y0, y1))), max(0, round(max(y0, y1))))
            mask[rows, max(0, round(min(x0, x1))) : max(0, round(max(x0, x1)))] = True
    except DAMAGE as error:
        raise ExemplarError(f"its annotation cannot be drawn ({error}).", AGAIN) from error
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


def decode(code: Mapping[str, Any], size: tuple[int, int]) -> BoolArray:
    """A COCO encoding, with counts as text or as numbers, as a mask. Raises one of DAMAGE."""
    from pycocotools import mask as coco

    rle.require(code, size)
    packed = coco.frPyObjects(dict(code), *size) if isinstance(code["counts"], list) else dict(code)
    decoded: BoolArray = coco.decode(packed).astype(bool)
    return decoded


def _stamp(mask: BoolArray, bitmap: Bitmap) -> None:
    try:
        data = base64.b64decode(bitmap.data, validate=True)
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.width > mask.shape[1] or image.height > mask.shape[0]:
                raise ExemplarError("its annotation has a bitmap larger than the image.", AGAIN)
            part = np.asarray(image.convert("L")) > 0
    except ExemplarError:
        raise
    except Exception as error:  # decoders raise many types on damaged files
        raise ExemplarError(f"its annotation has a broken bitmap ({error}).", AGAIN) from error
    part = part[max(0, -bitmap.y) :, max(0, -bitmap.x) :]  # what lies beyond the image is cut off
    y, x = max(0, bitmap.y), max(0, bitmap.x)
    room = mask[y : y + part.shape[0], x : x + part.shape[1]]
    room |= part[: room.shape[0], : room.shape[1]]


def require_shape(shape: Any, size: tuple[int, int]) -> None:
    """Raise ValueError, TypeError or KeyError for a segmentation that is none in an image of ``size``
    (H, W): the programs that draw one take any number for right, and run out of memory or worse."""
    if not 1 <= size[0] * size[1] <= MOST_PIXELS or min(size) < 1:
        raise ValueError(f"no image is of {size[1]}x{size[0]}")
    if isinstance(shape, dict):
        rle.require(shape, size)
        return
    for points in shape:
        require_polygon(points, size)


def require_polygon(points: Sequence[float], size: tuple[int, int]) -> None:
    """Raise ValueError or TypeError unless x0, y0, x1, ... are three corners or more, none of them far
    outside an image of ``size`` (H, W)."""
    if len(points) < 6 or len(points) % 2:
        raise ValueError("a polygon needs three points")
    if any(abs(finite(value)) > FAR * max(size) for value in points):
        raise ValueError("a corner lies far outside the image")


def finite(value: Any) -> float:
    """A number. Raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.60} is not a number")
    return value


def whole(value: Any) -> int:
    """A whole number, also one written as text. Raises ValueError or TypeError for anything else."""
    if isinstance(value, bool) or int(value) != float(value):
        raise ValueError(f"{value!r:.60} is not a whole number")
    return int(value)
