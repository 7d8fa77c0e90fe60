"""What a map says of the place of a cell and not of what lies there, and maps without it.

Networks tell where a cell is: by position embeddings, or by what they pad the frame with. Compared
across images that is noise. On an image of noise all that cells have in common by place is position,
and it lies in few directions of the feature space; these are projected out (after INSID3, arXiv
2603.28480).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .types import UInt8Array

if TYPE_CHECKING:
    from torch import Tensor

Maps = Callable[[UInt8Array], "tuple[Tensor, ...]"]
"""Images (N, h, w, 3) uint8 -> maps (N, C, h', w')."""
_SEED = 20260


@dataclass(frozen=True, slots=True)
class Position:
    """Takes ``rank`` directions off maps. bases: found so far, by size of the image."""

    rank: int
    bases: dict[tuple[int, int], tuple[Tensor, ...]] = field(default_factory=dict)

    def removed(self, maps: tuple[Tensor, ...], size: tuple[int, int], run: Maps) -> tuple[Tensor, ...]:
        """Maps (N, C, h, w) of images of ``size`` without position. run: what made them."""
        if not self.rank:
            return maps
        if size not in self.bases:
            noise = np.random.default_rng(_SEED).integers(0, 256, (1, *size, 3), np.uint8)
            self.bases[size] = tuple(directions(layer[0], self.rank) for layer in run(noise))
        return tuple(without(layer, base) for layer, base in zip(maps, self.bases[size], strict=True))


def directions(features: Tensor, rank: int) -> Tensor:
    """(k, C), orthonormal: in which a map (C, h, w) varies most from cell to cell, at most ``rank``."""
    import torch

    cells = features.flatten(1).T.double()
    _, _, found = torch.linalg.svd(cells - cells.mean(0), full_matrices=False)
    made: Tensor = found[:rank].float()
    return made


def without(layer: Tensor, base: Tensor) -> Tensor:
    """Maps (N, C, h, w) without the directions (k, C)."""
    import torch

    along = torch.einsum("nchw,kc->nkhw", layer, base)
    taken: Tensor = torch.einsum("nkhw,kc->nchw", along, base)
    return layer - taken
