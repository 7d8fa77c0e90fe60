"""The pictures of a report: thumbnails that `detect` left, or made now from the images."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from ..config import MAX_PIXELS
from ..config.address import Place
from ..errors import ImageError
from ..images import read_image, used_range
from ..output import THUMBNAIL_QUALITY, THUMBNAIL_SIDE, Output, encode_jpeg, thumbnail
from ..records import ImageRecord
from ..storage import places

log = logging.getLogger(__name__)

BUDGET = 27_000_000
"""Bytes of all thumbnails of a page; above it they get smaller together. A third more in the file."""
LEAST_SIDE, SMALL_QUALITY = 96, 76


def below(folder: Path, name: str) -> Path | None:
    """The path of a name of a record in a folder; None for a name that leads out of it."""
    parts = PurePosixPath(name)
    return None if parts.is_absolute() or ".." in parts.parts else folder / parts


def thumbnail_of(record: ImageRecord, folder: Place, images: Path | None) -> bytes | None:
    """JPEG bytes for a record: what ``detect`` left, else from its image in ``images``, else None."""
    found = stored(folder, "thumbnails", record.image)
    if found is not None or images is None or record.failed:
        return found
    path = below(images, record.image)
    if path is None:
        return None
    try:
        most = max(MAX_PIXELS, record.width * record.height)  # what was searched is shown
        image = read_image(path, most, used_range(record.source))
    except ImageError as error:
        log.warning("%s: no picture, %s", record.image, error.one_line())
        return None
    if image.sha256 != record.sha256:
        log.warning("%s: no picture, %s is another image.", record.image, path)
        return None
    return encode_jpeg(thumbnail(image.pixels), THUMBNAIL_QUALITY)


def stored(folder: Place, kind: str, name: str) -> bytes | None:
    """A JPEG that ``detect`` left in an output folder; None where there is none."""
    if below(Path(), name) is None:
        return None
    try:
        data = places.read(Output(folder).path(kind, name, ".jpg"))
    except OSError:
        return None
    return data if data.startswith(b"\xff\xd8") else None


def crowded(folder: Place) -> bool:
    """Whether the thumbnails of an output folder are too much for one page, and get smaller."""
    return sum(stamp[0] for _, stamp in places.found(folder / "thumbnails", ".jpg")) > BUDGET


def within_budget(pictures: Sequence[bytes | None]) -> list[bytes | None]:
    """The pictures, all made smaller alike if together they are too much for one page."""
    total = sum(len(item) for item in pictures if item is not None)
    if total <= BUDGET:
        return list(pictures)
    side = max(LEAST_SIDE, int(THUMBNAIL_SIDE * (BUDGET / total) ** 0.5))
    log.info("Thumbnails are scaled down to %d pixels for this page.", side)
    return [None if item is None else _smaller(item, side) for item in pictures]


def _smaller(data: bytes, side: int) -> bytes | None:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            pixels = np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    return encode_jpeg(thumbnail(pixels, side), SMALL_QUALITY)


def as_text(data: bytes) -> str:
    """Base64."""
    return base64.b64encode(data).decode("ascii")
