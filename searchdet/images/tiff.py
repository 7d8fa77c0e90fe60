"""Which TIFFs Pillow decodes rightly; the others go to tifffile, or are refused by what their tags say.

Pillow reads planes of 16 bits as if they were pixels, takes white for black in 16 bits, and swaps bytes
twice in compressed big-endian files of 32 bits. So it is trusted with what the tests hold it to.
"""

from __future__ import annotations

import contextlib
import io
import logging
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..config.address import Place
from ..errors import ImageError
from . import tifftags
from .levels import Raw, Samples
from .sniff import missing
from .tifftags import Tags

MOST_BYTES = 1 << 30
"""Of all values as tifffile decodes them."""
_NONE, _LZW, _DEFLATE, _PACKBITS = 1, 5, (8, 32946), 32773
SAFE = frozenset({_NONE, _LZW, *_DEFLATE, _PACKBITS})
"""Compressions that cannot make more of a file than is checked here."""
PLAIN = "Save it as RGB or grey with 8 or 16 bits."
_SCHEMES = {
    tifftags.MASK: "is a transparency mask",
    32803: "holds raw data of a sensor",
    34892: "holds raw data of a sensor",
    32844: "is stored as logarithms",
    32845: "is stored as logarithms",
}
_ALPHA, _PREMULTIPLIED = 2, 1


def require_readable(path: Place, tags: Tags) -> None:
    """Raise ImageError (mode) for a TIFF that is no picture in colours, naming what it is; (decode) for
    one of which parts are missing."""
    cause = _cause(tags)
    if cause:
        raise ImageError("mode", f"{path}: {cause}.", PLAIN)
    if tags.absent:
        what = "tiles" if tags.tile else "strips"
        raise ImageError(
            "decode",
            f"{path}: {tags.absent} of its {tags.parts} {what} are not in the file.",
            "Save it anew with all parts written; what is missing would be read as black.",
        )


def for_pillow(tags: Tags) -> bool:
    """Whether Pillow is trusted with such a file."""
    if tags.format != tifftags.UNSIGNED:
        return False
    if tags.planar == 2 and tags.samples in (2, 4) and tags.photometric != tifftags.CMYK:
        return False
    if tags.depth <= 8:
        return True
    if tags.fill != 1:
        return False
    if tags.depth == 16 and tags.samples >= 3:
        plain = tags.planar == 1 and tags.extras[:1] != (_PREMULTIPLIED,)
        return plain and tags.photometric in (tifftags.RGB, tifftags.CMYK)
    known = tags.depth == 16 or (tags.depth == 12 and tags.little)
    return known and tags.samples == 1 and tags.photometric == tifftags.BLACK_IS_ZERO


def declared(tags: Tags) -> tuple[float | None, float] | None:
    """The range that the tags declare: by least and greatest value, or by an odd number of bits."""
    if tags.declared is not None:
        return tags.declared
    odd = tags.format == tifftags.UNSIGNED and tags.depth not in (8, 16, 32, 64)
    return (0.0, float((1 << tags.depth) - 1)) if odd else None


def read(path: Place, data: bytes, tags: Tags) -> Raw:
    """Decode with tifffile. Raises ImageError; with code not_an_image where that is not installed."""
    if tags.photometric not in (0, tifftags.BLACK_IS_ZERO, tifftags.RGB):
        raise ImageError("mode", f"{path}: {_what(tags)} of this colour scheme are not read.", PLAIN)
    _require_bounded(path, tags)
    try:
        import tifffile
    except ImportError as error:
        raise missing(path, f"is a TIFF of {_what(tags)}", "tiff") from error
    try:
        with _silent(), tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            _require_segments(path, data, tags, page)
            values = page.asarray(maxworkers=1)
    except (ImportError, ValueError) as error:
        if "imagecodecs" in str(error):
            raise missing(path, f"is a TIFF of {_what(tags)}, compressed", "tiff") from error
        raise
    return _raw(path, np.asarray(values), tags)


