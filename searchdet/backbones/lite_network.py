"""The network of EfficientNet-Lite (Tan and Le 2019, arXiv 1905.11946), for inference alone.

Names and numbers are those of timm's ``tf_efficientnet_lite*``, without whose import a program starts
seconds earlier. Batch-norms are folded into the convolutions before them, and convolutions of one pixel
are matrix products on channels that lie together, which torch's own choice on a CPU is not.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Of the first block of each stage; the stem halves the picture before them."""
KERNELS = (3, 3, 5, 3, 5, 5, 3)
STEM, WIDER = 32, 6
"""Channels of the stem; all blocks but those of the first stage widen so many times."""
EPSILON = 1e-3
"""Of the batch-norms, as trained."""
_TOP = 6.0


class Folded(NamedTuple):
    """A convolution with its batch-norm. weight: (in, out) for one pixel, else (out, in / groups,
    k, k).
    bounded: cut to 0..6 afterwards."""

    weight: Tensor
    bias: Tensor
    stride: int
    groups: int
    bounded: bool


class LiteBlock(nn.Module):
    """Holds the weights of one block by their names: widen, look around, narrow."""

    def __init__(self, given: int, made: int, kernel: int, stride: int, widens: bool) -> None:
        super().__init__()
        middle = WIDER * given if widens else given
        around = nn.Conv2d(middle, middle, kernel, stride, groups=middle, bias=False)
        if widens:
            self.conv_pw, self.bn1 = _one_pixel(given, middle), _norm(middle)
            self.conv_dw, self.bn2 = around, _norm(middle)
            self.conv_pwl, self.bn3 = _one_pixel(middle, made), _norm(made)
        else:
            self.conv_dw, self.bn1 = around, _norm(middle)
            self.conv_pw, self.bn2 = _one_pixel(middle, made), _norm(made)
        self.widens, self.adds = widens, stride == 1 and given == made

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The batch-norm of what is added to the stage."""
        return self.bn3 if self.widens else self.bn2

    def folded(self) -> tuple[Folded, ...]:
        """Its convolutions in their order."""
        pairs = [(self.conv_dw, self.bn1), (self.conv_pw, self.bn2)]
        if self.widens:
            pairs = [(self.conv_pw, self.bn1), (self.conv_dw, self.bn2), (self.conv_pwl, self.bn3)]
        return tuple(fold(*pair, bounded=pair is not pairs[-1]) for pair in pairs)


class LiteNetwork(nn.Module):
    """(N, 3, H, W) float32 -> the output of each stage. widths, depths: channels and blocks of each."""

    def __init__(self, widths: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, STEM, 3, 2, bias=False)
        self.bn1 = _norm(STEM)
        stages: list[list[LiteBlock]] = []
        given = STEM
        for place, (made, depth) in enumerate(zip(widths, depths, strict=True)):
            stages.append([])
            for i in range(depth):
                stride = STRIDES[place] if i == 0 else 1
                stages[-1].append(LiteBlock(given, made, KERNELS[place], stride, widens=place > 0))
                given = made
        self.blocks = nn.ModuleList(nn.ModuleList(stage) for stage in stages)
        self._stages = tuple(tuple(stage) for stage in stages)

    def stages(self, batch: Tensor) -> Iterator[Tensor]:
        """The output (N, C, h, w) of each stage in turn."""
        stem, stages = self._folded
        x = convolve(batch.permute(0, 2, 3, 1).contiguous(), stem)
        for stage in stages:
            for steps, adds in stage:
                y = x
                for step in steps:
                    y = convolve(y, step)
                x = x + y if adds else y
            yield x.permute(0, 3, 1, 2)

    @functools.cached_property
    def _folded(self) -> tuple[Folded, list[list[tuple[tuple[Folded, ...], bool]]]]:
        stages = [[(block.folded(), block.adds) for block in stage] for stage in self._stages]
        return fold(self.conv_stem, self.bn1, bounded=True), stages


def fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d, bounded: bool) -> Folded:
    """Both as one convolution."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch-norm without statistics cannot be folded")
    scale = norm.weight.detach() * (norm.running_var + norm.eps).rsqrt()
    weight = convolution.weight.detach() * scale[:, None, None, None]
    bias = norm.bias.detach() - norm.running_mean * scale
    if weight.shape[2:] == (1, 1):
        weight = weight[:, :, 0, 0].T.contiguous()
    else:
        weight = weight.contiguous(memory_format=torch.channels_last)
    return Folded(weight, bias, convolution.stride[0], convolution.groups, bounded)


def convolve(x: Tensor, by: Folded) -> Tensor:
    """(N, h, w, C) -> (N, h / stride, w / stride, C'), padded as TensorFlow's ``same``."""
    if by.weight.ndim == 2:
        made = torch.addmm(by.bias, x.flatten(0, 2), by.weight).view(*x.shape[:3], -1)
    else:
        kernel, stride = by.weight.shape[2], by.stride
        inner = x.permute(0, 3, 1, 2)
        pad = [_padding(side, kernel, stride) for side in inner.shape[:1:-1]]
        if any(before != after for before, after in pad):
            inner = F.pad(inner, [side for pair in pad for side in pair])
            inner = inner.contiguous(memory_format=torch.channels_last)
            pad = [(0, 0), (0, 0)]
        around = (pad[1][0], pad[0][0])
        made = F.conv2d(inner, by.weight, by.bias, stride, around, 1, by.groups).permute(0, 2, 3, 1)
    return made.clamp_(0, _TOP) if by.bounded else made


def _padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Before and after, as TensorFlow's ``same``: what is odd comes after."""
    whole = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return whole // 2, whole - whole // 2


def _one_pixel(given: int, made: int) -> nn.Conv2d:
    return nn.Conv2d(given, made, 1, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, EPSILON)
