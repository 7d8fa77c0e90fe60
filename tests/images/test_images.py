from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from images_factory import UNDO
from PIL import Image

from searchdet.errors import ImageError
from searchdet.images import Told
from searchdet.images.read import from_array, read_image
from searchdet.images.stored import read_stored
from searchdet.images.strips import GROUND


def smooth(height: int = 48, width: int = 64) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (height + width)], 2).astype(
        np.uint8
    )


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def code_of(path: Path, **options: int) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(path, **options)
    assert str(path.name) in caught.value.message
    return caught.value.code


@pytest.mark.parametrize(
    ("mode", "name", "tolerance"),
    [
        ("RGB", "a.png", 0),
        ("RGB", "a.bmp", 0),
        ("RGB", "a.tif", 0),
        ("RGB", "a.jpg", 3),
        ("RGB", "a.webp", 6),
        ("CMYK", "a.jpg", 4),
        ("CMYK", "a.tif", 2),
        ("P", "a.png", 6),
        ("P", "a.gif", 6),
        ("RGBA", "a.png", 0),
        ("YCbCr", "a.jpg", 3),
        ("LAB", "a.tif", 40),
    ],
)
def test_every_mode_ends_in_nearly_the_same_rgb(
    tmp_path: Path, mode: str, name: str, tolerance: float
) -> None:
    original = Image.fromarray(smooth())
    if mode == "LAB":
        from PIL import ImageCms

        profile = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        converted = ImageCms.applyTransform(original, profile)
    elif mode == "P":
        converted = original.quantize(256)
    else:
        converted = original.convert(mode)
    got = read_image(save(tmp_path / name, converted)).pixels
    assert got.dtype == np.uint8
    assert got.shape == (48, 64, 3)
    assert np.abs(got.astype(float) - smooth()).mean() <= tolerance


def test_grey_and_one_bit(tmp_path: Path) -> None:
    grey = Image.fromarray(smooth()[..., 0])
    got = read_image(save(tmp_path / "g.png", grey)).pixels
    assert (got == smooth()[..., :1]).all()
    bits = read_image(save(tmp_path / "b.png", grey.point(lambda v: 255 * (v > 99)).convert("1")))
    assert set(np.unique(bits.pixels)) == {0, 255}


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256 * 64).reshape(256, 64).astype(np.uint16)
    for name in ("r.png", "r.tif"):
        got = read_image(save(tmp_path / name, Image.fromarray(ramp))).pixels
        assert abs(got.mean() - 127) <= 1
        assert got.max() == 255


def test_integers_of_no_usual_range_are_refused_by_name(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 100).reshape(10, 10).astype(np.float32)
    wide = Image.fromarray((ramp * 1e6).astype(np.int32))
    assert code_of(save(tmp_path / "i.tif", wide)) == "mode"


def test_colour_under_transparency_never_shows(tmp_path: Path) -> None:
    pixels = np.zeros((20, 30, 4), np.uint8)
    pixels[..., 0] = 255
    pixels[:, 15:, 3] = 255
    loaded = read_image(save(tmp_path / "t.png", Image.fromarray(pixels)))
    assert (loaded.pixels[:, :15] == GROUND).all()
    assert (loaded.pixels[:, 15:] == (255, 0, 0)).all()
    assert loaded.alpha is not None
    assert not loaded.alpha[:, :15].any()
    assert loaded.alpha[:, 15:].all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = Image.fromarray(smooth())
    stored = upright
    for step in UNDO.get(orientation, []):
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = read_image(save(tmp_path / "o.png", stored, exif=exif))
    assert (loaded.pixels == smooth()).all()
    assert loaded.orientation == orientation
    assert loaded.stored_size == stored.size


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.webp", "a.png"])
def test_the_first_frame_of_an_animation(tmp_path: Path, name: str) -> None:
    first, second = Image.new("RGB", (20, 20), "red"), Image.new("RGB", (20, 20), "blue")
    path = save(tmp_path / name, first, save_all=True, append_images=[second, second])
    loaded = read_image(path)
    assert loaded.frames >= 2
    assert np.abs(loaded.pixels.reshape(-1, 3).mean(0) - (255, 0, 0)).max() < 8


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tif", "x.gif", "x.bmp"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.25, 0.5, 0.9])
def test_a_cut_file_is_an_image_error(tmp_path: Path, name: str, share: float) -> None:
    rng = np.random.default_rng(0)
    noisy = Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8))
    data = save(tmp_path / name, noisy).read_bytes()
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes(data[: int(len(data) * share)])
    assert code_of(cut) in ("decode", "not_an_image")


