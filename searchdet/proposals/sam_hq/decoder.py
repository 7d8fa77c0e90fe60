"""SAM-HQ's mask decoder for many point prompts of one image.

Same weights and same results as the authors' ``MaskDecoderHQ`` asked as their automatic mask generator
asks it: of SAM's outputs the one with the highest predicted IoU, plus the mask of the further token.
That token goes through SAM's decoder with the others. Its mask is its product with

    mask_feature(upscaled image tokens of the prompt) + features of the image

The second summand is of the image and made once. The first is two 3x3 convolutions, of which the
second is linear: its product with the token is one convolution to a single channel, and so one matrix
product and nine shifted sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..sam.decoder import Decoded, ImageSide, PointDecoder

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

STRIP = 64
"""Rows of the upscaled image that are computed at once on a CPU, so that they stay in its cache."""


@dataclass(frozen=True, slots=True)
class HqImageSide:
    """Everything about one image that no prompt changes. features (c, 4h, 4w): of the further token."""

    plain: ImageSide
    features: Tensor


@dataclass(frozen=True, slots=True)
class HqDecoded:
    """One mask a prompt. quality (B, 1): its predicted IoU; best (B,): which of SAM's outputs it is."""

    quality: Tensor
    best: Tensor
    plain: Decoded


class HqDecoder:
    """Decoder of one SAM-HQ, in float32."""

    def __init__(self, sam: Sam) -> None:
        decoder: Any = sam.mask_decoder
        self._decoder = decoder
        self._plain = PointDecoder(sam, decoder.hf_token.weight)
        self._feature = _MaskFeature(decoder.embedding_maskfeature)

    @torch.inference_mode()
    def image_side(self, embedding: Tensor, early: Tensor) -> HqImageSide:
        """Shared terms of an image: its embedding (1, C, h, w) and early features (1, E, h, w)."""
        features = self._decoder.embedding_encoder(embedding) + self._decoder.compress_vit_feat(early)
        return HqImageSide(self._plain.image_side(embedding), features[0])

    @torch.inference_mode()
    def decode(self, image: HqImageSide, points: Tensor) -> HqDecoded:
        """One foreground point a prompt: (B, 2) xy in pixels of SAM's input frame."""
        plain = self._plain.decode(image.plain, points)
        quality, best = plain.quality.max(1, keepdim=True)
        return HqDecoded(quality, best[:, 0], plain)

    @torch.inference_mode()
    def logits(self, image: HqImageSide, decoded: HqDecoded, prompt: int, masks: list[int]) -> Tensor:
        """Mask logits (len(masks), 4h, 4w) of one prompt, which has only mask 0."""
        fine = self._plain.upscaled(image.plain, decoded.plain, prompt)
        hyper = self._plain.hyper(decoded.plain, prompt, [int(decoded.best[prompt])])[0]
        token = self._decoder.hf_mlp(decoded.plain.tokens[prompt, -1])
        mask = torch.tensordot(hyper, fine, 1) + torch.tensordot(token, image.features, 1)
        mask += self._feature(fine, token)
        every: Tensor = mask[None].expand(len(masks), -1, -1)
        return every

    @torch.inference_mode()
    def several(self, image: HqImageSide, decoded: HqDecoded, prompts: Tensor) -> Tensor:
        """Mask logits (P, 1, 4h, 4w) of several prompts (P,), at once: for a card."""
        plain = decoded.plain
        fine = self._plain.upscaled_several(image.plain, plain, prompts)
        every = self._plain.hyper(plain, prompts, range(plain.quality.shape[1]))
        hyper = every[torch.arange(len(prompts), device=prompts.device), decoded.best[prompts]]
        token = self._decoder.hf_mlp(plain.tokens[prompts, -1])
        mask = torch.bmm(hyper[:, None], fine.flatten(2)).view(len(prompts), *fine.shape[2:])
        mask += torch.tensordot(token, image.features, 1)
        mask += self._feature.several(fine, token)
        return mask[:, None]


class _MaskFeature:
    """Two 3x3 convolutions with a norm over channels and an activation between them, times a token."""

    def __init__(self, layers: Any) -> None:
        one, self._norm, self._act, two = layers
        # centred over channels here, so that the norm need not do it
        weight, bias = one.weight.detach(), one.bias.detach()
        self._one, self._one_bias = weight - weight.mean(0), bias - bias.mean()
        self._two, self._two_bias = two.weight.detach(), two.bias.detach()

    def __call__(self, fine: Tensor, token: Tensor) -> Tensor:
        """fine (c, H, W), token (c,) -> (H, W)."""
        _, height, width = fine.shape
        kernel = torch.tensordot(token, self._two, 1).permute(1, 2, 0).flatten(0, 1)  # (9, middle)
        around = F.pad(fine, (1, 1, 1, 1))
        taps = fine.new_zeros(9, height + 2, width + 2)
        for top in range(0, height, STRIP):
            middle = self._middle(around[None, :, top : top + STRIP + 2])[0]
            end = 1 + top + middle.shape[1]
            taps[:, 1 + top : end, 1:-1] = torch.tensordot(kernel, middle, 1)
        return _shifted((token @ self._two_bias).repeat(height, width), taps)

    def several(self, fine: Tensor, token: Tensor) -> Tensor:
        """fine (P, c, H, W), token (P, c) -> (P, H, W)."""
        count, _, height, width = fine.shape
        kernel = torch.tensordot(token, self._two, 1).permute(0, 2, 3, 1).flatten(1, 2)
        middle = self._middle(F.pad(fine, (1, 1, 1, 1)))
        taps = torch.bmm(kernel, middle.flatten(2)).view(count, 9, height, width)
        bias = (token @ self._two_bias)[:, None, None].repeat(1, height, width)
        return _shifted(bias, F.pad(taps, (1, 1, 1, 1)))

    def _middle(self, rows: Tensor) -> Tensor:
        """(P, c, n + 2, W + 2) -> (P, middle, n, W): the first convolution, its norm and activation."""
        wide = F.conv2d(rows, self._one, self._one_bias)
        wide *= (wide.square().mean(1, keepdim=True) + self._norm.eps).rsqrt_()
        shape = (-1, 1, 1)
        torch.addcmul(self._norm.bias.view(shape), wide, self._norm.weight.view(shape), out=wide)
        activated: Tensor = self._act(wide)
        return activated


def _shifted(out: Tensor, taps: Tensor) -> Tensor:
    """``out`` (..., H, W) with the nine taps (..., 9, H + 2, W + 2) of a 3x3 convolution added."""
    height, width = out.shape[-2:]
    for tap in range(9):
        down, across = divmod(tap, 3)
        out += taps[..., tap, down : down + height, across : across + width]
    return out
