"""MobileSAM's image encoder, computed from folded weights, cells before channels.

Same weights and same results as MobileSAM's ``TinyViT``. What differs is the order of the work:
batch-norms are folded into convolutions, 1x1 convolutions are matrix products over cells, attention is
one fused kernel that holds no whole attention matrix, and padding of windows gets its projection once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...weights import Compute
from ..sam.encoder import unwindow, windows
from .modules import Attention, Block, ConvNorm, Layer, MBConv, Merging, Mlp, TinyViT

EARLY = 1
"""The layer after which the features are ``early``."""
Linear = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Features:
    """Of one picture. embedding (1, C, h, w) float32. early (1, h, w, C') float32: features after the
    second layer, which a decoder such as SAM-HQ's takes besides; None of an encoder of fewer layers."""

    embedding: Tensor
    early: Tensor | None


class TinyEncoder:
    """(1, 3, S, S) float32, normalised and padded -> (1, C, S/16, S/16) float32.

    Weights of linear layers and 1x1 convolutions are held in the precision of ``compute``; the residual
    stream, norms, 3x3 convolutions and the neck stay float32.
    """

    def __init__(self, encoder: TinyViT, compute: Compute) -> None:
        dtype = compute.dtype
        stem = encoder.patch_embed.seq
        self._stem = tuple(_Conv(part, dtype) for part in stem if isinstance(part, ConvNorm))
        self._layers = tuple(
            _Layer(layer, dtype) for layer in encoder.layers if isinstance(layer, Layer)
        )
        self._neck = encoder.neck

    def __call__(self, image: Tensor) -> Tensor:
        return self.features(image).embedding

    @torch.inference_mode()
    def features(self, image: Tensor) -> Features:
        """The embedding, and what some decoders want besides."""
        first, second = self._stem
        cells = second(F.gelu(first(image[0].permute(1, 2, 0).contiguous())))
        early = None
        for number, layer in enumerate(self._layers):
            cells = layer(cells)
            if number == EARLY:
                early = cells[None]
        embedding: Tensor = self._neck(cells.view(1, *cells.shape).permute(0, 3, 1, 2))
        return Features(embedding.contiguous(), early)


class _Conv:
    """A convolution with its batch-norm, (h, w, C) -> (h', w', C'). dtype: of a 1x1 one; others work in
    float32, which they are nearly as fast in, and which processors without bfloat16 need."""

    def __init__(self, module: ConvNorm, dtype: torch.dtype) -> None:
        weight, bias = module.folded()
        self._groups = module.c.groups
        self._stride, self._padding = module.c.stride[0], module.c.kernel_size[0] // 2
        self._pointwise = weight.shape[2:] == (1, 1) and self._groups == 1
        self._dtype = dtype if self._pointwise else torch.float32
        self._weight = weight[:, :, 0, 0].to(dtype) if self._pointwise else weight
        self._bias = bias.to(self._dtype)

    def __call__(self, cells: Tensor) -> Tensor:
        cells = cells.to(self._dtype)
        if self._pointwise:
            return F.linear(cells, self._weight, self._bias)
        # channels last in memory; a view, because what [None] makes is not taken as such and copied
        image = cells.view(1, *cells.shape).permute(0, 3, 1, 2)
        out = F.conv2d(
            image, self._weight, self._bias, self._stride, self._padding, groups=self._groups
        )
        return out[0].permute(1, 2, 0).contiguous()


class _Three:
    """1x1, 3x3 in each channel, 1x1; the activation between them."""

    def __init__(self, module: MBConv | Merging, dtype: torch.dtype) -> None:
        self._convs = [_Conv(conv, dtype) for conv in (module.conv1, module.conv2, module.conv3)]
        self._residual = isinstance(module, MBConv)

    def __call__(self, cells: Tensor) -> Tensor:
        one, two, three = self._convs
        out = three(F.gelu(two(F.gelu(one(cells))))).float()
        return F.gelu(out.add_(cells)) if self._residual else out


class _Layer:
    """Blocks, then what leads to the next layer; (h, w, C) float32 in and out."""

    def __init__(self, layer: Layer, dtype: torch.dtype) -> None:
        self._steps: list[_Three | _Block] = []
        for block in layer.blocks:
            if isinstance(block, MBConv):
                self._steps.append(_Three(block, dtype))
            elif isinstance(block, Block):
                self._steps.append(_Block(block, dtype))
        if layer.downsample is not None:
            self._steps.append(_Three(layer.downsample, dtype))

    def __call__(self, cells: Tensor) -> Tensor:
        for step in self._steps:
            cells = step(cells)
        return cells


class _Block:
    """Windowed attention, a convolution in each channel, two linear layers."""

    def __init__(self, block: Block, dtype: torch.dtype) -> None:
        self._attend = _Attention(block.attn, dtype)
        self._local = _Conv(block.local_conv, torch.float32)
        self._mlp: Mlp = block.mlp
        self._in, self._out = _linear(block.mlp.fc1, dtype), _linear(block.mlp.fc2, dtype)
        self._dtype = dtype

    def __call__(self, cells: Tensor) -> Tensor:
        cells = self._local(cells + self._attend(cells))
        hidden = F.gelu(F.linear(self._mlp.norm(cells).to(self._dtype), *self._in))
        return cells.add_(F.linear(hidden, *self._out))


class _Attention:
    """Attention inside windows of a grid, with a bias by the distance of rows and of columns."""

    def __init__(self, attention: Attention, dtype: torch.dtype) -> None:
        heads, distances = attention.attention_biases.shape
        self._dtype, self._heads, self._norm = dtype, heads, attention.norm
        self._window = round(distances**0.5)
        self._qkv, self._proj = _linear(attention.qkv, dtype), _linear(attention.proj, dtype)
        self._bias = position_bias(attention.attention_biases, self._window).to(dtype)[None]
        # cells beyond the grid are zeros before the norm, so after it they are its bias
        self._beyond = F.linear(attention.norm.bias.detach().to(dtype), *self._qkv)

    def __call__(self, cells: Tensor) -> Tensor:
        height, width, dim = cells.shape
        side = self._window
        projected = F.linear(self._norm(cells).to(self._dtype), *self._qkv)
        split = windows(projected, self._beyond, side)
        q, k, v = split.view(len(split), side * side, self._heads, 3, -1).permute(3, 0, 2, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self._bias)
        mixed = mixed.transpose(1, 2).reshape(len(split), side, side, dim)
        return F.linear(unwindow(mixed, side, height, width), *self._proj)


def position_bias(biases: Tensor, window: int) -> Tensor:
    """(H, window * window) by distance -> (H, cells, cells) for every pair of cells of a window.

    Distances stand in the order in which a first cell meets them, row by row: rows apart * window +
    columns apart.
    """
    place = torch.arange(window, device=biases.device)
    apart = (place[:, None] - place).abs()
    index = apart[:, None, :, None] * window + apart[None, :, None, :]
    return biases.detach()[:, index.reshape(window * window, -1)]


def _linear(module: nn.Linear, dtype: torch.dtype) -> Linear:
    return module.weight.detach().to(dtype), module.bias.detach().to(dtype)
