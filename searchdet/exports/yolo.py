"""YOLO segmentation labels as Ultralytics reads them."""

from __future__ import annotations

import csv
import logging
from pathlib import PurePosixPath
from typing import ClassVar

from ..errors import UsageError
from ..storage import files
from .job import Job, Mirror, copy_image
from .labelled import Classes, Labelled
from .table import guarded

log = logging.getLogger(__name__)
FOLDER = "yolo"
SETS = ("train", "val", "test")
_RESERVED = "images"


class Yolo:
    """``yolo/labels/<split>/<image>.txt``, ``yolo/data.yaml`` and ``yolo/scores-<split>.csv``.

    A line is a class number and x, y of a polygon, as shares of width and height. Images without
    detections have an empty file: they are background. Scores, which a label file cannot hold, are in
    the CSV file by image and line.
    """

    uses: ClassVar[tuple[str, ...]] = ("--images", "--yolo-parts")
    mirrors: ClassVar[bool] = True

    def __init__(self, job: Job) -> None:
        self._job = job
        split = job.options.split
        self._mirror = Mirror(job, f"{FOLDER}/labels/{split}", ".txt")
        self._about = job.stream(f"{FOLDER}/data.yaml")
        self._score = csv.writer(
            job.stream(f"{FOLDER}/scores-{split}.csv"),
            quoting=csv.QUOTE_NONNUMERIC,
            lineterminator="\n",
        ).writerow
        self._score(("image", "line", "label", "score", "probability"))
        self._renamed = False

    def add(self, image: Labelled) -> None:
        name = self._name(image.name)
        path = self._mirror.path(name)
        lines: list[str] = []
        for item in image.detections:
            rings = [part.ring for part in item.parts] if self._job.options.yolo_parts else [item.ring]
            number = self._job.classes.number(item.label)
            for ring in rings:
                points = (ring / (image.width, image.height)).clip(0, 1).ravel().tolist()
                lines.append(f"{number} {' '.join(f'{value:.6f}' for value in points)}\n")
                where = (guarded(image.name), len(lines), guarded(item.label))
                self._score((*where, item.score, item.probability))
        copy_image(self._job, image, f"{FOLDER}/images/{self._job.options.split}/{name}")
        files.write_bytes(path, "".join(lines).encode())

    def finish(self) -> tuple[str, ...]:
        self._mirror.warn_of_others()
        if self._renamed:
            log.warning(
                "Folders called images within image names are called images_ in %s: Ultralytics "
                "looks for labels where the last folder of that name is called labels.",
                self._job.folder / FOLDER,
            )
        self._about.write(self._data())
        return (f"{FOLDER}/",)

    def _name(self, name: str) -> str:
        """An image's name without a folder that Ultralytics would take for its own."""
        path = PurePosixPath(name)
        parts = [f"{part}_" if part == _RESERVED else part for part in path.parent.parts]
        self._renamed |= _RESERVED in path.parent.parts
        return PurePosixPath(*parts, path.name).as_posix()

    def _data(self) -> str:
        """``data.yaml``; a subset that is not there is the one that is, as both keys are required."""
        root, split = self._job.folder / FOLDER, self._job.options.split
        there = {name for name in SETS if (root / "labels" / name).is_dir()} | {split}
        names = _names(self._job.classes)
        self._require_same_names(names, there - {split})
        sets = {name: name if name in there else split for name in ("train", "val")}
        sets |= {name: name for name in sorted(there - sets.keys())}
        lines = ["path:  # empty: the folder of this file"]
        lines += [f"{name}: images/{one}" for name, one in sets.items()]
        return "\n".join(lines) + f"\n{names}"

    def _require_same_names(self, names: str, others: set[str]) -> None:
        """Labels of another subset were numbered by the file that is about to be replaced."""
        old = self._job.folder / FOLDER / "data.yaml"
        if not others or not old.is_file():
            return
        if not old.read_text(encoding="utf-8", errors="surrogateescape").endswith(f"\n{names}"):
            raise UsageError(
                f"{old}: numbers other classes, and labels of {sorted(others)[0]!r} follow it.",
                "Use another -o.",
            )


def _names(classes: Classes) -> str:
    if not classes.names:
        return "names: {}\n"
    lines = [f"  {number}: {_quoted(name)}\n" for number, name in enumerate(classes.names)]
    return f"names:\n{''.join(lines)}"


def _quoted(name: str) -> str:
    """A YAML string that keeps its one line whatever the name holds."""
    return '"' + "".join(_sign(sign) for sign in name) + '"'


def _sign(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"
