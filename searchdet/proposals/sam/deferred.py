"""A SAM that is loaded when its first masks are asked for, and not before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...config import ProposalOptions
from ...records import WeightsInfo
from ...weights import Compute, LoadedBefore, verify_identity
from ..types import FloatArray, Proposals, UInt8Array
from . import NAME, READS, SamProposer
from .weights import LAYOUT, PUBLISHED, fill_sam


class DeferredSam:
    """Says all about a SAM without its network. Only for weights that have loaded before; load makes
    the proposer."""

    name = NAME
    guided = True
    reads = READS

    def __init__(self, weights: WeightsInfo, compute: Compute, load: Callable[[], SamProposer]) -> None:
        self.weights: WeightsInfo | None = weights
        self.compute: Compute | None = compute
        self._load = load
        self._loaded: SamProposer | None = None

    def propose(self, image: UInt8Array, promise: FloatArray | None = None) -> Proposals:
        """See ``SamProposer``. Raises CheckpointError where the file changed."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded.propose(image, promise)


def load_or_defer(
    path: Path, options: ProposalOptions, compute: Compute, before: LoadedBefore
) -> SamProposer | DeferredSam:
    """The proposer, loaded now if its file never was. Raises CheckpointError."""
    digest, verified = verify_identity(path, PUBLISHED, options.allow_unverified, before.hashes)
    weights = WeightsInfo(path.name, digest, LAYOUT, verified)

    def load() -> SamProposer:
        return SamProposer(fill_sam(path, compute), weights, options, compute)

    def load_unchanged() -> SamProposer:
        made = load()
        before.require_unchanged(path, weights)
        return made

    if before.layout(NAME, digest) is not None:
        return DeferredSam(weights, compute, load_unchanged)
    made = load()
    before.note(NAME, digest, LAYOUT)
    return made
