"""MobileSAM's TinyViT as modules that only hold weights, under the names of the official file.

encoder.py computes with them. The classifier of TinyViT's own training (``norm_head``, ``head``) has no
part in masks and is not here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

PATCH = 4
"""Stride of the patch embedding."""


@dataclass(frozen=True, slots=True)
class LayerShape:
    """One layer of TinyViT. hidden: channels inside its blocks. heads, window and kernel (of the
    convolution after attention) are 0 in the first layer, which has no attention."""

    dim: int
    depth: int
    hidden: int
    heads: int = 0
    window: int = 0
    kernel: int = 0


@dataclass(frozen=True, slots=True)
class TinyShape:
    """A TinyViT with a neck. stem: channels of the first convolution; out: those of the features.
    image: pixels a side of what it sees."""

    stem: int
    layers: tuple[LayerShape, ...]
    out: int
    image: int

    @property
    def grid(self) -> int:
        """Cells a side of the features: every layer but the last two halves them."""
        return self.image // (PATCH << max(0, len(self.layers) - 2))


class ConvNorm(nn.Module):
    """A convolution without bias and the batch-norm after it; padded, so stride 1 keeps the cells."""

    def __init__(self, into: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.c = nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one convolution that does both."""
        norm = self.bn
        if norm.running_mean is None or norm.running_var is None:
            raise ValueError("a batch-norm without statistics cannot be folded")
        scale = norm.weight.detach().double() * (norm.running_var.double() + norm.eps).rsqrt()
        weight = self.c.weight.detach().double() * scale[:, None, None, None]
        bias = norm.bias.detach().double() - norm.running_mean.double() * scale
        return weight.float(), bias.float()


class PatchEmbed(nn.Module):
    """Two convolutions of stride 2; ``seq.1`` is the activation between them."""

    def __init__(self, stem: int, dim: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(ConvNorm(3, stem, 3, 2), nn.GELU(), ConvNorm(stem, dim, 3, 2))


class MBConv(nn.Module):
    """An inverted bottleneck: wider, 3x3 in each channel, back."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(dim, hidden)
        self.conv2 = ConvNorm(hidden, hidden, 3, groups=hidden)
        self.conv3 = ConvNorm(hidden, dim)


class Merging(nn.Module):
    """To the channels of the next layer, and to half the cells where stride is 2."""

    def __init__(self, dim: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(dim, out)
        self.conv2 = ConvNorm(out, out, 3, stride, out)
        self.conv3 = ConvNorm(out, out)


class Attention(nn.Module):
    """Attention in a window, with a learned bias for each distance of rows and columns."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))


class Mlp(nn.Module):
    """Two linear layers after a norm."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)


class Block(nn.Module):
    """Attention, a convolution in each channel, two linear layers."""

    def __init__(self, shape: LayerShape) -> None:
        super().__init__()
        self.attn = Attention(shape.dim, shape.heads, shape.window)
        self.local_conv = ConvNorm(shape.dim, shape.dim, shape.kernel, groups=shape.dim)
        self.mlp = Mlp(shape.dim, shape.hidden)


class Layer(nn.Module):
    """Blocks, and what leads to the next layer; out is 0 and ``downsample`` None in the last one."""

    def __init__(self, shape: LayerShape, out: int, stride: int) -> None:
        super().__init__()
        whole = [
            Block(shape) if shape.heads else MBConv(shape.dim, shape.hidden) for _ in range(shape.depth)
        ]
        self.blocks = nn.ModuleList(whole)
        self.downsample = Merging(shape.dim, out, stride) if out else None


class TinyViT(nn.Module):
    """The weights of an image encoder. img_size: pixels a side of its pictures."""

    def __init__(self, shape: TinyShape) -> None:
        super().__init__()
        self.img_size = shape.image
        dims = [layer.dim for layer in shape.layers]
        outs, last = [*dims[1:], 0], len(dims) - 2
        self.patch_embed = PatchEmbed(shape.stem, dims[0])
        self.layers = nn.ModuleList(
            Layer(layer, outs[i], 1 if i == last else 2) for i, layer in enumerate(shape.layers)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(dims[-1], shape.out, 1, bias=False),
            LayerNorm2d(shape.out),
            nn.Conv2d(shape.out, shape.out, 3, padding=1, bias=False),
            LayerNorm2d(shape.out),
        )
