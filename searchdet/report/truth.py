"""What is in a picture by the ground truth, and which candidates lie on it. Pure.

The page pairs both as COCO does, for the detections that it shows at the time: best score first, each
with the object of its class that it overlaps most and that is still free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..annotations import Truth
from ..errors import UsageError
from ..masks import rle
from ..records import Candidate, ImageRecord

LEAST_IOU = 0.5
"""Overlap from which on a candidate can be right."""


@dataclass(frozen=True, slots=True)
class Object:
    """An annotated object. box: xyxy; mask: None where the truth has boxes only; crowd: what lies on it
    is neither right nor wrong."""

    label: str
    box: tuple[float, float, float, float]
    mask: rle.Rle | None
    crowd: bool


@dataclass(frozen=True, slots=True)
class Annotated:
    """An image in the truth. labels: the classes that it is annotated for; pairs: place of a candidate,
    place of an object of its class, and their overlap."""

    labels: tuple[str, ...]
    objects: tuple[Object, ...]
    pairs: tuple[tuple[int, int, float], ...]


@dataclass(frozen=True, slots=True)
class Overlay:
    """A ground truth, for records one by one."""

    truth: Truth
    coco: Any

    @classmethod
    def of(cls, truth: Truth) -> Overlay:
        """Raises UsageError for masks that cannot be drawn."""
        if truth.has_masks:
            truth.require_masks()
        return cls(truth, truth.coco())

    def annotated(self, record: ImageRecord, items: Sequence[Candidate]) -> Annotated | None:
        """What the truth says of a record's image; None where it does not have it. Raises UsageError
        where it has another size."""
        number = self.truth.image_id(record.image)
        if number is None:
            return None
        size = self.truth.sizes().get(number, (record.height, record.width))
        if size != (record.height, record.width):
            raise UsageError(
                f"{record.image}: is {record.width}x{record.height}, and {size[1]}x{size[0]} in the "
                "ground truth.",
                "Give the ground truth of these images.",
            )
        known = self.truth.image_ids
        labels = tuple(name for name in record.classes if number in known.get(name, ()))
        objects = self._objects(number, labels)
        return Annotated(labels, objects, tuple(_pairs(items, objects)))

    def _objects(self, number: int, labels: tuple[str, ...]) -> tuple[Object, ...]:
        by_id = {self.truth.category(name): name for name in labels}
        ids = self.coco.getAnnIds(imgIds=[number])
        found = [item for item in self.coco.loadAnns(ids) if item["category_id"] in by_id]
        return tuple(self._object(item, by_id[item["category_id"]]) for item in found)

    def _object(self, item: Mapping[str, Any], label: str) -> Object:
        x, y, width, height = item["bbox"]
        mask = None
        if self.truth.has_masks:
            drawn = self.coco.annToRLE(item)
            height_, width_ = drawn["size"]
            mask = rle.Rle(size=[height_, width_], counts=_text(drawn["counts"]))
        return Object(label, (x, y, x + width, y + height), mask, bool(item["iscrowd"]))


def _pairs(items: Sequence[Candidate], objects: Sequence[Object]) -> list[tuple[int, int, float]]:
    from pycocotools import mask as coco

    found = []
    for label in {item.label for item in objects}:
        mine = [i for i, item in enumerate(items) if item.label == label]
        there = [k for k, item in enumerate(objects) if item.label == label]
        if not mine:
            continue
        crowd = [int(objects[k].crowd) for k in there]
        if all(objects[k].mask is not None for k in there):
            sides = [[items[i].segmentation for i in mine], [objects[k].mask for k in there]]
        else:
            sides = [_xywh([items[i].bbox for i in mine]), _xywh([objects[k].box for k in there])]
        overlap = np.asarray(coco.iou(*sides, crowd))
        for a, b in np.argwhere(overlap >= LEAST_IOU).tolist():
            found.append((mine[a], there[b], float(overlap[a, b])))
    return sorted(found)


def _xywh(boxes: Sequence[tuple[float, float, float, float]]) -> Any:
    corners = np.asarray(boxes, np.float64)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _text(counts: str | bytes) -> str:
    return counts.decode("ascii") if isinstance(counts, bytes) else counts
