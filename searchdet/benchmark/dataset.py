"""A COCO dataset as sets are made of: what of a file tasks need, with the file's own items."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..annotations.coco import read_object
from ..errors import UsageError

log = logging.getLogger(__name__)
Item = dict[str, Any]
"""An image, an annotation or a category, as a COCO file has it."""
FIELDS = {
    "images": ("id",),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}
"""What the items of a COCO file need to have here; the rest is checked with the truth."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Images, annotations and categories."""

    images: list[Item]
    annotations: list[Item]
    categories: list[Item]

    @property
    def labels(self) -> list[str]:
        """The names of its categories."""
        return [str(item["name"]) for item in self.categories]

    def to_json(self) -> dict[str, Any]:
        """As a COCO file."""
        return {name: getattr(self, name) for name in FIELDS}

    def of_classes(self, labels: Iterable[str]) -> Dataset:
        """Every image, with the annotations of some classes alone."""
        wanted = set(labels)
        kept = [item for item in self.categories if item["name"] in wanted]
        numbers = {item["id"] for item in kept}
        rows = [item for item in self.annotations if item["category_id"] in numbers]
        return replace(self, annotations=rows, categories=kept)

    def part(self, annotations: Sequence[Item], labels: Iterable[str]) -> Dataset:
        """These annotations alone, their images, and the categories of these names."""
        shown = {item["image_id"] for item in annotations}
        wanted = set(labels)
        images = [item for item in self.images if item["id"] in shown]
        kept = [item for item in self.categories if item["name"] in wanted]
        return Dataset(images, list(annotations), kept)

    def boxed(self) -> Dataset:
        """The same without masks."""
        return replace(self, annotations=[{**item, "segmentation": []} for item in self.annotations])


def dataset_of(path: Path) -> Dataset:
    """A COCO file, whose lists are there with what tasks are made by. Raises UsageError."""
    value = read_object(path)
    for name, fields in FIELDS.items():
        if not isinstance(value.get(name), list):
            raise UsageError(f"{path}: has no list {name!r}.", "It is not the file that is published.")
        for number, item in enumerate(value[name], start=1):
            if not isinstance(item, dict) or not all(field in item for field in fields):
                raise UsageError(
                    f"{path}: number {number} of its {name} has not all of {', '.join(fields)}.",
                    "It is not the file that is published.",
                )
    return Dataset(value["images"], _drawable(value["annotations"], path), value["categories"])


def _drawable(annotations: list[Item], path: Path) -> list[Item]:
    """Annotations without polygons of fewer than three points, which published files hold here and
    there, with a WARNING; one with nothing left is drawn as its box."""
    made, mended = [], 0
    for item in annotations:
        given = item.get("segmentation")
        if isinstance(given, list) and any(not _is_polygon(points) for points in given):
            x, y, width, height = item["bbox"]
            box = [x, y, x + width, y, x + width, y + height, x, y + height]
            kept = [points for points in given if _is_polygon(points)]
            made.append({**item, "segmentation": kept or [box]})
            mended += 1
        else:
            made.append(item)
    if mended:
        log.warning(
            "%s: %d annotations have polygons of fewer than three points, which are left out; one that "
            "has no other is drawn as its box.",
            path,
            mended,
        )
    return made


def _is_polygon(points: Any) -> bool:
    return isinstance(points, list) and len(points) >= 6 and len(points) % 2 == 0


def draw(dataset: Dataset, labels: Iterable[str], shots: int, seed: int) -> list[Item]:
    """Annotations of each class in an order that seed and class decide, the first of each image before
    the second ones; ``shots`` of them, so that more shots hold the fewer. Crowds are left out. Raises
    UsageError for a class without any; one with fewer than ``shots`` gives what it has."""
    names = {item["id"]: item["name"] for item in dataset.categories}
    of_class: dict[str, list[Item]] = {label: [] for label in labels}
    for item in dataset.annotations:
        label = names.get(item["category_id"])
        if label in of_class and not item.get("iscrowd"):
            of_class[label].append(item)
    made = []
    for label, items in of_class.items():
        if not items:
            raise UsageError(f"--classes: nothing is annotated as {label!r} where exemplars are from.")
        random.Random(f"{seed} {label}").shuffle(items)
        seen: dict[Any, int] = {}
        ranked: list[tuple[int, int, Item]] = []
        for item in items:
            seen[item["image_id"]] = turn = seen.get(item["image_id"], 0) + 1
            ranked.append((turn, len(ranked), item))
        made += [item for *_, item in sorted(ranked, key=lambda one: one[:2])[:shots]]
    return made
