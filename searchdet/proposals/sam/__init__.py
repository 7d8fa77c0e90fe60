"""``sam``: automatic masks of segment-anything (Kirillov et al. 2023, arXiv 2304.02643).

weights.py loads a checkpoint; encoder.py and decoder.py compute the same numbers as segment-anything's
modules, faster; network.py joins them into a network that answers points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...config import ProposalOptions
from ...masks.rle import Rle
from ...weights import SAM as NAME
from ...weights import Compute, Lazy
from ..points import READS, PointProposer, crops
from ..types import FloatArray, UInt8Array

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

    from .network import SamNetwork

__all__ = ["NAME", "READS", "SamProposer", "crops"]


class SamProposer(PointProposer):
    """A SAM as a proposer."""

    name = NAME

    def __init__(self, sam: Lazy[Sam], options: ProposalOptions, compute: Compute) -> None:
        def connect(loaded: Any) -> SamNetwork:
            from .network import SamNetwork

            return SamNetwork(loaded, compute)

        super().__init__(NAME, sam, connect, options, compute)

    def masks_of_boxes(self, image: UInt8Array, boxes: FloatArray) -> list[Rle]:
        """See ``BoxPrompted``: each box is a prompt. No part of a mask is outside its box."""
        from ..points.boxes import masks_of_boxes
        from .network import SamNetwork

        network = self._generator.network
        if not isinstance(network, SamNetwork):
            raise TypeError(f"{type(network).__name__} answers no boxes")
        with self._compute.exact():
            return masks_of_boxes(network, image, boxes)
