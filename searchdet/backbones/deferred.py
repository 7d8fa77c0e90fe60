"""A network that is loaded when its first feature map is asked for, and not before."""

from __future__ import annotations

from pathlib import Path

from ..checkpoints import WeightsInfo, verify_identity
from ..config import BackboneOptions
from ..devices import Compute
from ..loaded import LoadedBefore, require_unchanged
from .network import NetworkBackbone, fill_network, preprocessing
from .types import BackboneSpec, FeatureMap, UInt8Array


class DeferredBackbone:
    """Says all about a backbone without its network. Only for weights that have loaded before."""

    def __init__(
        self, spec: BackboneSpec, path: Path, compute: Compute, side: int, weights: WeightsInfo
    ) -> None:
        self.name = spec.name
        self.dim = spec.dim
        self.stride = spec.stride
        self.min_score = spec.min_score
        self.shape_weight = spec.shape_weight
        self.context_weight = spec.context_weight
        self.weights: WeightsInfo | None = weights
        self.compute = compute
        self.preprocessing = preprocessing(spec, side)
        self._make = (spec, path, compute, side, weights)
        self._loaded: NetworkBackbone | None = None

    def feature_map(self, image: UInt8Array) -> FeatureMap:
        """Feature map of an (H, W, 3) uint8 RGB image. Raises CheckpointError for a changed file."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded.feature_map(image)

    def _load(self) -> NetworkBackbone:
        spec, path, compute, side, weights = self._make
        loaded = fill_network(spec, path, compute, side, (weights.sha256, weights.verified))
        require_unchanged(path, weights)
        return loaded


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
    layout = before.layout(spec.name, identity[0])
    if layout is not None:
        weights = WeightsInfo(path.name, identity[0], layout, identity[1])
        return DeferredBackbone(spec, path, compute, side, weights)
    loaded = fill_network(spec, path, compute, side, identity)
    if loaded.weights is not None:
        before.note(spec.name, loaded.weights.sha256, loaded.weights.layout)
    return loaded
