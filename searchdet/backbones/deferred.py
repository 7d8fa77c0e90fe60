"""A network that is loaded when its first feature map is asked for, and not before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..config import BackboneOptions
from ..records import WeightsInfo
from ..weights import Compute, LoadedBefore, verify_identity
from .network import NetworkBackbone, NetworkFacts, fill_network
from .types import BackboneSpec, FeatureMap, UInt8Array


class DeferredBackbone(NetworkFacts):
    """Says all about a backbone without its network. Only for weights that have loaded before; load
    makes the network."""

    def __init__(
        self,
        spec: BackboneSpec,
        weights: WeightsInfo,
        compute: Compute,
        short_side: int,
        load: Callable[[], NetworkBackbone],
    ) -> None:
        super().__init__(spec, weights, compute, short_side)
        self._load = load
        self._loaded: NetworkBackbone | None = None

    def feature_map(self, image: UInt8Array) -> FeatureMap:
        """Feature map of an (H, W, 3) uint8 RGB image. Raises CheckpointError for a changed file."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded.feature_map(image)


def load_or_defer(
    spec: BackboneSpec,
    path: Path,
    compute: Compute,
    options: BackboneOptions,
    before: LoadedBefore,
) -> NetworkBackbone | DeferredBackbone:
    """The network, loaded now if its file never was. Raises CheckpointError."""
    side = options.feat_short_side or spec.short_side
    identity = verify_identity(path, spec.published, options.allow_unverified, before.hashes)
    digest, verified = identity
    layout = before.layout(spec.name, digest)
    if layout is None:
        loaded = fill_network(spec, path, compute, side, identity)
        if loaded.weights is not None:
            before.note(spec.name, digest, loaded.weights.layout)
        return loaded
    weights = WeightsInfo(path.name, digest, layout, verified)

    def load() -> NetworkBackbone:
        made = fill_network(spec, path, compute, side, identity)
        before.require_unchanged(path, weights)
        return made

    return DeferredBackbone(spec, weights, compute, side, load)
