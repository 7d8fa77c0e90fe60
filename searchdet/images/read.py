"""The one image reader, for queries and exemplars alike: any allowed file to upright RGB uint8.

Most files are decoded by Pillow; what it would read wrongly, and values of more than 8 bits, go through
``tiff``, ``png`` and ``levels``.
"""

from __future__ import annotations

import contextlib
import io
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from ..config import MAX_PIXELS
from ..config.address import Place, Remote
from ..errors import ImageError, SearchdetError
from ..records import ValueRange
from ..storage import remote
from . import heif, png, sniff, tiff, tifftags, turned
from .levels import DIM, Bounds, Raw, few_reach, range_of, rgb
from .loaded import LoadedImage, digest
from .strips import to_rgb
from .tifftags import Tags

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""The allow-list, beside AVIF and HEIF. EPS, PSD, FITS and the like start interpreters or have poor
parsers."""
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
MAX_FILE_BYTES = 1 << 30
WEBP_PIXELS = 100_000_000
"""Of a WebP, whose decoder takes four times the memory of others."""
MOST_PAGES = 1000
"""Pages of a TIFF are counted so far: each one costs more than the one before it."""
FILLED = 64
"""A picture whose high bytes reach a quarter of their range uses all 16 bits."""
CONTAINER = ValueRange("uint16", 0.0, 65535.0, "container")
OUTLIERS = replace(CONTAINER, by="outliers")


@dataclass(frozen=True, slots=True)
class _File:
    """An image file, what is known of it before it is decoded, and the range that the user gave."""

    path: Place
    data: bytes
    kind: str
    given: Bounds | None
    tags: Tags | None = None
    png: png.Header | None = None

    @property
    def deep(self) -> bool:
        """Whether samples have more than the 8 bits that Pillow keeps of colours."""
        if self.tags is not None:
            return self.tags.depth > 8
        return self.png is not None and self.png.depth > 8


def read_image(path: Place, max_pixels: int = MAX_PIXELS, given: Bounds | None = None) -> LoadedImage:
    """Read one image file. given: the values that become 0 and 255 where samples have more than 8 bits;
    without it they are found.

    Raises ImageError with code missing, not_an_image, too_large, bomb, mode or decode.
    """
    return decode(path, read_bytes(path), max_pixels, given)


def decode(
    path: Place, data: bytes, max_pixels: int = MAX_PIXELS, given: Bounds | None = None
) -> LoadedImage:
    """``read_image`` for bytes that were read before. path: for messages."""
    kind = sniff.kind_of(data)
    sniff.require_readable(path, kind)
    tags = tifftags.read_tags(data) if kind == "TIFF" else None
    file = _File(path, data, kind, given, tags, png.header(data) if kind == "PNG" else None)
    with warnings.catch_warnings(), _decoding(path):
        warnings.simplefilter("ignore")  # Pillow's own size warnings; the limit below is ours
        if tags is not None:
            _check_size(path, (tags.width, tags.height), kind, max_pixels)
            tiff.require_readable(path, tags)
            if not tiff.for_pillow(tags):
                return _finished(file, tiff.read(path, data, tags), tags.pages, tags.orientation)
        with heif.opened(path, data) if kind == "HEIF" else _open(path, data, kind) as image:
            _check_size(path, image.size, image.format or kind, max_pixels)
            require_known_inks(path, image)
            frames = _frames(image)
            if kind != "HEIF":  # which begins at its main picture
                image.seek(0)
            image.load()
            return _from_pillow(file, image, frames)


@contextlib.contextmanager
def _decoding(path: Place) -> Iterator[None]:
    """Whatever a decoder raises as ImageError."""
    try:
        yield
    except (SearchdetError, MemoryError):
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


def from_pil(image: Image.Image, name: str = "image", given: Bounds | None = None) -> LoadedImage:
    """Wrap a PIL image; the same conversions as for a file."""
    copy = image.copy()
    return _from_pillow(_File(Path(name), b"", "", given), copy, 1)


def read_bytes(path: Place) -> bytes:
    """The content of an image file, here or in a store. Raises ImageError (missing, not_an_image,
    too_large, unreachable)."""
    try:
        data = _read_here(path) if isinstance(path, Path) else _fetched(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ImageError("missing", f"{path}: cannot be read ({reason}).") from error
    if not data:
        raise ImageError("not_an_image", f"{path}: the file is empty.")
    return data


def _read_here(path: Path) -> bytes:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # reading a pipe would wait for ever
        raise ImageError("not_an_image", f"{path}: is no regular file.")
    if found.st_size > MAX_FILE_BYTES:
        raise ImageError("too_large", f"{path}: the file is larger than 1 GiB.")
    return path.read_bytes()


def _fetched(at: Remote) -> bytes:
    try:
        return remote.read(at, MAX_FILE_BYTES)
    except remote.Unreachable as error:
        said = f"{at}: the store did not give it ({error.strerror})."
        raise ImageError("unreachable", said, "Run again when it answers.") from error


def _open(path: Place, data: bytes, kind: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=("AVIF",) if kind == "AVIF" else FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageError("bomb", f"{path}: {error}") from error
    except UnidentifiedImageError as error:
        cause = f"not a {', '.join((*FORMATS, 'AVIF', 'HEIF'))} image"
        if kind:
            cause = f"begins as a {kind} file, but is a damaged or an unusual one"
        raise ImageError(
            "not_an_image", f"{path}: {cause}.", "Convert it to PNG or JPEG first."
        ) from error
    except Exception as error:  # header parsers raise many types on damaged files
        raise ImageError("decode", f"{path}: broken header ({error}).") from error


def _check_size(path: Place, size: tuple[int, int], kind: str, max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError("decode", f"{path}: the image has no pixels.")
    if kind == "WEBP" and max_pixels >= width * height > WEBP_PIXELS:
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


def require_known_inks(path: Place, image: Image.Image) -> None:
    """Raise ImageError (mode) for a JPEG of inks that does not say whether they are inverted: Pillow
    takes them for so."""
    if image.format == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info:
        raise ImageError(
            "mode",
            f"{path}: is a CMYK JPEG without Adobe's mark, and may be a negative.",
            "Convert it to RGB with the program that made it.",
        )


def _pages(file: _File, frames: int) -> int:
    """How many pictures of full size there are. What lies beside the photo of a phone is none."""
    if file.tags is not None:
        return file.tags.full
    return frames if file.kind in ANIMATED else 1


def _frames(image: Image.Image) -> int:
    if image.format != "TIFF":
        return int(getattr(image, "n_frames", 1))
    count = 1
    with contextlib.suppress(EOFError):
        while count < MOST_PAGES:
            image.seek(count)
            count += 1
    return count


def _from_pillow(file: _File, image: Image.Image, frames: int) -> LoadedImage:
    """The image is ours: it is turned in place."""
    orientation = file.tags.orientation if file.tags else _orientation(image)
    size = (file.tags.width, file.tags.height) if file.tags else image.size
    raw = _raw(file, image)
    if raw is not None:
        return _finished(file, raw, frames, orientation)
    ImageOps.exif_transpose(image, in_place=True)
    pixels, alpha = to_rgb(image)
    content = digest(file.data or pixels.tobytes())
    decoder = "pi-heif" if file.kind == "HEIF" else "Pillow"
    values = None if not file.deep else OUTLIERS if _dim(image) else CONTAINER
    pages = _pages(file, frames)
    return LoadedImage(pixels, alpha, content, frames, orientation, size, decoder, values, pages)


def _finished(file: _File, raw: Raw, frames: int, orientation: int) -> LoadedImage:
    """Values as they are stored to an image in its upright frame."""
    width, height = raw.values.shape[1], raw.values.shape[0]
    size = (height, width) if raw.turned and orientation >= 5 else (width, height)
    used = None if raw.values.dtype == np.uint8 else range_of(file.path, raw, file.given)
    pixels, alpha = rgb(raw, used)
    if not raw.turned:
        pixels = turned.upright(pixels, orientation)
        alpha = None if alpha is None else turned.upright(alpha, orientation)
    content = digest(file.data or raw.values.tobytes())
    pages = _pages(file, frames)
    return LoadedImage(pixels, alpha, content, frames, orientation, size, raw.decoder, used, pages)


def _raw(file: _File, image: Image.Image) -> Raw | None:
    """The stored values where they have more than 8 bits; None where what Pillow made of them, 8
    bits or the high byte of 16, is right."""
    if image.mode.startswith("I") or image.mode == "F":
        return _wide(file, image)
    if not file.deep or image.mode == "CMYK":
        return None
    said = tiff.declared(file.tags) if file.tags else file.png.declared if file.png else None
    clear = file.png is not None and file.png.clear
    if file.given is None and said is None and not clear and _filled(image):
        return None
    if file.tags is not None:
        return tiff.read(file.path, file.data, file.tags)
    return None if file.png is None else png.read(file.path, file.data, file.png)


def _wide(file: _File, image: Image.Image) -> Raw:
    """Grey with more than 8 bits, which Pillow gives as it is stored."""
    values = np.asarray(image)
    if file.tags is not None:  # whose Pillow has turned it, and forgotten how
        said = tiff.declared(file.tags)
        raw = Raw(values, file.tags.stored, "Pillow", declared=said, turned=_orientation(image) == 1)
    elif file.png is not None:
        raw = Raw(values.astype(np.uint16), "uint16", "Pillow", declared=file.png.declared)
        if file.png.clear:
            raw = replace(raw, alpha=_opaque(values, image.info.get("transparency")))
    else:
        raw = Raw(values, values.dtype.name, "Pillow")
    return raw


def _opaque(values: npt.NDArray[Any], clear: object) -> npt.NDArray[np.float32] | None:
    """Opacity where one grey is transparent."""
    return (values != clear).astype(np.float32) if isinstance(clear, int) else None


def _filled(image: Image.Image) -> bool:
    bands = [band for band in image.getbands() if band not in "Aa"]
    return any(int(np.asarray(image.getchannel(band)).max()) >= FILLED for band in bands)


def _dim(image: Image.Image) -> bool:
    """Whether hardly any high byte of the colours is more than a sixteenth of its range."""
    bands = [band for band in image.getbands() if band not in "AaK"]
    return image.mode != "CMYK" and all(
        few_reach(np.asarray(image.getchannel(band)), 256 / DIM) for band in bands
    )


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(0x0112, 1)
    return int(value) if value in range(1, 9) else 1
