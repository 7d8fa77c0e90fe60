"""TIFFs that Pillow must not be asked for: refused by their tags, or read with an extra."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from deep import GREY, PHOTO, put, tif
from images_factory import UNDO, saved
from PIL import Image

from searchdet.errors import ImageError
from searchdet.images import read_image

REFUSED: dict[str, tuple[np.ndarray, dict[str, Any], str]] = {
    "5 bands": (
        np.zeros((48, 64, 5), np.uint8),
        {"photometric": "minisblack", "planarconfig": "contig"},
        "has 5 bands",
    ),
    "5 bands, rgb": (np.zeros((48, 64, 5), np.uint8), {"photometric": "rgb"}, "has 5 bands"),
    "5 deep planes": (
        np.zeros((5, 48, 64), np.uint16),
        {"photometric": "minisblack", "planarconfig": "separate"},
        "has 5 bands",
    ),
    "3 bands, grey": (
        np.zeros((48, 64, 3), np.uint8),
        {"photometric": "minisblack", "planarconfig": "contig"},
        "has 3 bands",
    ),
    "2 bands": (
        np.zeros((48, 64, 2), np.uint8),
        {"photometric": "minisblack", "planarconfig": "contig"},
        "2 bands, of which none",
    ),
    "complex": (np.zeros((48, 64), np.complex64), {"photometric": "minisblack"}, "complex"),
    "deep cmyk planes": (
        np.zeros((4, 48, 64), np.uint16),
        {"photometric": "separated", "planarconfig": "separate"},
        "16-bit planes",
    ),
    "sensor": (np.zeros((48, 64), np.uint16), {"photometric": "cfa"}, "raw data of a sensor"),
    "preview": (np.zeros((48, 64), np.uint8), {"subfiletype": 1}, "small preview"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_no_picture_in_colours_is_refused_by_its_tags(tmp_path: Path, name: str) -> None:
    values, options, words = REFUSED[name]
    with pytest.raises(ImageError, match=words) as caught:
        read_image(put(tmp_path, tif(values, **options)))
    assert caught.value.code == "mode"
    assert "x.tif" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", ["planes", "white", "f16", "i16", "12 bits in colour"], ids=lambda name: name
)
def test_without_tifffile_the_extra_is_named_and_nothing_read_wrongly(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = PHOTO.astype(np.uint16) * 257
    data = {
        "planes": tif(np.moveaxis(deep, -1, 0).copy(), photometric="rgb", planarconfig="separate"),
        "white": tif(deep[..., 0], photometric="miniswhite"),
        "f16": tif((GREY / 255).astype(np.float16), photometric="minisblack"),
        "i16": tif(GREY.astype(np.int16), photometric="minisblack"),
        "12 bits in colour": tif(deep // 16, photometric="rgb"),
    }[name]
    monkeypatch.setitem(sys.modules, "tifffile", None)
    path = put(tmp_path, data)
    with pytest.raises(ImageError, match="needs the extra `tiff`") as caught:
        read_image(path)
    assert 'pip install "searchdet[tiff]"' in caught.value.hint
    assert "\n" not in caught.value.one_line()
    full = put(tmp_path, tif(deep, photometric="rgb"), "full.tif")
    assert (read_image(full).pixels == PHOTO).all()


def test_without_imagecodecs_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tif(GREY.astype(np.int16), photometric="minisblack", compression="lzw")

    def missing(*_: object, **__: object) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", missing)
    with pytest.raises(ImageError, match="needs the extra `tiff`"):
        read_image(put(tmp_path, data))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["u8", "u16", "u16 of 12", "planes", "f32", "rgb of 12"])
def test_the_orientation_of_a_tiff_is_that_of_a_jpeg(
    tmp_path: Path, name: str, orientation: int
) -> None:
    stored = Image.fromarray(PHOTO)
    for step in UNDO.get(orientation, []):
        stored = stored.transpose(step)
    turned = np.asarray(stored)
    grey = turned[..., 2]
    values, options = {
        "u8": (turned, {"photometric": "rgb"}),
        "u16": (grey.astype(np.uint16) * 257, {"photometric": "minisblack"}),
        "u16 of 12": (grey.astype(np.uint16) * 16, {"photometric": "minisblack"}),
        "planes": (
            np.moveaxis(turned.astype(np.uint16) * 257, -1, 0).copy(),
            {"photometric": "rgb", "planarconfig": "separate"},
        ),
        "f32": ((grey / 255).astype(np.float32), {"photometric": "minisblack"}),
        "rgb of 12": (turned.astype(np.uint16) * 16, {"photometric": "rgb"}),
    }[name]
    tag = [(274, "H", 1, orientation, True)]
    read = read_image(put(tmp_path, tif(values, extratags=tag, **options)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    jpeg = read_image(put(tmp_path, saved(stored, "JPEG", exif=exif), "x.jpg"))
    assert (read.orientation, read.stored_size) == (jpeg.orientation, jpeg.stored_size)
    assert read.orientation == orientation
    expected = PHOTO if options["photometric"] == "rgb" else GREY[..., None]
    assert (read.pixels == expected).all()


def test_a_strip_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    data = bytearray(tif(np.zeros((3000, 64), np.int16), photometric="minisblack", compression="zlib"))
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] in (257, 278):
            struct.pack_into("<I", data, entry + 8, 30)
    with pytest.raises(ImageError, match="unpacks to more") as caught:
        read_image(put(tmp_path, bytes(data)))
    assert caught.value.code == "bomb"


def test_what_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    data = bytearray(tif(np.zeros((30, 64), np.float64), photometric="minisblack"))
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] in (256, 257, 278):
            struct.pack_into("<HI", data, entry + 2, 4, 1)
            struct.pack_into("<I", data, entry + 8, 12000)
    with pytest.raises(ImageError, match=r"take 1\.2 GB") as caught:
        read_image(put(tmp_path, bytes(data)))
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("tile", [None, (16, 16)], ids=["strips", "tiles"])
@pytest.mark.parametrize("how", ["short", "sparse"])
def test_a_picture_with_parts_that_are_not_in_the_file_is_refused(
    tmp_path: Path, depth: Any, compression: str | None, tile: tuple[int, int] | None, how: str
) -> None:
    """Pillow and tifffile make them black: half of the picture, in silence."""
    options: dict[str, Any] = {"tile": tile} if tile else {"rowsperstrip": 8}
    values = np.full((64, 64, 3), np.iinfo(depth).max, depth)
    whole = tif(values, photometric="rgb", compression=compression, **options)
    assert (read_image(put(tmp_path, whole)).pixels == 255).all()
    parts, what = (16, "tiles") if tile else (8, "strips")
    with pytest.raises(ImageError, match=f"{parts // 2} of its {parts} {what} are not") as caught:
        read_image(put(tmp_path, _without_half(whole, how)))
    assert caught.value.code == "decode"
    assert caught.value.hint


def _without_half(data: bytes, how: str) -> bytes:
    """A TIFF whose table of parts ends at the half, or holds 0 from there on."""
    made = bytearray(data)
    (at,) = struct.unpack_from("<I", made, 4)
    (count,) = struct.unpack_from("<H", made, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, length, place = struct.unpack_from("<HHII", made, entry)
        if tag not in (273, 279, 324, 325):
            continue
        if how == "short":
            struct.pack_into("<I", made, entry + 4, length // 2)
        else:
            size = {3: 2, 4: 4}[kind]
            made[place + length // 2 * size : place + length * size] = bytes(length // 2 * size)
    return bytes(made)
