"""A backbone that is a neural network: resize, normalise, one forward pass."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..config import BackboneOptions
from ..errors import CheckpointError, EmbeddingError
from ..images.resample import bicubic
from ..records import PixelStats, Preprocessing, WeightsInfo
from ..weights import (
    Compute,
    Fit,
    Lazy,
    LoadedBefore,
    StateDict,
    convert,
    fill,
    load_or_wait,
    pixel_stats,
    read_state_dict,
    without_head,
)
from ..weights.foreign import BY_POINTS
from ..weights.identify import identify
from .position import Position
from .types import BackboneSpec, FeatureMap, Network, UInt8Array

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)
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
        pixels: PixelStats | None = None,
    ) -> None:
        """pixels: None for those of the spec."""
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
        self._pixels = pixels or PixelStats(spec.mean, spec.std, "backbone")
        self.preprocessing = Preprocessing(short_side, spec.stride, how, position, self._pixels)
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
        return resize(image, *self._size(image))

    def _size(self, image: UInt8Array) -> tuple[int, int]:
        multiple, least = self._spec.multiple or self.stride, self._spec.least_side
        side = min(self.short_side, max(least, min(image.shape[:2]))) if least else self.short_side
        return working_size(image.shape[0], image.shape[1], side, multiple)

    def prepare(self, image: UInt8Array) -> Tensor:
        """(H, W, 3) uint8 RGB -> (1, 3, h, w) float32, resized and normalised."""
        return self._normalised(self.resized(image)[None])

    def _normalised(self, seen: UInt8Array | Tensor, device: str = "cpu") -> Tensor:
        """(N, h, w, 3) uint8 RGB -> (N, 3, h, w) float32 on a device."""
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(seen)) if isinstance(seen, np.ndarray) else seen
        batch = pixels.to(device).permute(0, 3, 1, 2).float().div_(255)
        mean = batch.new_tensor(self._pixels.mean)[:, None, None]
        std = batch.new_tensor(self._pixels.std)[:, None, None]
        return (batch - mean) / std

    def feature_map(self, image: UInt8Array) -> FeatureMap:
        """Feature map of an (H, W, 3) uint8 RGB image. Raises EmbeddingError on NaN or infinity,
        CheckpointError as ``network``."""
        import torch

        if torch.device(self.compute.device).type == "cpu":
            return self.map_of(self.resized(image))
        whole = torch.from_numpy(np.ascontiguousarray(image)).to(self.compute.device)
        return self.map_of(bicubic(whole, self._size(image)))

    def map_of(self, seen: UInt8Array | Tensor) -> FeatureMap:
        """Feature map of an (h, w, 3) image that is resized already. Raises as ``feature_map``."""
        features, *rest = (layer[0] for layer in self._run(seen[None]))
        return FeatureMap(features, self._finish, tuple(rest))

    def crop_maps(self, crops: UInt8Array) -> tuple[tuple[Tensor, ...], Callable[[Tensor], Tensor]]:
        """As ``Closer``. Raises as ``feature_map``."""
        return self._run(crops), self._finish

    def _run(self, seen: UInt8Array | Tensor) -> tuple[Tensor, ...]:
        """Maps (N, C, h, w) float32 on the CPU of (N, h, w, 3) images."""
        size = (seen.shape[1], seen.shape[2])
        return self._position.removed(self._forward(seen), size, self._forward)

    def _forward(self, seen: UInt8Array | Tensor) -> tuple[Tensor, ...]:
        import torch

        network = self.network  # loaded outside of the modes below
        with torch.inference_mode(), self.compute.autocast():
            batch = self._normalised(seen, self.compute.device)
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
    options: BackboneOptions | None = None,
    before: LoadedBefore | None = None,
) -> NetworkBackbone:
    """The network filled completely from ``checkpoint``: now, or if that file has filled it before,
    with the first image. options: what is said of the file and of the features; None: the defaults.

    Raises CheckpointError for anything but a complete match of names and shapes.
    """
    given = options or BackboneOptions(spec.name)
    lazy = load_or_wait(
        f"{spec.name} without a head" if given.drop_head else spec.name,
        checkpoint,
        spec.published,
        given.allow_unverified,
        lambda: fill_network(spec, checkpoint, compute, drop_head=given.drop_head),
        before,
    )
    if given.drop_head and lazy.fit.unused:
        log.warning(
            "%s: used without the head on top of the network (%s).",
            checkpoint,
            ", ".join(lazy.fit.unused),
        )
    pixels = pixels_of(spec, checkpoint, lazy.fit, given.pixel_stats)
    side = short_side or spec.short_side
    return NetworkBackbone(spec, lazy, compute, side, given.position_rank, pixels)


def pixels_of(spec: BackboneSpec, checkpoint: Path, fit: Fit, given: str) -> PixelStats:
    """Mean and deviation of the pixels that a file wants. Raises CheckpointError where what tells of
    them does not agree."""
    return pixel_stats(checkpoint, (spec.mean, spec.std), spec.data, fit.content, given)


def fill_network(
    spec: BackboneSpec,
    checkpoint: Path,
    compute: Compute,
    state: StateDict | None = None,
    drop_head: bool = False,
) -> tuple[Network, Fit]:
    """The torch module, made on the meta device and filled completely, and how the file filled it.
    state: what ``read_state_dict`` gave of it, where that is there already. Raises CheckpointError."""
    import torch

    raw = read_state_dict(checkpoint) if state is None else state
    try:
        named = convert(checkpoint, raw, spec.layouts)
        with torch.device("meta"):
            network = spec.build(spec, named.state)
        named, fit = without_head(checkpoint, network, named, drop_head)
        fill(checkpoint, network, named)
    except CheckpointError as error:
        raise _explain(error, spec, raw) from error
    content = (data for name, data in spec.marks.items() if name in named.names)
    return network.eval().to(compute.device), replace(fit, content=next(content, ""))


def _explain(error: CheckpointError, spec: BackboneSpec, raw: StateDict) -> CheckpointError:
    """The error with what the file is and the next step."""
    if error.hint:
        return error
    own = spec.published[0]
    right = f"{spec.name} takes {own.filename} (from {own.source})."
    found = identify({name: tuple(tensor.shape) for name, tensor in raw.items()})
    if found is None:
        return CheckpointError(error.message, f"The file is not of a network that is known; {right}")
    what, name = found
    if name in BY_POINTS:
        step = f"pass it as --sam-checkpoint (--proposals {name})"
        return CheckpointError(error.message, f"The file is {what}, not a backbone; {step}. {right}")
    if not name:
        return CheckpointError(error.message, f"The file is {what}. {right}")
    if name == spec.name:
        return CheckpointError(error.message, f"The file looks like {what}, but is not whole. {right}")
    return CheckpointError(error.message, f"The file is {what}; use --backbone {name}.")
