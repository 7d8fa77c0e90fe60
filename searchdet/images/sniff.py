"""What kind of file it is, by its first bytes; and which kinds are not read, by name."""

from __future__ import annotations

from ..config.address import Place
from ..errors import ImageError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".avif", ".heic", ".heif", ".hif"),
)
"""Names of files that folders are searched for."""
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"8BPS", "Photoshop"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"qoif", "QOI"),
    (b"%PDF", "PDF"),
    (b"P5\n", "PGM"),
    (b"P6\n", "PPM"),
    (b"\0\0\1\0", "Windows icon"),
    (b"SIMPLE  =", "FITS"),
)
_AVIF = (b"avif", b"avis")
_HEIF = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
READ = frozenset({"JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "HEIF", ""})
_CHUNKS, _FRAME = 12, 16
"""Where the chunks of a WebP begin, and what a frame of an animation has before its own."""
HEAD = 64
"""Bytes that ``kind_of`` needs."""


def kind_of(data: bytes) -> str:
    """The name of a format, ``""`` for one that is not known."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        brands = {data[8:12], *(data[at : at + 4] for at in range(16, min(data[3], HEAD), 4))}
        if brands & {*_AVIF}:
            return "AVIF"
        return "HEIF" if brands & {*_HEIF} else ""
    return next((kind for start, kind in _BEGINNINGS if data.startswith(start)), "")


def is_lossless_webp(data: bytes) -> bool:
    """Whether the first picture of a WebP is stored without loss."""
    at = _CHUNKS
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        # a frame of an animation holds chunks of its own behind 16 bytes
        at += 8 + (_FRAME if kind == b"ANMF" else length + length % 2)
    return False


def require_readable(path: Place, kind: str) -> None:
    """Raise ImageError, naming the kind and what to do, for one that is never read, or not by this
    Pillow."""
    if kind not in READ:
        raise ImageError(
            "not_an_image",
            f"{path}: is a {kind} file, which is not read.",
            "Convert it to PNG or JPEG.",
        )
    if kind == "AVIF" and not _pillow_has_avif():
        raise ImageError(
            "not_an_image",
            f"{path}: is an AVIF picture, which this Pillow cannot decode.",
            'Run `pip install -U "pillow>=11.3"`, or convert it to PNG or JPEG.',
        )


def missing(path: Place, what: str, extra: str) -> ImageError:
    """The error for a picture that needs an extra that is not installed."""
    return ImageError(
        "not_an_image",
        f"{path}: {what}, which needs the extra `{extra}`.",
        f'Run `pip install "searchdet[{extra}]"`, or convert it to PNG or JPEG with 8 bits.',
    )


def _pillow_has_avif() -> bool:
    from PIL import features

    return bool(features.check("avif"))
