"""JSON as labelling tools write it: UTF-8, UTF-16 or UTF-32, with a byte order mark or without."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path


def read_json(path: Path) -> object:
    """The value of a JSON file. Raises OSError, or ValueError that says what is wrong."""
    data = path.read_bytes()
    try:
        return json.loads(data)  # finds the encoding by the first bytes
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def same(text: str) -> str:
    """A label or name in the one form in which equal ones compare equal (NFC)."""
    return unicodedata.normalize("NFC", text)
