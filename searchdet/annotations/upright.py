"""COCO annotations from the stored frame of a photo with an EXIF rotation to the upright one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import DAMAGE, UsageError
from ..masks import rle
from .frames import Photo, turn_mask, turn_points
from .notes import EITHER, TURNED, Notes
from .shapes import decode, finite, misfit

Item = dict[str, Any]


def reaches(annotations: Iterable[Mapping[str, Any]]) -> Mapping[int, tuple[float, float]]:
    """(y, x) of the furthest annotated point of each image, by id; (0, 0) for any other."""
    found: dict[int, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for item in annotations:
        x, y, width, height = item["bbox"]
        last = found[item["image_id"]]
        found[item["image_id"]] = max(last[0], y + height), max(last[1], x + width)
    return found


def uprighted(
    image: Mapping[str, Any], rows: Sequence[Item], photo: Photo | None, source: str, notes: Notes
) -> tuple[Item, list[Item]]:
    """An image of a COCO file and its annotations in the frame of the upright photo, with its size;
    photo: None where nothing is known of it. Raises UsageError where the image is of neither frame."""
    size = (image["height"], image["width"]) if "height" in image else None
    reach = reaches(rows)[image["id"]]
    photo = photo or Photo(size or _least(reach))
    name = f"{image['file_name']!r} in {source}"
    fit = photo.fit(size, reach)
    if fit == "neither" and size is not None:
        error = misfit(size, photo, f"{name} is")
        raise UsageError(error.message, "Give a truth of these images, or records of its own.")
    if fit in ("stored", "either"):
        notes.add(TURNED if fit == "stored" else EITHER, name)
    made = {**image, "height": photo.size[0], "width": photo.size[1]}
    return made, [turned(item, photo) for item in rows] if fit == "stored" else list(rows)


def _least(reach: tuple[float, float]) -> tuple[int, int]:
    """The smallest size (H, W) of an image that holds all that is annotated on it."""
    return max(1, int(reach[0]) + 1), max(1, int(reach[1]) + 1)


def turned(item: Mapping[str, Any], photo: Photo) -> dict[str, Any]:
    """An annotation of the stored frame of a photo, upright. A segmentation that cannot be turned
    stays, to be refused where it is drawn."""
    x, y, width, height = item["bbox"]
    ends = turn_points((x, y, x + width, y + height), photo.stored, photo.orientation)
    left, top = min(ends[0::2]), min(ends[1::2])
    box = [left, top, max(ends[0::2]) - left, max(ends[1::2]) - top]
    made = {**item, "bbox": box}
    try:
        made["segmentation"] = _shape(item.get("segmentation"), photo)
    except DAMAGE:
        return made
    return made


def _shape(shape: Any, photo: Photo) -> Any:
    if not shape:
        return shape
    if isinstance(shape, Mapping):
        if list(shape["size"]) == list(photo.size) != list(photo.stored):
            return shape  # it says itself that it is upright
        return rle.encode(turn_mask(decode(shape, photo.stored), photo.orientation))
    return [
        list(turn_points(tuple(finite(v) for v in points), photo.stored, photo.orientation))
        for points in shape
    ]
