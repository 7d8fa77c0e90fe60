"""Server-sent events: every open page hears of every change, whoever made it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse

from ..storage.values import JsonObject

HEARTBEAT = 15.0
"""Seconds after which a silent stream says that it is there."""
MOST = 32
"""Streams at once."""
EVENTS = "text/event-stream"


Now = Callable[[], dict[str, JsonObject]]
"""Events of how things stand."""


class Listener:
    """One open page. Of each kind of event it keeps the latest that was not sent yet."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._waiting: dict[str, JsonObject] = {}
        self.closed = False

    def tell(self, event: str, data: JsonObject) -> None:
        """From any thread."""
        self._call(lambda: self._waiting.update({event: data}))

    def close(self) -> None:
        """From any thread: the stream ends after what is waiting."""
        self._call(lambda: setattr(self, "closed", True))

    async def heard(self, seconds: float) -> dict[str, JsonObject]:
        """What has happened, once something has; nothing after so many seconds."""
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except asyncio.TimeoutError:
            return {}
        self._woken.clear()
        heard, self._waiting = self._waiting, {}
        return heard

    def _call(self, change: Callable[[], object]) -> None:
        def changed() -> None:
            change()
            self._woken.set()

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(changed)


class Broadcast:
    """All open pages."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._closed = False

    def tell(self, event: str, data: JsonObject) -> None:
        """Tell every page, from any thread."""
        with self._lock:
            for listener in self._listeners:
                listener.tell(event, data)

    def close(self) -> None:
        """End every stream, and let none begin."""
        with self._lock:
            self._closed = True
            for listener in self._listeners:
                listener.close()

    def stream(self, now: Now, heartbeat: float = HEARTBEAT) -> StreamingResponse:
        """The answer to a page that wants to hear. now: what it is told at once. Raises
        HTTPException."""
        with self._lock:
            if self._closed or len(self._listeners) >= MOST:
                raise HTTPException(429, f"{MOST} pages are open already; close one of them.")
        return StreamingResponse(self._lines(now, heartbeat), media_type=EVENTS)

    async def _lines(self, now: Now, heartbeat: float) -> AsyncIterator[bytes]:
        listener = Listener()
        with self._lock:
            self._listeners.add(listener)
            listener.closed = self._closed
        try:
            yield b"retry: 2000\n\n" + _encoded(now())
            while not listener.closed:
                heard = await listener.heard(heartbeat)
                if heard or not listener.closed:
                    yield _encoded(heard) or b": still here\n\n"
        finally:
            with self._lock:
                self._listeners.discard(listener)


def _encoded(heard: dict[str, JsonObject]) -> bytes:
    lines = (f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in heard.items())
    return "".join(lines).encode("ascii")
