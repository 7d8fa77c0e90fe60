"""What a PNG says of its values, and the reader for those with 16 bits, of which Pillow keeps 8."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from ..config.address import Place
from ..errors import ImageError
from .levels import Raw

_GREY, _GREY_ALPHA = 0, 4
_FIRST_CHUNK = 8
MOST_CHUNKS = 1000


@dataclass(frozen=True, slots=True)
class Header:
    """depth: bits of a sample. significant: how many of them the file says it uses, None where it does
    not say. clear: whether one colour is transparent."""

    depth: int
    colour: int
    significant: int | None = None
    clear: bool = False

    @property
    def declared(self) -> tuple[float | None, float] | None:
        """The range that ``significant`` means where the values were not scaled to all bits."""
        if self.significant is None or not 1 <= self.significant < self.depth:
            return None
        return 0.0, float((1 << self.significant) - 1)


def header(data: bytes) -> Header | None:
    """The head of a PNG; None where it cannot be read."""
    try:
        depth, colour = struct.unpack_from(">BB", data, 24)
        significant, clear, at = None, False, _FIRST_CHUNK
        for _ in range(MOST_CHUNKS):
            length, kind = struct.unpack_from(">I4s", data, at)
            if kind in (b"IDAT", b"IEND"):
                break
            body = data[at + 8 : at + 8 + length]
            if kind == b"sBIT" and body:
                significant = max(body if colour in (_GREY, 2, 3) else body[:-1], default=None)
            clear = clear or kind == b"tRNS"
            at += 12 + length
    except struct.error:
        return None
    return Header(depth, colour, significant, clear)


def read(path: Place, data: bytes, head: Header) -> Raw:
    """Decode 16 bits with OpenCV. Raises ImageError (decode)."""
    import cv2

    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16 or found.ndim not in (2, 3):
        raise ImageError("decode", f"{path}: its 16 bits cannot be decoded.")
    if found.ndim == 2:
        return Raw(found, "uint16", "OpenCV", declared=head.declared)
    alpha = found[..., 3] / np.float32(65535) if found.shape[2] == 4 else None
    values = found[..., 0] if head.colour in (_GREY, _GREY_ALPHA) else found[..., 2::-1]
    return Raw(values, "uint16", "OpenCV", alpha, declared=head.declared)
