"""What runs on the nodes of a Ray cluster: an actor that keeps one worker process."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bank import Gathered, Read
from ..errors import OutputError, SearchdetError, UsageError
from ..images import Query
from ..version import __version__
from .worker import Worker, WorkerSpec

SEEN_SECONDS = 15.0
"""How long a new file may take until another node sees it: network file systems remember for some
seconds what was not there."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a node must have as the driver has it. folder: the working folder; variables: of the
    environment; token: a file in the output folder and what it says, None where nothing is written."""

    folder: Path
    variables: tuple[tuple[str, str], ...]
    version: str = __version__
    token: tuple[Path, bytes] | None = None

    def enter(self) -> None:
        """Be there. Raises UsageError or OutputError, with the node, where it is another place."""
        node = socket.gethostname()
        if __version__ != self.version:
            raise UsageError(
                f"{node}: has searchdet {__version__}, and not {self.version}.",
                "Install the same version on all nodes.",
            )
        os.environ.update(self.variables)
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise UsageError(
                f"{node}: does not see the working folder {self.folder} ({error.strerror}).",
                "All nodes need the same folders: run it from one that is shared.",
            ) from error
        if self.token is not None and not _seen(*self.token):
            raise OutputError(
                f"{node}: does not see the output folder {self.token[0].parent} of this machine.",
                "Name one with -o that all nodes share.",
            )


def _seen(path: Path, content: bytes) -> bool:
    end = time.monotonic() + SEEN_SECONDS
    while True:
        with contextlib.suppress(OSError):
            if path.read_bytes() == content:
                return True
        if time.monotonic() > end:
            return False
        time.sleep(0.2)


@dataclass(frozen=True, slots=True)
class Answer:
    """value, or the error instead; said: level and text of what was logged; node: the node's id."""

    value: Any
    error: SearchdetError | OSError | None
    said: tuple[tuple[int, str], ...]
    node: str


class Searcher:
    """An actor. Models are in a process of their own, as with ``--timeout``: what ends that process is
    the image's doing, what ends the actor is not. Its methods raise nothing that is expected."""

    def __init__(self, job: WorkerSpec, timeout: float | None, needs: Needs, node: str = "") -> None:
        # a process that is started anew would run Ray's own start script for what it needs not
        vars(sys.modules["__main__"]).pop("__file__", None)
        self._node = node or _node()
        self._worker = Worker(job, timeout)
        self._refused = self._answer(lambda: self._begin(needs)).error

    def _begin(self, needs: Needs) -> None:
        needs.enter()
        self._worker.begin()

    def load(self, given: Read | Gathered) -> Answer:
        """Models and examples: ``Loaded``."""
        if self._refused is not None:
            return Answer(None, self._refused, (), self._node)
        return self._answer(lambda: self._worker.load(given))

    def search(self, query: Query) -> Answer:
        """One image: ``Result``."""
        return self._answer(lambda: self._worker.one(query))

    def _answer(self, work: Callable[[], object]) -> Answer:
        value, error = None, None
        try:
            value = work()
        except (SearchdetError, OSError) as raised:
            error = raised
        said, self._worker.said = tuple(self._worker.said), []
        return Answer(value, error, said, self._node)


def _node() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())
