"""``sam_hq``: automatic masks of SAM-HQ (Ke et al. 2023, arXiv 2306.01567).

A SAM with one more token, whose masks are read off finer features: those of the upscaled image tokens,
of the image's embedding and of an early layer of its encoder, SAM's ViT or MobileSAM's TinyViT.
weights.py loads a checkpoint; decoder.py computes the same numbers as the authors' ``MaskDecoderHQ`` on
the image tokens in factors that ``sam`` keeps; network.py joins an encoder and it into a network that
answers points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...config import ProposalOptions
from ...weights import SAM_HQ as NAME
from ...weights import Compute, Lazy
from ..points import READS, PointProposer

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

    from .network import HqNetwork

__all__ = ["NAME", "READS", "HqProposer"]


class HqProposer(PointProposer):
    """A SAM-HQ as a proposer."""

    name = NAME
    fine = True

    def __init__(self, sam: Lazy[Sam], options: ProposalOptions, compute: Compute) -> None:
        def connect(loaded: Any) -> HqNetwork:
            from .network import HqNetwork, encoder_of

            return HqNetwork(loaded, encoder_of(loaded.image_encoder, compute), compute)

        super().__init__(NAME, sam, connect, options, compute)
