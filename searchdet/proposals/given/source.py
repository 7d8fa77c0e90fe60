"""What a file or folder of masks says of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ...annotations import Photo
from ...errors import ImageError
from ...masks import rle
from ...masks.rle import Rle
from ..types import BoolArray

CODE = "masks"
"""The code of an image whose masks cannot be used."""


@dataclass(frozen=True, slots=True)
class Given:
    """Masks of one image, upright and of its size, and the quality (0..1) of each."""

    rles: list[Rle]
    quality: list[float]

    def add(self, mask: BoolArray, quality: float = 1.0) -> None:
        """One mask (H, W) more."""
        self.rles.append(rle.encode(mask))
        self.quality.append(quality)


class Source(Protocol):
    """A file or folder of masks. said: how messages call it; digest: SHA-256 of all that it holds;
    layout: its form, for the record."""

    said: str
    digest: str
    layout: str

    def masks(self, name: str, photo: Photo) -> Given:
        """The masks of the image of that name. Raises ImageError where it has none of that image, or
        where they are of another size."""
        ...


class Owners:
    """Which image each entry of a source was given to: by the ends of their paths two images can lead
    to one entry, and only one of them can be meant."""

    def __init__(self, said: str) -> None:
        self._said = said
        self._names: dict[int, str] = {}

    def give(self, entry: int, name: str) -> None:
        """Note who gets an entry. Raises ImageError where another image has got it."""
        other = self._names.setdefault(entry, name)
        if other != name:
            raise ImageError(
                CODE,
                f"{name}: {self._said} has one entry that fits this image and {other}, by the ends of "
                "their names.",
                "Give its images the names that they have here, with their folders.",
            )


def missing(name: str, said: str) -> ImageError:
    """The error for an image of which there is nothing."""
    return ImageError(
        CODE,
        f"{name}: {said} has nothing of an image of that name, or of several.",
        "Add its masks, if only an empty list, or leave the image out.",
    )


def unfit(name: str, why: str) -> ImageError:
    """The error for masks that cannot be used."""
    return ImageError(CODE, f"{name}: {why}", "Make the masks of this image again, at its full size.")


def require_quality(value: object, said: str) -> float:
    """A quality. Raises ValueError for anything but a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{said} is {value!r:.40}, not a number from 0 to 1")
    return float(value)
