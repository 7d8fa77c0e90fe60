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
        cells = grid[0] * grid[1]
        wide = self._halfway(image, factors)
        out = hyper.new_empty(len(hyper), 4, 4, cells)
        for sub in range(4):
            fine = self._last(wide[:, sub * cells : (sub + 1) * cells])
            out[:, :, sub] = (hyper @ fine.view(hyper.shape[1], -1)).view(-1, 4, cells)
        return placed(out, grid)

    def several(
        self,
        image: Tensor,
        grid: tuple[int, int],
        factors: tuple[Tensor, Tensor, Tensor],
        hyper: Tensor,
        finer: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """(P, M, 4h, 4w): the logits of several prompts at once, for a card. factors and hyper
        (P, M, c2) have a first dimension of prompts. finer: maps that are added after each convolution,
        (c1, 4 * cells) and (4, c2, 4, cells), one for each outer sub-cell."""
        fine = self._fine_of_several(image, factors, finer).flatten(2)
        made = placed(torch.bmm(hyper, fine), grid)
        return made.view(*hyper.shape[:2], *made.shape[1:])

    def fine_of_several(
        self, image: Tensor, grid: tuple[int, int], factors: tuple[Tensor, Tensor, Tensor]
    ) -> Tensor:
        """(P, c2, 4h, 4w): ``fine`` of several prompts at once."""
        fine = self._fine_of_several(image, factors, None)
        made = placed(fine, grid)
        return made.view(*fine.shape[:2], *made.shape[1:])

    def _fine_of_several(
        self,
        image: Tensor,
        factors: tuple[Tensor, Tensor, Tensor],
        finer: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """(P, c2, inner sub-cell, outer sub-cell, cell)."""
        rho, weights, rows = factors
        count, cells = rho.shape
        wide = torch.addcmul(self._constant, image, rho[:, None])
        wide = wide.baddbmm_(self.first @ rows.transpose(1, 2), weights).view(count, -1, 4 * cells)
        if finer is not None:
            wide += finer[0]
        wide *= (wide.square().mean(1, keepdim=True) + self._norm.eps).rsqrt_()
        torch.addcmul(self._norm.bias[:, None], wide, self._norm.weight[:, None], out=wide)
        second = self._second.expand(count, -1, -1)
        fine = torch.baddbmm(self._second_bias, second, self._act(wide)).view(count, -1, 4, 4, cells)
        if finer is not None:
            fine += finer[1].permute(1, 2, 0, 3)
        activated: Tensor = self._act(fine)
        return activated

    def fine(
        self, image: Tensor, grid: tuple[int, int], factors: tuple[Tensor, Tensor, Tensor]
    ) -> Tensor:
        """(c2, 4h, 4w): what the mask product is taken with."""
        height, width = grid
        cells = height * width
        wide = self._halfway(image, factors)
        # (channel, row, outer row, inner row, column, outer column, inner column)
        out = wide.new_empty(len(self._second) // 4, height, 2, 2, width, 2, 2)
        for sub in range(4):
            part = self._last(wide[:, sub * cells : (sub + 1) * cells])
            inner = part.view(-1, 2, 2, height, width).permute(0, 3, 1, 4, 2)
            out[:, :, sub // 2, :, :, sub % 2].copy_(inner)
        return out.view(-1, 4 * height, 4 * width)

    def _halfway(self, image: Tensor, factors: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """(c1, 4 * cells): after the first convolution, its norm and its activation."""
        rho, weights, rows = factors
        wide = torch.addcmul(self._constant, image, rho)
        wide.addmm_(self.first @ rows.T, weights)
        wide = wide.view(-1, 4 * image.shape[1])
        wide *= (wide.square().mean(0) + self._norm.eps).rsqrt_()
        torch.addcmul(self._norm.bias[:, None], wide, self._norm.weight[:, None], out=wide)
        activated: Tensor = self._act(wide)
        return activated

    def _last(self, part: Tensor) -> Tensor:
        """(4 * c2, cells) of one of the outer sub-cells (c1, cells)."""
        fine: Tensor = self._act(torch.addmm(self._second_bias, self._second, part))
        return fine


def placed(cells: Tensor, grid: tuple[int, int]) -> Tensor:
    """Whatever is by inner sub-cell, outer sub-cell and cell in its last dimensions as (N, 4h, 4w)."""
    # (of each, inner row, inner column, outer row, outer column, row, column)
    parts = cells.view(-1, 2, 2, 2, 2, *grid).permute(0, 5, 3, 1, 6, 4, 2)
    return parts.reshape(-1, 4 * grid[0], 4 * grid[1])


def _centred(matrix: Tensor) -> Tensor:
    """Without the mean over channels of each sub-cell's rows."""
    rows = matrix.view(-1, 4, matrix.shape[1])
    return (rows - rows.mean(0)).view(matrix.shape)


def _transposed(convolution: Any) -> Tensor:
    """ConvTranspose2d weights (in, out, 2, 2) as a matrix (4 * out, in), sub-cell fastest."""
    weight: Tensor = convolution.weight.detach()
    return weight.permute(1, 2, 3, 0).reshape(-1, weight.shape[0]).contiguous()
