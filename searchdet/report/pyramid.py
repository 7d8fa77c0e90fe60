"""Full pictures beside the page: JPEG tiles of each picture at its own pixels and at halves of them.

A browser loads only the tiles that are looked at, so a picture may have any size. The folder of a
picture is called after the digest of its content: one that is there is whole and is not made again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
import numpy.typing as npt

from ..config import MAX_PIXELS
from ..config.address import Place, place_of
from ..errors import ImageError, OutputError
from ..images import read_image, used_range
from ..output import THUMBNAIL_SIDE, Output, encode_jpeg
from ..records import ImageRecord
from ..storage import files
from .pictures import below

log = logging.getLogger(__name__)

TILE, QUALITY = 1024, 92
FORM = 1
"""Of the tiles; it is part of the name of a folder."""
UInt8Array = npt.NDArray[np.uint8]


@dataclass(slots=True)
class Pyramids:
    """Full pictures for a page. folder: where they lie, beside it. output: the output folder, which
    knows where each image was; images: where else they lie. least: longest side, in pixels, of a
    picture that a thumbnail shows as it is. size: bytes of all; missing: names of images that could
    not be found."""

    folder: Path
    output: Output
    images: Path | None
    least: int = THUMBNAIL_SIDE
    size: int = 0
    missing: list[str] = field(default_factory=list)

    def of(self, record: ImageRecord) -> tuple[str, int] | None:
        """The address of a record's picture from the page, and its number of levels; None where
        a thumbnail shows all of it, or there is no picture. Raises OutputError."""
        if record.failed or max(record.width, record.height) <= self.least:
            return None
        name = f"{record.content[:24]}-{FORM}"
        place, count = self.folder / name, levels(record.width, record.height)
        if not files.is_file(place / last(count)):
            pixels = self._pixels(record)
            if pixels is None:
                self.missing.append(record.image)
                return None
            log.info("%s: a full picture is made.", record.image)
            self._write(place, pixels, count)
        self.size += sum(path.stat().st_size for path in place.glob("*.jpg"))
        return f"{quote(os.fsencode(self.folder.name), safe='')}/{name}", count

    def _pixels(self, record: ImageRecord) -> UInt8Array | None:
        """The picture of a record, from the named folder or from where it was."""
        most = max(MAX_PIXELS, record.width * record.height)
        for path in self._places(record.image):
            try:
                image = read_image(path, most, used_range(record.source))
            except ImageError as error:
                log.info("%s: %s", record.image, error.one_line())
                continue
            if image.content == record.content:
                return image.pixels
            log.info("%s: %s is another image.", record.image, path)
        return None

    def _places(self, name: str) -> Iterator[Place]:
        if self.images is not None and (path := below(self.images, name)) is not None:
            yield path
        if (noted := self.output.source(name)) is not None:
            yield place_of(noted)

    def _write(self, place: Path, pixels: UInt8Array, count: int) -> None:
        """All tiles of a picture; last of all the one that says that all are there."""
        if files.leads_out(place / last(count), self.folder.parent):
            raise OutputError(f"{place}: a link leads out of {self.folder.parent}.", "Remove it.")
        with ThreadPoolExecutor(os.cpu_count()) as workers:
            for number in range(count):
                rows = [(place / name, tile) for name, tile in tiles(pixels, number)]
                encoded = workers.map(lambda row: (row[0], encode_jpeg(row[1], QUALITY, 0)), rows)
                for path, data in encoded:
                    files.write_bytes(path, data)
                pixels = halved(pixels)


def levels(width: int, height: int) -> int:
    """How many pictures there are, each half of the one before: the last is one tile."""
    longest, count = max(width, height), 1
    while longest > TILE:
        longest, count = (longest + 1) // 2, count + 1
    return count


def last(count: int) -> str:
    """The only tile of the last level."""
    return f"{count - 1}-0-0.jpg"


def tiles(pixels: UInt8Array, level: int) -> Iterator[tuple[str, UInt8Array]]:
    """Names and pixels of the tiles of a level; those at the right and the bottom may be smaller."""
    for row in range(0, pixels.shape[0], TILE):
        for column in range(0, pixels.shape[1], TILE):
            name = f"{level}-{row // TILE}-{column // TILE}.jpg"
            yield name, np.ascontiguousarray(pixels[row : row + TILE, column : column + TILE])


def halved(pixels: UInt8Array) -> UInt8Array:
    """The (H, W, 3) picture at half its sides, rounded up."""
    height, width = ((side + 1) // 2 for side in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
