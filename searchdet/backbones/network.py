"""A backbone that is a neural network: resize, normalise, one forward pass."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..errors import CheckpointError, EmbeddingError
from ..records import Preprocessing, WeightsInfo
from ..weights import (
    Compute,
    Lazy,
    LoadedBefore,
    StateDict,
    convert,
    fill,
    load_or_wait,
    read_state_dict,
)
from .identify import identify
from .position import Position
from .types import BackboneSpec, FeatureMap, Network, UInt8Array

if TYPE_CHECKING:
    from torch import Tensor

MAX_ASPECT = 4
"""The long side is capped at this many short sides; a longer image is scaled down as a whole."""


def working_size(height: int, width: int, short_side: int, multiple: int) -> tuple[int, int]:
    """(height, width) that the network sees: aspect kept, sides whole multiples of ``multiple``."""
    scale = short_side / min(height, width)
    scale = min(scale, MAX_ASPECT * short_side / max(height, width))
    return (
        max(multiple, round(height * scale / multiple) * multiple),
        max(multiple, round(width * scale / multiple) * multiple),
    )


def resize(image: UInt8Array, height: int, width: int) -> UInt8Array:
    """Bicubic with antialiasing (Pillow), (H, W, 3) uint8 -> (height, width, 3) uint8."""
    if image.shape[:2] == (height, width):
        return image
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


class NetworkBackbone:
    """A network with its preprocessing, loaded or not yet. Make it with ``load_network``."""

    def __init__(
        self,
        spec: BackboneSpec,
        lazy: Lazy[Network],
        compute: Compute,
        short_side: int,
        position: int = 0,
    ) -> None:
        self.name = spec.name
        self.dim = spec.dim
        self.parts: tuple[int, ...] = (spec.dim,)
        self.share = 1.0
        self.crop_side, self.second_look = spec.crop_side, spec.second_look
        self.stride = spec.stride
        self.weights: WeightsInfo | None = lazy.weights
        self.compute = compute
        self.short_side = short_side
        how = "downscale_only" if spec.least_side else "bicubic"
        self.preprocessing = Preprocessing(short_side, spec.stride, how, position)
        self._position = Position(position)
        self.lazy = lazy
        self._spec = spec

    @property
    def network(self) -> Network:
        """The torch module. Raises CheckpointError where its file has changed before it was loaded."""
        return self.lazy.get()

    @property
    def closer(self) -> NetworkBackbone:
        """The network itself."""
        return self

    @functools.cached_property
    def _finish(self) -> Callable[[Tensor], Tensor]:
        return self._spec.finish(self.network)

    def resized(self, image: UInt8Array) -> UInt8Array:
        """(H, W, 3) uint8 RGB at the size that the network sees."""
        multiple, least = self._spec.multiple or self.stride, self._spec.least_side
        side = min(self.short_side, max(least, min(image.shape[:2]))) if least else self.short_side
        height, width = working_size(image.shape[0], image.shape[1], side, multiple)
        return resize(image, height, width)

    def prepare(self, image: UInt8Array) -> Tensor:
        """(H, W, 3) uint8 RGB -> (1, 3, h, w) float32, resized and normalised."""
        return self._normalised(self.resized(image)[None])

    def _normalised(self, seen: UInt8Array) -> Tensor:
        """(N, h, w, 3) uint8 RGB -> (N, 3, h, w) float32."""
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(seen))
        batch = pixels.permute(0, 3, 1, 2).float().div_(255)
        mean = torch.tensor(self._spec.mean)[:, None, None]
        std = torch.tensor(self._spec.std)[:, None, None]
        return (batch - mean) / std

    def feature_map(self, image: UInt8Array) -> FeatureMap:
        """Feature map of an (H, W, 3) uint8 RGB image. Raises EmbeddingError on NaN or infinity,
        CheckpointError as ``network``."""
        return self.map_of(self.resized(image))

    def map_of(self, seen: UInt8Array) -> FeatureMap:
        """Feature map of an (h, w, 3) image that is resized already. Raises as ``feature_map``."""
        features, *rest = (layer[0] for layer in self._run(seen[None]))
        return FeatureMap(features, self._finish, tuple(rest))

    def crop_maps(self, crops: UInt8Array) -> tuple[tuple[Tensor, ...], Callable[[Tensor], Tensor]]:
        """As ``Closer``. Raises as ``feature_map``."""
        return self._run(crops), self._finish

    def _run(self, seen: UInt8Array) -> tuple[Tensor, ...]:
        """Maps (N, C, h, w) float32 on the CPU of (N, h, w, 3) images."""
        size = (seen.shape[1], seen.shape[2])
        return self._position.removed(self._forward(seen), size, self._forward)

    def _forward(self, seen: UInt8Array) -> tuple[Tensor, ...]:
        import torch

        network = self.network  # loaded outside of the modes below
        with torch.inference_mode(), self.compute.autocast():
            batch = self._normalised(seen).to(self.compute.device)
            maps = tuple(layer.float().cpu() for layer in self._spec.run(network, batch))
        if not all(bool(layer.isfinite().all()) for layer in maps):
            raise EmbeddingError(
                f"{self.name} gave NaN or infinity.", "Try --precision fp32 for this image."
            )
        return maps


def load_network(
    spec: BackboneSpec,
    checkpoint: Path,
    compute: Compute,
    short_side: int | None = None,
    allow_unverified: bool = False,
    before: LoadedBefore | None = None,
    position: int = 0,
) -> NetworkBackbone:
    """The network filled completely from ``checkpoint``: now, or if that file has filled it before,
    with the first image.

    Raises CheckpointError for anything but a complete match of names and shapes.
    """
    lazy = load_or_wait(
        spec.name,
        checkpoint,
        spec.published,
        allow_unverified,
        lambda: fill_network(spec, checkpoint, compute),
        before,
    )
    return NetworkBackbone(spec, lazy, compute, short_side or spec.short_side, position)


def fill_network(
    spec: BackboneSpec, checkpoint: Path, compute: Compute, state: StateDict | None = None
) -> tuple[Network, str]:
    """The torch module, made on the meta device and filled completely, and the layout of the file.
    state: what ``read_state_dict`` gave of it, where that is there already. Raises CheckpointError."""
    import torch

    raw = read_state_dict(checkpoint) if state is None else state
    try:
        renamed, layout = convert(checkpoint, raw, spec.layouts)
        with torch.device("meta"):
            network = spec.build(spec, renamed)
        fill(checkpoint, network, renamed)
    except CheckpointError as error:
        raise _explain(error, spec, raw) from error
    return network.eval().to(compute.device), layout


def _explain(error: CheckpointError, spec: BackboneSpec, raw: StateDict) -> CheckpointError:
    found = identify({name: tuple(tensor.shape) for name, tensor in raw.items()})
    if found is None or found[1] == spec.name:
        return CheckpointError(error.message, error.hint or "Download the official file again.")
    what, backbone = found
    use = f"; use --backbone {backbone}" if backbone else ""
    return CheckpointError(error.message, f"The file is {what}{use}.")
