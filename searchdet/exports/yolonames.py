"""The classes in ``data.yaml``: label files follow their numbers, so that these stay once given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError

_HEAD, _NONE = "names:\n", "names: {}\n"
_LINE = re.compile(r'  (\d+): "((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|(.))")


def written(names: Sequence[str]) -> str:
    """The last part of ``data.yaml``."""
    if not names:
        return _NONE
    return _HEAD + "".join(f"  {number}: {quoted(name)}\n" for number, name in enumerate(names))


def read(path: Path) -> tuple[str, ...]:
    """The classes of a ``data.yaml`` that an export wrote; none where there is none. Raises UsageError
    for another."""
    if not path.is_file():
        return ()
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.endswith(f"\n{_NONE}"):
        return ()
    head, found, tail = text.partition(f"\n{_HEAD}")
    lines = [_LINE.fullmatch(line) for line in tail.removesuffix("\n").split("\n")]
    numbers = [None if line is None else int(line[1]) for line in lines]
    if not found or not head or numbers != list(range(len(lines))):
        raise UsageError(
            f"{path}: is not as `export` writes it, so the numbers of its classes cannot be kept.",
            "Move it away, or use another -o.",
        )
    return tuple(_ESCAPE.sub(_plain, line[2]) for line in lines if line is not None)


def quoted(name: str) -> str:
    """A YAML string that keeps its one line whatever the name holds."""
    return '"' + "".join(_sign(sign) for sign in name) + '"'


def _sign(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"


def _plain(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else found[3]
