"""Lists of paths, as files and programs give them: bytes to paths."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Sequence
from unicodedata import normalize
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from ..config.address import Place, place_of
from ..errors import UsageError
from ..storage import text

_CYRILLIC = ("cp1251", "koi8-r", "cp866")
_ENCODINGS = (*_CYRILLIC, "cp1252", "cp1250", "cp850", "cp932", "gbk", "big5", "euc-kr", "euc-jp")
"""What lists are written in by programs that do not write UTF-8."""
_AROUND = (b" ", b"\t", b'"', b"'")


def paths_of(data: bytes, source: str, null: bool) -> list[Place]:
    """The paths and addresses of a list; empty lines do not count. null: NUL parts them, not line ends.

    UTF-8, and UTF-16 as Windows writes it; a name that is not UTF-8 is taken as its bytes if one such
    file is there. Raises UsageError for another encoding, and for a list without a path.
    """
    body = _utf8(data, source, null)
    if null and {*b"\r\n"} & {*body} and b"\0" not in body and not _is_there(body):
        raise UsageError(f"{source}: the list has line ends and no NUL.", "Leave out --null.")
    lines = body.split(b"\0") if null else body.splitlines()
    if any(b"\0" in line for line in lines):
        raise UsageError(
            f"{source}: the list has a NUL within a path.",
            "Pass --null if it parts them; save the list as UTF-8 if it is in another encoding.",
        )
    _require_utf8(lines, source)
    _require_bare(lines, source)
    paths = [_path(line) for line in lines if line and line != codecs.BOM_UTF8]
    if not paths:
        raise UsageError(f"{source}: the list names no image.", "Write one path a line.")
    return paths


def _utf8(data: bytes, source: str, null: bool) -> bytes:
    """The list in UTF-8 and without a mark, or as it is."""
    encoding, body = text.parted(data)
    if encoding == "utf-8":
        bare = text.bare_utf16(body)
        if bare is None or (null and all(map(_is_there, filter(None, body.split(b"\0"))))):
            return body
        encoding = bare
    try:
        return body.decode(encoding).encode("utf-8")
    except ValueError as error:
        raise UsageError(
            f"{source}: the list is damaged {encoding.upper()} ({error}).", "Save it as UTF-8."
        ) from error


def _path(line: bytes) -> Place:
    """A line as a path. Lists that were joined have marks within."""
    if line.startswith(codecs.BOM_UTF8) and not _is_there(line):
        line = line[len(codecs.BOM_UTF8) :]
    return place_of(_name(line))


def _name(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape") if os.name == "nt" else os.fsdecode(line)


def _is_there(line: bytes) -> bool:
    return os.path.lexists(_name(line))


def _require_utf8(lines: Sequence[bytes], source: str) -> None:
    """Raise UsageError where names are in another encoding: of those not UTF-8 none is there."""
    odd = [(number, line) for number, line in enumerate(lines, start=1) if not _is_utf8(line)]
    if not odd or any(_is_there(line) for _, line in odd):
        return
    encoding = _encoding([line for _, line in odd])
    said, named = ("", "OLD") if encoding is None else (f", but looks like {encoding}", encoding)
    raise UsageError(
        f"{source}: line {odd[0][0]} of the list is not UTF-8{said}.",
        f"Save the list as UTF-8, for example by `iconv -f {named} -t UTF-8`.",
    )


def _require_bare(lines: Sequence[bytes], source: str) -> None:
    """Raise UsageError for a line whose file is there if it is written otherwise."""
    for number, line in enumerate(lines, start=1):
        for what, bare in _otherwise(line):
            if bare and bare != line and _is_there(bare) and not _is_there(line):
                raise UsageError(
                    f"{source}: line {number} of the list has {what}, and there is {_name(bare)}.",
                    "Write paths as they are.",
                )


def _otherwise(line: bytes) -> Iterator[tuple[str, bytes]]:
    """What a program or a person may have done to a path, and the path without it."""
    if line[:1] in _AROUND or line[-1:] in _AROUND:
        yield "quotes or spaces around a path", line.strip(b" \t\"'")
    if line.startswith(b"file:"):
        address = urlsplit(_name(line)).path
        yield "an address of a file", os.fsencode(unquote(address, errors="surrogateescape"))
    elif b"%" in line:
        yield "an address with percent signs", unquote_to_bytes(line)
    if b"\\" in line:
        yield "backslashes", line.replace(b"\\", b"/")
    if not line.isascii() and _is_utf8(line):
        for form in ("NFC", "NFD"):
            yield "another normal form of Unicode", normalize(form, line.decode()).encode()


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _encoding(lines: Sequence[bytes]) -> str | None:
    """The encoding by which a file is there; else the likeliest by the look of the letters, or None."""
    for encoding in _ENCODINGS:
        if any(name and os.path.lexists(name) for name in (_in(line, encoding) for line in lines)):
            return encoding
    whole = b"\n".join(lines)
    looks = {encoding: _cyrillic(_in(whole, encoding)) for encoding in _CYRILLIC}
    best = max(looks, key=lambda encoding: looks[encoding])
    words = b"".join(re.findall(rb"[\x80-\xff]{3,}", whole))  # a single one is a letter with an accent
    return best if looks[best] > len(words) / 2 > 0 else None


def _in(line: bytes, encoding: str) -> str:
    """A line in an encoding; empty where it is not in it."""
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return ""


def _cyrillic(name: str) -> int:
    """How many small letters of Russian; in a wrong encoding they become capitals and signs."""
    return sum(0x430 <= ord(letter) <= 0x44F or ord(letter) == 0x451 for letter in name)
