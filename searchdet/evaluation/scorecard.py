"""The records of an output folder against a ground truth: one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..annotations import Notes, Photo, Truth
from ..annotations.jsonfile import label as as_label
from ..annotations.notes import NO_OBJECTS
from ..errors import DAMAGE, UsageError
from ..masks import rle
from ..records import SUPPRESSED, ImageRecord, damaged
from ..storage.values import JsonObject, JsonValue
from .metrics import ClassFigures, Found, Region, evaluate, mean, proposal_recall

RECALL_AT = (0.5, 0.75)
COLUMNS = ("ap", "ap50", "ap75", "ar", "precision", "recall", "f1", "best_f1", "best_threshold")
SHOWN = (*COLUMNS, "false_per_absent")


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Figures by kind of overlap (``bbox``, and ``segm`` where the truth has masks).

    images: how many of the truth's images have a record; failed: how many of these failed (they count,
    without detections); recall: proposal recall by IoU, at most 300 proposals an image.
    """

    images: int
    of: int
    failed: int
    figures: dict[str, list[ClassFigures]]
    recall: dict[float, float | None]

    def to_json(self) -> JsonObject:
        """Plain JSON values, rounded."""
        figures: dict[str, JsonValue] = {
            kind: {
                "classes": [_row(row) for row in rows],
                "mean": _rounded({name: mean(rows, name) for name in SHOWN}),
            }
            for kind, rows in self.figures.items()
        }
        recall = _rounded({str(iou): value for iou, value in self.recall.items()})
        return {
            "images": self.images,
            "of": self.of,
            "failed": self.failed,
            "figures": figures,
            "proposal_recall": recall,
        }

    def lines(self) -> list[str]:
        """For a person, at most 100 columns wide."""
        out = [f"{self.images} of {self.of} images have a record, {self.failed} of them failed."]
        head = "".join(f"{name.replace('best_threshold', 'at score'):>10}" for name in COLUMNS[:-2])
        for kind, rows in self.figures.items():
            title = "boxes" if kind == "bbox" else "masks"
            out += ["", f"{title:16}{'objects':>8}{head}{'best f1':>9}{'at':>7}{'false*':>8}"]
            out += [_line(row.label, row.instances, _figures(row)) for row in rows]
            total = sum(row.instances for row in rows)
            out.append(_line("mean", total, {name: mean(rows, name) for name in SHOWN}))
        shares = ", ".join(f"{_cell(value)} at IoU {iou:g}" for iou, value in self.recall.items())
        out += ["", f"proposal recall (300 an image): {shares}"]
        out.append("* detections an image that does not show the class")
        return out


def scorecard(truth: Truth, records: Sequence[ImageRecord], notes: Notes | None = None) -> Scorecard:
    """Judge records. Images of the truth without a record are left out. Raises UsageError where a
    record's image is not in the truth, or none is. notes: take what is taken for granted of the truth,
    which else is told at once."""
    own = notes or Notes(error=UsageError)
    numbers: dict[int, ImageRecord] = {}
    for record in records:
        number = truth.image_id(record.image)
        if number is None:
            raise UsageError(
                f"{truth.source} has no image {record.image!r}, a record has, or several of that name.",
                "Evaluate the output of `detect` on the images of the truth.",
            )
        if number in numbers:
            raise UsageError(
                f"{record.image} and {numbers[number].image} are one image of {truth.source}.",
                "Evaluate records in which it stands once.",
            )
        numbers[number] = record
    if not numbers:
        raise UsageError("there is no record to evaluate.", "Run `searchdet detect` first.")
    part = truth.only(numbers).upright(_photos(numbers), own)
    if not part.objects:
        own.add(NO_OBJECTS, part.source)
    part.note_masks(own)
    if notes is None:
        own.tell()
    kinds = ("bbox", "segm") if truth.has_masks else ("bbox",)
    found: list[Found] = []
    regions: dict[int, list[Region]] = {}
    for number, record in numbers.items():
        try:
            found += _found(number, record, "segm" in kinds)
            regions[number] = _regions(record)
        except DAMAGE as error:
            raise damaged(record.image, error) from error
    figures = {kind: evaluate(part, found, kind) for kind in kinds}
    failed = sum(record.failed for record in records)
    recall = proposal_recall(part, regions, RECALL_AT)
    return Scorecard(len(numbers), len(truth.names), failed, figures, recall)


def _photos(records: Mapping[int, ImageRecord]) -> dict[int, Photo]:
    """What the annotations of each image must fit; of those that failed nothing is known."""
    return {
        number: Photo((record.height, record.width), record.source.orientation)
        for number, record in records.items()
        if record.source is not None
    }


def _found(number: int, record: ImageRecord, masks: bool) -> list[Found]:
    """What has a score and was not taken for a duplicate, accepted or not. masks: whether these are
    looked at."""
    found = []
    for item in record.candidates:
        if item.label is None or item.score is None or item.reason == SUPPRESSED:
            continue
        if masks:
            rle.require(item.segmentation, (record.height, record.width))
        label = as_label(item.label)
        found.append(Found(number, label, item.score, item.bbox, item.segmentation, item.accepted))
    return found


def _regions(record: ImageRecord) -> list[Region]:
    every = [Region(item.quality, item.bbox) for item in record.candidates]
    return sorted(every, key=lambda item: -item.quality)


def _line(label: str, instances: int, values: Mapping[str, float | None]) -> str:
    cells = "".join(f"{_cell(values[name]):>10}" for name in COLUMNS[:-2])
    tail = f"{_cell(values['best_f1']):>9}{_cell(values['best_threshold']):>7}"
    return f"{label[:16]:16}{instances:8}{cells}{tail}{_cell(values['false_per_absent']):>8}"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _figures(row: ClassFigures) -> dict[str, float | None]:
    return {name: getattr(row, name) for name in SHOWN}


def _row(row: ClassFigures) -> JsonObject:
    """One class as JSON values."""
    return {
        "label": row.label,
        "images": row.images,
        "instances": row.instances,
        **_rounded(_figures(row)),
    }


def _rounded(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 6) for name, value in values.items()}
