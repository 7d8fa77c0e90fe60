"""Numbers of images and classes in COCO files: counted here, or those of the user's own file."""

from __future__ import annotations

import logging
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..errors import UsageError
from ..storage.values import JsonObject
from .frames import as_stored, photo_of
from .labelled import Classes, Labelled

if TYPE_CHECKING:
    from ..annotations import Truth

log = logging.getLogger(__name__)
MOST_NAMES = 10
"""Names of images that a message lists."""


class Ids(Protocol):
    """Numbers of what is exported. An image without a number is left out, and so is a class."""

    def image(self, image: Labelled) -> tuple[int, str, Labelled] | None:
        """The number of an image, what its file is called, and the image in the frame that the number
        is of. Called once for each."""
        ...

    def category(self, label: str) -> int | None: ...

    def categories(self) -> list[JsonObject]:
        """All classes, once every image was added."""
        ...

    def finish(self, left_out: int) -> None:
        """Say what had no number; left_out: detections of these."""
        ...


class Counted:
    """Images and classes from 1 on, in the order of the records."""

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._images = 0

    def image(self, image: Labelled) -> tuple[int, str, Labelled]:
        self._images += 1
        return self._images, image.name, image

    def category(self, label: str) -> int:
        return self._classes.number(label) + 1

    def categories(self) -> list[JsonObject]:
        return [{"id": n, "name": name} for n, name in enumerate(self._classes.names, start=1)]

    def finish(self, left_out: int) -> None:
        pass


class Given:
    """The numbers of a COCO file, found by name: images by the rule of ``eval``, classes exactly but
    for how their letters are composed, which differs between systems. Where the file is of the stored
    frame of a photo with an EXIF rotation, so are its numbers."""

    def __init__(self, path: Path, classes: Classes) -> None:
        from ..annotations import Notes
        from ..annotations.upright import reaches

        self._path, self._truth, self._classes = path, _read(path), classes
        self._notes = Notes(error=UsageError)
        self._sizes, self._reach = self._truth.sizes(), reaches(self._truth.annotations())
        self._numbers = {_composed(name): self._truth.category(name) for name in self._truth.labels}
        self._taken: dict[int, str] = {}
        self._missing: list[str] = []

    def image(self, image: Labelled) -> tuple[int, str, Labelled] | None:
        number = _number(self._truth, image.name)
        if number is None:
            self._missing.append(image.name)
            return None
        other = self._taken.setdefault(number, image.name)
        if other != image.name:
            raise UsageError(
                f"{self._path}: {other} and {image.name} would both be its image {number}.",
                "Name images there with their folders, or export them apart.",
            )
        return number, self._truth.names[number], self._framed(number, image)

    def _framed(self, number: int, image: Labelled) -> Labelled:
        """The image in the frame that the file is of. Raises UsageError where it is of neither."""
        from ..annotations.notes import EITHER, EXPORTED_STORED

        size, name = self._sizes.get(number), f"{self._truth.names[number]!r} in {self._path}"
        photo = photo_of(image)
        fit = photo.fit(size, self._reach[number])
        if fit == "neither" and size is not None:
            before, seen = photo.stored, f"{image.width}x{image.height}"
            if before != photo.size:
                seen += f" ({before[1]}x{before[0]} before its EXIF rotation)"
            raise UsageError(
                f"{self._path}: image {number} ({self._truth.names[number]!r}) is "
                f"{size[1]}x{size[0]}, {image.name} was searched at {seen}.",
                "Give the file of these images, at their full size.",
            )
        if fit in ("stored", "either"):
            self._notes.add(EXPORTED_STORED if fit == "stored" else EITHER, name)
        return as_stored(image) if fit == "stored" else image

    def category(self, label: str) -> int | None:
        return self._numbers.get(_composed(label))

    def categories(self) -> list[JsonObject]:
        return [{"id": self._truth.category(name), "name": name} for name in self._truth.labels]

    def finish(self, left_out: int) -> None:
        self._notes.tell()
        unknown = [name for name in self._classes.names if self.category(name) is None]
        if not self._taken or (unknown and len(unknown) == len(self._classes.names)):
            what = "class" if self._taken else "image"
            has = self._truth.labels if self._taken else list(self._truth.names.values())
            raise UsageError(
                f"--ids-from {self._path}: has no {what} of the records; it has {_listed(has)}, they "
                f"have {_listed(unknown if self._taken else self._missing)}.",
                "Give the file that annotates the same images, with the same class names.",
            )
        parts = [f"image {_listed(self._missing)}"] if self._missing else []
        parts += [f"class {_listed(unknown)}"] if unknown else []
        if parts:
            log.warning(
                "--ids-from %s: has no %s. They are left out of the COCO files, and %d detections with "
                "them. Add them there, or export without --ids-from.",
                self._path,
                " and no ".join(parts),
                left_out,
            )


def _read(path: Path) -> Truth:
    """The reader of ``eval``."""
    from ..annotations import read_truth

    truth = read_truth(path, crowds="ignored")
    numbers = [*truth.names, *(truth.category(name) for name in truth.labels)]
    if min(numbers, default=0) < 0:
        raise UsageError(
            f"--ids-from {path}: has ids that are no whole numbers from 0 on.",
            "Number its images and categories, as evaluators need it.",
        )
    return truth


def _number(truth: Truth, name: str) -> int | None:
    """The one place that asks which image of a file a name means."""
    return truth.image_id(name)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def _listed(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(repr(name) for name in names[:MOST_NAMES]) + more or "none"
