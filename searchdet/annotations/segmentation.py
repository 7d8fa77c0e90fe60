"""Segmentations of COCO files in the one form that others read: lists of x, y, ... or one encoding."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .shapes import whole

Item = dict[str, Any]
_PRINTED = re.compile(r"b'[^']*'|b\"[^\"]*\"")
"""Bytes as Python prints them."""


def plain(shape: Any) -> list[Any] | Item | None:
    """A segmentation as it is documented, of any form that tools write; None where there is none.

    One polygon may stand without a list around it, and points as pairs; an encoding in a list of its
    own, with numbers as text. Raises ValueError or TypeError for what is no segmentation.
    """
    if not shape:
        return None
    if isinstance(shape, list) and len(shape) == 1 and isinstance(shape[0], Mapping):
        shape = shape[0]
    if isinstance(shape, Mapping):
        return _encoding(shape)
    if not isinstance(shape, list):
        raise ValueError(f"its segmentation is a {type(shape).__name__}, not polygons or an encoding")
    if any(isinstance(part, Mapping) for part in shape):
        raise ValueError("its segmentation is a list of encodings, of which there can be one")
    if not isinstance(shape[0], list) or _are_pairs(shape):
        shape = [shape]
    return [_flat(points) for points in shape]


def _are_pairs(points: Any) -> bool:
    """Whether it is a list of points: of lists of two numbers."""
    return all(
        isinstance(point, list) and len(point) == 2 and not any(isinstance(v, list) for v in point)
        for point in points
    )


def _flat(points: Any) -> Any:
    if isinstance(points, list) and points and _are_pairs(points):
        return [value for point in points for value in point]
    return points


def _encoding(shape: Mapping[str, Any]) -> Item:
    for name in ("size", "counts"):
        if name not in shape:
            raise ValueError(f"its encoding has no {name}")
    counts = shape["counts"]
    if isinstance(counts, list) and not all(type(n) is int for n in counts):
        counts = [whole(n) for n in counts]
    if isinstance(counts, str) and _PRINTED.fullmatch(counts):
        counts = counts[2:-1].replace("\\\\", "\\")
    return {**shape, "size": [whole(side) for side in shape["size"]], "counts": counts}
