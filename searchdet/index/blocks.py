"""Half-precision rows as float32, block by block. Pure."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

BLOCK_BYTES = 1 << 21
"""Of float16 rows that are worked on at once: small enough to stay in the processor's cache."""

HELD = 32
"""Blocks that are in memory together where mapped rows do not stay."""


def blocks(rows: npt.NDArray[np.float16], stays: bool = True) -> Iterator[tuple[slice, Tensor]]:
    """Which rows of (R, D), and these as float32 until the next block is asked for. stays: mapped rows
    stay in this process's memory; else the system takes them back, which has them at hand."""
    import torch

    dim = max(rows.shape[1], 1)
    step = max(1, BLOCK_BYTES // (2 * dim))
    wide = torch.empty(step, dim)
    for start in range(0, len(rows), step):
        block = torch.from_numpy(rows[start : start + step])
        yield slice(start, start + len(block)), wide[: len(block)].copy_(block)
        if not stays and (start // step % HELD == HELD - 1 or start + step >= len(rows)):
            let_go(rows)


def let_go(rows: npt.NDArray[np.float16]) -> None:
    """Take a mapped file out of memory, where the system can; nothing may have been written to it."""
    base: object = rows
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
