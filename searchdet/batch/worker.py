"""Detection in a process of its own, which is ended and replaced where an image takes too long or takes
the process down."""

from __future__ import annotations

import atexit
import contextlib
import math
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from ..config import Examples, Settings
from ..detector import Detector
from ..errors import ResourceError, SearchdetError, UsageError
from ..images import Query
from ..output import Output
from ..storage.values import JsonObject
from . import runner as batch
from .runner import Result

STOP_SECONDS = 5.0
_FROM_OUTSIDE = (signal.SIGINT, signal.SIGTERM)
"""Signals that end a run, which its process alone answers."""
_CLOSED = (EOFError, BrokenPipeError, ConnectionResetError)
"""What a pipe raises whose other end is closed."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What the process is made with. It is sent to it, so it holds plain values and
    functions of modules only. prepare: called first in it, to set up its log."""

    examples: Examples
    settings: Settings
    output: Output | None
    prepare: Callable[[], None] | None = None


class Worker:
    """One process that loads the models and takes image after image."""

    def __init__(self, job: WorkerSpec, timeout: float) -> None:
        if not (math.isfinite(timeout) and timeout > 0):
            raise UsageError(f"--timeout {timeout} must be a number of seconds above 0.")
        self._job = job
        self._timeout = timeout
        self._process: Any = None
        self._pipe: Connection | None = None

    def start(self) -> JsonObject:
        """Load the models; gives what a run says of them. Raises what ``Detector.build`` raises."""
        return self._open()[1]

    def _open(self) -> tuple[Connection, JsonObject]:
        context = multiprocessing.get_context("spawn")
        pipe, theirs = context.Pipe()
        self._pipe = pipe
        self._process = context.Process(target=_work, args=(theirs, self._job), daemon=True)
        answered = False
        atexit.register(self._ended)  # before multiprocessing waits for what ignores its signal
        try:
            _start(self._process)
            theirs.close()
            kind, value = pipe.recv()
            answered = True
        except _CLOSED as error:
            code = self._ended()
            raise ResourceError(f"the worker process ended while it loaded (exit {code}).") from error
        except OSError as error:
            raise ResourceError(
                f"the worker process cannot be started ({error.strerror or error}).",
                "End other programs, or leave out --timeout, which needs it.",
            ) from error
        finally:
            if not answered:  # a signal too: nobody else would end the process
                self._ended()
        if kind == "error":
            raise value
        return pipe, value

    def run(self, queries: Iterable[Query]) -> Iterator[Result]:
        """As ``batch.run``. An image over time is recorded as ``timeout``, one that ends the process as
        ``crash``, and the next goes to a new process."""
        try:
            for query in queries:
                yield self._one(query)
        finally:
            self._ended()

    def _one(self, query: Query) -> Result:
        pipe = self._pipe or self._open()[0]
        try:
            pipe.send(query)
            if not pipe.poll(self._timeout):
                self._ended()
                error = Overdue(f"{query.path}: took longer than {self._timeout:g} s.")
                return batch.fail(query, error, "", self._job.output)
            kind, value = pipe.recv()
        except _CLOSED:
            code = self._ended()
            crash = Crashed(f"{query.path}: ended the process that searched it (exit {code}).")
            return batch.fail(query, crash, "", self._job.output)
        if kind == "error":
            raise value
        result: Result = value
        return result

    def _ended(self) -> int | None:
        """End the process, if there is one; its exit code."""
        atexit.unregister(self._ended)
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if pipe is not None:
            pipe.close()
        if process is None or process.pid is None:  # that never began
            return None
        process.join(0.2)
        if process.is_alive():
            process.kill()
        process.join(STOP_SECONDS)
        code: int | None = process.exitcode
        return code


class Overdue(ResourceError):
    """An image took longer than it may."""

    code = "timeout"


class Crashed(ResourceError):
    """An image took its process down."""

    code = "crash"


def _start(process: Any) -> None:
    """Start a process that no signal to the whole group reaches before it ignores it: terminals and
    schedulers send theirs to both."""
    if sys.platform == "win32":
        process.start()
        return
    resource_tracker.ensure_running()  # its own start would let the signal in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_FROM_OUTSIDE})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection, job: WorkerSpec) -> None:
    """The process: models once, then image after image until the pipe closes."""
    for one in _FROM_OUTSIDE:
        signal.signal(one, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if job.prepare is not None:
        job.prepare()
    with contextlib.suppress(*_CLOSED):  # by the parent
        _serve(pipe, job)


def _serve(pipe: Connection, job: WorkerSpec) -> None:
    """Raises one of _CLOSED where the pipe closes; whatever else the system refuses is sent."""
    try:
        detector = Detector.build(job.examples, job.settings, defer=False)  # loading is no image's time
        batch.ready(detector, job.output)
    except (SearchdetError, OSError) as error:
        pipe.send(("error", error))
        return
    pipe.send(("ready", detector.run_json()))
    while True:
        query = pipe.recv()
        try:
            result = batch.one(detector, query, job.output)
        except (SearchdetError, OSError) as error:
            pipe.send(("error", error))
            return
        pipe.send(("done", result))


def _end_with_parent() -> None:
    """Wait for the parent and end with it, whatever an image is doing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
