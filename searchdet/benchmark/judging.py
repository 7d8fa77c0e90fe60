"""Records of one task to its figures: a judge takes them one by one, and keeps what figures need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..annotations import Notes, Photo
from ..annotations.drawn import drawn_of
from ..annotations.jsonfile import label as as_label
from ..annotations.shapes import paint
from ..errors import UsageError
from ..evaluation import anomaly
from ..evaluation.metrics import Found
from ..evaluation.protocol import average_precision, false_per_absent, strongest
from ..evaluation.segmentation import Overlap
from ..masks import rle
from ..records import SUPPRESSED, ImageRecord
from .dataset import Item
from .maps import Scored, of_regions
from .types import ANOMALY, Task

Row = dict[str, float | None]
BoolArray = npt.NDArray[np.bool_]
FAILED = float(np.finfo(np.float32).min)
"""The score of an image that failed: below any other."""


class Judge(Protocol):
    """Takes the record of each image of a task once."""

    def add(self, record: ImageRecord) -> None: ...

    def rows(self) -> dict[str, Row]:
        """Figures by class, or by the one row of the task."""
        ...


@dataclass(slots=True)
class Seen:
    """The truth of each image in the frame of its photo."""

    task: Task
    photos: dict[int, Photo] = field(default_factory=dict)
    notes: Notes = field(default_factory=lambda: Notes(error=UsageError))

    def add(self, record: ImageRecord) -> tuple[int, list[Item]]:
        """The id of an image, and its annotations, upright. Raises UsageError for another one."""
        number = self.task.truth.image_id(record.image)
        if number is None:
            raise UsageError(f"{self.task.truth.source} has no image {record.image!r}.")
        photo = None
        if record.source is not None:
            photo = Photo((record.height, record.width), record.source.orientation)
            self.photos[number] = photo
        _, rows = self.task.truth.upright_image(number, photo, self.notes)
        return number, rows


def mask_of(item: Mapping[str, Any], size: tuple[int, int]) -> BoolArray:
    """The mask (H, W) of an annotation on an upright image of that size."""
    return paint(drawn_of(item, size, (0.0, 0.0)), size)


class Detection:
    """AP by size, and detections an image that does not show the class; ``lvis`` on the images that are
    annotated, and AP of masks too."""

    def __init__(self, task: Task, most: int, kinds: tuple[str, ...] = ("bbox",)) -> None:
        self._seen, self._most, self._kinds = Seen(task), most, kinds
        self._found: list[Found] = []
        self._accepted: list[Found] = []

    def add(self, record: ImageRecord) -> None:
        """Keep the strongest candidates, and those that are accepted."""
        number, _ = self._seen.add(record)
        found = [
            Found(number, as_label(c.label), c.score, c.bbox, c.segmentation, c.accepted)
            for c in record.candidates
            if c.label is not None and c.score is not None and c.reason != SUPPRESSED
        ]
        self._found += strongest(found, self._most)
        self._accepted += [item for item in found if item.accepted]

    def rows(self) -> dict[str, Row]:
        """A row a class."""
        task, seen = self._seen.task, self._seen
        seen.notes.tell()
        truth = task.truth.upright(seen.photos, Notes(error=UsageError))
        made: dict[str, Row] = {label: {} for label in truth.labels}
        for kind in self._kinds:
            prefix = "mask " if kind == "segm" else ""
            if kind == "segm":
                truth.require_masks()
            found = average_precision(truth, self._found, kind, self._most, task.federated)
            for label, row in found.items():
                made[label] |= {f"{prefix}{name}": value for name, value in row.items()}
        alarms = false_per_absent(truth, self._accepted, task.federated)
        for label, row in made.items():
            row["false/absent"] = alarms[label]
        return made


class Mask:
    """IoU of the best candidate of each image with the one mask that it shows: PerSAM predicts one mask
    an image, so the best counts whether it is accepted or not."""

    def __init__(self, task: Task, most: int) -> None:
        self._seen, self._overlap = Seen(task), Overlap()

    def add(self, record: ImageRecord) -> None:
        """Compare the best candidate."""
        _, rows = self._seen.add(record)
        size = _size_of(record, rows)
        truth = np.zeros(size, bool)
        for item in rows:
            truth |= mask_of(item, size)
        scored = [item for item in record.candidates if item.score is not None]
        best = max(scored, key=lambda item: item.score or 0.0, default=None)
        found = np.zeros(size, bool) if best is None else rle.decode([best.segmentation], size)[0]
        self._overlap.add(found, truth)

    def rows(self) -> dict[str, Row]:
        """The row of the object."""
        task = self._seen.task
        self._seen.notes.tell()
        row: Row = {"mIoU": self._overlap.iou, "bIoU": self._overlap.boundary_iou}
        return {task.one_row: row}


class Anomaly:
    """AUROC, AP, best F1 and AUPRO. scored: how abnormal the pixels of a record are, and its image;
    decides: whether the detections of a record are those of a limit that is known."""

    def __init__(
        self,
        task: Task,
        most: int,
        scored: Callable[[ImageRecord], Scored] = of_regions,
        decides: bool = True,
    ) -> None:
        self._seen, self._scored, self._decides = Seen(task), scored, decides
        self._pixels = anomaly.Pixels()
        self._scores: list[float] = []
        self._abnormal: list[bool] = []
        self._alarms: list[int] = []

    def add(self, record: ImageRecord) -> None:
        """Take the map of an image. One that failed has the lowest score, and no pixels."""
        _, rows = self._seen.add(record)
        self._abnormal.append(bool(rows))
        if not rows and self._decides:
            self._alarms.append(len(record.detections))
        if record.failed:
            self._scores.append(FAILED)
            return
        size = (record.height, record.width)
        defects = np.zeros(size, bool)
        for item in rows:
            defects |= mask_of(item, size)
        found = self._scored(record)
        self._pixels.add(found.pixels, defects)
        self._scores.append(found.image)

    def rows(self) -> dict[str, Row]:
        """The row of the category."""
        task = self._seen.task
        self._seen.notes.tell()
        row: Row = {
            "image AUROC": anomaly.auroc(self._scores, self._abnormal),
            "image AP": anomaly.ap(self._scores, self._abnormal),
            "image F1-max": anomaly.best_f1(self._scores, self._abnormal),
            "pixel AUROC": self._pixels.auroc(),
            "pixel AP": self._pixels.ap(),
            "pixel F1-max": self._pixels.best_f1(),
            "AUPRO": self._pixels.aupro(),
            "false/absent": float(np.mean(self._alarms)) if self._alarms else None,
        }
        return {task.one_row: row}


JUDGES: dict[str, Callable[[Task, int], Judge]] = {
    "coco": Detection,
    "lvis": lambda task, most: Detection(task, most, ("bbox", "segm")),
    "mask": Mask,
    ANOMALY: Anomaly,
}


def _size_of(record: ImageRecord, rows: list[Item]) -> tuple[int, int]:
    """(H, W) of an image, which the record of a failed one does not know."""
    if not record.failed:
        return record.height, record.width
    height, width = rows[0]["segmentation"]["size"]
    return int(height), int(width)
