"""One picture in values of any type: TIFFs, and PNGs of 16 bits."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from images_factory import png_chunk, smooth

PHOTO = smooth(48, 64)
PHOTO[0, 0], PHOTO[0, 1] = 0, 255  # the full range
GREY = PHOTO[..., 2]
CLEAR = np.where(np.arange(64) < 20, 0, 255).astype(np.uint8) + np.zeros((48, 1), np.uint8)


def tif(values: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, metadata=None, **options)
    return buffer.getvalue()


def put(folder: Path, data: bytes, name: str = "x.tif") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def png16(values: np.ndarray, colour: int, *chunks: bytes) -> bytes:
    """A PNG of 16 bits: Pillow writes none in colour."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    body = b"".join(chunks) + png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + head + body + png_chunk(b"IEND", b"")
