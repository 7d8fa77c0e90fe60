"""The bridges over HTTP: routes of both protocols for one predictor. Needs Starlette."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..errors import SearchdetError
from ..storage.values import JsonObject
from . import anylabeling, labelstudio
from .bridges import Bridges
from .predictor import Predictor
from .sources import Sources

log = logging.getLogger(__name__)
MOST_BYTES = 256 << 20
"""Of a request: a picture as base64, or the brush strokes of an annotation."""
LONGER = 6
"""Times as long as other bodies one may take."""
PATHS = (
    "/health",
    *("/v1/models", "/v1/models/{model}/info", "/v1/predict"),
    *("/setup", "/predict", "/webhook"),
)
"""Of both protocols, of X-AnyLabeling, of Label Studio."""
Said = Callable[[Exception], tuple[int, JsonObject]]
"""An error in the form of a protocol, with its HTTP status."""
Endpoint = Callable[[Request], Awaitable[Response]]
Reader = Callable[[Request, int, int], Awaitable[bytes]]
"""Reads a body: how many bytes it may have, and times as long as others it may take. Raises
HTTPException."""


def routes(predictor: Predictor, read: Reader, sources: Sources | None = None) -> list[Route]:
    """The routes of both protocols. read: as the server reads all bodies. sources: where pictures of
    Label Studio may come from, None: from within a request alone. Whoever mounts them looks at the
    token of a request first."""
    bridges = Bridges(predictor, sources or Sources())
    health, models, model, shapes, setup, predict, webhook = PATHS
    return [
        Route(health, _asked(lambda _: bridges.health(), _shapes_error)),
        Route(models, _asked(lambda _: bridges.models(), _shapes_error)),
        Route(model, _asked(lambda seen: bridges.info(seen.path_params["model"]), _shapes_error)),
        Route(shapes, _sent(bridges.shapes, _shapes_error, read), methods=["POST"]),
        Route(setup, _sent(bridges.setup, _task_error, read), methods=["POST"]),
        Route(predict, _sent(bridges.predictions, _task_error, read), methods=["POST"]),
        Route(webhook, _sent(bridges.webhook, _task_error, read, 201), methods=["POST"]),
    ]


def _asked(answer: Callable[[Request], JsonObject], said: Said) -> Endpoint:
    """An endpoint without a body."""

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(_answered, lambda: answer(request), said)

    return endpoint


def _sent(
    answer: Callable[[object], JsonObject], said: Said, read: Reader, status: int = 200
) -> Endpoint:
    """An endpoint with a body of JSON."""

    async def endpoint(request: Request) -> Response:
        try:
            body = await read(request, MOST_BYTES, LONGER)
        except HTTPException as error:
            _, told = said(ValueError(error.detail))
            return JSONResponse(told, error.status_code, {"Connection": "close"})
        return await run_in_threadpool(_answered, lambda: answer(_value(body)), said, status)

    return endpoint


def _value(body: bytes) -> object:
    """The JSON of a body. Raises ValueError."""
    try:
        value: object = json.loads(body)
    except UnicodeDecodeError as error:
        raise ValueError("the request is no text in UTF-8.") from error
    except RecursionError as error:
        raise ValueError("the request is nested too deeply.") from error
    return value


def _answered(work: Callable[[], JsonObject], said: Said, status: int = 200) -> Response:
    try:
        return JSONResponse(work(), status)
    except Exception as error:
        code, body = said(error)
        if code >= 500 and not isinstance(error, SearchdetError):
            log.exception("a bridge failed; the client was told so")
        else:
            log.warning("a bridge refused a request: %s", _words(error))
        return JSONResponse(body, code)


def _words(error: Exception) -> str:
    """What went wrong, for the client; of a bug no more than its kind."""
    if isinstance(error, SearchdetError):
        return error.one_line()
    if isinstance(error, LookupError | ValueError) and error.args:
        return str(error.args[0])
    return f"{type(error).__name__} in searchdet; its terminal says more."


def _shapes_error(error: Exception) -> tuple[int, JsonObject]:
    code, status = anylabeling.code_of(error)
    return status, anylabeling.error_json(code, _words(error))


def _task_error(error: Exception) -> tuple[int, JsonObject]:
    return labelstudio.status_of(error), {"error": _words(error)}
