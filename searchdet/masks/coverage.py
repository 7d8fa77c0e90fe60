"""Shares of the cells of a grid that lie under masks, exact by area. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from .rle import AllRuns, Rle, all_runs

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]
_CHUNK_BYTES = 1 << 27
_TOGETHER = 64
"""Masks that are dilated in one call."""


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

    Exact by area: a run is cut at the edges of the rows of cells, and each part goes to the cells that
    its column of pixels lies in.
    """
    import torch

    out = torch.zeros(masks.count * grid[0] * grid[1])
    for where, value in _shares_of_cells(masks, grid):
        out.index_add_(0, torch.from_numpy(where), torch.from_numpy(value))
    return out.reshape(masks.count, *grid)


def sparse_coverage(masks: Masks, grid: tuple[int, int]) -> csr_array:
    """The same as a sparse table (N, rows * columns) float64, for masks of which most cells see
    nothing; summed up in one order."""
    from scipy.sparse import coo_array

    cells = grid[0] * grid[1]
    parts = list(_shares_of_cells(masks, grid))
    where = np.concatenate([np.zeros(0, np.int64), *(at for at, _ in parts)])
    value = np.concatenate([np.zeros(0), *(share for _, share in parts)])
    owner, cell = np.divmod(where, cells)
    return coo_array((value, (owner, cell)), shape=(masks.count, cells)).tocsr()


def _shares_of_cells(
    masks: Masks, grid: tuple[int, int]
) -> Iterator[tuple[IntArray, npt.NDArray[np.float32]]]:
    """Flat places in (N, rows, columns), and what to add there; a place may come several times."""
    rows, columns = grid
    runs = masks.runs
    top, bottom = runs.top * (rows / masks.size[0]), runs.bottom * (rows / masks.size[0])
    which, row = _cells(top, bottom, rows)
    length = np.minimum(bottom[which], row + 1) - np.maximum(top[which], row)
    at = (runs.owner[which] * rows + row) * columns
    table = pixel_shares(masks.size[1], columns).T
    pixel, cell = np.nonzero(table)
    many = np.bincount(pixel, minlength=len(table))
    first = np.cumsum(many) - many
    column = runs.column[which]
    for k in range(int(many.max())):
        part = np.flatnonzero(many[column] > k)
        where = cell[first[column[part]] + k]
        yield at[part] + where, (length[part] * table[column[part], where]).astype(np.float32)


def _cells(
    low: npt.NDArray[np.floating[Any]], high: npt.NDArray[np.floating[Any]], cells: int
) -> tuple[IntArray, IntArray]:
    """The cells that N spans reach into: (K,) which span, (K,) which cell."""
    first = low.astype(np.int64)
    many = np.minimum(np.ceil(high).astype(np.int64), cells) - first
    which = np.repeat(np.arange(len(many)), many)
    return which, np.arange(len(which)) - (np.cumsum(many) - many - first)[which]


def surroundings(coverage: Tensor) -> Tensor:
    """The ring around each mask, (M, h, w) -> (M, h, w): a quarter of the mask's size wide, at least
    one cell, and one cell away from the mask so that its edge stays out."""
    import torch

    covers = coverage.numpy()
    least = np.minimum(np.float32(0.5), coverage.flatten(1).amax(1).numpy())
    solid = (covers >= np.where(least > 0, least, 2)[:, None, None]).astype(np.uint8)
    cells = np.count_nonzero(solid, axis=(1, 2))
    reaches = np.maximum(2, np.round(0.25 * np.sqrt(cells)).astype(np.int64))
    rings = np.zeros(covers.shape, np.float32)
    for reach in np.unique(reaches[cells > 0]).tolist():
        side = 2 * reach + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        alike = np.flatnonzero((reaches == reach) & (cells > 0))
        for start in range(0, len(alike), _TOGETHER):
            rows = alike[start : start + _TOGETHER]
            near = np.maximum(covers[rows], _dilated(solid[rows], np.ones((3, 3), np.uint8)))
            rings[rows] = np.maximum(_dilated(solid[rows], disc) - near, 0)
    return torch.from_numpy(rings)


def _dilated(masks: UInt8Array, kernel: npt.NDArray[Any]) -> UInt8Array:
    """Each of M masks (M, h, w) dilated, in one call: below one another, apart by the kernel."""
    count, height, width = masks.shape
    apart = np.zeros((count, height + len(kernel) // 2, width), np.uint8)
    apart[:, :height] = masks
    grown = cv2.dilate(apart.reshape(-1, width), kernel)
    return np.asarray(grown.reshape(apart.shape)[:, :height], np.uint8)


def pixel_shares(pixels: int, cells: int) -> FloatArray:
    """(cells, pixels): share of cell i that pixel j makes up. Rows sum to 1."""
    return shares(np.linspace(0, pixels, cells + 1), np.arange(pixels))


def shares(edges: npt.NDArray[np.float64], pixels: IntArray) -> FloatArray:
    """(cells, N): share that each of N pixels makes up of the cell between two edges (cells + 1)."""
    left = np.maximum(edges[:-1, None], pixels[None])
    right = np.minimum(edges[1:, None], pixels[None] + 1)
    return np.asarray(np.clip(right - left, 0, None) / np.diff(edges)[:, None], np.float32)
