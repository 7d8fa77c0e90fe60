"""An image as everything else sees it: upright RGB, and how its file was read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..records import SourceInfo, ValueRange, content_digest
from .levels import Bounds

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """One decoded image in its upright frame.

    pixels (H, W, 3) uint8 RGB. alpha (H, W) bool, True where at least half opaque; None without an
    alpha channel. sha256 of the file's bytes. frames: how many the file holds (the first is used; of a
    TIFF at most MOST_PAGES are counted).
    orientation: the EXIF value that was applied (1 = none). stored_size (width, height) before it.
    decoder: the package that decoded it. values: which stored values became 0 and 255; None for 8 bits,
    which stay as they are. pages: how many pictures of full size there are.
    """

    pixels: UInt8Array
    alpha: BoolArray | None
    sha256: str
    frames: int
    orientation: int
    stored_size: tuple[int, int]
    decoder: str = "Pillow"
    values: ValueRange | None = None
    pages: int = 1

    @property
    def content(self) -> str:
        """What memories know the pixels by."""
        return content_digest(self.sha256, self.values)

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])


def used_range(source: SourceInfo | None) -> Bounds | None:
    """The range that the user gave for the image of a record, to read it so once more; None where it
    was found, as it will be again."""
    if source is None or source.values is None or source.values.by != "given":
        return None
    return source.values.low, source.values.high


def digest(data: bytes) -> str:
    """SHA-256 of an image file, by which images are told apart."""
    return hashlib.sha256(data).hexdigest()
