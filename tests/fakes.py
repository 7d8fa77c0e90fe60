"""Backbones with features that can be written down, and a proposer that returns given masks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from searchdet.backbones import FeatureMap
from searchdet.proposals.types import Proposals, from_masks
from searchdet.records.models import Preprocessing, WeightsInfo
from searchdet.weights.devices import Compute

Finish = Callable[[torch.Tensor], torch.Tensor]


def same(vectors: torch.Tensor) -> torch.Tensor:
    return vectors


class GridBackbone:
    """Every cell of a rows x columns grid has the colour of the image there, plus a constant."""

    name = "grid"
    stride = 8
    dim = 4
    weights: WeightsInfo | None = None
    compute = Compute("cpu", "fp32")
    preprocessing = Preprocessing(8, 8, "none")
    parts: tuple[int, ...] = (4,)
    closer = None
    second_look = 0
    share = 1.0

    def __init__(self, rows: int = 8, columns: int = 8) -> None:
        self.rows, self.columns = rows, columns

    def feature_map(self, image: np.ndarray) -> FeatureMap:
        pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255 - 0.5
        cells = torch.nn.functional.adaptive_avg_pool2d(pixels, (self.rows, self.columns))[0]
        constant = torch.full((1, self.rows, self.columns), 0.1)
        return FeatureMap(torch.cat([cells, constant]), same)


class GivenProposer:
    """Returns the masks it was made with."""

    name = "given"
    weights: WeightsInfo | None = None
    compute: Compute | None = None
    reads: frozenset[str] = frozenset()
    prompting = "everything"

    def __init__(self, masks: np.ndarray, quality: list[float] | None = None) -> None:
        self.masks = masks
        self.quality = quality or [1.0 - 0.01 * i for i in range(len(masks))]

    def propose(self, image: np.ndarray, promise: np.ndarray | None = None) -> Proposals:
        size = (image.shape[0], image.shape[1])
        return from_masks(list(self.masks), self.quality, size)


class PatchNetwork:
    """What looks again: means of the pixels of crops in 8 x 8 cells, and in 2 x 2 of their squares."""

    dim = 6
    crop_side = 32

    def __init__(self) -> None:
        self.seen = 0

    def crop_maps(self, crops: np.ndarray) -> tuple[tuple[torch.Tensor, ...], Finish]:
        assert crops.shape[1:] == (self.crop_side, self.crop_side, 3)
        assert crops.dtype == np.uint8
        self.seen += len(crops) // 2  # two views of each
        pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
        means = torch.nn.functional.avg_pool2d(pixels, 4)
        return (means, torch.nn.functional.avg_pool2d(means**2, 4)), curved


def curved(pooled: torch.Tensor) -> torch.Tensor:
    """Not linear, so what is done before and after pooling cannot be swapped."""
    return pooled**3 - 0.1


class LookingBackbone(GridBackbone):
    """Colours of cells, and beside them what a network sees; a second look is taken by default."""

    name = "looking"
    dim = GridBackbone.dim + PatchNetwork.dim
    parts: tuple[int, ...] = (GridBackbone.dim, PatchNetwork.dim)
    share = 0.5
    preprocessing = Preprocessing(64, 8, "none")
    second_look = 2

    def __init__(self, rows: int = 8, columns: int = 8) -> None:
        super().__init__(rows, columns)
        self.closer = PatchNetwork()

    def feature_map(self, image: np.ndarray) -> FeatureMap:
        cells = super().feature_map(image).features
        colours = cells[:3] + 0.5

        def finish(pooled: torch.Tensor) -> torch.Tensor:
            parts = (pooled[:, :4], curved(pooled[:, 4:]))
            return torch.cat([torch.nn.functional.normalize(part) for part in parts], 1) / 2**0.5

        return FeatureMap(torch.cat([cells, colours, colours**2]), finish)
