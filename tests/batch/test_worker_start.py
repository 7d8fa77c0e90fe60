"""A worker process that never begins."""

from __future__ import annotations

import errno
import signal
from pathlib import Path

import pytest

from searchdet.batch import worker
from searchdet.commands.console import Stopped
from searchdet.config import Examples, Settings
from searchdet.errors import ResourceError


def waiting() -> worker.Worker:
    return worker.Worker(worker.WorkerSpec(Examples(positive=Path("p")), Settings(), None), 5)


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def refuse(_: object) -> None:
        raise error

    monkeypatch.setattr(worker, "_start", refuse)


def test_a_signal_before_the_process_is_there_stops_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(monkeypatch, Stopped(signal.SIGINT))
    with pytest.raises(Stopped):
        waiting().start()


def test_a_system_without_room_for_a_process_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, OSError(errno.EAGAIN, "Resource temporarily unavailable"))
    with pytest.raises(ResourceError, match=r"cannot be started \(Resource temp.*") as caught:
        waiting().start()
    assert "--timeout" in caught.value.hint
