"""What a network that turns points into masks must answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

    from ..frame import Frame

UInt8Array = npt.NDArray[np.uint8]
PointArray = npt.NDArray[np.float64]
CPU_BATCH, GPU_BATCH = 8, 128
"""Point prompts that are decoded at once, where a network has no better number."""


class Answer(Protocol):
    """What was decoded of B points. quality (B, M): predicted IoU of each of M masks."""

    @property
    def quality(self) -> Tensor: ...


class PointNetwork(Protocol):
    """One network on its device. The grid of points, the filters, duplicates and run-length masks are
    not its business. batch: points that are decoded at once at first.

    A state is what ``encode`` made of one picture, an answer what ``decode`` made of points of it; only
    the network looks into them. M is three for all of segment-anything's kind: whole, part, subpart.
    """

    batch: int

    def frame(self, size: tuple[int, int]) -> Frame:
        """How the logits lie on a picture of ``size`` (H, W): the rule by which it is resized."""
        ...

    def encode(self, image: UInt8Array) -> Any:
        """The state of an (H, W, 3) uint8 RGB picture."""
        ...

    def points(self, coords: PointArray, size: tuple[int, int]) -> Tensor:
        """(P, 2) xy in pixels of a picture -> in the network's input frame, on its device."""
        ...

    def decode(self, state: Any, points: Tensor) -> Answer:
        """One foreground point a prompt. Raises torch.OutOfMemoryError or MemoryError, and then is
        asked for half of them."""
        ...

    def logits(self, state: Any, answer: Any, masks: dict[int, list[int]]) -> Tensor:
        """(N, h, w): low-resolution logits of those masks of those prompts of an answer, in the order
        given, 0 at the edge of a mask; h and w as ``frame`` says."""
        ...
