"""The images and regions that events name: found on the shelf, and held against what was judged."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from ..config import Settings
from ..errors import UsageError
from ..images import LoadedImage, read_image, used_range
from ..records import ImageInfo
from .events import Draw, Judge, Pick
from .exemplars import Drawer, Drawn, of_region
from .history import Entry
from .shelf import Shelf

ALIKE = 0.999
"""Cosine of one region to itself, whatever rounding does; another region has less."""
AGAIN = "Put the image back, or name another folder with -o."


class Places:
    """Images by name. They are looked up again where the shelf has grown."""

    def __init__(self, shelf: Shelf, paths: Mapping[str, Path], coming: Collection[str]) -> None:
        self._shelf, self._paths, self._coming = shelf, paths, frozenset(coming)
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int | None:
        """The number of an image; None for one that is not on the shelf."""
        images = self._shelf.images
        for i in range(len(self._numbers), len(images)):
            own = images[i].image.name
            if self._numbers.setdefault(own, i) != i:
                raise UsageError(f"two images are called {own!r}.", "Pass --root to tell them apart.")
        return self._numbers.get(name)

    def at(self, name: str) -> int:
        """The number of an image. Raises UsageError for one that is not there, or not yet."""
        found = self.number(name)
        if found is None:
            when = " yet" if name in self._coming else ""
            raise UsageError(f"there is no image {name!r:.200}{when}.", "Load the page again.")
        return found

    def info(self, name: str) -> ImageInfo:
        """What is known of an image. Raises UsageError."""
        return self._shelf.images[self.at(name)].image

    def row(self, number: int, row: int) -> int:
        """The row on the shelf of a region of an image. Raises UsageError for one that is not there."""
        item = self._shelf.images[number]
        if not 0 <= row < item.count:
            raise UsageError(
                f"{item.image.name}: has no region {row}, but {item.count}.", "Load the page again."
            )
        return item.start + row

    def region(self, name: str, row: int, source: str) -> Drawn:
        """A region as an exemplar. source: as of an ``Origin``. Raises UsageError for one that is not
        there."""
        number = self.at(name)
        self.row(number, row)
        content = self._shelf.images[number].image.content
        return of_region(self._shelf.regions(number, np.asarray([row])), row, content, source)

    def require(self, entry: Entry, drawer: Drawer) -> None:
        """Raise UsageError unless the image of an event is there, or is to come, as it was; and its
        region too."""
        event = entry.event
        if not isinstance(event, Judge | Pick | Draw):
            return
        number = self.number(event.image)
        if number is None:
            self._require_file(event.image, entry.sha256)
            return
        item = self._shelf.images[number]
        if item.image.sha256 != entry.sha256:
            raise _changed(event.image)
        if isinstance(event, Draw):
            return
        if event.row >= item.count:
            raise UsageError(f"{event.image}: has no region {event.row} any more.", AGAIN)
        own = self._shelf.regions(number, np.asarray([event.row]))
        vector = own.described.embedded.vectors[0]
        judged = drawer.read(entry.drawn).rows.vectors[0]
        if float(np.dot(vector, judged)) < ALIKE:
            raise UsageError(
                f"{event.image}: region {event.row} is not that which was judged.",
                "It was found by another version or other settings: name another folder with -o.",
            )

    def _require_file(self, name: str, sha256: str) -> None:
        """The same for an image that is to come, by its file."""
        path = self._paths.get(name)
        if name not in self._coming or path is None:
            raise UsageError(f"{name}: was judged, and is not among the images.", AGAIN)
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise UsageError(
                f"{path}: was judged, and cannot be read ({error.strerror}).", AGAIN
            ) from error
        if found != sha256:
            raise _changed(name)


def read_as_described(path: Path, image: ImageInfo, settings: Settings) -> LoadedImage:
    """The file of an image, read as when it was described. Raises UsageError where it is another one
    now, and ImageError."""
    found = read_image(path, settings.max_pixels, used_range(image.source))
    if found.sha256 != image.sha256:
        raise UsageError(f"{path}: changed since it was described.", "Start again.")
    return found


def _changed(name: str) -> UsageError:
    return UsageError(f"{name}: is another image than that which was judged.", AGAIN)
