"""What goes wrong in the processes of actors: functions that ``WorkerSpec.prepare`` names."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import numpy as np

from searchdet.proposals.regions import RegionProposer


class OddError(Exception):
    """One that cannot be sent to another process."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")


def _odd() -> None:
    raise OddError(1, 2)


def _end_actor() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(2)
    os._exit(1)  # nothing comes of the image, whoever the parent was by then


FAULTS: dict[int, Callable[[], None]] = {
    141: lambda: os.kill(os.getpid(), signal.SIGKILL),
    142: _odd,
    143: lambda: time.sleep(600),
    144: _end_actor,
}
"""By the width of the picture. The last ends the actor itself."""


def misbehave() -> None:
    """Pictures of some widths go wrong."""
    _before(lambda width: FAULTS.get(width, lambda: None)())


def slowly() -> None:
    """Every picture takes a while."""
    _before(lambda _: time.sleep(0.2))


def _before(act: Callable[[int], None]) -> None:
    real = RegionProposer.propose

    def propose(self: RegionProposer, image: np.ndarray, promise: np.ndarray | None = None) -> object:
        act(image.shape[1])
        return real(self, image, promise)

    RegionProposer.propose = propose
