"""The records of an output folder against a ground truth: one table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..annotations.coco import Truth
from ..errors import DAMAGE, UsageError
from ..masks import rle
from ..records.record import damaged
from .metrics import ClassFigures, Found, Region, evaluate, mean, proposal_recall

RECALL_AT = (0.5, 0.75)
COLUMNS = ("ap", "ap50", "ap75", "ar", "precision", "recall", "f1", "best_f1", "best_threshold")


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
    recall: dict[float, float]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, rounded."""
        figures = {
            kind: {
                "classes": [_rounded(asdict(row)) for row in rows],
                "mean": _rounded({name: mean(rows, name) for name in (*COLUMNS, "false_per_absent")}),
            }
            for kind, rows in self.figures.items()
        }
        recall = {str(iou): round(value, 6) for iou, value in self.recall.items()}
        counts = {"images": self.images, "of": self.of, "failed": self.failed}
        return counts | {"figures": figures, "proposal_recall": recall}

    def lines(self) -> list[str]:
        """For a person, at most 100 columns wide."""
        out = [f"{self.images} of {self.of} images have a record, {self.failed} of them failed."]
        head = "".join(f"{name.replace('best_threshold', 'at score'):>10}" for name in COLUMNS[:-2])
        for kind, rows in self.figures.items():
            title = "boxes" if kind == "bbox" else "masks"
            out += ["", f"{title:16}{'objects':>8}{head}{'best f1':>9}{'at':>7}{'false*':>8}"]
            out += [_line(row.label, row.instances, asdict(row)) for row in rows]
            names = (*COLUMNS, "false_per_absent")
            total = sum(row.instances for row in rows)
            out.append(_line("mean", total, {name: mean(rows, name) for name in names}))
        shares = ", ".join(f"{value:.3f} at IoU {iou:g}" for iou, value in self.recall.items())
        out += ["", f"proposal recall (300 an image): {shares}"]
        out.append("* detections an image that does not show the class")
        return out


def scorecard(truth: Truth, records: Sequence[dict[str, Any]]) -> Scorecard:
    """Judge records. Images of the truth without a record are left out. Raises UsageError where a
    record's image is not in the truth, or none is."""
    numbers: dict[int, dict[str, Any]] = {}
    for record in records:
        number = truth.image_id(record["image"])
        if number is None:
            raise UsageError(f"the ground truth has no image {record['image']!r}, a record has.")
        if number in numbers:
            raise UsageError(f"{record['image']} and {numbers[number]['image']} are one image of it.")
        numbers[number] = record
    if not numbers:
        raise UsageError("there is no record to evaluate.", "Run `searchdet detect` first.")
    part = truth.only(numbers)
    kinds = ("bbox", "segm") if truth.has_masks else ("bbox",)
    found: list[Found] = []
    regions: dict[int, list[Region]] = {}
    for number, record in numbers.items():
        try:
            found += _found(number, record, "segm" in kinds)
            regions[number] = _regions(record)
        except DAMAGE as error:
            raise damaged(record["image"], error) from error
    figures = {kind: evaluate(part, found, kind) for kind in kinds}
    failed = sum(record["status"] == "failed" for record in records)
    recall = proposal_recall(part, regions, RECALL_AT)
    return Scorecard(len(numbers), len(truth.names), failed, figures, recall)


def _candidates(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [*record["detections"], *record["rejected"]]


def _found(number: int, record: dict[str, Any], masks: bool) -> list[Found]:
    """What has a score and was not taken for a duplicate, accepted or not. masks: whether these are
    looked at."""
    chosen = [
        item
        for item in _candidates(record)
        if item["score"] is not None and (item["accepted"] or item["reason"] != "suppressed")
    ]
    if masks:
        for item in chosen:
            rle.require(item["segmentation"], (record["height"], record["width"]))
    return [
        Found(
            number,
            str(item["label"]),
            _number(item["score"]),
            _box(item),
            item["segmentation"],
            bool(item["accepted"]),
        )
        for item in chosen
    ]


def _box(item: dict[str, Any]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (_number(value) for value in item["bbox"])
    return x0, y0, x1, y1


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return value


def _regions(record: dict[str, Any]) -> list[Region]:
    every = [Region(_number(item["quality"]), _box(item)) for item in _candidates(record)]
    return sorted(every, key=lambda item: -item.quality)


def _line(label: str, instances: int, values: dict[str, Any]) -> str:
    cells = "".join(f"{_cell(values[name]):>10}" for name in COLUMNS[:-2])
    tail = f"{_cell(values['best_f1']):>9}{_cell(values['best_threshold']):>7}"
    return f"{label[:16]:16}{instances:8}{cells}{tail}{_cell(values['false_per_absent']):>8}"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}
