"""The server: uvicorn in a thread of its own, so that signals stay with the program."""

from __future__ import annotations

import logging
import threading
import time

import uvicorn
from starlette.types import ASGIApp

from ..errors import ResourceError
from .address import Listening
from .protocol import Protocol
from .stream import Broadcast

log = logging.getLogger(__name__)
HEADER_BYTES = 16 << 10
CONNECTIONS = 256
GRACE_SECONDS = 2
"""That answers may still take once the program ends."""
START_SECONDS = 30.0


class Server:
    """Serves an application on a socket that listens already."""

    def __init__(self, app: ASGIApp, listening: Listening, broadcast: Broadcast) -> None:
        config = uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=GRACE_SECONDS,
            h11_max_incomplete_event_size=HEADER_BYTES,
        )
        self._listening = listening
        self._broadcast = broadcast
        self._server = uvicorn.Server(config)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="searchdet-http", daemon=True)

    def start(self) -> None:
        """Begin, and return once requests are answered. Raises ResourceError."""
        self._thread.start()
        until = time.monotonic() + START_SECONDS
        while not self._server.started:
            if self._ended.is_set() or time.monotonic() > until:
                raise ResourceError("the server did not start.", "The lines above say why.")
            time.sleep(0.01)

    def wait(self, seconds: float) -> bool:
        """Wait; whether it has ended by itself. Not by ``join``, which a signal may not interrupt."""
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """End streams, let answers finish, close the socket."""
        self._broadcast.close()
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._ended.wait(GRACE_SECONDS + 2)
        self._listening.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listening])
        finally:
            self._ended.set()
