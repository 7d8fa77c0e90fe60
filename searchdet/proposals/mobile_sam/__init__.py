"""``mobile_sam``: automatic masks of MobileSAM (Zhang et al. 2023, arXiv 2306.14289).

A SAM whose image encoder is a TinyViT (Wu et al. 2022, arXiv 2207.10666). modules.py holds its weights
by the official names, weights.py reads the variant off a checkpoint, encoder.py computes. Prompt
encoder, mask decoder and the rules of masks are those of ``sam``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...config import ProposalOptions
from ...weights import MOBILE_SAM as NAME
from ...weights import Compute, Lazy
from ..points import PointProposer

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

    from ..sam.network import SamNetwork

__all__ = ["NAME", "MobileSamProposer"]


class MobileSamProposer(PointProposer):
    """A MobileSAM as a proposer."""

    name = NAME

    def __init__(self, sam: Lazy[Sam], options: ProposalOptions, compute: Compute) -> None:
        def connect(loaded: Any) -> SamNetwork:
            from ..sam.network import SamNetwork
            from .encoder import TinyEncoder

            return SamNetwork(loaded, compute, TinyEncoder(loaded.image_encoder, compute))

        super().__init__(NAME, sam, connect, options, compute)
