"""A SAM that is loaded when its first masks are asked for, and not before."""

from __future__ import annotations

from pathlib import Path

from ...checkpoints import WeightsInfo, verify_identity
from ...config import ProposalOptions
from ...devices import Compute
from ...loaded import LoadedBefore, require_unchanged
from ..types import FloatArray, Proposals, UInt8Array
from . import NAME, SamProposer
from .weights import LAYOUT, PUBLISHED, fill_sam


class DeferredSam:
    """Says all about a SAM without its network. Only for weights that have loaded before."""

    name = NAME
    guided = True

    def __init__(self, path: Path, weights: WeightsInfo, options: ProposalOptions, compute: Compute):
        self.weights: WeightsInfo | None = weights
        self.compute: Compute | None = compute
        self._make = (path, weights, options, compute)
        self._loaded: SamProposer | None = None

    def propose(self, image: UInt8Array, promise: FloatArray | None = None) -> Proposals:
        """See ``SamProposer``. Raises CheckpointError where the file changed."""
        if self._loaded is None:
            path, weights, options, compute = self._make
            self._loaded = SamProposer(fill_sam(path, compute), weights, options, compute)
            require_unchanged(path, weights)
        return self._loaded.propose(image, promise)


def load_or_defer(
    path: Path, options: ProposalOptions, compute: Compute, before: LoadedBefore
) -> SamProposer | DeferredSam:
    """The proposer, loaded now if its file never was. Raises CheckpointError."""
    digest, verified = verify_identity(path, PUBLISHED, options.allow_unverified, before.hashes)
    weights = WeightsInfo(path.name, digest, LAYOUT, verified)
    if before.layout(NAME, digest) is not None:
        return DeferredSam(path, weights, options, compute)
    sam = fill_sam(path, compute)
    before.note(NAME, digest, LAYOUT)
    return SamProposer(sam, weights, options, compute)
