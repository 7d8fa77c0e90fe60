"""What is in a picture by the ground truth, and which candidates lie on it. Pure.

The page pairs both as COCO does, for the detections that it shows at the time: best score first, each
with the object of its class that it overlaps most and that is still free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..annotations import Notes, Photo, Truth
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
    """A ground truth, for records one by one. notes: take what is taken for granted of it."""

    truth: Truth
    notes: Notes

    @classmethod
    def of(cls, truth: Truth) -> Overlay:
        """Raises UsageError for masks that cannot be drawn."""
        if truth.has_masks:
            truth.require_masks()
        return cls(truth, Notes(error=UsageError))

    def annotated(self, record: ImageRecord, items: Sequence[Candidate]) -> Annotated | None:
        """What the truth says of a record's image; None where it does not have it. Raises UsageError
        where it has another size."""
        number = self.truth.image_id(record.image)
        if number is None:
            return None
        orientation = 1 if record.source is None else record.source.orientation
        photo = Photo((record.height, record.width), orientation)
        image, rows = self.truth.upright_image(number, photo, self.notes)
        known = self.truth.image_ids
        labels = tuple(name for name in record.classes if number in known.get(name, ()))
        by_id = {self.truth.category(name): name for name in labels}
        size = image["height"], image["width"]
        objects = tuple(
            self._object(row, by_id[row["category_id"]], size)
            for row in rows
            if row["category_id"] in by_id
        )
        return Annotated(labels, objects, tuple(_pairs(items, objects)))

    def _object(self, row: Mapping[str, Any], label: str, size: tuple[int, int]) -> Object:
        x, y, width, height = row["bbox"]
        mask = _code(row["segmentation"], size) if self.truth.has_masks else None
        return Object(label, (x, y, x + width, y + height), mask, bool(row["iscrowd"]))


def _code(shape: Any, size: tuple[int, int]) -> rle.Rle:
    """A segmentation as an encoding with text counts, as pycocotools makes it."""
    from pycocotools import mask as coco

    made = shape
    if isinstance(shape, list):
        made = coco.merge(coco.frPyObjects(shape, *size))
    elif isinstance(shape["counts"], list):
        made = coco.frPyObjects(dict(shape), *size)
    return rle.Rle(size=[int(made["size"][0]), int(made["size"][1])], counts=_text(made["counts"]))


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
