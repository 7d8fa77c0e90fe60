"""A backbone with features that can be written down, and a proposer that returns given masks."""

from __future__ import annotations

import numpy as np
import torch

from searchdet.backbones import FeatureMap
from searchdet.proposals.types import Proposals, from_masks
from searchdet.records.models import Preprocessing, WeightsInfo
from searchdet.weights.devices import Compute


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

    def __init__(self, masks: np.ndarray, quality: list[float] | None = None) -> None:
        self.masks = masks
        self.quality = quality or [1.0 - 0.01 * i for i in range(len(masks))]

    def propose(self, image: np.ndarray, promise: np.ndarray | None = None) -> Proposals:
        size = (image.shape[0], image.shape[1])
        return from_masks(list(self.masks), self.quality, size)
