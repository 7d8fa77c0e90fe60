"""Pictures with more than 8 bits come to the same 8 bits, whatever they are stored as."""

from __future__ import annotations

import logging
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deep import CLEAR, GREY, PHOTO, png16, put, tif
from images_factory import png_chunk, saved
from PIL import Image

from searchdet.errors import ImageError
from searchdet.images import Told, read_image
from searchdet.images.read import from_pil

STORED: dict[str, tuple[np.ndarray, dict[str, Any], str]] = {
    "16": (GREY.astype(np.uint16) * 257, {}, "container"),
    "14 of 16": (GREY.astype(np.uint16) * 64, {}, "levels"),
    "12 of 16": (GREY.astype(np.uint16) * 16, {}, "levels"),
    "10 of 16": ((GREY * (1023 / 255)).round().astype(np.uint16), {}, "levels"),
    "8 of 16": (GREY.astype(np.uint16), {}, "levels"),
    "8 of u32": (GREY.astype(np.uint32), {}, "levels"),
    "8 of i32": (GREY.astype(np.int32), {}, "levels"),
    "12 of u32": (GREY.astype(np.uint32) * 16, {}, "levels"),
    "16 of u32": (GREY.astype(np.uint32) * 257, {}, "levels"),
    "u32": (GREY.astype(np.uint32) << 24, {}, "container"),
    "8 of u64": (GREY.astype(np.uint64), {}, "levels"),
    "12 of u64": (GREY.astype(np.uint64) * 16, {}, "levels"),
    "12 of i64": (GREY.astype(np.int64) * 16, {}, "levels"),
    "12 of i16": (GREY.astype(np.int16) * 16, {}, "levels"),
    "15 of i16": (GREY.astype(np.int16) * 128, {}, "container"),
    "i16": (GREY.astype(np.int16) * 100 - 9000, {}, "extremes"),
    "i8": ((GREY.astype(np.int16) - 128).astype(np.int8), {}, "extremes"),
    "f16": ((GREY / 255).astype(np.float16), {}, "unit"),
    "f32": ((GREY / 255).astype(np.float32), {}, "unit"),
    "f64": (GREY / 255, {}, "unit"),
    "f32 of 255": (GREY.astype(np.float32), {}, "levels"),
    "f32 wide": ((GREY / 255 * 7.3 - 2).astype(np.float32), {}, "extremes"),
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "packed", [{}, {"compression": "zlib"}, {"compression": "lzw", "predictor": True}]
)
@pytest.mark.parametrize("name", list(STORED))
def test_a_grey_tiff_of_any_type_comes_to_its_8_bits(
    tmp_path: Path, name: str, packed: dict[str, Any], order: str
) -> None:
    values, options, by = STORED[name]
    if packed.get("predictor") and values.dtype.kind == "f":
        packed = {"compression": "zlib", "predictor": True}
    if values.dtype.itemsize == 8 and values.dtype.kind != "f":
        packed = {name: value for name, value in packed.items() if name != "predictor"}
    data = tif(values, photometric="minisblack", byteorder=order, **packed, **options)
    read = read_image(put(tmp_path, data))
    assert np.abs(read.pixels.astype(int) - GREY[..., None]).max() <= (values.dtype == np.float16)
    assert read.values is not None
    assert read.values.by == by
    assert read.values.stored == values.dtype.name
    assert read.alpha is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", ["16", "12 of 16", "8 of u32", "i16", "f16", "f32"])
