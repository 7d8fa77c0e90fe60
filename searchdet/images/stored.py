"""The values of a picture as its file holds them: indices stay indices, 16 bits stay 16 bits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from ..config import MAX_PIXELS
from ..errors import ImageError
from . import heif, read, sniff, tiff, tifftags, turned
from .levels import Raw

LOSSLESS = ("PNG", "BMP", "TIFF", "GIF")
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Stored:
    """One picture, upright by its own EXIF.

    values: (H, W) numbers, or (H, W, 3) uint8 colours. palette: (n, 3) uint8 where values are indices
    of it. clear: (H, W), True where less than half opaque; None where nothing is. lossy: whether the
    format may have changed values. bits: of a number. orientation: the EXIF value that was applied.
    pages: pictures of full size in the file, of which this is the first.
    """

    values: npt.NDArray[Any]
    palette: npt.NDArray[np.uint8] | None
    clear: BoolArray | None
    lossy: bool
    bits: int
    orientation: int = 1
    pages: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return int(self.values.shape[0]), int(self.values.shape[1])


def read_stored(
    path: Path,
    max_pixels: int = MAX_PIXELS,
    require: Callable[[tuple[int, int]], None] | None = None,
) -> Stored:
    """Read one picture. require: called with its size (H, W), perhaps before its rotation, ahead of its
    pixels; what it raises is raised. Raises ImageError as ``read_image`` does."""
    data = read.read_bytes(path)
    kind = sniff.kind_of(data)
    sniff.require_readable(path, kind)
    tags = tifftags.read_tags(data) if kind == "TIFF" else None
    with warnings.catch_warnings(), read._decoding(path):
        warnings.simplefilter("ignore")  # Pillow's own size warnings
        if tags is not None:
            read._check_size(path, (tags.width, tags.height), kind, max_pixels)
            tiff.require_readable(path, tags)
            if not tiff.for_pillow(tags):
                if require is not None:
                    require((tags.height, tags.width))
                found = _from_raw(path, tiff.read(path, data, tags), tags.depth)
                return replace(_turned(found, tags.orientation), pages=tags.full)
        with heif.opened(path, data) if kind == "HEIF" else read._open(path, data, kind) as image:
            read._check_size(path, image.size, image.format or kind, max_pixels)
            if require is not None:
                require((image.height, image.width))
            read.require_known_inks(path, image)
            lossless = image.format in LOSSLESS or (kind == "WEBP" and sniff.is_lossless_webp(data))
            bits, pages = _bits(image, tags), _pages(image, tags)
            if kind != "HEIF":
                image.seek(0)
            image.load()
            orientation = tags.orientation if tags else read._orientation(image)
            ImageOps.exif_transpose(image, in_place=True)
            found = _small(_stored(image, not lossless), bits)
            return replace(found, orientation=orientation, pages=pages)


def _from_raw(path: Path, raw: Raw, bits: int) -> Stored:
    """What was decoded by other means than Pillow, as it is stored. Raises ImageError (mode)."""
    values = raw.values
    if raw.inverted and values.dtype.kind != "u":
        raise ImageError(
            "mode", f"{path}: {raw.stored} values with white as 0 are not read.", tiff.PLAIN
        )
    if raw.inverted:
        values = values ^ values.dtype.type((1 << bits) - 1)
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    clear = None if raw.alpha is None or (raw.alpha >= 0.5).all() else raw.alpha < 0.5
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim == 3 and values.dtype != np.uint8:
        if values.dtype.kind != "u":
            raise ImageError(
                "mode", f"{path}: colours of {raw.stored} values are not read.", tiff.PLAIN
            )
        values = (values >> (bits - 8)).astype(np.uint8)
    return Stored(values, None, clear, False, bits)


def _turned(found: Stored, orientation: int) -> Stored:
    clear = None if found.clear is None else turned.upright(found.clear, orientation)
    values = turned.upright(found.values, orientation)
    return replace(found, values=values, clear=clear, orientation=orientation)


def _pages(image: Image.Image, tags: tifftags.Tags | None) -> int:
    """How many pictures of full size there are. What is beside the photo of a phone is none."""
    if tags is not None:
        return tags.full
    return int(getattr(image, "n_frames", 1)) if image.format in read.ANIMATED else 1


def _bits(image: Image.Image, tags: tifftags.Tags | None) -> int:
    """Bits of a shade of grey, of which a decoder makes 8 by stretching: 2, 4, else 8."""
    if tags is not None:
        return tags.depth if image.mode == "L" and tags.depth in (2, 4) else 8
    tiles = getattr(image, "tile", None)
    coding = tiles[0][3] if tiles else ""
    return int(coding[2]) if coding in ("L;2", "L;4") else 8


def _small(found: Stored, bits: int) -> Stored:
    """The values as they were before a decoder stretched them."""
    if bits == 8 or found.bits != 8 or found.values.ndim != 2:
        return found
    return replace(found, values=found.values // (255 // ((1 << bits) - 1)), bits=bits)


def _stored(image: Image.Image, lossy: bool) -> Stored:
    clear = None
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
        clear = alpha < 128 if (alpha < 128).any() else None
    if image.mode == "P":
        colours = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(colours)] = colours
        return Stored(np.asarray(image), palette, clear, lossy, 8)
    if image.mode == "1":
        return Stored(np.asarray(image).astype(np.uint8), None, clear, lossy, 1)
    if image.mode == "L" or image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        return Stored(values, None, clear, lossy, 8 if values.dtype == np.uint8 else 16)
    if image.mode in ("LA", "La"):
        return Stored(np.asarray(image.getchannel("L")), None, clear, lossy, 8)
    colours = np.array(image.convert("RGB"))
    if clear is not None:
        colours[clear] = 0  # what lies under it is not seen
    grey = bool((colours == colours[..., :1]).all())
    return Stored(colours[..., 0] if grey else colours, None, clear, lossy, 8)
