"""Values of any type to 8 bits: which of them become 0 and 255 is found, said and applied here.

The depth of a container says little: cameras and microscopes keep 10, 12 or 14 bits in 16, and floating
point has no range at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.address import Place
from ..errors import ImageError
from ..records import ValueRange

USUAL_BITS = (8, 10, 12, 14, 16)
STRIP_VALUES = 1 << 23
"""Converted at once: a conversion needs several times the memory of what it converts."""
DIM, FEW = 16, 0.001
"""Where less than FEW of the values reach a DIM-th of their type, the others may be all there is."""
MOST = 1e15
"""Values beyond it are none of a picture."""
OPTION = "Say which values are black and white: --value-range LOW,HIGH."

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Samples = npt.NDArray[Any]
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Raw:
    """Decoded values as they are stored: (H, W) grey or (H, W, 3) RGB, of any whole or floating type.

    alpha: (H, W) opacity from 0 to 1, None without. stored: the type in the file, as records say it.
    declared: the least (None: not said) and greatest value that the file declares. inverted: 0 is
    white. turned: they are upright already. decoder: the package that decoded it.
    """

    values: Samples
    stored: str
    decoder: str
    alpha: FloatArray | None = None
    premultiplied: bool = False
    declared: tuple[float | None, float] | None = None
    inverted: bool = False
    turned: bool = False


def range_of(path: Place, raw: Raw, given: Bounds | None = None) -> ValueRange:
    """The range of a picture: the user's, else what the file declares, else what its values say.
    Raises ImageError (mode) where nothing is plausible."""
    low, high = _extremes(path, raw)
    if given is not None:
        return ValueRange(raw.stored, *given, "given")
    if raw.declared is not None:
        least = min(0.0, low) if raw.declared[0] is None else raw.declared[0]
        if least <= low and high <= raw.declared[1]:
            return ValueRange(raw.stored, least, raw.declared[1], "tags")
    if raw.values.dtype.kind == "f":
        return _of_floats(raw, low, high)
    if low < 0:
        return ValueRange(raw.stored, low, max(high, low + 1), "extremes")
    limit = float(np.iinfo(raw.values.dtype).max)
    if high == 0 or high >= limit / 4:
        few = high > 0 and few_reach(raw.values, limit / DIM)
        return ValueRange(raw.stored, 0.0, limit, "outliers" if few else "container")
    if high >= 1 << USUAL_BITS[-1]:
        raise ImageError(
            "mode", f"{path}: its {raw.stored} values reach {high:.0f}, no usual range.", OPTION
        )
    return ValueRange(raw.stored, 0.0, min(limit, _levels(high)), "levels")


def to_8_bits(values: Samples, used: ValueRange, inverted: bool = False) -> UInt8Array:
    """Values as (...) uint8: below the range 0, above it 255; with ``inverted`` the other way round.
    Whole numbers keep their high bits, so that 12 bits come to what 8 of them would."""
    made = np.empty(values.shape, np.uint8)
    rows = max(1, STRIP_VALUES // max(1, values[:1].size))
    for top in range(0, len(values), rows):
        made[top : top + rows] = _strip(values[top : top + rows], used)
    return np.subtract(255, made, out=made) if inverted else made


def rgb(raw: Raw, used: ValueRange | None) -> tuple[UInt8Array, BoolArray | None]:
    """Pixels (H, W, 3) on a white ground, and (H, W) True where at least half opaque, None without
    alpha. used: None for 8 bits, which stay as they are."""
    inverted = raw.inverted
    if used is None:
        pixels = 255 - raw.values if inverted else raw.values
    else:
        pixels = to_8_bits(raw.values, used, inverted)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if raw.alpha is None:
        return np.ascontiguousarray(pixels), None
    opacity = _opacity(raw, raw.alpha, used)
    alpha = opacity[..., None]
    shares = pixels.astype(np.float32) * (1.0 if raw.premultiplied else alpha)
    ground = np.clip(np.rint(shares + 255 * (1 - alpha)), 0, 255)
    return ground.astype(np.uint8), opacity >= 0.5


def _opacity(raw: Raw, alpha: FloatArray, used: ValueRange | None) -> FloatArray:
    """Opacity from 0 to 1, which may have been stored with as few bits as the colours."""
    if used is None or raw.values.dtype.kind == "f":
        return alpha
    share = used.high / float(np.iinfo(raw.values.dtype).max)
    return np.clip(alpha / share, 0, 1) if share > 0 and alpha.max() <= share else alpha


def few_reach(values: Samples, level: float) -> bool:
    """Whether hardly any value reaches a level: as if it were damage to a picture of fewer bits."""
    return float(np.count_nonzero(values >= level)) < FEW * values.size


def _strip(values: Samples, used: ValueRange) -> Samples:
    low, high = used.low, used.high
    whole = low.is_integer() and high.is_integer() and max(-low, high) < MOST
    if values.dtype.kind != "f" and whole:
        above = np.clip(values.astype(np.int64), int(low), int(high)) - int(low)
        return above * 256 // (int(high) - int(low) + 1)
    shares = (np.clip(values.astype(np.float64), low, high) - low) / (high - low)
    return np.rint(shares * 255)


def _extremes(path: Place, raw: Raw) -> Bounds:
    """Least and greatest value of what can be seen. Raises ImageError (mode) for NaN and infinity."""
    values = raw.values
    if raw.alpha is not None and (raw.alpha > 0).any():
        values = values[raw.alpha > 0]
    low, high = float(values.min()), float(values.max())
    if not -MOST < low <= high < MOST:  # nor for NaN
        raise ImageError(
            "mode",
            f"{path}: its {raw.stored} values hold NaN, infinity or more than 1e15.",
            "Replace them, or save the image with 8 or 16 bits per channel.",
        )
    return low, high


def _of_floats(raw: Raw, low: float, high: float) -> ValueRange:
    if low >= 0 and high <= 1:
        return ValueRange(raw.stored, 0.0, 1.0, "unit")
    if low >= 0 and high < 1 << USUAL_BITS[-1] and _whole(raw.values):
        return ValueRange(raw.stored, 0.0, _levels(high), "levels")
    least = min(0.0, low)
    return ValueRange(raw.stored, least, high if high > least else 0.0, "extremes")


def _levels(high: float) -> float:
    """The greatest value of the least usual number of bits that holds ``high``."""
    return float((1 << next(bits for bits in USUAL_BITS if high < 1 << bits)) - 1)


def _whole(values: Samples) -> bool:
    rows = max(1, STRIP_VALUES // max(1, values[:1].size))
    strips = (values[top : top + rows] for top in range(0, len(values), rows))
    return all(bool((strip == np.rint(strip)).all()) for strip in strips)
