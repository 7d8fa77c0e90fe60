"""Bodies of requests: counted while they are read, within a time, and JSON that is not deep."""

from __future__ import annotations

import asyncio
import json

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..storage.values import Fields

JSON_BYTES = 1 << 20
PICTURE_BYTES = 32 << 20
SECONDS = 20.0
"""That a body may take; a picture three times as long."""
HEARD = 4
"""Times as much is heard to its end, and forgotten: a browser that is cut off shows no error."""
DEEPEST = 16
"""Objects and lists within each other."""


async def read_json(request: Request) -> Fields:
    """The JSON object that a request brings. Raises HTTPException."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "send it as Content-Type: application/json.")
    data = await read(request, JSON_BYTES)
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_number)
        _require_flat(value)
        return Fields.of(value, "the body")
    except RecursionError as error:
        raise HTTPException(400, "the body is nested too deeply.") from error
    except ValueError as error:
        raise HTTPException(400, f"the body is not the JSON that is needed: {error!s:.200}.") from error


async def read(request: Request, most: int, times: int = 1) -> bytes:
    """The body. Raises HTTPException where it is larger than ``most`` bytes (413) or not whole in
    ``times`` SECONDS (408)."""
    seconds = times * SECONDS
    told = request.headers.get("content-length", "0")
    if not (told.isascii() and told.isdigit()) or len(told) > 12 or int(told) > HEARD * most:
        raise _too_large(most)
    try:
        return await asyncio.wait_for(_collected(request, most), seconds)
    except asyncio.TimeoutError as error:
        raise HTTPException(408, f"the body was not whole after {seconds:g} s; try again.") from error


async def _collected(request: Request, most: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > HEARD * most:
            raise _too_large(most)
        if size <= most:
            parts.append(part)
    if size > most:
        raise _too_large(most)
    return b"".join(parts)


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {most >> 20} MiB; send a smaller one.")


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _require_flat(value: object) -> None:
    """Raise ValueError for what is nested deeper than DEEPEST."""
    level = [value]
    for _ in range(DEEPEST):
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        level = inner
        if not level:
            return
    raise ValueError(f"it is nested deeper than {DEEPEST}")
