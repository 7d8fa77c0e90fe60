"""Which mask a person means by points. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..masks import rle
from ..masks.rle import Rle, Runs
from .predictor import Marks, Point


def under_points(masks: Sequence[Rle], marks: Marks) -> int | None:
    """The first of the masks that holds most points and none of those beside the object; None where
    none holds a point."""
    best, place = 0, None
    for i, code in enumerate(masks):
        found = rle.runs(code)
        if any(_holds(found, point) for point in marks.against):
            continue
        count = sum(_holds(found, point) for point in marks.points)
        if count > best:
            best, place = count, i
    return place


def _holds(found: Runs, point: Point) -> bool:
    x, y = int(point[0] // 1), int(point[1] // 1)
    return bool(((found.column == x) & (found.top <= y) & (y < found.bottom)).any())
