"""Answers: JSON, and errors as one sentence with the next step. No traceback leaves the program."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ..errors import (
    EmbeddingError,
    ExemplarError,
    ImageError,
    OutputError,
    ResourceError,
    SearchdetError,
    lacks_memory,
)
from ..storage.values import JsonValue

log = logging.getLogger(__name__)
Endpoint = Callable[[Request], Awaitable[Response]]
_STATUS: dict[type[SearchdetError], int] = {
    ImageError: 422,
    EmbeddingError: 422,
    ExemplarError: 422,
    ResourceError: 503,
    OutputError: 507,
}
"""Of errors; 400 for others."""
_PLAIN = {
    "Not Found": "there is nothing at this address. Open the page again.",
    "Method Not Allowed": "this address takes another method.",
}
"""For what the router says."""
BUG = "internal error; the terminal of `searchdet serve` says more. Please report it."


def as_json(value: JsonValue, status: int = 200) -> Response:
    """JSON, ASCII."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return Response(text, status, media_type="application/json")


def refused(status: int, sentence: str) -> Response:
    """An error. What was not read of the request is not waited for."""
    response = as_json({"error": sentence}, status)
    if status in (408, 413):
        response.headers["Connection"] = "close"
    return response


def not_there(what: str) -> HTTPException:
    """The error for a path that leads nowhere."""
    return HTTPException(404, f"{what}. Load the page again.")


def guarded(body: Endpoint) -> Endpoint:
    """An endpoint whose errors become answers."""

    @functools.wraps(body)
    async def endpoint(request: Request) -> Response:
        try:
            return await body(request)
        except (HTTPException, ClientDisconnect):
            raise
        except SearchdetError as error:
            return refused(_STATUS.get(type(error), 400), error.one_line())
        except Exception as error:
            if lacks_memory(error):
                return refused(503, "out of memory. Close other programs, or try a smaller picture.")
            log.exception("%s %s", request.method, request.url.path)
            return refused(500, BUG)

    return endpoint


def blocking(body: Callable[[Request], Response]) -> Endpoint:
    """An endpoint of a function that may wait, for a lock or a file: in a thread of its own."""

    @functools.wraps(body)
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(body, request)

    return guarded(endpoint)


async def http_error(request: Request, error: Exception) -> Response:
    """What the router refuses, as JSON too."""
    if not isinstance(error, HTTPException):
        raise error
    response = refused(error.status_code, _PLAIN.get(error.detail, error.detail))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def gone(request: Request, error: Exception) -> Response:
    """For who has hung up before all was sent: nobody hears it, and it is no bug."""
    return refused(400, "the request was not sent to its end.")
