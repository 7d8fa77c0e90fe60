"""The one thread that has the models: it describes images, and before these what persons draw."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from typing import TypeVar

from ..errors import ResourceError

T = TypeVar("T")
log = logging.getLogger(__name__)


class Work:
    """Does steps one by one, and in between what is asked for. A step says of its errors itself."""

    def __init__(self, steps: Iterable[Callable[[], None]] = ()) -> None:
        self._steps = deque(steps)
        self._asked: deque[Callable[[], None]] = deque()
        self._waiting: set[Future[object]] = set()
        self._changed = threading.Condition()
        self._stopped = self._idle = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="searchdet-models", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Begin nothing more; whether the thread has ended within the time."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            for future in self._waiting:
                future.cancel()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def ask(self, job: Callable[[], T]) -> T:
        """Have something done before the next step, and wait for it. Raises what it raises, and
        ResourceError where the program ends first."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(job())
            except Exception as error:  # whoever asked gets it
                future.set_exception(error)

        with self._changed:
            if self._stopped:
                raise _ended()
            self._asked.append(run)
            self._waiting.add(future)  # type: ignore[arg-type]
            self._changed.notify_all()
        try:
            return future.result()
        except CancelledError as error:
            raise _ended() from error
        finally:
            with self._changed:
                self._waiting.discard(future)

    def finished(self, seconds: float) -> bool:
        """Wait for the last step; whether it is done, or the thread has ended."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stopped or self._idle, seconds)

    def check(self) -> None:
        """Raise what ended the thread, if something did."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while (step := self._next()) is not None:
                step()
        except Exception as error:  # the main thread raises it, in ``check``
            self._error = error
            self.stop(0)

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._stopped:
                if self._asked:
                    return self._asked.popleft()
                if self._steps:
                    return self._steps.popleft()
                self._idle = True
                self._changed.notify_all()
                self._changed.wait()
        return None


def _ended() -> ResourceError:
    return ResourceError("the program ends.", "Start `searchdet serve` again.")
