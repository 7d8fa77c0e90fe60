"""The application: which address answers what."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from .address import Address
from .answers import blocking, gone, guarded, http_errors
from .api import Reads
from .changes import Changes
from .desk import Desk
from .guard import Guard
from .page import Assets
from .stream import EVENTS

_IMPLIED = {"HEAD"}
"""A method that comes with another one."""


def make_app(desk: Desk, changes: Changes, address: Address, more: Sequence[BaseRoute] = ()) -> ASGIApp:
    """The whole application, behind its guard. more: routes of bridges."""
    reads, assets = Reads(desk), Assets()

    async def stream(request: Request) -> Response:
        if request.method == "HEAD":  # whose answer ends with its headers: no stream is begun
            return Response(media_type=EVENTS)
        return desk.broadcast.stream(desk.now)

    def asset(request: Request) -> Response:
        return assets.of(str(request.path_params["name"]))

    get, post = ["GET"], ["POST"]
    routes: list[BaseRoute] = [
        Route("/", blocking(lambda request: assets.page()), methods=get),
        Route("/assets/{name}", blocking(asset), methods=get),
        Route("/api/state", blocking(reads.state), methods=get),
        Route("/api/images", blocking(reads.images), methods=get),
        Route("/api/images/{i}", blocking(reads.image), methods=get),
        Route("/api/images/{i}/at", blocking(reads.at), methods=get),
        Route("/api/images/{i}/picture", blocking(reads.picture), methods=get),
        Route("/api/exemplars/{name}", blocking(reads.exemplar), methods=get),
        Route("/api/review", blocking(reads.review), methods=get),
        Route("/api/stream", guarded(stream), methods=get),
        Route("/api/events", guarded(changes.event), methods=post),
        Route("/api/pictures", guarded(changes.picture), methods=post),
        *more,
    ]
    refusing = http_errors([words for route in more for words in _words(route)])
    app = Starlette(routes=routes, exception_handlers={HTTPException: refusing, ClientDisconnect: gone})
    app.router.redirect_slashes = False
    return Guard(app, address)


def _words(route: BaseRoute) -> list[str]:
    """A route in words, as ``POST /predict``."""
    if not isinstance(route, Route):
        return []
    return [f"{method} {route.path}" for method in sorted((route.methods or set()) - _IMPLIED)]
