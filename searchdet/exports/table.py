"""CSV: one row a detection, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from typing import ClassVar

from .job import Job
from .labelled import Labelled

TABLE = "detections.csv"
COLUMNS = ("image", "label", "score", "probability", "x", "y", "w", "h", "area", "image_max_score")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


class Table:
    """``detections.csv``: text is quoted, numbers are not, rows end with a line feed. Boxes are x, y,
    width, height in pixels; image_max_score repeats the best score of the image. With --csv-bom it
    begins with the mark by which Excel knows UTF-8."""

    uses: ClassVar[tuple[str, ...]] = ("--csv-bom",)
    mirrors: ClassVar[bool] = False

    def __init__(self, job: Job) -> None:
        out = job.stream(TABLE)
        if job.options.csv_bom:
            out.write("\ufeff")
        self._write = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow
        self._write(COLUMNS)

    def add(self, image: Labelled) -> None:
        best = max((item.score for item in image.detections), default=None)
        for item in image.detections:
            box = (int(value) if value == int(value) else value for value in item.xywh)
            figures = (item.score, item.probability, *box, item.area, best)
            self._write((guarded(image.name), guarded(item.label), *figures))

    def finish(self) -> tuple[str, ...]:
        return (TABLE,)


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula: with a leading ``'`` where it looks like one."""
    return f"'{text}" if text.startswith(_FORMULA) else text
