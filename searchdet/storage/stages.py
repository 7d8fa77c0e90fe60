"""How long the stages of the work on an image take: told where it is done, gathered where it is asked.

A context variable carries what gathers, so that functions which compute take no clock among their
arguments, and so that what is done for two images in two threads is kept apart.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

READING, PROPOSALS, EMBEDDING, SECOND_LOOK = "reading", "proposals", "embedding", "second_look"
SCORING, SUPPRESSION, WRITING = "scoring", "suppression", "writing"
STAGES = (READING, PROPOSALS, EMBEDDING, SECOND_LOOK, SCORING, SUPPRESSION, WRITING)
"""In the order of the work. Proposals and embedding may go on side by side."""
Seconds = dict[str, float]
_GATHERED: ContextVar[Seconds | None] = ContextVar("searchdet-stages", default=None)


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """What is done within it is of that stage. A thread takes part where it runs in a copy of the
    context, and two threads are never in one stage."""
    started = time.monotonic()
    try:
        yield
    finally:
        into = _GATHERED.get()
        if into is not None:
            into[name] = into.get(name, 0.0) + time.monotonic() - started


@contextlib.contextmanager
def gathered() -> Iterator[Seconds]:
    """The seconds of the stages that end within it."""
    made: Seconds = {}
    token = _GATHERED.set(made)
    try:
        yield made
    finally:
        _GATHERED.reset(token)


def together(*parts: Mapping[str, float]) -> Seconds:
    """The seconds of all, stage by stage, in their order; stages that were not there are left out."""
    sums = {name: sum(part.get(name, 0.0) for part in parts) for name in STAGES}
    return {name: total for name, total in sums.items() if any(name in part for part in parts)}
