"""LabelMe files beside images, which X-AnyLabeling writes too: every shape, or every group of shapes,
is one object. Shapes that share a ``group_id`` are parts of one object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import DAMAGE, ExemplarError
from .jsonfile import label_of, read_json
from .notes import NO_AREA, Notes
from .shapes import Bitmap, Drawn, circle, finite, whole

SUFFIX = ".json"
MAX_BYTES = 1 << 28
OUTLINES = ("polygon", "oriented_rectangle", "rotation", "rotated_rectangle", "quadrilateral")
"""Shapes whose points are their corners."""
AREAS = (*OUTLINES, "rectangle", "circle", "mask")
Shape = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Object:
    """One object of a file. number: its place among the objects, from 1; said: how messages call it."""

    number: int
    label: str
    drawn: Drawn
    said: str


def read_labelme(path: Path) -> list[tuple[str, Drawn]]:
    """(label, object) of each shape or group with an area; others are told. Raises ExemplarError."""
    notes = Notes()
    found = [(item.label, item.drawn) for item in read_objects(path, notes)]
    notes.tell()
    return found


def read_objects(path: Path, notes: Notes) -> list[Object]:
    """The objects of a file, in its order; shapes without an area are left out and noted. Raises
    ExemplarError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ExemplarError(
                f"{path}: is larger than {MAX_BYTES >> 20} MiB.",
                "Save it without the image inside (imageData).",
            )
        value = read_json(path)
    except (OSError, ValueError) as error:
        raise ExemplarError(
            f"{path}: cannot be read as LabelMe JSON ({error}).", "Save it again in LabelMe."
        ) from error
    if not isinstance(value, dict) or not isinstance(value.get("shapes"), list):
        raise ExemplarError(
            f"{path}: is not a LabelMe file (it has no list of shapes).",
            "It lies beside an image of the same name; save it again in LabelMe, or move it away.",
        )
    return _objects(path, value, notes)


def _objects(path: Path, value: Mapping[str, Any], notes: Notes) -> list[Object]:
    try:
        size = _size(value)
    except DAMAGE as error:
        raise ExemplarError(
            f"{path}: its imageHeight or imageWidth is no size ({error}).",
            "Correct them, or remove them: then the image is measured.",
        ) from error
    groups: dict[object, list[tuple[str, Shape]]] = {}
    for number, shape in enumerate(value["shapes"], start=1):
        try:
            label, group = label_of(shape, "label"), shape.get("group_id")
        except DAMAGE as error:
            raise _unusable(f"{path}: shape {number}", error) from error
        key = ("alone", number) if group is None else (label, str(group))
        groups.setdefault(key, []).append(
            (f"{path}: shape {number} ({label!r}, {_kind(shape)})", shape)
        )
    found = []
    for number, parts in enumerate(groups.values(), start=1):
        for said, shape in parts:
            if _kind(shape) not in AREAS:
                notes.add(NO_AREA, said)
        areas = [(said, shape) for said, shape in parts if _kind(shape) in AREAS]
        if areas:
            label = label_of(areas[0][1], "label")
            found.append(Object(number, label, _drawn(areas, size), areas[0][0]))
    ends = [item.drawn.reach for item in found]
    reach = (max((y for y, _ in ends), default=0.0), max((x for _, x in ends), default=0.0))
    return [replace(item, drawn=replace(item.drawn, reach=reach)) for item in found]


def _size(value: Mapping[str, Any]) -> tuple[int, int] | None:
    """(H, W) that the file says its image has; None where it leaves one out."""
    sides = value.get("imageHeight"), value.get("imageWidth")
    return (whole(sides[0]), whole(sides[1])) if all(sides) else None


def _kind(shape: Shape) -> str:
    return str(shape.get("shape_type") or "polygon").lower()


def _drawn(areas: list[tuple[str, Shape]], size: tuple[int, int] | None) -> Drawn:
    polygons: list[tuple[float, ...]] = []
    boxes: list[tuple[float, ...]] = []
    bitmaps: list[Bitmap] = []
    for said, shape in areas:
        try:
            _put(shape, polygons, boxes, bitmaps)
        except DAMAGE as error:
            raise _unusable(said, error) from error
    flat = [value for points in (*polygons, *boxes) for value in points]
    reach = (max(flat[1::2], default=0.0), max(flat[0::2], default=0.0))
    box = len(boxes) == 1 and not polygons and not bitmaps
    return Drawn(
        size, "box" if box else "labelme", tuple(polygons), tuple(boxes), (), tuple(bitmaps), reach
    )


def _put(
    shape: Shape,
    polygons: list[tuple[float, ...]],
    boxes: list[tuple[float, ...]],
    bitmaps: list[Bitmap],
) -> None:
    """Add a shape with an area to those of its kind. Raises one of DAMAGE."""
    kind = _kind(shape)
    points = _points(shape["points"])
    if kind in OUTLINES:
        if len(points) < 3:
            raise ValueError("a polygon needs three points")
        polygons.append(tuple(v for point in points for v in point))
    elif kind == "rectangle":
        if len(points) < 2:
            raise ValueError("a rectangle needs two corners")
        xs, ys = zip(*points, strict=True)
        boxes.append((min(xs), min(ys), max(xs), max(ys)))
    elif kind == "circle":
        if len(points) < 2:
            raise ValueError("a circle needs its centre and a point of its edge")
        polygons.append(circle(points[0], points[1]))
    elif not points:
        raise ValueError("a bitmap needs its top left corner")
    else:
        x, y = (round(finite(value)) for value in points[0])
        bitmaps.append(Bitmap(_bitmap(shape), x, y))


def _points(points: Any) -> list[tuple[float, float]]:
    try:
        if any(isinstance(point, Mapping | str) for point in points):
            raise TypeError
        return [(float(x), float(y)) for x, y in points]
    except (TypeError, ValueError) as error:
        raise ValueError("its points are no pairs of numbers") from error


def _bitmap(shape: Shape) -> str:
    """The PNG of a bitmap as base64, which some write as an address of data."""
    if not isinstance(shape.get("mask"), str):
        raise ValueError("it has no mask, which is a PNG as base64")
    return str(shape["mask"]).removeprefix("data:image/png;base64,")


def _unusable(said: str, error: Exception) -> ExemplarError:
    why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
    return ExemplarError(f"{said} cannot be used ({why}).", "Draw it again, or remove it.")
