"""What writers share: options, where files go, and that none takes the place of another."""

from __future__ import annotations

import hashlib
import logging
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar, Protocol

from ..config import Limits
from ..errors import UsageError
from ..storage import files
from .labelled import Classes, Labelled

log = logging.getLogger(__name__)
LOCAL_FILES = "/data/local-files/?d="
"""Where Label Studio serves the files of its own machine."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to write. images: folder of the images, to copy them where a format wants them beside its
    labels. polygons: masks of COCO and LabelMe as polygons alone. yolo_parts: one YOLO line for each
    part of a mask. yolo_boxes: YOLO boxes in place of outlines. split: name of the subset, for YOLO and
    VOC. image_root: what Label Studio puts before image names. ids_from: a COCO file that numbers the
    images and classes of COCO. csv_bom: a byte order mark, by which Excel knows UTF-8.
    """

    formats: tuple[str, ...]
    limits: Limits = Limits()
    images: Path | None = None
    polygons: bool = False
    yolo_parts: bool = False
    split: str = "train"
    image_root: str = LOCAL_FILES
    ids_from: Path | None = None
    yolo_boxes: bool = False
    csv_bom: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One export: target folder, options, classes so far, and the files that are open."""

    folder: Path
    options: Options
    classes: Classes
    open: ExitStack

    def stream(self, name: str) -> files.Stream:
        """A file below the target folder that appears when the whole export has succeeded."""
        return self.open.enter_context(files.Stream(confined(self.folder, name)))


class Writer(Protocol):
    """One format. Images come one by one; afterwards ``finish`` is called once.

    uses: the flags of ``export`` that act on this format and not on all. mirrors: whether it has one
    file an image, named after it without its suffix.
    """

    uses: ClassVar[tuple[str, ...]]
    mirrors: ClassVar[bool]

    def __init__(self, job: Job) -> None: ...

    def add(self, image: Labelled) -> None: ...

    def finish(self) -> tuple[str, ...]:
        """What was written, relative to the target folder."""
        ...


def confined(folder: Path, name: str) -> Path:
    """A path below ``folder``. Raises UsageError where a link leads out of it."""
    path = folder / name
    if files.leads_out(path, folder):
        raise UsageError(f"{path}: a link leads out of {folder}.", "Remove it, or use another -o.")
    return path


def claim(taken: dict[str, str], target: str, name: str) -> None:
    """Note that an image has a label file. Raises UsageError where another image has it."""
    other = taken.setdefault(files.collision_key(target), name)
    if other != name:
        raise UsageError(
            f"{other} and {name} would both have the labels {target}.",
            "Rename one of the images and run `detect` again, or leave out this format.",
        )


@dataclass(slots=True)
class Mirror:
    """One file for each image, at the image's own relative path with another suffix."""

    job: Job
    folder: str
    suffix: str
    _taken: dict[str, str] = field(default_factory=dict)

    def path(self, name: str, place: str | None = None) -> Path:
        """Where the file of an image goes; place: what it is called there, if not by its name. Raises
        UsageError where another image has it."""
        target = PurePosixPath(place or name).with_suffix(self.suffix).as_posix()
        claim(self._taken, target, name)
        return confined(self.job.folder, f"{self.folder}/{target}")

    def warn_of_others(self) -> None:
        """Say so where files of an earlier export remain: they would be taken for labels."""
        root = self.job.folder / self.folder
        found = (path.relative_to(root).as_posix() for path in root.rglob(f"*{self.suffix}"))
        others = sorted(name for name in found if files.collision_key(name) not in self._taken)
        if others:
            log.warning(
                "%s holds %d files of images that are not exported (%s, ...). Remove the folder and "
                "export again if they are not wanted.",
                root,
                len(others),
                others[0],
            )


def copy_image(job: Job, image: Labelled, target: str) -> None:
    """Copy an image below the target folder. Raises UsageError where it is not the record's image."""
    if job.options.images is None:
        return
    source = job.options.images / image.name
    digest = hashlib.sha256()
    with files.Stream(confined(job.folder, target)) as out:
        try:
            with source.open("rb") as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
                    out.write_bytes(chunk)
        except OSError as error:
            raise UsageError(
                f"{source}: cannot be read ({error.strerror}).",
                "--images is the folder that the names in records are relative to.",
            ) from error
        if digest.hexdigest() != image.sha256:
            raise UsageError(
                f"{source}: is not the image that was searched.",
                "Run `detect` on it again, or give the right --images.",
            )
