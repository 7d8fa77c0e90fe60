"""A proposer as a user's own would be: squares of a grid, from one module with a plan."""

from __future__ import annotations

import numpy as np

from searchdet.config import ProposalOptions
from searchdet.proposals.filters import READS, finish
from searchdet.proposals.types import Plan, Proposals, from_masks
from searchdet.records import WeightsInfo
from searchdet.weights import Compute


class GridProposer:
    name = "grid"
    weights: WeightsInfo | None = None
    compute: Compute | None = None
    reads = READS
    prompting = "everything"

    def __init__(self, options: ProposalOptions) -> None:
        self._options = options

    def propose(self, image: np.ndarray, promise: np.ndarray | None = None) -> Proposals:
        height, width = image.shape[:2]
        masks = np.zeros((4, height, width), bool)
        for i, mask in enumerate(masks):
            y, x = i // 2 * (height // 2), i % 2 * (width // 2)
            mask[y : y + height // 2, x : x + width // 2] = True
        return finish(from_masks(list(masks), [0.9, 0.8, 0.7, 0.6], (height, width)), self._options)


def _make(options: ProposalOptions, *more: object) -> GridProposer:
    return GridProposer(options)


PLAN = Plan(_make)
