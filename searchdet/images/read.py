"""The one image reader, for queries and exemplars alike: any allowed file to upright RGB uint8."""

from __future__ import annotations

import contextlib
import hashlib
import io
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from ..config import MAX_PIXELS
from ..errors import ImageError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""The allow-list. EPS, PSD, FITS and the like start interpreters or have poor parsers."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
GROUND = (255, 255, 255)
"""The colour under transparent pixels."""
MAX_FILE_BYTES = 1 << 30
WEBP_PIXELS = 100_000_000
"""Of a WebP, whose decoder takes four times the memory of others."""
MOST_PAGES = 1000
"""Pages of a TIFF are counted so far: each one costs more than the one before it."""
STRIP_PIXELS = 1 << 23
"""Converted at once: a conversion needs several times the memory of what it converts."""

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """One decoded image in its upright frame.

    pixels (H, W, 3) uint8 RGB. alpha (H, W) bool, True where at least half opaque; None without an
    alpha channel. sha256 of the file's bytes. frames: how many the file holds (the first is used; of a
    TIFF at most MOST_PAGES are counted).
    orientation: the EXIF value that was applied (1 = none). stored_size (width, height) before it.
    """

    pixels: UInt8Array
    alpha: BoolArray | None
    sha256: str
    frames: int
    orientation: int
    stored_size: tuple[int, int]

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])


def read_image(path: Path, max_pixels: int = MAX_PIXELS) -> LoadedImage:
    """Read one image file.

    Raises ImageError with code missing, not_an_image, too_large, bomb, mode or decode.
    """
    return decode(path, read_bytes(path), max_pixels)


def digest(data: bytes) -> str:
    """SHA-256 of an image file, by which images are told apart."""
    return hashlib.sha256(data).hexdigest()


def decode(path: Path, data: bytes, max_pixels: int = MAX_PIXELS) -> LoadedImage:
    """``read_image`` for bytes that were read before. path: for messages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own size warnings; the limit below is ours
        image = _open(path, data)
        with image:
            _check_size(path, image, max_pixels)
            try:
                frames = _frames(image)
                image.seek(0)
                image.load()
                return _convert(path, image, data, frames)
            except (ImageError, MemoryError):
                raise
            except Image.DecompressionBombError as error:
                raise ImageError("bomb", f"{path}: {error}") from error
            except Exception as error:  # decoders raise many types on damaged files
                reason = str(error) or type(error).__name__
                raise ImageError("decode", f"{path}: cannot be decoded ({reason}).") from error


def from_array(pixels: npt.NDArray[Any], name: str = "array") -> LoadedImage:
    """Wrap an (H, W, 3) uint8 RGB array. Raises ImageError (mode) for anything else."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ImageError(
            "mode",
            f"{name}: got shape {tuple(pixels.shape)} and type {pixels.dtype}.",
            "Pass an (H, W, 3) uint8 RGB array.",
        )
    array = np.ascontiguousarray(pixels)
    content = digest(str(array.shape).encode() + array.tobytes())
    return LoadedImage(array, None, content, 1, 1, (array.shape[1], array.shape[0]))


def from_pil(image: Image.Image, name: str = "image") -> LoadedImage:
    """Wrap a PIL image; the same conversions as for a file."""
    return _convert(Path(name), image.copy(), None, 1)


def read_bytes(path: Path) -> bytes:
    """The content of an image file. Raises ImageError (missing, not_an_image, too_large)."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # reading a pipe would wait for ever
            raise ImageError("not_an_image", f"{path}: is no regular file.")
        if found.st_size > MAX_FILE_BYTES:
            raise ImageError("too_large", f"{path}: the file is larger than 1 GiB.")
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ImageError("missing", f"{path}: cannot be read ({reason}).") from error
    if not data:
        raise ImageError("not_an_image", f"{path}: the file is empty.")
    return data


def _open(path: Path, data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageError("bomb", f"{path}: {error}") from error
    except UnidentifiedImageError as error:
        raise ImageError(
            "not_an_image",
            f"{path}: not a {', '.join(FORMATS)} image.",
            "Convert it to PNG or JPEG first.",
        ) from error
    except Exception as error:  # header parsers raise many types on damaged files
        raise ImageError("decode", f"{path}: broken header ({error}).") from error


def _check_size(path: Path, image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError("decode", f"{path}: the image has no pixels.")
    if image.format == "WEBP" and max_pixels >= width * height > WEBP_PIXELS:
        raise ImageError(
            "too_large",
            f"{path}: {width}x{height} is too much for a WebP, whose decoder needs far more memory.",
            "Convert it to PNG or JPEG first.",
        )
    if width * height > max_pixels:
        raise ImageError(
            "too_large",
            f"{path}: {width}x{height} is {width * height / 1e6:.0f} million pixels.",
            f"Raise --max-pixels (now {max_pixels}) or scale the image down.",
        )


def _frames(image: Image.Image) -> int:
    if image.format != "TIFF":
        return int(getattr(image, "n_frames", 1))
    count = 1
    with contextlib.suppress(EOFError):
        while count < MOST_PAGES:
            image.seek(count)
            count += 1
    return count


def _convert(path: Path, image: Image.Image, data: bytes | None, frames: int) -> LoadedImage:
    """The image is ours: it is turned in place."""
    stored_size = image.size
    orientation = _orientation(image)
    ImageOps.exif_transpose(image, in_place=True)
    pixels, alpha = _to_rgb(path, image)
    content = digest(data if data is not None else pixels.tobytes())
    return LoadedImage(pixels, alpha, content, frames, orientation, stored_size)


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(0x0112, 1)
    return int(value) if value in range(1, 9) else 1


def _to_rgb(path: Path, image: Image.Image) -> tuple[UInt8Array, BoolArray | None]:
    """Strip by strip, so that a large image takes little more memory than its pixels."""
    width, height = image.size
    rows = max(1, STRIP_PIXELS // width)
    if rows >= height:
        return _strip(path, image)
    pixels = np.empty((height, width, 3), np.uint8)
    alpha = None
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        pixels[top:bottom], clear = _strip(path, image.crop((0, top, width, bottom)))
        if clear is not None:
            alpha = np.empty((height, width), np.bool_) if alpha is None else alpha
            alpha[top:bottom] = clear
    return pixels, alpha


def _strip(path: Path, image: Image.Image) -> tuple[UInt8Array, BoolArray | None]:
    mode = image.mode
    if mode.startswith("I;16") or mode == "I":
        return _from_16_bit(path, image), None
    if mode == "F":
        raise ImageError(
            "mode",
            f"{path}: floating-point pixels have no agreed range.",
            "Save the image with 8 or 16 bits per channel.",
        )
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        alpha = np.asarray(rgba.getchannel("A")) >= 128
        ground = Image.new("RGBA", rgba.size, (*GROUND, 255))
        return np.array(Image.alpha_composite(ground, rgba).convert("RGB")), np.array(alpha)
    return np.array(image.convert("RGB")), None


def _from_16_bit(path: Path, image: Image.Image) -> UInt8Array:
    """16-bit grey keeps its high byte; Pillow's own conversion would clip everything above 255."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            "mode",
            f"{path}: 32-bit integer pixels have no agreed range.",
            "Save the image with 8 or 16 bits per channel.",
        )
    grey = (values >> 8).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
