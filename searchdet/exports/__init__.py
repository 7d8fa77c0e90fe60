"""Writers of dataset files. They take records, never models; one module a format.

All formats are written in one pass over the records, which are held one at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..config import Limits, names_of
from ..errors import DAMAGE, UsageError
from ..records import ImageRecord, damaged, require_classes
from ..storage.values import JsonObject
from .alike import Alike
from .coco import Coco
from .job import LOCAL_FILES, Job, Options, Writer, claim
from .labelled import Classes, Labelled, labelled
from .labelme import LabelMe
from .labelstudio import LabelStudio
from .table import Table
from .voc import Voc
from .yolo import Yolo

__all__ = [
    "FORMATS",
    "LOCAL_FILES",
    "Labelled",
    "Options",
    "Summary",
    "check",
    "check_names",
    "formats",
    "labelled",
    "write",
]

FORMATS: dict[str, type[Writer]] = {
    "coco": Coco,
    "yolo": Yolo,
    "labelme": LabelMe,
    "labelstudio": LabelStudio,
    "voc": Voc,
    "csv": Table,
}


@dataclass(frozen=True, slots=True)
class Summary:
    """What an export wrote. failed: images left out because they could not be searched. written: files
    and folders, relative to the target folder."""

    images: int
    detections: int
    failed: int
    classes: tuple[str, ...]
    written: tuple[str, ...]

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return {
            "images": self.images,
            "detections": self.detections,
            "failed": self.failed,
            "classes": list(self.classes),
            "written": list(self.written),
        }


def formats(text: str) -> tuple[str, ...]:
    """``coco,csv`` as format names, each once; ``none`` is none. Raises UsageError for another."""
    chosen = names_of(text)
    for name in chosen:
        if name not in FORMATS:
            raise UsageError(f"there is no format {name!r}.", f"There are {', '.join(FORMATS)}.")
    return chosen


def check_names(chosen: Iterable[str], names: Iterable[str]) -> None:
    """Raise UsageError where one of the formats cannot hold two of the images."""
    taken: dict[str, str] = {}
    if any(FORMATS[name].mirrors for name in chosen):
        for name in names:
            claim(taken, PurePosixPath(name).with_suffix("").as_posix(), name)


def check(options: Options) -> None:
    """Raise UsageError for options that make no sense together."""
    given = {
        "--images": options.images is not None,
        "--polygons": options.polygons,
        "--yolo-parts": options.yolo_parts,
        "--image-root": options.image_root != LOCAL_FILES,
        "--ids-from": options.ids_from is not None,
        "--yolo-boxes": options.yolo_boxes,
        "--csv-bom": options.csv_bom,
    }
    for flag in (flag for flag, is_given in given.items() if is_given):
        names = [name for name, writer in FORMATS.items() if flag in writer.uses]
        if not set(names) & set(options.formats):
            named = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
            raise UsageError(f"{flag} has an effect on {named} only.", "Leave it out.")
    if options.yolo_boxes and options.yolo_parts:
        raise UsageError("--yolo-boxes and --yolo-parts exclude each other.", "Leave one out.")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", options.split) or options.split == "images":
        raise UsageError(
            f"--split {options.split!r} is no name of a subset.", "For example --split val."
        )
    if options.images is not None and not options.images.is_dir():
        raise UsageError(f"--images {options.images}: there is no such folder.")


def write(folder: Path, records: Iterable[ImageRecord | Labelled | None], options: Options) -> Summary:
    """Write dataset files of records, one at a time, below ``folder``; or of what ``labelled`` made of
    them without limits, None for a failed image.

    Dataset-level files appear together at the end, or not at all. Raises UsageError for records that
    cannot be exported, OutputError where files cannot be written.
    """
    check(options)
    classes, alike = Classes(), Alike()
    images = found = failed = 0
    names: set[str] = set()
    with ExitStack() as stack:
        job = Job(folder, options, classes, stack)
        writers = [FORMATS[name](job) for name in options.formats]
        for record in records:
            image = record if not isinstance(record, ImageRecord) else _labelled(record, options)
            if image is None:
                failed += 1
                continue
            if image.name in names:
                raise UsageError(f"two records are of {image.name!r}.", "Remove one of the files.")
            names.add(image.name)
            classes.note(image.classes)
            alike.note(image)
            try:
                for writer in writers:
                    writer.add(image)
            except (ValueError, IndexError, OverflowError) as error:
                raise damaged(image.name, error) from error
            images, found = images + 1, found + len(image.detections)
        _require_limited_classes(options.limits, classes)
        written = tuple(name for writer in writers for name in writer.finish())
    alike.warn(folder)
    return Summary(images, found, failed, classes.names, written)


def _labelled(record: ImageRecord, options: Options) -> Labelled | None:
    try:
        return labelled(record, options.limits)
    except DAMAGE as error:
        raise damaged(record.image, error) from error


def _require_limited_classes(limits: Limits, classes: Classes) -> None:
    require_classes((*limits.class_min_score, *limits.class_min_margin), classes.names)
