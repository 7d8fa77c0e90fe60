"""Text that others wrote: which encoding its bytes are in. Nothing is guessed that is not marked, but
for UTF-16 without its mark, which no other text of file names looks like."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""UTF-32 before UTF-16, whose mark its own begins with."""


def parted(data: bytes) -> tuple[str, bytes]:
    """The encoding by the byte order mark, and the bytes after the mark; UTF-8 without one."""
    for mark, encoding in _MARKS:
        if data.startswith(mark) and (not encoding.startswith("utf-32") or len(data) % 4 == 0):
            return encoding, data[len(mark) :]
    return "utf-8", data


def decoded(data: bytes) -> str:
    """Text in UTF-8, or in UTF-16 or UTF-32 with a byte order mark. Raises UnicodeDecodeError."""
    encoding, rest = parted(data)
    return rest.decode(encoding)


def bare_utf16(data: bytes) -> str | None:
    """``utf-16-le`` or ``utf-16-be`` for bytes without a mark in which every second one is often NUL,
    and others only beside such a one; else None."""
    if len(data) % 2:
        return None
    even, odd = data[::2], data[1::2]
    for encoding, high, low in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        alone = any(one == 0 < other for one, other in zip(low, high, strict=True))
        if not alone and high.count(0) * 5 >= len(high) * 2 > 0:
            return encoding
    return None
