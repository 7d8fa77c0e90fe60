"""A real S3 server on this machine, which can be made to fail at any request."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from searchdet.storage import remote

BUCKET = "photos"
HASTE = {"read_timeout": 0.5, "connect_timeout": 1, "retries": {"max_attempts": 0}}
"""Of a client that does not try again; the server is slower than that where it is to be slow."""
SLOW = 0.8
FAULTS = ("500", "503", "gone", "cut", "slow", "mute")
"""An error, a refusal, a connection that ends, half a body, an answer that comes too late, and one that
never begins, though the connection stays."""


@dataclass
class Fault:
    """Which request fails, by its number from 1, and how; lasting: all after it too."""

    at: int = 0
    kind: str = "500"
    lasting: bool = True


@dataclass
class Gate:
    """What stands before the server: counts requests, and lets a chosen one fail."""

    app: Any
    fault: Fault = field(default_factory=Fault)
    calls: list[str] = field(default_factory=list)
    sent: int = 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.calls.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        number, fault = len(self.calls), self.fault
        if not fault.at or number < fault.at or (number > fault.at and not fault.lasting):
            return self._whole(environ, start)
        if fault.kind in ("500", "503"):
            code = {"500": "InternalError", "503": "SlowDown"}[fault.kind]
            start(f"{fault.kind} {code}", [("Content-Type", "application/xml")])
            return [f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()]
        if fault.kind == "mute":
            time.sleep(2 * SLOW)
            _hang_up(environ)
            return []
        if fault.kind == "slow":
            time.sleep(SLOW)
            return self._whole(environ, start)
        if fault.kind == "gone":
            _hang_up(environ)
            return []
        return self._cut(environ, start)

    def _whole(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = b"".join(self.app(environ, start))
        self.sent += len(body)
        return [body]

    def _cut(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterator[bytes]:
        """Half of what the headers promise."""
        body = b"".join(self.app(environ, start))
        yield body[: len(body) // 2]
        _hang_up(environ)

    def reset(self, fault: Fault | None = None) -> None:
        """Count anew."""
        self.fault, self.sent = fault or Fault(), 0
        self.calls.clear()


def _hang_up(environ: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def s3() -> Iterator[tuple[Gate, str]]:
    """A server with an empty bucket, and its address."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *args: object) -> None:
            pass

    gate = Gate(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, gate, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield gate, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def connect(patch: pytest.MonkeyPatch, address: str) -> Any:
    """fsspec's S3 with that server and an empty bucket; tries each request once."""
    import fsspec
    from s3fs import S3FileSystem

    told = {"key": "k", "secret": "s", "endpoint_url": address, "config_kwargs": HASTE}
    patch.setitem(fsspec.config.conf, "s3", told)
    patch.setattr(S3FileSystem, "retries", 1)
    patch.setattr(remote, "PATIENCE", SLOW)
    S3FileSystem.clear_instance_cache()
    store = fsspec.filesystem("s3", use_listings_cache=False)
    if store.exists(BUCKET):
        store.rm(BUCKET, recursive=True)
    store.mkdir(BUCKET)
    return store


def put_tree(store: Any, folder: Path, name: str) -> None:
    """The files of a folder, below a name."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            store.pipe_file(f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def objects(store: Any, name: str) -> dict[str, bytes]:
    """All objects below a name."""
    return {path[len(name) + 1 :]: store.cat_file(path) for path in store.find(name)}
