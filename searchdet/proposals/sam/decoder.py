"""SAM's mask decoder for many point prompts of one image, never building image tokens per prompt.

Same weights and same results as segment-anything's ``MaskDecoder``. Every prompt sees the same image
tokens S (C, N), and each layer changes them only by what a few prompt tokens write into them, so the
image tokens of a prompt are kept in factors,

    keys = rho * S_l + W^T Z + beta        S_l (C, N) shared by all prompts, rho (N),
                                           W (R, C), Z (R, N) with R about 60 to 120, beta (C)

where Z holds the softmax weights with which image cells read prompt tokens and W what they read. A
LayerNorm keeps this form: centring acts on S_l and W, the variance is a quadratic form in Z, and the
scale goes into rho and Z. All projections of S_l are made once per image; per prompt nothing of size
N x C is ever made, and the C x C projections of image tokens become projections of the few prompt
tokens (q . (W_k x) = (W_k^T q) . x). Masks are upscaled for prompts that pass the IoU threshold only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .crossing import (
    Cross,
    Keys,
    add_factors,
    by_shared,
    heads_of,
    read_image,
    reading,
    writing,
    written_rows,
)
from .upscaling import Upscaling

if TYPE_CHECKING:
    from segment_anything.modeling import Sam


@dataclass(frozen=True, slots=True)
class _Level:
    """Shared image terms of one layer: scores and values of S_l for both attentions, and what the
    norm at its end needs. dots: per earlier attention its written rows against S_l; consts: the
    constant rows against it."""

    read_image: Tensor
    read_place: Tensor | None
    values: Tensor
    write_image: Tensor
    write_place: Tensor | None
    square: Tensor
    dots: tuple[Tensor, ...]
    consts: Tensor


@dataclass(frozen=True, slots=True)
class ImageSide:
    """Everything about one image that no prompt changes."""

    levels: tuple[_Level, ...]
    final_image: Tensor
    final_place: Tensor
    final_values: Tensor
    upscaled: Tensor
    grid: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Decoded:
    """quality (B, M): predicted IoU of the multi-mask outputs. The rest is for ``logits``."""

    quality: Tensor
    tokens: Tensor
    keys: Keys


class PointDecoder:
    """Decoder of one SAM. ``batch``: how many prompts go through the image side at once."""

    def __init__(self, sam: Sam) -> None:
        decoder = sam.mask_decoder
        self._sam = sam
        self._decoder = decoder
        self._layers = tuple(decoder.transformer.layers)
        self._read = [reading(layer.cross_attn_token_to_image) for layer in self._layers]
        self._write = [writing(layer.cross_attn_image_to_token) for layer in self._layers]
        self._final = reading(decoder.transformer.final_attn_token_to_image)
        self._chains, self._rows = written_rows(self._layers, self._write)
        self._up = Upscaling(decoder, self._layers[-1].norm4.bias)

    @torch.inference_mode()
    def image_side(self, embedding: Tensor) -> ImageSide:
        """Shared terms of an image embedding (1, C, h, w)."""
        prompt = self._sam.prompt_encoder
        grid = (int(embedding.shape[2]), int(embedding.shape[3]))
        image = (embedding + prompt.no_mask_embed.weight.reshape(1, -1, 1, 1))[0].flatten(1)
        place = prompt.get_dense_pe()[0].flatten(1)
        beta: Tensor | None = None
        levels = []
        for i, layer in enumerate(self._layers):
            read, write = self._read[i], self._write[i]
            first = i == 0
            centred = image - image.mean(0)
            levels.append(
                _Level(
                    read_image=read.image_weight @ (image + place if first else image),
                    read_place=None if first else read.image_weight @ place,
                    values=(read.other @ image).transpose(1, 2).contiguous(),
                    write_image=_project(write, image + place if first else image, first),
                    write_place=None if first else _project(write, place + _column(beta), True),
                    square=(centred * centred).sum(0),
                    dots=tuple(chain @ centred for chain in self._chains[i]),
                    consts=self._rows[i] @ centred,
                )
            )
            image = centred * layer.norm4.weight[:, None]
            beta = layer.norm4.bias
        final = self._final
        return ImageSide(
            levels=tuple(levels),
            final_image=final.image_weight @ image,
            final_place=final.image_weight @ place,
            final_values=(final.other @ image).transpose(1, 2).contiguous(),
            upscaled=self._up.first @ image,
            grid=grid,
        )

    @torch.inference_mode()
    def decode(self, image: ImageSide, points: Tensor) -> Decoded:
        """One foreground point a prompt: (B, 2) xy in pixels of SAM's input frame."""
        tokens = self._tokens(points)
        keys = Keys(None, None, None, tokens.new_zeros(tokens.shape[2]), [])
        queries = tokens
        for i, layer in enumerate(self._layers):
            if layer.skip_first_layer_pe:
                queries = layer.self_attn(q=queries, k=queries, v=queries)
            else:
                placed = queries + tokens
                queries = queries + layer.self_attn(q=placed, k=placed, v=queries)
            queries = layer.norm1(queries)
            level = image.levels[i]
            shared = (level.read_image, level.read_place, level.values)
            queries = layer.norm2(queries + read_image(self._read[i], queries + tokens, shared, keys))
            queries = layer.norm3(queries + layer.mlp(queries))
            self._write_image(i, level, queries + tokens, queries, keys)
        shared = (image.final_image, image.final_place, image.final_values)
        queries = queries + read_image(self._final, queries + tokens, shared, keys)
        queries = self._decoder.transformer.norm_final_attn(queries)
        quality = self._decoder.iou_prediction_head(queries[:, 0])[:, 1:]
        return Decoded(quality, queries, keys)

    def _tokens(self, points: Tensor) -> Tensor:
        decoder = self._decoder
        labels = torch.ones(len(points), 1, dtype=torch.int, device=points.device)
        sparse, _ = self._sam.prompt_encoder((points[:, None], labels), None, None)
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        return torch.cat([own.expand(len(points), -1, -1), sparse], 1)

    def _write_image(self, i: int, level: _Level, at: Tensor, what: Tensor, keys: Keys) -> None:
        """Image tokens read the prompt tokens, and the norm after it; changes ``keys``."""
        write = self._write[i]
        k = heads_of(write.module.k_proj(at), write) * write.scale
        values = heads_of(write.module.v_proj(what), write)
        scores = by_shared(k, level.write_image)
        add_factors(scores, k, level.write_place, write, keys)
        chance = scores.softmax(2).flatten(1, 2)
        keys.written.append(values)
        told = torch.einsum("bhtd,hdc->bhtc", values, write.other).flatten(1, 2)
        count, _, cells = chance.shape
        constant = (keys.beta + write.module.out_proj.bias).expand(count, 1, -1)
        ones = chance.new_ones(count, 1, cells)
        if keys.weights is None or keys.rows is None:
            weights, rows = torch.cat([chance, ones], 1), torch.cat([told, constant], 1)
        else:
            weights = torch.cat([keys.weights, chance, ones], 1)
            rows = torch.cat([keys.rows, told, constant], 1)
        self._normalise(i, level, weights, rows, keys)

    def _normalise(self, i: int, level: _Level, weights: Tensor, rows: Tensor, keys: Keys) -> None:
        """LayerNorm over channels of rho * S + rows^T weights, in factors."""
        norm = self._layers[i].norm4
        rows = rows - rows.mean(2, keepdim=True)
        dots = self._dots(level, keys, weights.shape)
        square = level.square
        if keys.rho is not None:
            dots *= keys.rho[:, None]
            square = square * keys.rho**2
        dots *= 2
        dots = torch.baddbmm(dots, rows @ rows.transpose(1, 2), weights)
        dots *= weights
        variance = (square + dots.sum(1)) / rows.shape[2]
        inverse = (variance.clamp(min=0) + norm.eps).rsqrt()
        weights *= inverse[:, None]
        keys.rho = inverse if keys.rho is None else keys.rho * inverse
        keys.weights, keys.rows, keys.beta = weights, rows * norm.weight, norm.bias

    def _dots(self, level: _Level, keys: Keys, shape: torch.Size) -> Tensor:
        """rows . S_l for every row of the factors, (B, R, N), from the small factors of the rows.

        Rows come in the order written: after each attention's rows its constant row.
        """
        parts = []
        for j, values in enumerate(keys.written):
            parts.append(by_shared(values, level.dots[j]).flatten(1, 2))
            parts.append(level.consts[j].expand(shape[0], 1, -1))
        return torch.cat(parts, 1)

    @torch.inference_mode()
    def logits(self, image: ImageSide, decoded: Decoded, prompt: int, masks: list[int]) -> Tensor:
        """Mask logits (len(masks), 4h, 4w) of one prompt; ``masks`` index the multi-mask outputs."""
        keys = decoded.keys
        if keys.rho is None or keys.weights is None or keys.rows is None:
            raise ValueError("a decoder without layers has no masks")
        factors = (keys.rho[prompt], keys.weights[prompt], keys.rows[prompt])
        outputs = [1 + m for m in masks]
        tokens = decoded.tokens[prompt, 1:]
        mlps = self._decoder.output_hypernetworks_mlps
        hyper = torch.stack([mlps[m](tokens[m]) for m in outputs])
        return self._up.logits(image.upscaled, image.grid, factors, hyper)


def _column(vector: Tensor | None) -> Tensor | float:
    return 0.0 if vector is None else vector[:, None]


def _project(write: Cross, image: Tensor, with_bias: bool) -> Tensor:
    projected = write.image_weight @ image
    return projected + write.image_bias[:, :, None] if with_bias else projected