def test_flipped_bytes_give_an_image_or_an_image_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "flip"
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"):
        buffer = io.BytesIO()
        Image.fromarray(smooth()).save(buffer, kind)
        for _ in range(60):
            data = bytearray(buffer.getvalue())
            for _ in range(4):
                data[int(rng.integers(len(data)))] = int(rng.integers(256))
            path.write_bytes(bytes(data))
            try:
                assert read_image(path).pixels.dtype == np.uint8
            except ImageError as error:
                assert error.code in ("decode", "not_an_image", "too_large", "bomb", "mode")


def test_text_missing_and_forbidden_formats(tmp_path: Path) -> None:
    text = tmp_path / "t.jpg"
    text.write_text("<html>404</html>")
    assert code_of(text) == "not_an_image"
    assert code_of(tmp_path / "absent.png") == "missing"
    assert code_of(tmp_path) == "not_an_image"
    assert code_of(save(tmp_path / "x.ppm", Image.fromarray(smooth()))) == "not_an_image"
    eps = tmp_path / "x.png"
    Image.fromarray(smooth()).save(eps, "EPS")
    assert code_of(eps) == "not_an_image"


def bomb_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_bombs_and_large_images_are_refused_before_decoding(tmp_path: Path) -> None:
    huge = tmp_path / "huge.jpg"
    huge.write_bytes(bomb_png(30000, 30000))
    assert code_of(huge) in ("bomb", "too_large")
    large = tmp_path / "large.png"
    large.write_bytes(bomb_png(13000, 12000))
    assert code_of(large) == "too_large"
    small = save(tmp_path / "s.png", Image.fromarray(smooth()))
    assert code_of(small, max_pixels=1000) == "too_large"


def test_arrays_are_checked() -> None:
    assert from_array(smooth()).pixels.shape == (48, 64, 3)
    for wrong in (smooth()[..., 0], smooth().astype(np.float32), smooth()[:0]):
        with pytest.raises(ImageError):
            from_array(wrong)


def test_inks_of_a_jpeg_without_adobes_mark_are_refused(tmp_path: Path) -> None:
    path, stream = tmp_path / "a.jpg", io.BytesIO()
    Image.new("CMYK", (8, 8), (200, 20, 20, 0)).save(stream, "JPEG")
    data = stream.getvalue()
    path.write_bytes(data)
    assert read_image(path).pixels[..., 0].mean() < 100  # cyan
    at = data.index(b"\xff\xee")
    path.write_bytes(data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :])
    for read in (read_image, read_stored):
        with pytest.raises(ImageError, match=r"a\.jpg: is a CMYK JPEG without Adobe's mark") as caught:
            read(path)
        assert "RGB" in caught.value.hint


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.webp", "a.png"])
def test_other_pages_are_told_once(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    first, other = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    told = Told()
    for number in range(2):
        path = tmp_path / f"{number}{name}"
        first.save(path, save_all=True, append_images=[other, first])
        read = read_image(path)
        assert read.pages == read.frames == 3
        told.add(path.name, read.values, read.pages)
    (record,) = caplog.records
    assert f"0{name}: holds 3 pages or frames, of which the first is read" in record.getMessage()


def test_what_lies_beside_the_photo_of_a_phone_is_no_page(tmp_path: Path) -> None:
    first, other = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[other])
    read = read_image(tmp_path / "a.jpg")
    assert (read.frames, read.pages) == (2, 1)
