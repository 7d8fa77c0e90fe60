"""Text in XML."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

from ..errors import UsageError

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(value: str) -> str:
    """Escaped content of an element. Raises UsageError for what XML cannot hold."""
    if _NOT_XML.search(value):
        raise UsageError(
            f"{value!r} has a character that XML cannot hold.", "Rename it, or leave out this format."
        )
    return escape(value, {"\r": "&#13;"})


def attribute(value: str) -> str:
    """Escaped value of an attribute, with its quotes. Raises UsageError for what XML cannot hold."""
    made = text(value).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")
    return f'"{made}"'