def _cause(tags: Tags) -> str:
    """Why a TIFF is refused; nothing where it is not."""
    colours = {tifftags.RGB: 3, tifftags.CMYK: 4, 6: 3, 8: 3}.get(tags.photometric, 1)
    if tags.photometric == 6 and tags.samples == 1:
        colours = 1
    if tags.preview:
        return "its first picture is a small preview, as in the raw files of cameras"
    if tags.photometric in _SCHEMES:
        return _SCHEMES[tags.photometric]
    if tags.samples < colours or tags.samples > colours + 1:
        return f"has {tags.samples} bands, which are no colours"
    if colours == 1 and tags.samples == 2 and tags.extras[:1] not in ((_ALPHA,), (_PREMULTIPLIED,)):
        return "has 2 bands, of which none is said to be opacity"
    if len(set(tags.bits)) != 1 or len(set(tags.formats)) != 1:
        return "its samples are of different types"
    if tags.format not in (tifftags.UNSIGNED, tifftags.SIGNED, tifftags.FLOAT):
        return "its values are complex numbers, or of no known type"
    if tags.photometric == tifftags.PALETTE and tags.depth > 8:
        return "has a palette of more than 8 bits"
    return ""


def _what(tags: Tags) -> str:
    """The kind of values, in words: ``16-bit planes``."""
    kind = {tifftags.SIGNED: "signed ", tifftags.FLOAT: "floating-point "}.get(tags.format, "")
    form = "planes" if tags.planar == 2 and tags.samples > 1 else "values"
    zero = " with white as 0" if tags.photometric == 0 else ""
    return f"{tags.depth}-bit {kind}{form}{zero}"


def _require_bounded(path: Place, tags: Tags) -> None:
    """Raise ImageError for what could take far more memory than its size says."""
    if tags.compression not in SAFE:
        raise ImageError(
            "mode",
            f"{path}: {_what(tags)} in compression {tags.compression} are not read.",
            "Save it with LZW or Deflate, or with none.",
        )
    across, down = tags.tile or (1, 1)
    size = max(tags.width, across) * max(tags.height, down) * tags.samples * max(1, tags.depth // 8)
    if across < 1 or down < 1 or size > MOST_BYTES:
        raise ImageError(
            "too_large", f"{path}: its {_what(tags)} take {size / 1e9:.1f} GB.", "Scale the image down."
        )


def _require_segments(path: Place, data: bytes, tags: Tags, page: Any) -> None:
    """Raise ImageError where the page is another than the tags say, or a part of it unpacks to far more
    than the picture."""
    if (page.imagelength, page.imagewidth) != (tags.height, tags.width) or page.imagedepth != 1:
        raise ImageError("decode", f"{path}: its tags are contradictory.")
    if tags.compression not in _DEFLATE:
        return
    most = page.chunked and int(np.prod(page.chunks)) * page.dtype.itemsize
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        unpacker = zlib.decompressobj()
        unpacker.decompress(data[start : start + count], most + 1)
        if unpacker.unconsumed_tail:
            raise ImageError("bomb", f"{path}: a part of it unpacks to more than the whole picture.")


def _raw(path: Place, values: Samples, tags: Tags) -> Raw:
    if tags.planar == 2 and tags.samples > 1:
        values = np.moveaxis(values, 0, -1)
    wanted = (tags.height, tags.width, *((tags.samples,) if tags.samples > 1 else ()))
    if values.shape != wanted or values.dtype.kind not in "uif":
        raise ImageError(
            "decode", f"{path}: was decoded as {values.dtype} {values.shape}, not {wanted}."
        )
    colours = 3 if tags.photometric == tifftags.RGB else 1
    alpha = None
    if tags.samples > colours and tags.extras[:1] in ((_ALPHA,), (_PREMULTIPLIED,), ()):
        alpha = _opacity(values[..., colours])
    if values.ndim == 3:
        values = values[..., 0] if colours == 1 else values[..., :colours]
    return Raw(
        values,
        tags.stored,
        "tifffile",
        alpha,
        premultiplied=alpha is not None and tags.extras[:1] == (_PREMULTIPLIED,),
        declared=declared(tags),
        inverted=tags.photometric == 0,
    )


def _opacity(values: Samples) -> Any:
    most = 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)
    return np.clip(values.astype(np.float32) / most, 0, 1)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without the log of tifffile, which tells of damage that is an error here."""
    log = logging.getLogger("tifffile")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before
