"""TIFFs and deep PNGs of every kind that is told apart, and damage to the entries of a directory."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import images_factory
import numpy as np
import numpy.typing as npt
import tifffile
from mutations import NUMBERS

TAGS = (
    *(254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 280, 281, 284, 317),
    *(320, 322, 323, 324, 325, 330, 338, 339, 340, 341, 347, 50706),
)
WORTH = (*range(9), 10, 12, 14, 16, 24, 32, 64, 128, 32773, 32803, 32946, 34925, 50000, *NUMBERS)


def sound() -> Iterator[tuple[str, bytes]]:
    """Names and bytes."""
    grey = images_factory.smooth()[..., 2]
    colour = images_factory.smooth()
    for order in "<>":
        for kind in ("uint16", "int16", "uint32", "float16", "float32", "float64", "int8"):
            values = (grey // 2).astype(kind)
            yield f"{kind}{order}.tif", _tif(values, order, photometric="minisblack")
            packed: dict[str, Any] = {"compression": "zlib", "predictor": True}
            yield f"{kind}{order}-packed.tif", _tif(values, order, photometric="miniswhite", **packed)
        for name, options in _layouts().items():
            deep = colour.astype(np.uint16) * 16
            deep = np.moveaxis(deep, -1, 0).copy() if "planarconfig" in options else deep
            yield f"{name}{order}.tif", _tif(deep, order, photometric="rgb", **options)
    clear = np.concatenate([colour, grey[..., None]], axis=2).astype(np.uint16)
    for extra in ("unassalpha", "assocalpha", "unspecified"):
        yield f"{extra}.tif", _tif(clear, "<", photometric="rgb", extrasamples=[extra])
    tags = [(274, "H", 1, 6, True), (281, "H", 1, 4095, True)]
    yield "tags.tif", _tif(grey.astype(np.uint16), "<", photometric="minisblack", extratags=tags)
    yield "sixteen.png", _deep_png(images_factory.png_chunk(b"sBIT", b"\x0c\x0c\x0c"))
    yield "clear.png", _deep_png(images_factory.png_chunk(b"tRNS", b"\0\1\0\2\0\3"))


def entries(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One to four entries of a directory with another tag, type, count or value."""
    made = bytearray(data)
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    start, size = at + (8 if big else 2), 20 if big else 12
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = start + size * rng.randrange(max(1, min(count, 100)))
        draw = rng.random()
        if draw < 0.15:
            struct.pack_into(order + "H", made, place, rng.choice(TAGS))
        elif draw < 0.3:
            struct.pack_into(order + "H", made, place + 2, rng.choice((*range(20), 65535)))
        elif draw < 0.45:
            number = rng.choice(WORTH) & 0xFFFFFFFF
            struct.pack_into(order + ("Q" if big else "I"), made, place + 4, number)
        else:
            number = rng.choice(WORTH) & 0xFFFFFFFF
            wide = rng.random() < 0.5
            number = number if wide else number & 0xFFFF
            code = order + ("I" if wide else "H")
            struct.pack_into(code, made, place + (12 if big else 8), number)
    return bytes(made)


def _layouts() -> dict[str, dict[str, Any]]:
    planes = {"planarconfig": "separate"}
    return {
        "pixels": {},
        "planes": planes,
        "planes-lzw": {**planes, "compression": "lzw"},
        "planes-tiled": {**planes, "tile": (16, 16), "compression": "zlib"},
        "tiled": {"tile": (16, 16)},
        "packbits": {"compression": "packbits"},
        "planes-big": {**planes, "bigtiff": True},
        "strips": {"rowsperstrip": 7, "compression": "zlib"},
    }


def _tif(values: npt.NDArray[Any], order: Any, bigtiff: bool = False, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=order, bigtiff=bigtiff) as writer:
        writer.write(values, metadata=None, **options)
    return buffer.getvalue()


def _deep_png(chunk: bytes) -> bytes:
    values = images_factory.smooth().astype(">u2") * 16
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    data = images_factory.png_chunk(b"IDAT", zlib.compress(rows))
    return images_factory.png(values.shape[1], values.shape[0], chunk, data, depth=16)
