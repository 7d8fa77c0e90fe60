"""LabelMe files beside images: every shape, or every group of shapes, is one object.

Shapes: polygon, rectangle, circle, mask; those that share a ``group_id`` are parts of one object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DAMAGE, ExemplarError
from .shapes import Bitmap, Drawn, circle

SUFFIX = ".json"
MAX_BYTES = 1 << 28


def read_labelme(path: Path) -> list[tuple[str, Drawn]]:
    """(label, object) of each shape or group, in the order of the file. Raises ExemplarError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ExemplarError(f"{path}: is larger than {MAX_BYTES >> 20} MiB.")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ExemplarError(
            f"{path}: cannot be read as LabelMe JSON ({error}).", "Save it again in LabelMe."
        ) from error
    try:
        return _objects(value)
    except DAMAGE as error:
        raise ExemplarError(
            f"{path}: is not a LabelMe file ({type(error).__name__}: {error}).",
            "It lies beside an image of the same name; save it again in LabelMe, or move it away.",
        ) from error


def _objects(value: Mapping[str, Any]) -> list[tuple[str, Drawn]]:
    size = (int(value["imageHeight"]), int(value["imageWidth"]))
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for number, shape in enumerate(value["shapes"]):
        group = shape.get("group_id")
        key = ("alone", number) if group is None else (str(shape["label"]), int(group))
        groups.setdefault(key, []).append(shape)
    return [(str(shapes[0]["label"]), _drawn(shapes, size)) for shapes in groups.values()]


def _drawn(shapes: list[Mapping[str, Any]], size: tuple[int, int]) -> Drawn:
    polygons, boxes, bitmaps = [], [], []
    for shape in shapes:
        kind = shape.get("shape_type") or "polygon"
        points = [(float(x), float(y)) for x, y in shape["points"]]
        if kind == "polygon":
            if len(points) < 3:
                raise ValueError("a polygon needs three points")
            polygons.append(tuple(v for point in points for v in point))
        elif kind == "rectangle":
            boxes.append((*points[0], *points[1]))
        elif kind == "circle":
            polygons.append(circle(points[0], points[1]))
        elif kind == "mask":
            bitmaps.append(Bitmap(str(shape["mask"]), round(points[0][0]), round(points[0][1])))
        else:
            raise ValueError(f"shape_type {kind!r} has no area")
    return Drawn(size, "labelme", tuple(polygons), tuple(boxes), (), tuple(bitmaps))
