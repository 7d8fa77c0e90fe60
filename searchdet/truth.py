"""A COCO ground truth, checked before it is used."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from .errors import UsageError


class Truth:
    """A COCO ground truth, checked. parts: per class the file names it is annotated on (None: all)."""

    def __init__(self, dataset: Mapping[str, Any], parts: Mapping[str, Sequence[str]] | None = None):
        self._dataset = _checked(dataset)
        self.labels = tuple(str(item["name"]) for item in self._dataset["categories"])
        self._category = {str(item["name"]): int(item["id"]) for item in self._dataset["categories"]}
        self.names = {int(item["id"]): str(item["file_name"]) for item in self._dataset["images"]}
        if len(self._category) != len(self.labels):
            raise UsageError("the ground truth has two categories of one name.")
        every = sorted(self.names)
        by_name = {name: number for number, name in self.names.items()}
        self.image_ids = dict.fromkeys(self.labels, every)
        for label, names in (parts or {}).items():
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

    def sizes(self) -> dict[int, tuple[int, int]]:
        """(H, W) of each image that says it."""
        found = [item for item in self._dataset["images"] if "height" in item and "width" in item]
        return {int(item["id"]): (int(item["height"]), int(item["width"])) for item in found}

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
    except ValueError as error:
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
        "images": dataset["images"],
        "categories": dataset["categories"],
    }
    annotations = []
    for number, item in enumerate(dataset["annotations"], start=1):
        lacking = [name for name in ("image_id", "category_id", "bbox") if name not in item]
        if lacking:
            raise UsageError(f"annotation {number} of the ground truth has no {lacking[0]!r}.")
        area = item["bbox"][2] * item["bbox"][3]
        annotations.append({"area": area, "iscrowd": 0, **item, "id": number})
    return made | {"annotations": annotations}
