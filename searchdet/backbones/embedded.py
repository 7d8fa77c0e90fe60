"""``embedded``: the filter bank and a small trained network as one descriptor.

The filter bank knows colours, textures and parts, the network knows classes; side by side, each of unit
length, they rank better than either (benchmarks/README.md). Both see the image at one size, so that
their cells nest: those of the filter bank are the finest, those of the network multiples of them.
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
            return torch.cat([colours, known], dim=1) / math.sqrt(2)

        cells = self._bank.cells(pixels)
        return FeatureMap(cells, finish, learned.layers)
