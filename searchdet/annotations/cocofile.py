"""The form of a COCO dataset: checked, completed, and with ids that are numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import DAMAGE, UsageError
from ..masks import rle
from .jsonfile import label_of
from .notes import BEYOND, DANGLING, NO_AREA, REPEATED, SAME_NAME, SHARES, Notes
from .segmentation import plain
from .shapes import finite, require_polygon, whole

LONGEST = 100_000
"""Pixels of the longest side of a box."""
ROUNDING = 2
"""Pixels by which a box may reach beyond its image: tools round and widen them."""
Item = dict[str, Any]


def checked(dataset: Mapping[str, Any], source: str, notes: Notes) -> Item:
    """A copy with what pycocotools needs. Raises UsageError for anything but a COCO ground truth.

    Ids may be text. Categories of one name are one, and so are images of one. A box that is missing is
    that of its segmentation; ``said`` is how messages call an annotation. source: what the file is
    called in them.
    """
    for name in ("images", "annotations", "categories"):
        if not isinstance(dataset.get(name), list):
            raise UsageError(f"{source} has no list {name!r}.", "Give a COCO file.")
    images = _Ids("file_name", source)
    classes = _Ids("name", source)
    made: Item = {"info": {}, "images": [], "categories": [], "annotations": []}
    for item in _each(dataset["images"], "image", source, _image):
        if images.add(item):
            made["images"].append(item)
    for item in _each(dataset["categories"], "category", source, _category):
        if classes.add(item):
            made["categories"].append(item)
        else:
            notes.add(SAME_NAME, f"{item['name']!r} in {source}")
    sizes = {item["id"]: (item["height"], item["width"]) for item in made["images"] if "height" in item}
    places = _once(dataset["annotations"], source, notes)
    rows = [dataset["annotations"][place] for place in places]
    for item in _each(rows, "annotation", source, _annotation, places):
        image, category = images.find(item["image_id"]), classes.find(item["category_id"])
        if image is None or category is None:
            lost = "image" if image is None else "category"
            notes.add(DANGLING, f"{item['said']} of {source}, of {lost} {item[f'{lost}_id']!r}")
            continue
        if not _has_area(item, sizes.get(image), source, notes):
            continue
        made["annotations"].append(item | {"image_id": image, "category_id": category})
    return made


@dataclass(slots=True)
class _Ids:
    """Ids of a file to numbers: whole ones from 0 on stay, others get negative ones. names: the field
    by which items are told apart."""

    names: str
    source: str
    taken: dict[object, int] = field(default_factory=dict)
    by_name: dict[str, int] = field(default_factory=dict)
    called: dict[int, str] = field(default_factory=dict)

    def add(self, item: Item) -> bool:
        """Give an item its number; False where another has its name, whose number it shares."""
        key, name = _key(item["id"]), item[self.names]
        if key in self.taken and self.called[self.taken[key]] != name:
            raise UsageError(
                f"{self.source} has the id {item['id']!r} twice: {self.called[self.taken[key]]!r} and "
                f"{name!r}.",
                "Give each an id of its own.",
            )
        if name in self.by_name:
            self.taken[key] = self.by_name[name]
            return False
        number = key if isinstance(key, int) and key >= 0 else -1 - len(self.taken)
        self.taken[key] = self.by_name[name] = item["id"] = number
        self.called[number] = name
        return True

    def find(self, value: object) -> int | None:
        """The number of an id; None for one that no item has."""
        return self.taken.get(_key(value))


def _key(value: object) -> int | str:
    """An id as a number, also where it is one written as text. Raises ValueError for no id."""
    try:
        return whole(value)
    except DAMAGE as error:
        if isinstance(value, str) and value:
            return value
        raise ValueError(f"{value!r:.60} is no id") from error


def _has_area(item: Item, size: tuple[int, int] | None, source: str, notes: Notes) -> bool:
    """Whether there is anything in the box of an annotation; notes boxes that are none in pixels of an
    image of that size (H, W)."""
    x, y, width, height = item["bbox"]
    said = f"{item['said']} of {source}"
    if not width or not height:
        notes.add(NO_AREA, said)
        return False
    if size is not None and (x + width > size[1] + ROUNDING or y + height > size[0] + ROUNDING):
        notes.add(BEYOND, said)
    if min(x, y) >= 0 and max(x + width, y + height) <= 1 and (size is None or max(size) > 1):
        notes.add(SHARES, said)
    return True


def _once(rows: list[Any], source: str, notes: Notes) -> list[int]:
    """Places of annotations, without those that stand there a second time, id and all."""
    seen: dict[str, Any] = {}
    kept = []
    for place, row in enumerate(rows):
        number = row.get("id") if isinstance(row, Mapping) else None
        key = repr(number) if isinstance(number, str | int | float) else ""
        if key and key in seen and seen[key] == row:
            notes.add(REPEATED, f"annotation {key:.40} of {source}")
            continue
        seen.setdefault(key, row)
        kept.append(place)
    return kept


def _each(
    rows: list[Any],
    what: str,
    source: str,
    read: Callable[[Mapping[str, Any]], Item],
    places: Sequence[int] | None = None,
) -> list[Item]:
    """Every item of a list, read. An annotation's number is its place in the file, from 1. Raises
    UsageError that names the first that cannot be."""
    made = []
    for place, row in zip(places or range(len(rows)), rows, strict=True):
        number = place + 1
        said = f"{what} {number}"
        try:
            if not isinstance(row, Mapping):
                raise ValueError("it is no object")
            if row.get("id") is not None and what == "annotation":
                said = f"{what} {row['id']!r:.40}"
            made.append(read(row) | ({"said": said, "id": number} if what == "annotation" else {}))
        except DAMAGE as error:
            why = f"has no {error}" if isinstance(error, KeyError) else f"cannot be used: {error}"
            raise UsageError(f"{said} of {source} {why}.", "Correct it, or remove it.") from error
    return made


def _category(item: Mapping[str, Any]) -> Item:
    return {**item, "id": _key(item["id"]), "name": label_of(item)}


def _image(item: Mapping[str, Any]) -> Item:
    rest = {name: value for name, value in item.items() if name not in ("height", "width")}
    sides = {name: whole(item[name]) for name in ("height", "width") if item.get(name)}
    size = sides if len(sides) == 2 else {}
    if item["file_name"] in (None, ""):
        raise KeyError("file_name")
    return rest | size | {"id": _key(item["id"]), "file_name": str(item["file_name"])}


def _annotation(item: Mapping[str, Any]) -> Item:
    shape = plain(item.get("segmentation"))
    box = item.get("bbox") or _box_of(shape)
    if box is None:
        raise KeyError("bbox")
    x, y, width, height = (finite(value) for value in box)
    if not (0 <= width <= LONGEST and 0 <= height <= LONGEST):
        raise ValueError(f"its box is {width} wide and {height} high")
    crowd = item.get("iscrowd") or 0
    if crowd not in (0, 1):
        raise ValueError(f"its iscrowd is {crowd!r:.60}")
    return {
        **item,
        "image_id": _id(item["image_id"]),
        "category_id": _id(item["category_id"]),
        "segmentation": shape,
        "bbox": [x, y, width, height],
        "area": width * height,  # areas are all alike to us, but pycocotools passes over odd ones
        "stated_area": _stated(item.get("area"), width * height),
        "iscrowd": int(crowd),
    }


def _stated(area: Any, box: float) -> float:
    """The area that a file says, which figures by size are of; that of the box where it says none."""
    known = isinstance(area, int | float) and math.isfinite(area) and area > 0
    return float(area) if known else box


def _id(value: object) -> object:
    _key(value)
    return value


def _box_of(shape: Any) -> list[float] | None:
    """The box of a segmentation; None without one. Raises one of DAMAGE for none that can be drawn."""
    if not shape:
        return None
    if isinstance(shape, Mapping):
        return box_of_code(shape)
    for points in shape:
        require_polygon(points, (LONGEST, LONGEST))
    xs = [x for points in shape for x in points[0::2]]
    ys = [y for points in shape for y in points[1::2]]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


def box_of_code(shape: Mapping[str, Any]) -> list[float]:
    """The box of an encoding, x, y, width, height. Raises one of DAMAGE for a broken one."""
    from pycocotools import mask as coco

    size = rle.require_size(shape["size"])
    rle.require(shape, size)
    packed = coco.frPyObjects(dict(shape), *size) if isinstance(shape["counts"], list) else dict(shape)
    return [float(value) for value in coco.toBbox(packed)]
