"""Label Studio's brush: a mask as a bit stream of runs over the bytes of an RGBA picture. Pure.

The stream: the number of bytes (32 bits), bits of a value less one (5), and four lengths in bits less
one (4 each); then runs, each one bit for whether a single value repeats, two for which of the lengths
the count less one has, the count, and the value or the values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
UInt8Array = npt.NDArray[np.uint8]
CHANNELS, SHOWN = 4, 255
LENGTHS = (3, 4, 8, 16)
"""Bits of the counts that we write."""
VALUE_BITS = 8


def decode(data: Sequence[int], size: tuple[int, int]) -> BoolArray:
    """The mask (H, W) of a brush region: what is not fully transparent. Raises ValueError where the
    stream is not of a picture of that size."""
    if any(isinstance(value, bool) or not 0 <= value <= 255 for value in data):
        raise ValueError("a brush region is a list of numbers from 0 to 255")
    stream = _Stream(np.unpackbits(np.asarray(data, np.uint8)))
    count = stream.number(32)
    if count != size[0] * size[1] * CHANNELS:
        raise ValueError(f"a brush region of {count} bytes is not of an image of {size[1]}x{size[0]}")
    bits = stream.number(5) + 1
    lengths = [stream.number(4) + 1 for _ in LENGTHS]
    found, at = np.zeros(count, bool), 0
    while at < count:
        same = stream.number(1)
        run = stream.number(lengths[stream.number(2)]) + 1
        if at + run > count:
            raise ValueError("a brush region runs over its end")
        found[at : at + run] = stream.number(bits) > 0 if same else stream.values(run, bits)
        at += run
    return found.reshape(*size, CHANNELS)[..., CHANNELS - 1]


def encode(mask: BoolArray) -> list[int]:
    """A mask (H, W) as a brush region."""
    count = mask.size * CHANNELS
    text = [f"{count:032b}{VALUE_BITS - 1:05b}", *(f"{bits - 1:04b}" for bits in LENGTHS)]
    flat = mask.ravel()
    starts = np.flatnonzero(np.r_[True, flat[1:] != flat[:-1]]) if flat.size else np.zeros(0, int)
    for start, end in zip(starts, np.r_[starts[1:], flat.size], strict=True):
        value = SHOWN if flat[start] else 0
        text += _runs(int(end - start) * CHANNELS, value)
    bits = "".join(text)
    bits += "0" * (-len(bits) % 8)
    return [int(value) for value in np.packbits([bit == "1" for bit in bits])]


def _runs(length: int, value: int) -> list[str]:
    """A repeated value, in as many runs as it takes."""
    made, most = [], 1 << LENGTHS[-1]
    while length:
        part = min(length, most)
        kind = next(i for i, bits in enumerate(LENGTHS) if part <= 1 << bits)
        made.append(f"1{kind:02b}{part - 1:0{LENGTHS[kind]}b}{value:0{VALUE_BITS}b}")
        length -= part
    return made


class _Stream:
    """Bits that are read one number after another."""

    def __init__(self, bits: UInt8Array) -> None:
        self._bits, self._at = bits, 0

    def number(self, bits: int) -> int:
        value = 0
        for bit in self._take(bits):
            value = value << 1 | int(bit)
        return value

    def values(self, count: int, bits: int) -> BoolArray:
        """Which of so many values are not 0."""
        return np.asarray(self._take(count * bits).reshape(count, bits).any(axis=1))

    def _take(self, count: int) -> UInt8Array:
        found = self._bits[self._at : self._at + count]
        if len(found) < count:
            raise ValueError("a brush region ends too early")
        self._at += count
        return found
