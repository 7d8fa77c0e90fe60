"""From image tokens in factors to mask logits, with the finer maps of SAM 2's kind added on the way."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..sam.upscaling import Upscaling, placed


@dataclass(frozen=True, slots=True)
class Finer:
    """The finer maps of one image by sub-cells, as the convolutions give theirs: middle
    (C/4, 4 * cells), without its mean over channels; fine (4, C/8, 4, cells), one for each sub-cell of
    the first convolution."""

    middle: Tensor
    fine: Tensor


class FineUpscaling(Upscaling):
    """The two transposed convolutions of SAM, each with a map of the image added to what it gives."""

    def finer(self, fine: Tensor, middle: Tensor) -> Finer:
        """Of fine (C/8, 4h, 4w) and middle (C/4, 2h, 2w)."""
        channels, height, width = middle.shape
        grid = (height // 2, width // 2)
        cells = middle.reshape(channels, grid[0], 2, grid[1], 2).permute(0, 2, 4, 1, 3)
        inner = fine.reshape(-1, grid[0], 2, 2, grid[1], 2, 2)
        # (C/8, row, outer row, inner row, and the same of columns) -> outer, C/8, inner, cell
        parts = inner.permute(2, 5, 0, 3, 6, 1, 4).reshape(4, len(fine), 4, -1)
        flat = cells.reshape(channels, -1)
        return Finer((flat - flat.mean(0)).contiguous(), parts.contiguous())

    def fine_logits(
        self,
        image: Tensor,
        grid: tuple[int, int],
        factors: tuple[Tensor, Tensor, Tensor],
        hyper: Tensor,
        finer: Finer,
    ) -> Tensor:
        """(M, 4h, 4w) of one prompt; as ``Upscaling.logits``, with the finer maps."""
        rho, weights, rows = factors
        cells = grid[0] * grid[1]
        wide = torch.addcmul(self._constant, image, rho)
        wide.addmm_(self.first @ rows.T, weights)
        wide = wide.view(-1, 4 * cells)
        wide += finer.middle
        wide *= (wide.square().mean(0) + self._norm.eps).rsqrt_()
        torch.addcmul(self._norm.bias[:, None], wide, self._norm.weight[:, None], out=wide)
        wide = self._act(wide)
        out = hyper.new_empty(len(hyper), 4, 4, cells)
        for sub in range(4):
            part = wide[:, sub * cells : (sub + 1) * cells]
            told = torch.addmm(self._second_bias, self._second, part).view(hyper.shape[1], 4, cells)
            told += finer.fine[sub]
            out[:, :, sub] = (hyper @ self._act(told).view(hyper.shape[1], -1)).view(-1, 4, cells)
        return placed(out, grid)
