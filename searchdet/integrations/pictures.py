"""Pictures within JSON: base64 and data addresses to bytes. Pure."""

from __future__ import annotations

import base64
import binascii

from ..errors import ImageError

DATA, SEND = "data:", "Send the file's bytes."


def decoded(text: str, name: str = "image") -> bytes:
    """The bytes of a picture that is base64, with or without ``data:TYPE;base64,`` before it. Raises
    ImageError for anything else."""
    head, comma, rest = text.partition(",") if text[: len(DATA)].lower() == DATA else ("", ",", text)
    if not comma or (head and not head.lower().endswith(";base64")):
        raise ImageError("decode", f"{name}: a data address without base64.", "Send ;base64, data.")
    try:
        data = base64.b64decode("".join(rest.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(
            "decode", f"{name}: is no base64 ({error}).", "Send the file's bytes."
        ) from error
    if not data:
        raise ImageError("decode", f"{name}: is empty.", SEND)
    return data
