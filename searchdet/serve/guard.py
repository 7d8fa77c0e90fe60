"""Who may ask what: the one gate in front of all answers, and the headers that all of them have."""

from __future__ import annotations

import base64
import logging
import secrets
import time
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .address import Address
from .answers import refused

log = logging.getLogger(__name__)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HEADER = "x-searchdet-token"
METHODS = ("GET", "HEAD", "POST")
_SAME = ("same-origin", "none")
"""Of Sec-Fetch-Site: from the page itself, or typed by a person."""
NO_TOKEN = "open the address that `searchdet serve` printed: it ends with the token of this page."


class Guard:
    """Lets through what has the token and comes from the page itself, or from no page at all."""

    def __init__(self, app: ASGIApp, address: Address) -> None:
        self._app = app
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        started = time.monotonic()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
                _note(scope, message["status"], time.monotonic() - started)
            await send(message)

        await (self._answer(scope) or self._app)(scope, receive, sending)

    def _answer(self, scope: Scope) -> Response | None:
        """What is said at once; None where the request goes on."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if len(headers.getlist("host")) != 1 or not self._address.answers_to(host):
            return refused(403, f"this server is not called {host!r:.80}; open {self._address.origin}.")
        if origin is not None and not self._address.is_origin(origin, host):
            return refused(403, "another page sent this; only the page of this server may.")
        if scope["method"] not in METHODS:
            response = refused(405, "this server takes GET and POST alone.")
            response.headers["Allow"] = ", ".join(METHODS)
            return response
        if scope["path"] == "/" and b"token=" in scope["query_string"]:
            return self._entered(scope["query_string"])
        if headers.get("sec-fetch-site", "none") not in _SAME and scope["path"] != "/":
            return refused(403, "another page sent this; only the page of this server may.")
        return None if self._knows(headers) else refused(401, NO_TOKEN)

    def _entered(self, query: bytes) -> Response:
        """A first visit: the token of the address becomes a cookie, and the address is left."""
        try:
            given = parse_qs(query.decode("ascii", "replace"), max_num_fields=20).get("token", [""])
        except ValueError:
            return refused(400, NO_TOKEN)
        if not self._is_token(given[-1]):
            return refused(401, NO_TOKEN)
        response = Response(status_code=303, headers={"Location": "/"})
        response.set_cookie(
            self._address.cookie, self._address.token, path="/", httponly=True, samesite="strict"
        )
        return response

    def _knows(self, headers: Headers) -> bool:
        cookies = cookie_parser(headers.get("cookie", ""))
        shown = [
            cookies.get(self._address.cookie, ""),
            headers.get(HEADER, ""),
            headers.get("token", ""),
            _authorized(headers.get("authorization", "")),
        ]
        return True in [self._is_token(word) for word in shown]  # all are compared

    def _is_token(self, word: str) -> bool:
        return secrets.compare_digest(word.encode("utf-8", "replace"), self._address.token.encode())


def _note(scope: Scope, status: int, seconds: float) -> None:
    """A line of the log: the path alone, as the token is in the query."""
    path = scope.get("raw_path", b"").partition(b"?")[0].decode("ascii", "backslashreplace")
    log.info("%s %s %d %.0f ms", scope["method"], path, status, 1000 * seconds)


def _authorized(header: str) -> str:
    """What ``Authorization`` shows as a token: the word of Token and Bearer, of Basic the password."""
    kind, _, word = header.partition(" ")
    if kind.lower() in ("token", "bearer"):
        return word.strip()
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(word.strip(), validate=True).decode("utf-8").partition(":")[2]
    except ValueError:
        return ""
