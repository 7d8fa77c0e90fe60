"""What a run found, as figures: detections by class, share of the area, proposals."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from ..errors import counted
from ..masks.rle import Rle
from ..records import ImageRecord
from ..storage.values import JsonObject


@dataclass(slots=True)
class _Class:
    """Detections of one class: in how many images, sum of the scores and of their squares, the least
    and the largest of them, and the sum of areas, pixels."""

    detections: int = 0
    images: int = 0
    total: float = 0.0
    squares: float = 0.0
    least: float = math.inf
    best: float = -math.inf
    area: int = 0

    def add(self, score: float, area: int) -> None:
        self.detections += 1
        self.total, self.squares = self.total + score, self.squares + score * score
        self.least, self.best = min(self.least, score), max(self.best, score)
        self.area += area

    def to_json(self) -> JsonObject:
        """Plain JSON values; of no detection there are no scores."""
        counts: JsonObject = {"detections": self.detections, "images": self.images}
        if not self.detections:
            return counts
        mean = self.total / self.detections
        spread = max(self.squares / self.detections - mean * mean, 0.0) ** 0.5
        figures = {"least": self.least, "mean": mean, "best": self.best, "deviation": spread}
        scores = {name: round(value, 6) for name, value in figures.items()}
        return {**counts, "scores": scores, "mean_area": round(self.area / self.detections, 1)}


def _union(masks: list[Rle]) -> int:
    """Pixels under any of some masks of one image."""
    from pycocotools import mask as coco

    return int(coco.area(coco.merge(masks))) if masks else 0


@dataclass(slots=True)
class Summary:
    """Figures of the images of a run that did not fail. pixels, covered: of all images, and of those
    how many lie under a detection, each once. proposed: masks before filters, removed: by filter;
    described: what was left."""

    images: int = 0
    pixels: int = 0
    covered: int = 0
    candidates: int = 0
    described: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    classes: dict[str, _Class] = field(default_factory=dict)

    def add(self, record: ImageRecord) -> None:
        """Count one more image."""
        if record.failed:
            return
        self.images += 1
        self.pixels += record.width * record.height
        self.candidates += len(record.candidates)
        if record.proposals is not None:
            self.described += record.proposals.count
            self.removed.update(record.proposals.removed)
        for name in record.classes:
            self.classes.setdefault(name, _Class())
        for item in record.detections:
            self.classes[item.label or ""].add(item.score or 0.0, item.area)
        for name in {item.label or "" for item in record.detections}:
            self.classes[name].images += 1
        self.covered += _union([item.segmentation for item in record.detections])

    @property
    def share(self) -> float:
        """Of the area of all images, 0..1, that lies under a detection."""
        return self.covered / self.pixels if self.pixels else 0.0

    @property
    def detections(self) -> int:
        return sum(item.detections for item in self.classes.values())

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return {
            "images": self.images,
            "detections": self.detections,
            "classes": {name: item.to_json() for name, item in sorted(self.classes.items())},
            "area_share": round(self.share, 6),
            "proposals": {
                "found": self.described + self.removed.total(),
                "removed": dict(sorted(self.removed.items())),
                "described": self.described,
                "candidates": self.candidates,
            },
        }

    def lines(self) -> list[str]:
        """What a person is told, a line each; none of no image."""
        if not self.images:
            return []
        found = self.described + self.removed.total()
        made = [
            f"{counted(self.images, 'image')}: {counted(self.detections, 'detection')} on "
            f"{self.share:.2%} of the area; {counted(found, 'proposal')}, {self.described} described, "
            f"{counted(self.candidates, 'candidate')}."
        ]
        for name, item in sorted(self.classes.items()):
            told = f"{name}: {item.detections} in {counted(item.images, 'image')}"
            if item.detections:
                mean = item.total / item.detections
                told += f", scores {item.least:.2f} to {item.best:.2f}, mean {mean:.2f}"
            made.append(f"{told}.")
        return made
