"""A backbone that is a neural network: resize, normalise, one forward pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..errors import CheckpointError, EmbeddingError
from ..records import Preprocessing, WeightsInfo
from ..weights import Compute, StateDict, convert, fill, read_state_dict, verify_identity
from .identify import identify
from .types import BackboneSpec, FeatureMap, Network, UInt8Array

if TYPE_CHECKING:
    from torch import Tensor

MAX_ASPECT = 4
"""The long side is capped at this many short sides; a longer image is scaled down as a whole."""


def working_size(height: int, width: int, short_side: int, stride: int) -> tuple[int, int]:
    """(height, width) that the network sees: aspect kept, sides whole multiples of the stride."""
    scale = short_side / min(height, width)
    scale = min(scale, MAX_ASPECT * short_side / max(height, width))
    return (
        max(stride, round(height * scale / stride) * stride),
        max(stride, round(width * scale / stride) * stride),
    )


def resize(image: UInt8Array, height: int, width: int) -> UInt8Array:
    """Bicubic with antialiasing (Pillow), (H, W, 3) uint8 -> (height, width, 3) uint8."""
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


class NetworkFacts:
    """What is said of a network backbone, loaded or not."""

    def __init__(
        self, spec: BackboneSpec, weights: WeightsInfo, compute: Compute, short_side: int
    ) -> None:
        self.name = spec.name
        self.dim = spec.dim
        self.stride = spec.stride
        self.min_score = spec.min_score
        self.shape_weight = spec.shape_weight
        self.context_weight = spec.context_weight
        self.weights: WeightsInfo | None = weights
        self.compute = compute
        self.short_side = short_side
        self.preprocessing = Preprocessing(short_side, spec.stride, "bicubic")


class NetworkBackbone(NetworkFacts):
    """A loaded network with its preprocessing. Make it with ``load_network``."""

    def __init__(
        self,
        spec: BackboneSpec,
        network: Network,
        weights: WeightsInfo,
        compute: Compute,
        short_side: int,
    ) -> None:
        super().__init__(spec, weights, compute, short_side)
        self.network = network
        self._spec = spec
        self._finish = spec.finish(network)

    def prepare(self, image: UInt8Array) -> Tensor:
        """(H, W, 3) uint8 RGB -> (1, 3, h, w) float32, normalised."""
        import torch

        height, width = working_size(image.shape[0], image.shape[1], self.short_side, self.stride)
        pixels = torch.from_numpy(np.ascontiguousarray(resize(image, height, width)))
        batch = pixels.permute(2, 0, 1)[None].float().div_(255)
        mean = torch.tensor(self._spec.mean)[:, None, None]
        std = torch.tensor(self._spec.std)[:, None, None]
        return (batch - mean) / std

    def feature_map(self, image: UInt8Array) -> FeatureMap:
        """Feature map of an (H, W, 3) uint8 RGB image. Raises EmbeddingError on NaN or infinity."""
        import torch

        with torch.inference_mode(), self.compute.autocast():
            batch = self.prepare(image).to(self.compute.device)
            features = self._spec.run(self.network, batch).float().cpu()
        if not bool(features.isfinite().all()):
            raise EmbeddingError(
                f"{self.name} gave NaN or infinity.", "Try --precision fp32 for this image."
            )
        return FeatureMap(features, self._finish)


def load_network(
    spec: BackboneSpec,
    checkpoint: Path,
    compute: Compute,
    short_side: int | None = None,
    allow_unverified: bool = False,
) -> NetworkBackbone:
    """Build the network on the meta device and fill it completely from ``checkpoint``.

    Raises CheckpointError for anything but a complete match of names and shapes.
    """
    identity = verify_identity(checkpoint, spec.published, allow_unverified)
    return fill_network(spec, checkpoint, compute, short_side or spec.short_side, identity)


def fill_network(
    spec: BackboneSpec,
    checkpoint: Path,
    compute: Compute,
    short_side: int,
    identity: tuple[str, bool | None],
    state: StateDict | None = None,
) -> NetworkBackbone:
    """``load_network`` for a file whose digest and verdict are known. state: what ``read_state_dict``
    gave of it, where that is there already."""
    import torch

    raw = read_state_dict(checkpoint) if state is None else state
    try:
        renamed, layout = convert(checkpoint, raw, spec.layouts)
        with torch.device("meta"):
            network = spec.build(spec, renamed)
        fill(checkpoint, network, renamed)
    except CheckpointError as error:
        raise _explain(error, spec, raw) from error
    network.eval().to(compute.device)
    digest, verified = identity
    weights = WeightsInfo(checkpoint.name, digest, layout, verified)
    return NetworkBackbone(spec, network, weights, compute, short_side)


def _explain(error: CheckpointError, spec: BackboneSpec, raw: dict[str, Tensor]) -> CheckpointError:
    found = identify({name: tuple(tensor.shape) for name, tensor in raw.items()})
    if found is None or found.backbone == spec.name:
        return CheckpointError(error.message, error.hint or "Download the official file again.")
    return CheckpointError(error.message, found.sentence())
