"""A COCO ground truth, checked before it is used."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ..config import MOST_PIXELS
from ..errors import DAMAGE, UsageError
from ..masks import rle

LONGEST = 100_000
"""Pixels of the longest side of a box."""
FAR = 16
"""Long sides of an image, further than which no corner of a polygon may lie from its origin."""


class Truth:
    """A COCO ground truth, checked. parts: per class the file names it is annotated on (None: all)."""

    def __init__(self, dataset: Mapping[str, Any], parts: Mapping[str, Sequence[str]] | None = None):
        try:
            self._dataset = _checked(dataset)
        except DAMAGE as error:
            raise UsageError(
                f"the ground truth is no COCO file ({type(error).__name__}: {error}).",
                "Give a COCO file.",
            ) from error
        self.labels = tuple(item["name"] for item in self._dataset["categories"])
        self._category: dict[str, int] = {
            item["name"]: item["id"] for item in self._dataset["categories"]
        }
        self.names: dict[int, str] = {item["id"]: item["file_name"] for item in self._dataset["images"]}
        if len(self._category) != len(self.labels):
            raise UsageError("the ground truth has two categories of one name.")
        every = sorted(self.names)
        by_name = {name: number for number, name in self.names.items()}
        self.image_ids = dict.fromkeys(self.labels, every)
        for label, names in (parts or {}).items():
            if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
                raise UsageError(f"the images of class {label!r} are not a list of names.")
            missing = [name for name in names if name not in by_name]
            if label not in self._category or missing:
                what = f"image {missing[0]!r}" if missing else f"class {label!r}"
                raise UsageError(f"the ground truth has no {what}, which the images by class name.")
            self.image_ids[label] = sorted(by_name[name] for name in names)

    @property
    def has_masks(self) -> bool:
        """Whether every annotation has a mask."""
        found = self._dataset["annotations"]
        return bool(found) and all(item.get("segmentation") for item in found)

    def image_id(self, name: str) -> int | None:
        """The image whose file name is ``name``, or is its only image with that base name."""
        exact = [number for number, other in self.names.items() if other == name]
        if exact:
            return exact[0]
        base = name.rsplit("/", 1)[-1]
        close = [number for number, other in self.names.items() if other.rsplit("/", 1)[-1] == base]
        return close[0] if len(close) == 1 else None

    def only(self, image_ids: Iterable[int]) -> Truth:
        """The truth of some of its images."""
        chosen = set(image_ids)
        dataset = dict(self._dataset)
        dataset["images"] = [item for item in dataset["images"] if item["id"] in chosen]
        dataset["annotations"] = [a for a in dataset["annotations"] if a["image_id"] in chosen]
        parts = {
            label: [self.names[number] for number in numbers if number in chosen]
            for label, numbers in self.image_ids.items()
        }
        return Truth(dataset, parts)

    def require_masks(self) -> None:
        """Raise UsageError where a mask cannot be drawn; what draws masks does not notice it."""
        sizes = self.sizes()
        for item in self._dataset["annotations"]:
            try:
                require_shape(item["segmentation"], sizes[item["image_id"]])
            except DAMAGE as error:
                raise UsageError(
                    f"annotation {item['id']} of the ground truth has a mask that cannot be drawn "
                    f"({type(error).__name__}: {error})."
                ) from error

    def sizes(self) -> dict[int, tuple[int, int]]:
        """(H, W) of each image that says it."""
        found = [item for item in self._dataset["images"] if "height" in item and "width" in item]
        return {item["id"]: (item["height"], item["width"]) for item in found}

    def annotations(self) -> list[dict[str, Any]]:
        """The annotations, completed."""
        return list(self._dataset["annotations"])

    def coco(self) -> Any:
        """As a pycocotools object."""
        from pycocotools.coco import COCO

        made = COCO()
        made.dataset = self._dataset
        with redirect_stdout(io.StringIO()):
            made.createIndex()
        return made

    def category(self, label: str) -> int:
        return self._category[label]


def read_truth(path: Path, parts: Path | None = None) -> Truth:
    """A COCO file; parts: a JSON file of class name -> file names. Raises UsageError."""
    return Truth(_read_object(path), None if parts is None else _read_object(parts))


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: is not JSON ({error}).", "Give a COCO file.") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: holds no JSON object.", "Give a COCO file.")
    return value


def _checked(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with what pycocotools needs. Raises UsageError for anything but a COCO ground truth."""
    parts = ("images", "annotations", "categories")
    missing = [name for name in parts if not isinstance(dataset.get(name), list)]
    if missing:
        raise UsageError(f"the ground truth has no list {missing[0]!r}.", "Give a COCO file.")
    made: dict[str, Any] = {
        "info": {},
        "images": [_image(item) for item in dataset["images"]],
        "categories": [
            {**item, "id": _whole(item["id"]), "name": str(item["name"])}
            for item in dataset["categories"]
        ],
    }
    annotations = []
    for number, item in enumerate(dataset["annotations"], start=1):
        lacking = [name for name in ("image_id", "category_id", "bbox") if name not in item]
        if lacking:
            raise UsageError(f"annotation {number} of the ground truth has no {lacking[0]!r}.")
        annotations.append(_annotation(item) | {"id": number})
    return made | {"annotations": annotations}


def _image(item: Mapping[str, Any]) -> dict[str, Any]:
    sides = {name: _whole(item[name]) for name in ("height", "width") if item.get(name) is not None}
    rest = {name: value for name, value in item.items() if name not in ("height", "width")}
    return rest | sides | {"id": _whole(item["id"]), "file_name": str(item["file_name"])}


def _annotation(item: Mapping[str, Any]) -> dict[str, Any]:
    x, y, width, height = (_finite(value) for value in item["bbox"])
    if not (0 <= width <= LONGEST and 0 <= height <= LONGEST):
        raise ValueError(f"a box is {width} wide and {height} high")
    crowd = item.get("iscrowd") or 0
    if crowd not in (0, 1):
        raise ValueError(f"iscrowd is {crowd!r}")
    return {
        **item,
        "image_id": _whole(item["image_id"]),
        "category_id": _whole(item["category_id"]),
        "bbox": [x, y, width, height],
        "area": width * height,  # areas are all alike to us, but pycocotools passes over odd ones
        "iscrowd": int(crowd),
    }


def _whole(value: Any) -> int:
    if isinstance(value, bool) or int(value) != float(value):
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a number")
    return value


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
    if any(abs(_finite(value)) > FAR * max(size) for value in points):
        raise ValueError("a corner lies far outside the image")
