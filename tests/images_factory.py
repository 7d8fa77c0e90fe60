"""Every kind of bad and of odd image file, built from a seed; nothing of it lies in the repository."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

KINDS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF", "gif": "GIF", "bmp": "BMP"}
CUTS = (1, 25, 50, 99)
FLIPPED = 200
"""Bytes that are changed in a flipped file."""
BROKEN = frozenset({"decode", "not_an_image"})
ANY = frozenset({"ok", "decode", "not_an_image", "too_large", "bomb", "mode"})
OK = frozenset({"ok"})
UNDO = {
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.TRANSPOSE],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE],
    8: [Image.Transpose.ROTATE_270],
}
"""How an upright picture is stored under each EXIF orientation."""


@dataclass(frozen=True, slots=True)
class Made:
    """A file. outcomes: ``ok``, or the codes of ImageError that it may end in. frames: how many it
    holds, where it is ok."""

    name: str
    data: bytes = field(repr=False)
    outcomes: frozenset[str] = OK
    frames: int = 1


def smooth(height: int = 40, width: int = 56) -> np.ndarray:
    """A picture without symmetry, (H, W, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width]
    channels = (x * 255 / width, y * 255 / height, (x + y) * 255 / (height + width))
    return np.stack(channels, 2).astype(np.uint8)


def noise(seed: int, height: int = 40, width: int = 56) -> np.ndarray:
    """A picture that no format can make small, so that a cut always loses some of it."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def saved(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    """The bytes of a file."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG of a declared size with any chunks between its head and its end."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + png_chunk(b"IEND", b"")


def every(seed: int = 0) -> list[Made]:
    """All files below."""
    groups = (cuts, flips, strangers, bombs, modes, compressions, animations, orientations, metadata)
    return [made for group in groups for made in group(seed)]