def test_white_may_be_zero(tmp_path: Path, name: str, order: str) -> None:
    values, _, by = STORED[name]
    least, most = {"12 of 16": (0, 4095), "8 of u32": (0, 255), "16": (0, 65535)}.get(
        name, (values.min(), values.max())
    )
    upside = (least + (most - values.astype(np.float64))).astype(values.dtype)
    data = tif(upside, photometric="miniswhite", byteorder=order)
    read = read_image(put(tmp_path, data))
    assert np.abs(read.pixels.astype(int) - GREY[..., None]).max() <= 1
    assert read.values is not None
    assert read.values.by == by


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("packed", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
@pytest.mark.parametrize("name", ["u8", "u16", "u16 of 12", "u16 of 8", "f16", "f32", "i16"])
@pytest.mark.parametrize("extra", [None, "unassalpha", "assocalpha", "unspecified"])
def test_a_tiff_in_colour_comes_to_its_8_bits(
    tmp_path: Path, name: str, extra: str | None, packed: dict[str, Any], planar: str, order: str
) -> None:
    made = {
        "u8": (PHOTO, 255),
        "u16": (PHOTO.astype(np.uint16) * 257, 65535),
        "u16 of 12": (PHOTO.astype(np.uint16) * 16, 4095),
        "u16 of 8": (PHOTO.astype(np.uint16), 255),
        "f16": ((PHOTO / 255).astype(np.float16), 1),
        "f32": ((PHOTO / 255).astype(np.float32), 1),
        "i16": (PHOTO.astype(np.int16) * 128, 32767),
    }[name]
    values, most = made
    options: dict[str, Any] = {}
    if extra is not None:
        fourth = (CLEAR / 255 * most).astype(values.dtype)[..., None]
        if extra == "assocalpha":
            values = np.where(fourth > 0, values, 0).astype(values.dtype)
        values = np.concatenate([values, fourth], axis=2)
        options["extrasamples"] = [extra]
    if planar == "separate":
        values = np.ascontiguousarray(np.moveaxis(values, -1, 0))
    data = tif(values, photometric="rgb", planarconfig=planar, byteorder=order, **options, **packed)
    read = read_image(put(tmp_path, data))
    expected = PHOTO.astype(int)
    if extra in ("unassalpha", "assocalpha"):
        expected = np.where(CLEAR[..., None] > 0, expected, 255)
        assert read.alpha is not None
        assert (read.alpha == (CLEAR > 0)).all()
    else:
        assert read.alpha is None
    assert np.abs(read.pixels - expected).max() <= 1
    assert (read.values is None) == (name == "u8")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_the_number_of_bits_is_a_range_even_where_no_value_fills_it(
    tmp_path: Path, bits: int, packed: bool, order: str
) -> None:
    dim = GREY[:, :63].astype(np.uint16) // 2 << (bits - 8)
    read = read_image(put(tmp_path, _with_bits(bits, dim, packed, order)))
    assert (read.pixels[..., 0] == GREY[:, :63] // 2).all()
    assert read.values is not None
    assert (read.values.by, read.values.high) == ("tags", 2**bits - 1)
    assert read.values.stored == f"uint{bits}"


def _with_bits(bits: int, values: np.ndarray, packed: bool, order: str) -> bytes:
    """A classic TIFF of grey values, as many bits each, each row from a byte on."""
    height, width = values.shape
    every = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(height, width, 2), axis=2)
    rows = np.packbits(every[..., 16 - bits :].reshape(height, -1), axis=1).tobytes()
    rows = zlib.compress(rows) if packed else rows
    entries = [(256, width), (257, height), (258, bits), (259, 8 if packed else 1), (262, 1)]
    entries += [(273, 200), (277, 1), (278, height), (279, len(rows))]
    body = struct.pack(f"{order}H", len(entries))
    for tag, value in entries:
        body += struct.pack(f"{order}HHII", tag, 4, 1, value)
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(f"{order}2sHI", mark, 42, 8) + body + struct.pack(f"{order}I", 0)
    return head.ljust(200, b"\0") + rows


@pytest.mark.parametrize("tag", [281, 341])
@pytest.mark.parametrize("colour", [False, True])
def test_a_tag_may_say_the_greatest_value(tmp_path: Path, tag: int, colour: bool) -> None:
    whole = PHOTO if colour else GREY
    dim = (whole * (1000 / 255)).round().astype(np.uint16) // 2
    extra = [(tag, "H", 3 if colour else 1, (1000,) * 3 if colour else 1000, True)]
    data = tif(dim, photometric="rgb" if colour else "minisblack", extratags=extra)
    read = read_image(put(tmp_path, data))
    expected = whole if colour else whole[..., None]
    assert np.abs(read.pixels.astype(int) * 2 - expected).max() <= 3
    assert read.values is not None
    assert (read.values.by, read.values.low, read.values.high) == ("tags", 0, 1000)


def test_a_tag_that_the_values_exceed_does_not_count(tmp_path: Path) -> None:
    values = GREY.astype(np.uint16) * 16
    data = tif(values, photometric="minisblack", extratags=[(281, "H", 1, 255, True)])
    read = read_image(put(tmp_path, data))
    assert (read.pixels == GREY[..., None]).all()
    assert read.values is not None
    assert read.values.by == "levels"


@pytest.mark.parametrize("colour", [False, True])
def test_a_few_hot_pixels_in_12_bits_are_told(tmp_path: Path, colour: bool) -> None:
    values = (PHOTO if colour else GREY).astype(np.uint16) * 16
    values[7, 9] = 65535
    data = tif(values, photometric="rgb" if colour else "minisblack")
    read = read_image(put(tmp_path, data))
    assert read.values is not None
    assert (read.values.by, read.values.high, read.values.guessed) == ("outliers", 65535, True)
    given = read_image(put(tmp_path, data), given=(0.0, 4095.0))
    assert (
        np.delete(given.pixels, 7, 0) == np.delete(PHOTO if colour else np.stack([GREY] * 3, 2), 7, 0)
    ).all()


PNG_COLOURS = {"grey": 0, "grey and alpha": 4, "rgb": 2, "rgb and alpha": 6}


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("name", list(PNG_COLOURS))
@pytest.mark.parametrize("significant", [False, True])
def test_a_png_of_16_bits(tmp_path: Path, name: str, bits: int, significant: bool) -> None:
    colours = PHOTO if "rgb" in name else GREY[..., None]
    values = colours.astype(np.uint16) << (bits - 8) | colours >> max(0, 16 - bits)
    if "alpha" in name:
        alpha = (CLEAR[..., None] / 255 * ((1 << bits) - 1)).astype(np.uint16)
        values = np.concatenate([values, alpha], axis=2)
    said = png_chunk(b"sBIT", bytes([bits]) * values.shape[2])
    data = png16(values, PNG_COLOURS[name], *([said] if significant else []))
    read = read_image(put(tmp_path, data, "x.png"))
    expected = np.broadcast_to(colours, PHOTO.shape)
    if "alpha" in name:
        assert read.alpha is not None
        assert (read.alpha == (CLEAR > 0)).all()
        expected = np.where(CLEAR[..., None] > 0, expected, 255)
    assert (read.pixels == expected).all()
    assert read.values is not None
    assert read.values.by == ("container" if bits == 16 else "tags" if significant else "levels")


@pytest.mark.parametrize("colour", [0, 2])
def test_a_png_of_16_bits_with_one_clear_colour(tmp_path: Path, colour: int) -> None:
    values = (GREY[..., None] if colour == 0 else PHOTO).astype(np.uint16) * 257
    values[:, :20] = 513
    clear = png_chunk(b"tRNS", struct.pack(">H", 513) * values.shape[2])
    read = read_image(put(tmp_path, png16(values, colour, clear), "x.png"))
    assert read.alpha is not None
    assert not read.alpha[:, :20].any()
    assert (read.pixels[:, :20] == 255).all()
    assert (read.pixels[:, 21:] == (GREY[..., None] if colour == 0 else PHOTO)[:, 21:]).all()


def test_the_user_knows_the_range(tmp_path: Path) -> None:
    grey = put(tmp_path, tif(GREY.astype(np.uint16) * 4, photometric="minisblack"))
    colour = put(tmp_path, tif(PHOTO.astype(np.uint16) * 4, photometric="rgb"), "c.tif")
    deep = put(tmp_path, png16(PHOTO.astype(np.uint16) * 4, 2), "d.png")
    for path in (grey, colour, deep):
        found, given = read_image(path), read_image(path, given=(0.0, 2047.0))
        assert np.abs(found.pixels.astype(int) - 2 * given.pixels.astype(int)).max() <= 1
        assert given.values is not None
        assert (given.values.by, given.values.high) == ("given", 2047)
        assert len({found.content, given.content, given.sha256}) == 3
        assert found.sha256 == given.sha256
    float_path = put(tmp_path, tif((GREY / 100).astype(np.float32), photometric="minisblack"), "f.tif")
    clipped = read_image(float_path, given=(0.5, 1.0)).pixels
    assert (clipped[GREY <= 50] == 0).all()
    assert (clipped[GREY >= 100] == 255).all()


def test_8_bits_stay_as_they_are_whatever_the_user_says(tmp_path: Path) -> None:
    path = put(tmp_path, saved(PHOTO, "PNG"), "x.png")
    read = read_image(path, given=(0.0, 4095.0))
    assert (read.pixels == PHOTO).all()
    assert read.values is None
    assert read.content == read.sha256


def test_what_has_no_range_is_refused_with_the_option(tmp_path: Path) -> None:
    wide = put(tmp_path, tif(GREY.astype(np.uint32) * 5000, photometric="minisblack"))
    with pytest.raises(ImageError, match=r"x\.tif: its uint32 values reach 1275000") as caught:
        read_image(wide)
    assert caught.value.code == "mode"
    assert "--value-range" in caught.value.hint
    read = read_image(wide, given=(0.0, 255 * 5000 + 4999.0))
    assert (read.pixels == GREY[..., None]).all()
    holes = (GREY / 255).astype(np.float32)
    holes[3, 4] = np.nan
    with pytest.raises(ImageError, match="NaN"):
        read_image(put(tmp_path, tif(holes, photometric="minisblack"), "n.tif"))


def test_pil_images_are_read_by_the_same_rule() -> None:
    read = from_pil(Image.fromarray(GREY.astype(np.uint16) * 16), "mine")
    assert (read.pixels == GREY[..., None]).all()
    given = from_pil(Image.fromarray(GREY.astype(np.uint16) * 16), "mine", (0.0, 65535.0))
    assert given.pixels.max() == 15
    assert given.sha256 == read.sha256
    assert given.content != read.content


def test_each_kind_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            for scale in (16, 64, 257):
                data = tif(GREY.astype(np.uint16) * scale, photometric="minisblack")
                read = read_image(put(tmp_path, data, f"{scale}-{number}.tif"))
                told.add(f"{scale}-{number}.tif", read.values)
            told.add("8.png", None)
    words = [record.getMessage() for record in caplog.records]
    assert len(words) == 2
    assert words[0].startswith("16-0.tif: uint16 values are read as a range of 0 to 4095")
    assert all("--value-range" in text for text in words)
