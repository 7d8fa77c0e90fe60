"""From image tokens in factors to mask logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Upscaling:
    """The two transposed convolutions (stride 2, so each is one matrix product) and the mask product.

    Layout: channels first, then which of the 2x2 sub-cells, then the cell.
    """

    def __init__(self, decoder: Any, beta: Tensor) -> None:
        one, norm, act, two, _ = decoder.output_upscaling
        # (4 * c1, C) and (4 * c1, 1); centred over channels here, so that the norm need not do it
        first = _transposed(one)
        constant = first @ beta + one.bias.detach().repeat_interleave(4)
        self.first, self._constant = _centred(first), _centred(constant[:, None])
        self._second = _transposed(two)  # (4 * c2, c1)
        self._second_bias = two.bias.detach().repeat_interleave(4)[:, None]
        self._norm, self._act = norm, act

    def logits(
        self,
        image: Tensor,
        grid: tuple[int, int],
        factors: tuple[Tensor, Tensor, Tensor],
        hyper: Tensor,
    ) -> Tensor:
        rho, weights, rows = factors
        height, width = grid
        cells = height * width
        wide = torch.addcmul(self._constant, image, rho)
        wide.addmm_(self.first @ rows.T, weights)
        wide = wide.view(-1, 4 * cells)
        wide *= (wide.square().mean(0) + self._norm.eps).rsqrt_()
        torch.addcmul(self._norm.bias[:, None], wide, self._norm.weight[:, None], out=wide)
        wide = self._act(wide)
        out = hyper.new_empty(len(hyper), 4, 4, cells)
        for sub in range(4):
            part = wide[:, sub * cells : (sub + 1) * cells]
            fine = self._act(torch.addmm(self._second_bias, self._second, part))
            out[:, :, sub] = (hyper @ fine.view(hyper.shape[1], -1)).view(-1, 4, cells)
        # (mask, inner row, inner column, outer row, outer column, row, column)
        placed: Tensor = out.view(-1, 2, 2, 2, 2, height, width).permute(0, 5, 3, 1, 6, 4, 2)
        return placed.reshape(-1, 4 * height, 4 * width)


def _centred(matrix: Tensor) -> Tensor:
    """Without the mean over channels of each sub-cell's rows."""
    rows = matrix.view(-1, 4, matrix.shape[1])
    return (rows - rows.mean(0)).view(matrix.shape)


def _transposed(convolution: Any) -> Tensor:
    """ConvTranspose2d weights (in, out, 2, 2) as a matrix (4 * out, in), sub-cell fastest."""
    weight: Tensor = convolution.weight.detach()
    return weight.permute(1, 2, 3, 0).reshape(-1, weight.shape[0]).contiguous()
