"""An annotation of a COCO file as a drawn object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .shapes import Drawn


def drawn_of(
    item: Mapping[str, Any], size: tuple[int, int] | None, reach: tuple[float, float]
) -> Drawn:
    """The mask of an annotation, else its box. size (H, W) of its image, None where the file does not
    say it; reach (y, x): the furthest point that is annotated on the image. Raises one of DAMAGE."""
    shape = item.get("segmentation")
    if isinstance(shape, list) and shape:
        polygons = tuple(tuple(float(v) for v in points) for points in shape)
        if any(len(points) < 6 or len(points) % 2 for points in polygons):
            raise ValueError("a polygon needs three points")
        return Drawn(size, "coco", polygons=polygons, reach=reach)
    if isinstance(shape, dict):
        return Drawn(_size(shape, size), "coco", encodings=(shape,), reach=reach)
    x, y, width, height = (float(v) for v in item["bbox"])
    return Drawn(size, "box", boxes=((x, y, x + width, y + height),), reach=reach)


def _size(shape: Mapping[str, Any], size: tuple[int, int] | None) -> tuple[int, int] | None:
    """The size (H, W) that an encoding is of: its own, which says the frame also where a tool has
    exchanged the image's."""
    own = shape["size"]
    height, width = int(own[0]), int(own[1])
    return (height, width) if size is None or size == (width, height) else size
