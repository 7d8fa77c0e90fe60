"""What proposals reach of the truth: all that are described and scored, not only the candidates that a
record keeps. Noted while an image is searched, in a file of its own beside the record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..annotations import Notes, Photo
from ..errors import UsageError
from ..masks import rle
from ..output import Output
from ..proposals import Proposals
from ..proposals.rendering import rendered
from ..records import ImageRecord
from ..storage import places
from ..storage.cache import key_of
from ..storage.files import json_bytes
from .dataset import Item
from .judging import BoolArray, Row, mask_of
from .types import Task
from .watched import Seen

LEVELS = (0.5, 0.75)
LIKELY = 20
"""Proposals that are drawn at the size of the image to be compared with an object's mask: those that
overlap it most on the small copy where all are drawn."""
FOLDER = "reached"
FloatArray = npt.NDArray[np.float64]


class Reached:
    """By object the best IoU with any proposal of its image: of masks where the truth has them, else of
    boxes."""

    def __init__(self, task: Task, output: Output) -> None:
        self._truth, self._output = task.truth, output
        self._masks = task.truth.has_masks
        self._found: dict[int, list[float]] = {}

    def note(self, seen: Seen) -> None:
        """Write what the proposals of an image reach."""
        photo = Photo((seen.image.height, seen.image.width), seen.image.orientation)
        number, stored = self._objects(seen.name)
        _, rows = self._truth.upright_image(number, photo, Notes(error=UsageError))
        objects = [item for item in rows if not item["iscrowd"]]
        best = best_overlaps(seen.proposals, objects, self._masks)
        place = self._output.path(FOLDER, seen.name, ".json")
        places.write(place, json_bytes({"of": _digest(stored), "best": best}))

    def require(self, names: Sequence[str]) -> None:
        """Remove the records of which it is not known, as after a change of the truth: these images are
        searched again."""
        for name in names:
            path = self._output.path("records", name, ".json")
            if places.is_file(path) and self._read(name) is None:
                places.remove(path)

    def add(self, record: ImageRecord) -> None:
        """Count an image. One that failed has no proposals."""
        _, objects = self._objects(record.image)
        known = None if record.failed else self._read(record.image)
        for item, best in zip(objects, known or [0.0] * len(objects), strict=True):
            self._found.setdefault(item["category_id"], []).append(best)

    def recall(self, label: str) -> Row:
        """Share of the objects of a class that a proposal reaches; None without an object."""
        found = self._found.get(self._truth.category(label))
        reached = np.asarray(found or [])
        return {
            f"recall{round(level * 100)}": float((reached >= level).mean()) if found else None
            for level in LEVELS
        }

    def _objects(self, name: str) -> tuple[int, list[Item]]:
        """The id of an image, and its objects as the set has them. Raises UsageError for another."""
        number = self._truth.image_id(name)
        if number is None:
            raise UsageError(f"{self._truth.source} has no image {name!r}.")
        return number, [item for item in self._truth.of_image(number) if not item["iscrowd"]]

    def _read(self, name: str) -> list[float] | None:
        """What was noted of an image; None where nothing was, or of other objects."""
        _, objects = self._objects(name)
        try:
            value = json.loads(places.read(self._output.path(FOLDER, name, ".json")))
            best = [float(one) for one in value["best"]]
            return best if value["of"] == _digest(objects) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def best_overlaps(proposals: Proposals, objects: list[Item], masks: bool) -> list[float]:
    """For each annotation the best IoU with any proposal; masks: of masks, else of boxes."""
    if not objects or not len(proposals):
        return [0.0] * len(objects)
    if not masks:
        low, high = proposals.boxes[:, :2], proposals.boxes[:, 2:]
        ours = np.concatenate([low, high - low], axis=1).astype(float)
        return _best(ours, np.asarray([item["bbox"] for item in objects], float))
    truth = [mask_of(item, proposals.size) for item in objects]
    small = [rle.encode(_drawn(mask, proposals.mask_size)) for mask in truth]
    near = _ious(list(map(dict, proposals.rles)), list(map(dict, small)))
    likely = np.unique(np.argsort(-near, axis=0, kind="stable")[:LIKELY])
    drawn = rendered(proposals, likely).rles
    return _best(list(map(dict, drawn)), [dict(rle.encode(mask)) for mask in truth])


def _drawn(mask: BoolArray, size: tuple[int, int]) -> BoolArray:
    """A mask at the size (H, W) that proposals are drawn at: the cells that it covers by half."""
    if mask.shape == size:
        return mask
    shares = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(shares >= 0.5)


def _best(ours: Any, theirs: Any) -> list[float]:
    return [float(value) for value in _ious(ours, theirs).max(axis=0)]


def _ious(ours: Any, theirs: Any) -> FloatArray:
    """(N, M) of encodings, or of boxes x, y, width, height."""
    from pycocotools import mask as coco

    return np.asarray(coco.iou(ours, theirs, [0] * len(theirs)), float)


def _digest(objects: list[Item]) -> str:
    """Of what is compared: places and shapes, not their numbers in the file."""
    places: Any = [[item["bbox"], item.get("segmentation")] for item in objects]
    return key_of({"objects": places})
