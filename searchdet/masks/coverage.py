"""Shares of the cells of a grid that lie under masks, exact by area. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .rle import AllRuns, Rle, all_runs

if TYPE_CHECKING:
    from torch import Tensor

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
_CHUNK_BYTES = 1 << 27


def mask_coverage(masks: BoolArray, rows: int, columns: int) -> Tensor:
    """Share of each map cell that lies under each mask: (M, H, W) bool -> (M, rows, columns) float32.

    Exact area overlap for any ratio of sizes, so a single pixel never vanishes.
    """
    import torch

    count, height, width = masks.shape
    down = torch.from_numpy(pixel_shares(height, rows))
    across = torch.from_numpy(pixel_shares(width, columns))
    out = torch.empty(count, rows, columns)
    step = max(1, _CHUNK_BYTES // (4 * height * width))
    for start in range(0, count, step):
        chunk = torch.from_numpy(masks[start : start + step].astype(np.float32))
        out[start : start + step] = down @ (chunk @ across.T)
    return out


@dataclass(frozen=True, slots=True)
class Masks:
    """``count`` run-length masks of an image of ``size`` (H, W), row i is mask i."""

    runs: AllRuns
    count: int
    size: tuple[int, int]

    @classmethod
    def of(cls, rles: Sequence[Rle], size: tuple[int, int]) -> Masks:
        """From encodings. Raises ValueError where one is none of a mask."""
        return cls(all_runs(rles), len(rles), size)

    @property
    def areas(self) -> npt.NDArray[np.float64]:
        """Pixels (N,)."""
        lengths = (self.runs.bottom - self.runs.top).astype(np.float64)
        return np.asarray(np.bincount(self.runs.owner, lengths, self.count), np.float64)

    @property
    def starts(self) -> IntArray:
        """First run of each mask (N,)."""
        return np.searchsorted(self.runs.owner, np.arange(self.count))


def runs_coverage(masks: Masks, grid: tuple[int, int]) -> Tensor:
    """``mask_coverage`` from vertical runs, without making a mask: (N, rows, columns) float32 on
    ``grid``.

    The pixels of a run above an edge are a clipped difference, so a run's share of each row of cells
    is exact, and columns of pixels add up by their overlap with columns of cells.
    """
    import torch

    rows, columns = grid
    edges = np.linspace(0, masks.size[0], rows + 1)[:, None]
    across = pixel_shares(masks.size[1], columns).T
    out = np.zeros((masks.count, rows, columns), np.float32)
    runs, ends = masks.runs, np.append(masks.starts, len(masks.runs.owner))
    for i, (start, end) in enumerate(pairwise(ends.tolist())):
        below = np.minimum(runs.bottom[start:end], edges) - np.minimum(runs.top[start:end], edges)
        lengths = np.diff(below, axis=0) * (rows / masks.size[0])
        out[i] = lengths.astype(np.float32) @ across[runs.column[start:end]]
    return torch.from_numpy(out)


def pixel_shares(pixels: int, cells: int) -> FloatArray:
    """(cells, pixels): share of cell i that pixel j makes up. Rows sum to 1."""
    return shares(np.linspace(0, pixels, cells + 1), np.arange(pixels))


def shares(edges: npt.NDArray[np.float64], pixels: IntArray) -> FloatArray:
    """(cells, N): share that each of N pixels makes up of the cell between two edges (cells + 1)."""
    left = np.maximum(edges[:-1, None], pixels[None])
    right = np.minimum(edges[1:, None], pixels[None] + 1)
    return np.asarray(np.clip(right - left, 0, None) / np.diff(edges)[:, None], np.float32)
