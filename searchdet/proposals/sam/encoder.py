"""SAM's image encoder, computed without ever holding a whole attention matrix.

Same weights and same results as segment-anything's ``ImageEncoderViT`` (a ViT with windowed and global
attention and decomposed relative positions, Li et al. 2022, arXiv 2203.16527). What differs is the
order of the work: padding tokens of the windows get their projections from the bias alone, and global
attention goes through blocks of queries that stay in the processor's cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ...weights import Compute

QUERY_BLOCK = 512
"""Rows of an attention matrix that are computed at once on a CPU."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Weights of one transformer block. window 0 means global attention."""

    module: Any
    window: int
    heads: int
    rows: Tensor  # (side, side, d): position bias vectors by query row and key row
    columns: Tensor
    linear: dict[str, tuple[Tensor, Tensor]]


class ImageEncoder:
    """(1, 3, S, S) float32, normalised and padded -> (1, C, S/patch, S/patch) float32.

    Weights of the linear layers are held in the precision of ``compute``; norms, the residual stream,
    the patch embedding and the neck stay float32.
    """

    def __init__(self, encoder: Any, compute: Compute) -> None:
        self._encoder = encoder
        self._dtype = compute.dtype
        self._blocks = tuple(_block(block, encoder, self._dtype) for block in encoder.blocks)

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Tensor:
        tokens = self._tokens(image)
        for block in self._blocks:
            self._advance(block, tokens)
        return self._finish(tokens)

    @torch.inference_mode()
    def with_early(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and what the first block with global attention gives, (1, embed_dim, S/patch,
        S/patch) float32. Raises ValueError where no block is global."""
        first = next((i for i, block in enumerate(self._blocks) if not block.window), None)
        if first is None:
            raise ValueError("an encoder without global attention has no early features")
        tokens = self._tokens(image)
        for block in self._blocks[: first + 1]:
            self._advance(block, tokens)
        early = tokens.permute(2, 0, 1)[None].contiguous()  # a copy: the tokens go on in place
        for block in self._blocks[first + 1 :]:
            self._advance(block, tokens)
        return self._finish(tokens), early

    def _tokens(self, image: Tensor) -> Tensor:
        tokens: Tensor = self._encoder.patch_embed(image)
        if self._encoder.pos_embed is not None:
            tokens = tokens + self._encoder.pos_embed
        return tokens[0].contiguous()

    def _advance(self, block: _Block, tokens: Tensor) -> None:
        """One block, in place."""
        tokens += self._attention(block, tokens)
        tokens += self._mlp(block, tokens)

    def _finish(self, tokens: Tensor) -> Tensor:
        features: Tensor = self._encoder.neck(tokens.permute(2, 0, 1)[None])
        return features

    def _attention(self, block: _Block, tokens: Tensor) -> Tensor:
        height, width, dim = tokens.shape
        normed = block.module.norm1(tokens).to(self._dtype)
        projected = F.linear(normed, *block.linear["qkv"])
        if block.window:
            projected = windows(projected, block.linear["qkv"][1], block.window)
        else:
            projected = projected[None]
        count, rows, columns, _ = projected.shape
        q, k, v = projected.view(count, rows * columns, 3, block.heads, -1).permute(2, 0, 3, 1, 4)
        across, down = _position_bias(q, block, (rows, columns))
        attend = _attend_windows if block.window else _attend_global
        mixed = attend(q, k, v, down, across)
        mixed = mixed.transpose(1, 2).reshape(count, rows, columns, dim)
        mixed = unwindow(mixed, block.window, height, width) if block.window else mixed[0]
        return F.linear(mixed, *block.linear["proj"])

    def _mlp(self, block: _Block, tokens: Tensor) -> Tensor:
        hidden = F.linear(block.module.norm2(tokens).to(self._dtype), *block.linear["lin1"])
        return F.linear(block.module.mlp.act(hidden), *block.linear["lin2"])


def _block(block: Any, encoder: Any, dtype: torch.dtype) -> _Block:
    from segment_anything.modeling.image_encoder import get_rel_pos

    attention = block.attn
    grid = encoder.img_size // encoder.patch_embed.proj.stride[0]
    side = block.window_size or grid
    parts = {
        "qkv": attention.qkv,
        "proj": attention.proj,
        "lin1": block.mlp.lin1,
        "lin2": block.mlp.lin2,
    }
    linear = {k: (m.weight.detach().to(dtype), m.bias.detach().to(dtype)) for k, m in parts.items()}
    rows = get_rel_pos(side, side, attention.rel_pos_h).detach().to(dtype)
    columns = get_rel_pos(side, side, attention.rel_pos_w).detach().to(dtype)
    return _Block(block, block.window_size, attention.num_heads, rows, columns, linear)


def windows(projected: Tensor, bias: Tensor, window: int) -> Tensor:
    """(h, w, C) -> (count, window, window, C). Padding tokens are zeros before the projection, so
    after it they are its bias."""
    height, width, dim = projected.shape
    high, wide = -(-height // window), -(-width // window)
    if (high * window, wide * window) != (height, width):
        padded = bias.expand(high * window, wide * window, dim).contiguous()
        padded[:height, :width] = projected
        projected = padded
    split = projected.view(high, window, wide, window, dim)
    return split.permute(0, 2, 1, 3, 4).reshape(high * wide, window, window, dim)


def unwindow(mixed: Tensor, window: int, height: int, width: int) -> Tensor:
    high, wide = -(-height // window), -(-width // window)
    joined = mixed.view(high, wide, window, window, -1).permute(0, 2, 1, 3, 4)
    # contiguous: a linear layer over a view of it would copy its weights for every row
    return joined.reshape(high * window, wide * window, -1)[:height, :width].contiguous()


def _position_bias(q: Tensor, block: _Block, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Bias by key column and by key row, each (count, heads, tokens, side)."""
    count, heads, tokens, dim = q.shape
    spread = q.reshape(count * heads, *grid, dim)
    down = torch.einsum("bhwc,hkc->bhwk", spread, block.rows)
    across = torch.einsum("bhwc,wkc->bhwk", spread, block.columns)
    shape = (count, heads, tokens, -1)
    return across.reshape(shape), down.reshape(shape)


def _attend_windows(q: Tensor, k: Tensor, v: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Attention inside windows; as ``attend_blocks``, with a window in place of a block of queries."""
    if q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=_bias(down, across))
    out = torch.empty_like(q, memory_format=torch.contiguous_format)
    scaled = q * q.shape[-1] ** -0.5
    for window in range(len(q)):
        scores = _bias(down[window], across[window])
        scores.baddbmm_(scaled[window], k[window].transpose(1, 2))
        torch.bmm(scores.softmax(-1), v[window], out=out[window])
    return out


def _bias(down: Tensor, across: Tensor) -> Tensor:
    """(..., tokens, rows) and (..., tokens, columns) -> (..., tokens, keys): a key's row and column."""
    return (down[..., :, None] + across[..., None, :]).flatten(-2)


def _attend_global(q: Tensor, k: Tensor, v: Tensor, down: Tensor, across: Tensor) -> Tensor:
    if q.is_cuda:
        return attend_folded(q, k, v, down, across)
    return attend_blocks(q, k, v, down, across)


def attend_blocks(q: Tensor, k: Tensor, v: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d) + bias) v, ``QUERY_BLOCK`` queries at a time.

    q, k, v (1, heads, tokens, d); down (1, heads, tokens, rows), across (..., columns): the bias of a
    key is the sum of its row's and its column's.
    """
    _, heads, tokens, dim = q.shape
    out = torch.empty_like(q)
    for head in range(heads):
        queries = (q[0, head] * dim**-0.5).contiguous()
        keys, values = k[0, head].T.contiguous(), v[0, head].contiguous()
        for start in range(0, tokens, QUERY_BLOCK):
            part = slice(start, start + QUERY_BLOCK)
            scores = _bias(down[0, head, part], across[0, head, part]).addmm_(queries[part], keys)
            out[0, head, part] = scores.softmax(-1) @ values
    return out


def attend_folded(q: Tensor, k: Tensor, v: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """The same through one fused kernel, the bias folded into longer queries and keys:
    bias[q, k] = [down, across][q] . [onehot(row), onehot(column)][k]."""
    dim, rows, columns = q.shape[-1], down.shape[-1], across.shape[-1]
    row = torch.eye(rows, dtype=k.dtype, device=k.device).repeat_interleave(columns, 0)
    column = torch.eye(columns, dtype=k.dtype, device=k.device).repeat(rows, 1)
    where = torch.cat([row, column], 1).expand(*k.shape[:2], -1, -1)
    longer = F.pad(v, (0, rows + columns))
    folded = F.scaled_dot_product_attention(
        torch.cat([q * dim**-0.5, down, across], -1), torch.cat([k, where], -1), longer, scale=1.0
    )
    return folded[..., :dim]
