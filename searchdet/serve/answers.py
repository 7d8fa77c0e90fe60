"""Answers: JSON, and errors as one sentence with the next step. No traceback leaves the program."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Awaitable, Callable, Sequence

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
from ..integrations.routes import PATHS as BRIDGES
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
_NOT_FOUND, _OTHER_METHOD = "Not Found", "Method Not Allowed"
"""What the router says."""
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


def http_errors(paths: Sequence[str]) -> Callable[[Request, Exception], Awaitable[Response]]:
    """What is refused, as JSON too. paths: of the bridges, with their methods; none where these are
    off."""

    async def http_error(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        if error.detail == _NOT_FOUND:
            return _nowhere(request.url.path, paths)
        said = error.detail
        if said == _OTHER_METHOD:
            allowed = (error.headers or {}).get("Allow", "another method").split(", ")
            said = f"this address takes {' and '.join(sorted(allowed))}."
        response = refused(error.status_code, said)
        for name, value in (error.headers or {}).items():
            response.headers[name] = value
        return response

    return http_error


def _nowhere(path: str, paths: Sequence[str]) -> Response:
    """For a path that is none: where the bridges are, for who asks them by hand."""
    said = f"there is nothing at {path!r:.80}."
    if paths:
        said += f" The page is at /; the bridges have {', '.join(paths)}."
        return as_json({"error": said, "paths": list(paths)}, 404)
    if path in BRIDGES or path.startswith("/v1/"):
        said += " It is of the bridges, which are off: start `searchdet serve` with --bridges."
        return refused(404, said)
    return refused(404, f"{said} Open the page again.")


async def gone(request: Request, error: Exception) -> Response:
    """For who has hung up before all was sent: nobody hears it, and it is no bug."""
    return refused(400, "the request was not sent to its end.")
