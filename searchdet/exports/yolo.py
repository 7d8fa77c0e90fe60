"""YOLO segmentation labels, or boxes, as Ultralytics reads them."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import ClassVar

from ..storage import files
from . import yolonames
from .job import Job, Mirror, copy_image
from .labelled import Classes, Detection, Labelled
from .table import guarded

log = logging.getLogger(__name__)
FOLDER, ABOUT = "yolo", "data.yaml"
SETS = ("train", "val", "test")
_RESERVED = "images"
_NEEDED = "# Training needs train and val: export the other images with --split %s, into this folder\n"


class Yolo:
    """``yolo/labels/<split>/<image>.txt``, ``yolo/data.yaml`` and ``yolo/scores-<split>.csv``.

    A line is a class number and x, y of a polygon, or with --yolo-boxes the middle, width and height
    of a box, as shares of width and height of the image. Images without detections have an empty file:
    they are background. Scores, which a label file cannot hold, are in the CSV file by image and line.
    A class that ``data.yaml`` numbers keeps its number.
    """

    uses: ClassVar[tuple[str, ...]] = ("--images", "--yolo-parts", "--yolo-boxes")
    mirrors: ClassVar[bool] = True

    def __init__(self, job: Job) -> None:
        self._job = job
        split = job.options.split
        self._mirror = Mirror(job, f"{FOLDER}/labels/{split}", ".txt")
        self._before = yolonames.read(job.folder / FOLDER / ABOUT)
        self._classes = Classes()
        self._classes.note(self._before)
        self._sets: set[tuple[str, ...]] = set()
        self._about = job.stream(f"{FOLDER}/{ABOUT}")
        self._score = csv.writer(
            job.stream(f"{FOLDER}/scores-{split}.csv"),
            quoting=csv.QUOTE_NONNUMERIC,
            lineterminator="\n",
        ).writerow
        self._score(("image", "line", "label", "score", "probability"))
        self._renamed = False

    def add(self, image: Labelled) -> None:
        name = self._name(image.name)
        path = self._mirror.path(image.name, name)
        self._sets.add(tuple(sorted(image.classes)))
        self._classes.note(image.classes)
        lines: list[str] = []
        for item in image.detections:
            number = self._classes.number(item.label)
            for values in self._shapes(image, item):
                lines.append(f"{number} {' '.join(f'{value:.6f}' for value in values)}\n")
                where = (guarded(image.name), len(lines), guarded(item.label))
                self._score((*where, item.score, item.probability))
        copy_image(self._job, image, f"{FOLDER}/images/{self._job.options.split}/{name}")
        files.write_bytes(path, "".join(lines).encode())

    def finish(self) -> tuple[str, ...]:
        self._mirror.warn_of_others()
        self._warn_of_numbers()
        if self._renamed:
            log.warning(
                "Folders called images within image names are called images_ in %s: Ultralytics "
                "looks for labels where the last folder of that name is called labels.",
                self._job.folder / FOLDER,
            )
        self._about.write(self._data())
        return (f"{FOLDER}/",)

    def _shapes(self, image: Labelled, item: Detection) -> Iterator[list[float]]:
        """The numbers of each line of a detection."""
        if self._job.options.yolo_boxes:
            x, y, w, h = item.xywh
            yield [
                (x + w / 2) / image.width,
                (y + h / 2) / image.height,
                w / image.width,
                h / image.height,
            ]
            return
        for ring in [part.ring for part in item.parts] if self._job.options.yolo_parts else [item.ring]:
            yield (ring / (image.width, image.height)).clip(0, 1).ravel().tolist()

    def _name(self, name: str) -> str:
        """An image's name without a folder that Ultralytics would take for its own."""
        path = PurePosixPath(name)
        parts = [f"{part}_" if part == _RESERVED else part for part in path.parent.parts]
        self._renamed |= _RESERVED in path.parent.parts
        return PurePosixPath(*parts, path.name).as_posix()

    def _data(self) -> str:
        """``data.yaml``. Each subset that is there is named once: readers take what is named twice
        twice."""
        root, split = self._job.folder / FOLDER, self._job.options.split
        there = {name for name in SETS if (root / "labels" / name).is_dir()} | {split}
        sets = [name for name in SETS if name in there] + sorted(there - set(SETS))
        lacking = [name for name in ("train", "val") if name not in there]
        lines = [_NEEDED % lacking[0]] if len(lacking) == 1 else []
        lines += ["path:  # empty: the folder of this file\n"]
        lines += [f"{name}: images/{name}\n" for name in sets]
        return "".join(lines) + yolonames.written(self._classes.names)

    def _warn_of_numbers(self) -> None:
        """Say so where the numbers of classes are not what these records alone would give."""
        names, about = self._classes.names, self._job.folder / FOLDER / ABOUT
        listed = ", ".join(f"{number} {name!r}" for number, name in enumerate(names))
        if self._before and self._before != self._job.classes.names:
            log.warning(
                "%s: classes keep the numbers that it gave them, and new ones follow: %s. Move it "
                "away, and export all subsets again, to number them anew.",
                about,
                listed,
            )
        elif len(self._sets) > 1:
            log.warning(
                "%s: the records are of %d different sets of classes; they are numbered in the order "
                "in which records name them: %s. Run `detect` on all images with the same examples.",
                about,
                len(self._sets),
                listed,
            )
