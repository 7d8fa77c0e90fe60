"""Half-precision rows as float32, block by block. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

BLOCK_BYTES = 1 << 21
"""Of float16 rows that are worked on at once: small enough to stay in the processor's cache."""


def blocks(rows: npt.NDArray[np.float16]) -> Iterator[tuple[slice, Tensor]]:
    """Which rows of (R, D), and these as float32 until the next block is asked for."""
    import torch

    dim = max(rows.shape[1], 1)
    step = max(1, BLOCK_BYTES // (2 * dim))
    wide = torch.empty(step, dim)
    for start in range(0, len(rows), step):
        block = torch.from_numpy(rows[start : start + step])
        yield slice(start, start + len(block)), wide[: len(block)].copy_(block)
