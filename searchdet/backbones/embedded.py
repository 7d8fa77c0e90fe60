"""``embedded``: the filter bank and a small trained network as one descriptor.

The filter bank knows colours, textures and parts, the network knows classes; side by side they rank
better than either (benchmarks/README.md). Both see the image at one size, so that their cells nest:
those of the filter bank are the finest, those of the network multiples of them. Only the network sees
a very small picture enlarged.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..errors import UsageError
from .filterbank import STRIDE, FilterbankBackbone
from .network import NetworkBackbone
from .types import FeatureMap, UInt8Array

if TYPE_CHECKING:
    from torch import Tensor

NAME = "embedded"
SHARE = 0.6
"""What the network weighs in a cosine; .5 and .65 rank nearly as well (benchmarks/README.md)."""


class EmbeddedBackbone:
    """The filter bank beside a network whose cells are whole multiples of its own."""

    name = NAME
    stride = STRIDE

    def __init__(self, network: NetworkBackbone) -> None:
        if network.stride % STRIDE:
            raise UsageError(f"cells of {network.name} are no multiple of {STRIDE} pixels.")
        self._bank, self._network = FilterbankBackbone(), network
        self.dim = self._bank.dim + network.dim
        self.parts: tuple[int, ...] = (self._bank.dim, network.dim)
        self.closer = network
        self.second_look = network.second_look
        self.share = SHARE
        self.weights, self.compute = network.weights, network.compute
        self.preprocessing = network.preprocessing

    def feature_map(self, image: UInt8Array) -> FeatureMap:
        """Maps of an (H, W, 3) uint8 RGB image: cells of the filter bank, then the network's stages.
        Raises as the network's."""
        pixels = self._network.resized(image)
        learned = self._network.map_of(pixels)

        def finish(pooled: Tensor) -> Tensor:
            import torch
            from torch.nn import functional as F

            width = int(cells.shape[0])
            colours = F.normalize(self._bank.finish(pooled[:, :width]), dim=1)
            known = F.normalize(learned.finish(pooled[:, width:]), dim=1)
            return torch.cat([math.sqrt(1 - SHARE) * colours, math.sqrt(SHARE) * known], dim=1)

        cells = self._cells(image, pixels)
        return FeatureMap(cells, finish, learned.layers)

    def _cells(self, image: UInt8Array, seen: UInt8Array) -> Tensor:
        """The filter bank's cells on the grid of ``seen``, the image at the network's size. Textures of
        a picture that was enlarged for the network are those of the picture itself."""
        from torch.nn import functional as F

        if seen.shape[0] <= image.shape[0]:
            return self._bank.cells(seen)
        own = self._bank.feature_map(image).features
        grid = (seen.shape[0] // STRIDE, seen.shape[1] // STRIDE)
        return F.interpolate(own[None], grid, mode="nearest-exact")[0]
