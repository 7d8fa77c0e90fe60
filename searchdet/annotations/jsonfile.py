"""JSON as labelling tools write it: UTF-8, UTF-16 or UTF-32, with a byte order mark or without."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_json(path: Path) -> object:
    """The value of a JSON file. Raises OSError, or ValueError that says what is wrong."""
    data = path.read_bytes()
    try:
        return json.loads(data)  # finds the encoding by the first bytes
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"its text is not UTF-8, at byte {error.start}; save it as UTF-8") from error


def same(text: str) -> str:
    """A label or name in the one form in which equal ones compare equal (NFC)."""
    return unicodedata.normalize("NFC", text)


def label(text: str) -> str:
    """The name of a class in the one form in which equal ones compare equal: spaces around it do not
    count either."""
    return same(text).strip()


def label_of(item: Mapping[str, Any], field: str = "name") -> str:
    """The name of a class in a field. Raises KeyError where it has none."""
    value = item[field]
    if value is None or not (found := label(str(value))):
        raise KeyError(field)
    return found
