"""Detection in a process of its own, which is ended and replaced where an image takes too long or takes
the process down."""

from __future__ import annotations

import atexit
import contextlib
import logging
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, cast

from ..bank import Gathered, Read
from ..config import Examples, Settings
from ..detector import Detector
from ..errors import ResourceError, SearchdetError, UsageError
from ..images import Query
from ..output import Output
from ..regions import load_models
from ..storage.values import JsonObject
from . import runner as batch
from .runner import Result

STOP_SECONDS = 5.0
_FROM_OUTSIDE = (signal.SIGINT, signal.SIGTERM)
"""Signals that end a run, which its process alone answers."""
_LOGGER = __name__.partition(".")[0]
_CLOSED = (EOFError, BrokenPipeError, ConnectionResetError)
"""What a pipe raises whose other end is closed."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What the process is made with. It is sent to it, so it holds plain values and
    functions of modules only. handed_over: examples come when it runs (``Worker.load``).
    prepare: called first in it, to set up its log. relay: the level from which on what is logged goes
    to ``Worker.said`` instead; None leaves the log as ``prepare`` made it."""

    examples: Examples
    settings: Settings
    output: Output | None
    prepare: Callable[[], None] | None = None
    relay: int | None = None
    handed_over: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a run says of the models, and what the bank was made of examples that were handed over."""

    facts: JsonObject
    gathered: Gathered | None = None


class Worker:
    """One process that loads the models and takes image after image. timeout: seconds that an image may
    take; None is any. said: level and text of what was logged there, oldest first."""

    def __init__(self, job: WorkerSpec, timeout: float | None) -> None:
        if timeout is not None and not (math.isfinite(timeout) and timeout > 0):
            raise UsageError(f"--timeout {timeout} must be a number of seconds above 0.")
        self._job = job
        self._timeout = timeout
        self._given: Read | Gathered | None = None
        self._process: Any = None
        self._pipe: Connection | None = None
        self.said: list[tuple[int, str]] = []

    def start(self) -> JsonObject:
        """Load the models; gives what a run says of them. Raises what ``Detector.build`` raises."""
        return self._open()[1].facts

    def load(self, given: Read | Gathered) -> Loaded:
        """``start`` with examples that were read, or gathered, elsewhere."""
        self._given = given
        loaded = self._open()[1]
        self._given = loaded.gathered or given  # a process in its place need not gather again
        return loaded

    def begin(self) -> None:
        """Start the process, which loads the models meanwhile. Raises ResourceError."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, self._job), daemon=True)
        begun = False
        atexit.register(self._ended)  # before multiprocessing waits for what ignores its signal
        try:
            _start(self._process)
            theirs.close()
            begun = True
        except OSError as error:
            raise ResourceError(
                f"the worker process cannot be started ({error.strerror or error}).",
                "End other programs, or leave out --timeout, which needs it.",
            ) from error
        finally:
            if not begun:  # a signal too: nobody else would end the process
                self._ended()

    def _open(self) -> tuple[Connection, Loaded]:
        if self._pipe is None:
            self.begin()
        pipe, kind, value = cast(Connection, self._pipe), "", None
        try:
            if self._given is not None:
                with contextlib.suppress(*_CLOSED):  # by a refusal, which is read next
                    pipe.send(self._given)
            kind, value = self._answer(pipe, None)
        except _CLOSED as error:
            code = self._ended()
            raise ResourceError(f"the worker process ended while it loaded (exit {code}).") from error
        finally:
            if not kind:
                self._ended()
        if kind == "error":
            raise value
        return pipe, value

    def _answer(self, pipe: Connection, seconds: float | None) -> tuple[str, Any]:
        """What comes next beside the log; "" where nothing comes within that time."""
        end = None if seconds is None else time.monotonic() + seconds
        while pipe.poll(None if end is None else max(0.0, end - time.monotonic())):
            kind, value = pipe.recv()
            if kind != "log":
                return kind, value
            self.said.append(value)
        return "", None

    def run(self, queries: Iterable[Query]) -> Iterator[Result]:
        """As ``batch.run``. An image over time is recorded as ``timeout``, one that ends the process as
        ``crash``, and the next goes to a new process."""
        try:
            for query in queries:
                yield self.one(query)
        finally:
            self._ended()

    def one(self, query: Query) -> Result:
        """``run`` for a single image; the process stays."""
        pipe = self._pipe or self._open()[0]
        try:
            pipe.send(query)
            kind, value = self._answer(pipe, self._timeout)
            if not kind:
                self._ended()
                error = Overdue(f"{query.path}: took longer than {self._timeout:g} s.")
                return batch.fail(query, error, "", self._job.output)
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
    if job.relay is not None:
        _relay(pipe, job.relay)
    with contextlib.suppress(*_CLOSED):  # by the parent
        _serve(pipe, job)


def _serve(pipe: Connection, job: WorkerSpec) -> None:
    """Raises one of _CLOSED where the pipe closes; whatever else the system refuses is sent."""
    try:
        detector, gathered = _loaded(pipe, job)
    except (SearchdetError, OSError) as error:
        pipe.send(("error", error))
        return
    pipe.send(("ready", Loaded(detector.run_json(), gathered)))
    while True:
        query = pipe.recv()
        try:
            result = batch.one(detector, query, job.output)
        except (SearchdetError, OSError) as error:
            pipe.send(("error", error))
            return
        pipe.send(("done", result))


def _loaded(pipe: Connection, job: WorkerSpec) -> tuple[Detector, Gathered | None]:
    """The detector, and its bank where that was made here of what was handed over. All models at once:
    loading is no image's time."""
    if job.handed_over:
        models = load_models(job.settings, defer=False)
        given: Read | Gathered = pipe.recv()
        detector = Detector.of(models, given, job.settings)
        return detector, detector.gathered if isinstance(given, Read) else None
    detector = Detector.build(job.examples, job.settings, defer=False)
    batch.ready(detector, job.output)
    return detector, None


def _relay(pipe: Connection, level: int) -> None:
    """What is logged from ``level`` on goes to the parent."""

    class Relay(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            pipe.send(("log", (record.levelno, record.getMessage())))

    logger = logging.getLogger(_LOGGER)
    logger.handlers[:] = [Relay()]
    logger.setLevel(level)
    logger.propagate = False


def _end_with_parent() -> None:
    """Wait for the parent and end with it, whatever an image is doing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