def cuts(seed: int = 0) -> Iterator[Made]:
    """Files of each format that end too early."""
    for suffix, kind in KINDS.items():
        data = saved(noise(seed), kind)
        for share in CUTS:
            part = data[: len(data) * share // 100]
            yield Made(f"cut{share}.{suffix}", part, BROKEN | OK if share == 99 else BROKEN)


def flips(seed: int = 0, count: int = 4) -> Iterator[Made]:
    """Files of each format with bytes changed at random: some everywhere, some in the first bytes."""
    rng = np.random.default_rng(seed)
    for suffix, kind in KINDS.items():
        data = saved(smooth(), kind)
        for number in range(count):
            flipped = bytearray(data)
            reach = len(data) if number % 2 else min(64, len(data))
            for _ in range(FLIPPED if number % 2 else 4):
                flipped[int(rng.integers(reach))] = int(rng.integers(256))
            yield Made(f"flip{number}.{suffix}", bytes(flipped), ANY)


def strangers(seed: int = 0) -> Iterator[Made]:
    """Files that are no images, and formats that are not read, under names of images."""
    nothing = frozenset({"not_an_image"})
    random = np.random.default_rng(seed).integers(0, 256, 4096, np.uint8).tobytes()
    for suffix in KINDS:
        yield Made(f"empty.{suffix}", b"", nothing)
        yield Made(f"text.{suffix}", b"<html>404 not found</html>\n", nothing)
        yield Made(f"random.{suffix}", random, BROKEN)
    yield Made("one-byte.png", b"\x89", nothing)
    yield Made("other.jpg", saved(smooth(), "PPM"), nothing)
    yield Made("postscript.png", saved(smooth(), "EPS"), nothing)
    yield Made("icon.png", saved(smooth(), "ICO"), nothing)
    yield Made("truly-webp.jpg", saved(smooth(), "WEBP"), OK)
    yield Made("tail.png", saved(smooth(), "PNG") + random, OK)


def bombs(seed: int = 0) -> Iterator[Made]:
    """Small files that declare large pictures."""
    large = frozenset({"bomb", "too_large"})
    yield Made("bomb-header.png", png(30000, 30000, png_chunk(b"IDAT", b"")), large)
    yield Made("bomb-header.jpg", png(30000, 30000, png_chunk(b"IDAT", b"")), large)
    yield Made("bomb-wide.png", png(2**31 - 1, 1, png_chunk(b"IDAT", b"")), large)
    yield Made("bomb-flat.png", png(0, 0, png_chunk(b"IDAT", b"")), BROKEN)
    packed = png_chunk(b"IDAT", zlib.compress(bytes(30000 * (30000 // 8 + 1)), 9))
    yield Made("bomb-packed.png", png(30000, 30000, packed, depth=1, colour=0), large)
    gif = bytearray(saved(smooth(), "GIF"))
    gif[6:10] = struct.pack("<HH", 60000, 60000)
    yield Made("bomb.gif", bytes(gif), large)
    bmp = bytearray(saved(smooth(), "BMP"))
    bmp[18:26] = struct.pack("<ii", 40000, -40000)
    yield Made("bomb.bmp", bytes(bmp), large)
    jpeg = saved(smooth(), "JPEG")
    frame = jpeg.index(b"\xff\xc0") + 5
    high = jpeg[:frame] + struct.pack(">HH", 65500, 65500) + jpeg[frame + 4 :]
    yield Made("bomb.jpg", high, large)


def modes(seed: int = 0) -> Iterator[Made]:
    """One picture in every kind of pixels."""
    picture = Image.fromarray(smooth())
    grey = picture.convert("L")
    clear = picture.convert("RGBA")
    clear.putalpha(Image.fromarray(np.where(smooth()[..., 0] < 128, 0, 255).astype(np.uint8)))
    profile = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(picture, profile)
    lab.info.clear()  # a profile that holds the time
    wide = np.linspace(0, 65535, 2240).reshape(40, 56)
    for name, image in {
        "rgb.png": picture,
        "rgb.jpg": picture,
        "rgb.webp": picture,
        "rgb.tif": picture,
        "rgb.bmp": picture,
        "grey.png": grey,
        "grey.jpg": grey,
        "one-bit.png": grey.convert("1"),
        "one-bit.tif": grey.convert("1"),
        "palette.png": picture.quantize(64),
        "palette.gif": picture.quantize(64),
        "palette.bmp": picture.quantize(64),
        "cmyk.jpg": picture.convert("CMYK"),
        "cmyk.tif": picture.convert("CMYK"),
        "ycc.jpg": picture.convert("YCbCr"),
        "lab.tif": lab,
        "alpha.png": clear,
        "alpha.webp": clear,
        "alpha.tif": clear,
        "grey-alpha.png": clear.convert("LA"),
        "sixteen.png": Image.fromarray(wide.astype(np.uint16)),
        "sixteen.tif": Image.fromarray(wide.astype(np.uint16)),
    }.items():
        yield Made(name, saved(image, KINDS[name.rsplit(".", 1)[1]]), OK)
    yield Made("float.tif", saved(Image.fromarray(wide.astype(np.float32)), "TIFF"), OK)
    unknown = Image.fromarray(wide.astype(np.int32) * 9)
    yield Made("int.tif", saved(unknown, "TIFF"), frozenset({"mode"}))


def compressions(seed: int = 0) -> Iterator[Made]:
    """One picture, packed in ways that formats leave open."""
    picture = Image.fromarray(smooth())
    progressive = saved(picture, "JPEG", progressive=True, subsampling=2)
    yield Made("progressive.jpg", progressive, OK)
    for name in ("lzw", "deflate", "jpeg", "packbits"):
        squeezed = saved(picture, "TIFF", compression=f"tiff_{name}" if name != "packbits" else name)
        yield Made(f"{name}.tif", squeezed, OK)


def animations(seed: int = 0) -> Iterator[Made]:
    """Files of three pictures."""
    first, *others = (Image.fromarray(noise(seed + i)) for i in range(3))
    for suffix in ("gif", "webp", "png", "tif"):
        data = saved(first, KINDS[suffix], save_all=True, append_images=others)
        yield Made(f"three.{suffix}", data, OK, 3)


def orientations(seed: int = 0) -> Iterator[Made]:
    """The smooth picture, stored turned and mirrored, with the EXIF entry that undoes it."""
    for number in range(1, 9):
        stored = Image.fromarray(smooth())
        for step in UNDO.get(number, []):
            stored = stored.transpose(step)
        exif = Image.Exif()
        exif[0x0112] = number
        for suffix in ("png", "webp", "tif"):
            options = {"lossless": True} if suffix == "webp" else {}
            yield Made(
                f"turned{number}.{suffix}", saved(stored, KINDS[suffix], exif=exif, **options), OK
            )


def metadata(seed: int = 0) -> Iterator[Made]:
    """Sound pictures with far too much beside the pixels, and pictures with broken EXIF."""
    blob = np.random.default_rng(seed).integers(0, 256, 4 << 20, np.uint8).tobytes()
    text = PngImagePlugin.PngInfo()
    for number in range(8):
        text.add_text(f"key{number}", "x" * (512 << 10), zip=bool(number % 2))
    yield Made("texts.png", saved(smooth(), "PNG", pnginfo=text), BROKEN | OK)
    squeezed = png_chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(64 << 20), 9))
    body = saved(smooth(), "PNG")
    yield Made("text-bomb.png", body[:33] + squeezed + body[33:], BROKEN | OK)
    yield Made("profile.png", saved(smooth(), "PNG", icc_profile=blob), BROKEN | OK)
    yield Made("profile.tif", saved(smooth(), "TIFF", icc_profile=blob), OK)
    yield Made("comment.jpg", saved(smooth(), "JPEG", comment=blob[:65000]), OK)
    yield Made("profile.webp", saved(smooth(), "WEBP", icc_profile=blob), OK)
    broken = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + blob[:200]
    for suffix in ("jpg", "png", "webp"):
        yield Made(f"exif.{suffix}", saved(smooth(), KINDS[suffix], exif=broken), ANY)


def put_specials(folder: Path) -> dict[str, str]:
    """Things that are no files under names of images; name -> the code each ends in."""
    os.mkfifo(folder / "fifo.jpg")
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "folder.jpg").mkdir()
    (folder / "gone.png").symlink_to(folder / "absent")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    return {
        "fifo.jpg": "not_an_image",
        "device.png": "not_an_image",
        "folder.jpg": "not_an_image",
        "gone.png": "missing",
        "loop.png": "missing",
    }
