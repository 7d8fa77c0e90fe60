"""Mask files of all usual kinds: the object in them, or an error that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image, ImageFilter

from searchdet.annotations.maskfile import looks_like_mask, object_in
from searchdet.errors import ExemplarError, ImageError
from searchdet.images import from_array
from searchdet.images.stored import read_stored
from searchdet.images.turned import upright

SIZE = (60, 80)
Values = npt.NDArray[np.uint8]


def areas() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """An object, another, and a thin frame around the object."""
    one, two, ring = (np.zeros(SIZE, bool) for _ in range(3))
    one[10:30, 12:40] = True
    two[40:55, 50:70] = True
    ring[8:32, 10:42] = True
    return one, two, ring & ~one


ONE, TWO, RING = areas()


def painted(one: int, two: int = 0, ring: int = 0, ground: int = 0, kind: str = "u1") -> Image.Image:
    values = np.full(SIZE, ground, kind)
    values[ONE], values[TWO], values[RING] = one, two or ground, ring or ground
    return Image.fromarray(values)


def voc(one: int, two: int = 0, ring: int = 0) -> Image.Image:
    """Indices with the colours that sets of classes use."""
    image = painted(one, two, ring)
    indexed = Image.frombytes("P", image.size, image.tobytes())
    colours = np.zeros((256, 3), np.uint8)
    colours[1], colours[2], colours[8], colours[255] = (
        (128, 0, 0),
        (0, 128, 0),
        (64, 0, 0),
        (224, 224, 192),
    )
    indexed.putpalette(colours.tobytes())
    return indexed


def soft() -> Image.Image:
    return painted(255).filter(ImageFilter.GaussianBlur(1.2))


def palette(black: int, white: int) -> Image.Image:
    """Black and white by colour, with the indices swapped or not."""
    image = Image.frombytes("P", SIZE[::-1], np.where(ONE, white, black).astype(np.uint8).tobytes())
    colours = np.zeros((256, 3), np.uint8)
    colours[white] = 255
    image.putpalette(colours.tobytes())
    return image


def coloured(colour: tuple[int, int, int], blur: bool = False) -> Image.Image:
    values = np.zeros((*SIZE, 3), np.uint8)
    values[ONE] = colour
    image = Image.fromarray(values)
    return image.filter(ImageFilter.GaussianBlur(1)) if blur else image


def clear(colour: int, ground: int = 0) -> Image.Image:
    values = np.full((*SIZE, 4), ground, np.uint8)
    values[..., 3] = 0
    values[ONE] = (colour, colour, colour, 255)
    return Image.fromarray(values)


def opaque() -> Image.Image:
    return painted(255).convert("RGBA")


KINDS: dict[str, tuple[Callable[[], Image.Image], str]] = {
    "0_255": (lambda: painted(255), "png"),
    "0_1": (lambda: painted(1), "png"),
    "0_2": (lambda: painted(2), "png"),
    "0_128": (lambda: painted(128), "png"),
    "one_bit": (lambda: painted(255).convert("1"), "png"),
    "one_bit_bmp": (lambda: painted(255).convert("1"), "bmp"),
    "one_bit_tif": (lambda: painted(255).convert("1"), "tif"),
    "grey_bmp": (lambda: painted(255), "bmp"),
    "rgb_bmp": (lambda: painted(255).convert("RGB"), "bmp"),
    "grey_tif": (lambda: painted(1), "tif"),
    "gif": (lambda: painted(255), "gif"),
    "gif_0_1": (lambda: painted(1), "gif"),
    "u16_1": (lambda: painted(1, kind="u2"), "png"),
    "u16_300": (lambda: painted(300, kind="u2"), "png"),
    "u16_full": (lambda: painted(65535, kind="u2"), "png"),
    "u16_tif": (lambda: painted(7, kind="u2"), "tif"),
    "i32_tif": (lambda: painted(1, kind="i4"), "tif"),
    "f32_tif": (lambda: painted(1, kind="f4"), "tif"),
    "voc": (lambda: voc(8), "png"),
    "voc_void": (lambda: voc(1, 0, 255), "png"),
    "index_void": (lambda: painted(1, 0, 255), "png"),
    "index_void_16": (lambda: painted(3, 0, 65535, kind="u2"), "png"),
    "soft": (soft, "png"),
    "soft_palette": (lambda: soft().convert("P"), "png"),
    "soft_gif": (soft, "gif"),
    "palette": (lambda: palette(0, 1), "png"),
    "palette_swapped": (lambda: palette(1, 0), "png"),
    "palette_swapped_gif": (lambda: palette(1, 0), "gif"),
    "red": (lambda: coloured((255, 0, 0)), "png"),
    "dark_red": (lambda: coloured((128, 0, 0)), "png"),
    "soft_green": (lambda: coloured((0, 255, 0), blur=True), "png"),
    "black_on_clear": (lambda: clear(0), "png"),
    "white_on_clear": (lambda: clear(255), "png"),
    "red_under_clear": (lambda: clear(255, 90), "png"),
    "opaque_alpha": (opaque, "png"),
    "grey_alpha": (lambda: painted(255).convert("LA"), "png"),
    "jpeg": (lambda: painted(255), "jpg"),
    "jpeg_rgb": (lambda: painted(255).convert("RGB"), "jpeg"),
    "webp": (lambda: painted(255).convert("RGB"), "webp"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_object_is_found(tmp_path: Path, kind: str) -> None:
    make, suffix = KINDS[kind]
    path = tmp_path / f"1.mask.{suffix}"
    make().save(path)
    found = object_in(read_stored(path), path)
    overlap = (found & ONE).sum() / (found | ONE).sum()
    assert overlap == 1 or (overlap > 0.9 and ("soft" in kind or suffix in ("jpg", "jpeg", "webp")))


@pytest.mark.parametrize(
    ("make", "suffix", "says"),
    [
        (lambda: voc(8, 1), "png", "2 indices (1, 8)"),
        (lambda: voc(8, 1, 255), "png", "2 indices (1, 8)"),
        (lambda: painted(2, 1), "png", "2 indices (1, 2)"),
        (lambda: painted(2, 1, 255), "png", "2 indices (1, 2)"),
        (lambda: painted(2, 0, 0, 1), "png", "2 indices (1, 2)"),
        (lambda: painted(128, 255), "png", "2 indices (128, 255)"),
        (lambda: painted(500, 300, kind="u2"), "png", "2 indices (300, 500)"),
        (lambda: voc(255), "png", "only void (255)"),
        (lambda: voc(8, 1).convert("RGB"), "png", "2 colours"),
        (lambda: painted(1), "jpg", "not clearly black and white"),
        (lambda: painted(128), "jpg", "not clearly black and white"),
        (
            lambda: Image.fromarray(np.linspace(0, 1, 4800, dtype="f4").reshape(SIZE)),
            "tif",
            "fractions",
        ),
        (lambda: Image.fromarray(np.full(SIZE, np.nan, "f4")), "tif", "fractions"),
        (lambda: Image.fromarray(np.full(SIZE, 1e30, "f4")), "tif", "fractions"),
    ],
)
def test_what_is_unclear_is_refused(
    tmp_path: Path, make: Callable[[], Image.Image], suffix: str, says: str
) -> None:
    path = tmp_path / f"1.mask.{suffix}"
    make().save(path)
    with pytest.raises(ExemplarError) as caught:
        object_in(read_stored(path), path)
    assert says in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("make", "index", "wanted"),
    [
        (lambda: voc(8, 1), 8, ONE),
        (lambda: voc(8, 1), 1, TWO),
        (lambda: voc(8, 1, 255), 255, RING),
        (lambda: painted(2, 1), 2, ONE),
        (lambda: painted(500, 300, kind="u2"), 300, TWO),
        (lambda: painted(2, 0, 0, 1), 1, ~ONE),
        (lambda: painted(255), 8, ONE),  # black and white says it itself
        (soft, 8, None),
    ],
)
def test_an_index_is_chosen(
    tmp_path: Path,
    make: Callable[[], Image.Image],
    index: int,
    wanted: npt.NDArray[np.bool_] | None,
) -> None:
    path = tmp_path / "1.mask.png"
    make().save(path)
    found = object_in(read_stored(path), path, index)
    assert found.any() if wanted is None else (found == wanted).all()


@pytest.mark.parametrize("make", [lambda: voc(8, 1), lambda: painted(1), lambda: voc(8)])
def test_an_index_that_is_not_there_is_refused(tmp_path: Path, make: Callable[[], Image.Image]) -> None:
    path = tmp_path / "1.mask.png"
    make().save(path)
    with pytest.raises(ExemplarError, match="has no pixel of index 3"):
        object_in(read_stored(path), path, 3)


def test_nothing_marked_is_an_empty_mask(tmp_path: Path) -> None:
    path = tmp_path / "1.mask.png"
    for image in (painted(0), voc(0), painted(0, kind="u2"), coloured((0, 0, 0))):
        image.save(path)
        assert not object_in(read_stored(path), path).any()


def tiff_mask(path: Path, kind: str, white: int = 0, **how: object) -> None:
    """ONE in a TIFF of some type. white: of the object, where 0 is that of the ground."""
    values = np.where(ONE, white, 0).astype(kind)
    if how.get("planarconfig") == "separate":
        values = np.repeat(values[None], 3, axis=0)
    tifffile.imwrite(path, values, metadata=None, **how)


@pytest.mark.parametrize(
    ("kind", "white"),
    [
        *(("u1", 255), ("u2", 65535), ("u4", 2**32 - 1), ("u4", 1), ("u8", 1), ("i2", 1), ("i4", 7)),
        *(("f2", 1), ("f4", 1), ("f4", 255), ("f8", 1)),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_of_any_type(tmp_path: Path, kind: str, white: int, order: str) -> None:
    path = tmp_path / "1.mask.tif"
    tiff_mask(path, order + kind, white, byteorder=order)
    assert (object_in(read_stored(path), path) == ONE).all()


@pytest.mark.parametrize("kind", ["u1", "u2", "u4"])
def test_a_tiff_whose_zero_is_white(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "1.mask.tif"
    values = np.where(ONE, 0, np.iinfo(kind).max).astype(kind)
    tifffile.imwrite(path, values, photometric="miniswhite", metadata=None)
    assert (object_in(read_stored(path), path) == ONE).all()


@pytest.mark.parametrize(("kind", "white"), [("u1", 255), ("u2", 65535)])
def test_a_tiff_of_planes(tmp_path: Path, kind: str, white: int) -> None:
    path = tmp_path / "1.mask.tif"
    tiff_mask(path, kind, white, photometric="rgb", planarconfig="separate")
    assert (object_in(read_stored(path), path) == ONE).all()


def test_a_tiff_of_planes_of_colours(tmp_path: Path) -> None:
    path = tmp_path / "1.mask.tif"
    values = np.stack([ONE * 65535, ONE * 0, ONE * 30000]).astype("u2")
    tifffile.imwrite(path, values, photometric="rgb", planarconfig="separate", metadata=None)
    assert (object_in(read_stored(path), path) == ONE).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["u1", "u2", "u4"])
def test_a_tiff_is_turned_by_its_tag(tmp_path: Path, kind: str, orientation: int) -> None:
    path = tmp_path / "1.mask.tif"
    tag = [(274, "H", 1, orientation, True)]
    tiff_mask(path, kind, int(np.iinfo(kind).max), extratags=tag)
    found = read_stored(path)
    assert found.orientation == orientation
    assert (object_in(found, path) == upright(ONE, orientation)).all()


def test_a_tiff_of_fractions_with_white_as_zero_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "1.mask.tif"
    tiff_mask(path, "f4", 1, photometric="miniswhite")
    with pytest.raises(ImageError, match="white as 0"):
        read_stored(path)


@pytest.mark.parametrize("bits", [2, 4])
def test_numbers_of_few_bits_are_not_stretched(tmp_path: Path, bits: int) -> None:
    import struct
    import zlib

    values = np.zeros((8, 8), np.uint8)
    values[2:6, 2:6], values[7] = 3, 1
    high, per = values.reshape(8, -1, 8 // bits), 8 // bits
    packed = sum(high[..., i].astype(int) << bits * (per - 1 - i) for i in range(per))
    rows = b"".join(b"\0" + bytes(row.astype(np.uint8)) for row in packed)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 8, 8, bits, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    path = tmp_path / "1.mask.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    with pytest.raises(ExemplarError, match=r"indices \(1, 3\)"):
        object_in(read_stored(path), path)
    assert (object_in(read_stored(path), path, 3) == (values == 3)).all()


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("zero", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("fill", [1, 2])
def test_a_tiff_of_few_bits_is_not_stretched(tmp_path: Path, bits: int, zero: str, fill: int) -> None:
    most, path = (1 << bits) - 1, tmp_path / "1.mask.tif"
    for one, two in ((1, 0), (most, 0), (3, 1)):
        values = np.array(painted(one, two))
        stored = most - values if zero == "miniswhite" else values
        path.write_bytes(packed_tiff(stored, bits, 0 if zero == "miniswhite" else 1, fill))
        found = read_stored(path)
        assert (found.values == values).all()
        if two:
            with pytest.raises(ExemplarError, match=r"indices \(1, 3\)"):
                object_in(found, path)
        assert (object_in(found, path, one) == ONE).all()


def packed_tiff(values: Values, bits: int, photometric: int, fill: int) -> bytes:
    """Grey values of few bits in a TIFF without compression."""
    import struct

    per, (height, width) = 8 // bits, values.shape
    places = values.reshape(height, -1, per).astype(int)
    data = sum(places[..., i] << bits * (per - 1 - i) for i in range(per)).astype(np.uint8)
    if fill == 2:  # the lowest bit first
        data = np.packbits(np.unpackbits(data[..., None], axis=-1), axis=-1, bitorder="little")
    body = data.tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 266: fill, 273: 8}
    tags |= {277: 1, 278: height, 279: len(body)}
    rows = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items())
    head = struct.pack("<2sHI", b"II", 42, 8 + len(body))
    return head + body + struct.pack("<H", len(tags)) + rows + bytes(4)


@pytest.mark.parametrize("more", [{}, {"save_all": True}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}])
@pytest.mark.parametrize("lossless", [True, False])
def test_a_webp_says_whether_it_is_lossless(tmp_path: Path, lossless: bool, more: object) -> None:
    path, image = tmp_path / "1.mask.webp", painted(1).convert("RGB")
    options = dict(more)
    if "save_all" in options:
        options["append_images"] = [painted(2).convert("RGB")]
    image.save(path, lossless=lossless, exact=True, **options)
    found = read_stored(path)
    assert found.lossy is not lossless
    if lossless:
        assert (object_in(found, path) == ONE).all()


def test_which_pictures_could_be_masks() -> None:
    rng = np.random.default_rng(0)
    noise: Values = rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    grey = np.array(painted(255).convert("RGB"))
    jpeg = np.clip(grey.astype(int) + rng.integers(-9, 10, grey.shape[:2])[..., None], 0, 255)
    for pixels in (grey, jpeg, np.array(voc(8, 1).convert("RGB")), np.array(painted(1).convert("RGB"))):
        assert looks_like_mask(from_array(pixels.astype(np.uint8)))
    for pixels in (noise, noise // 2, np.full((*SIZE, 3), 200, np.uint8)):
        assert not looks_like_mask(from_array(pixels))
