"""SAM's mask decoder for many point prompts of one image, never building image tokens per prompt.

Same weights and same results as segment-anything's ``MaskDecoder``. Every prompt sees the same image
tokens S (C, N), and each layer changes them only by what a few prompt tokens write into them, so the
image tokens of a prompt are kept in factors,

    keys = rho * S_l + W^T Z + beta        S_l (C, N) shared by all prompts, rho (N),
                                           W (R, C), Z (R, N) with R about 50 to 100, beta (C)

where Z holds the softmax weights with which image cells read prompt tokens and W what they read. The
weights of a head sum to one, so its last token needs no row of its own: what it says is constant, and
the others say how they differ from it. A LayerNorm keeps this form: centring acts on S_l and W, the
variance is a quadratic form in Z, and the scale goes into rho and Z. All projections of S_l are made
once per image; per prompt nothing of size N x C is ever made, and the C x C projections of image tokens
become projections of the few prompt tokens (q . (W_k x) = (W_k^T q) . x). Masks are upscaled for
prompts that pass the IoU threshold only.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """quality (B, M): predicted IoU of the outputs. The rest is for ``logits``; tokens
    (B, 1 + M + E, C): of the predicted IoU, of the outputs, and the decoder's own further ones; first:
    the number of the first output, 0 for the single mask of a box, 1 for the three of a point."""

    quality: Tensor
    tokens: Tensor
    keys: Keys
    first: int = 1


class PointDecoder:
    """Decoder of one SAM, in float32: bf16 upscaling takes a quarter less and costs 0.02 of mAP.

    further: (E, C), tokens beside SAM's own that take part in all attention; an answer holds what
    became of them.
    """

    def __init__(self, sam: Sam, further: Tensor | None = None) -> None:
        decoder = sam.mask_decoder
        self._sam = sam
        self._decoder = decoder
        self._layers = tuple(decoder.transformer.layers)
        self._read = [reading(layer.cross_attn_token_to_image) for layer in self._layers]
        self._write = [writing(layer.cross_attn_image_to_token) for layer in self._layers]
        self._final = reading(decoder.transformer.final_attn_token_to_image)
        self._chains, self._rows = written_rows(self._layers, self._write)
        parts = (decoder.iou_token.weight, decoder.mask_tokens.weight, further)
        self._own = torch.cat([part.detach() for part in parts if part is not None])
        # what is used at the end: not the token of the single mask, nor those of the point
        self._used = [0, *range(2, len(self._own))]
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
        return self._decode(image, self._tokens(self._sparse(points)), 1)

    @torch.inference_mode()
    def decode_boxes(self, image: ImageSide, boxes: Tensor) -> Decoded:
        """One box a prompt: (B, 4) xyxy in pixels of SAM's input frame. A box says which object is
        meant, so of each there is the single mask alone, as segment-anything advises."""
        sparse, _ = self._sam.prompt_encoder(None, boxes, None)
        return self._decode(image, self._tokens(sparse), 0)

    def _decode(self, image: ImageSide, tokens: Tensor, first: int) -> Decoded:
        keys = self._no_keys(image, tokens)
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
        used = self._used if first else [0, 1]
        queries, tokens = queries[:, used], tokens[:, used]
        queries = queries + read_image(self._final, queries + tokens, shared, keys)
        queries = self._decoder.transformer.norm_final_attn(queries)
        quality = self._decoder.iou_prediction_head(queries[:, 0])
        return Decoded(quality[:, first : first + len(used) - 1], queries, keys, first)

    def _sparse(self, points: Tensor) -> Tensor:
        """The prompt tokens of points (B, 2)."""
        labels = torch.ones(len(points), 1, dtype=torch.int, device=points.device)
        sparse: Tensor = self._sam.prompt_encoder((points[:, None], labels), None, None)[0]
        return sparse

    def _tokens(self, sparse: Tensor) -> Tensor:
        """The decoder's own tokens before those of the prompts."""
        return torch.cat([self._own.expand(len(sparse), -1, -1), sparse], 1)

    def _no_keys(self, image: ImageSide, tokens: Tensor) -> Keys:
        count, length, channels = tokens.shape
        rank = sum(write.image_weight.shape[0] * (length - 1) + 1 for write in self._write)
        room = tokens.new_empty(count, rank, image.grid[0] * image.grid[1])
        return Keys(room, 0, None, None, tokens.new_zeros(channels), [])

    def _write_image(self, i: int, level: _Level, at: Tensor, what: Tensor, keys: Keys) -> None:
        """Image tokens read the prompt tokens, and the norm after it; changes ``keys``."""
        write = self._write[i]
        k = heads_of(write.module.k_proj(at), write) * write.scale
        values = heads_of(write.module.v_proj(what), write)
        scores = by_shared(k, level.write_image)
        add_factors(scores, k, level.write_place, write, keys)
        chance = scores.softmax(2)[:, :, :-1]
        last = values[:, :, -1:].flatten(1)
        values = values[:, :, :-1] - values[:, :, -1:]
        keys.written.append((values, last))
        told = torch.einsum("bhtd,hdc->bhtc", values, write.other).flatten(1, 2)
        constant = (keys.beta + write.module.out_proj.bias + last @ write.other.flatten(0, 1))[:, None]
        weights = keys.room[:, keys.rank : keys.rank + told.shape[1]]
        weights.view(chance.shape).copy_(chance)
        keys.rank += told.shape[1] + 1
        keys.room[:, keys.rank - 1] = 1
        rows = torch.cat([told, constant] if keys.rows is None else [keys.rows, told, constant], 1)
        self._normalise(i, level, rows, keys)

    def _normalise(self, i: int, level: _Level, rows: Tensor, keys: Keys) -> None:
        """LayerNorm over channels of rho * S + rows^T weights, in factors."""
        norm = self._layers[i].norm4
        weights, rows = keys.weights, rows - rows.mean(2, keepdim=True)
        products = self._products(level, keys)
        square = level.square
        if keys.rho is not None:
            products *= keys.rho[:, None]
            square = square * keys.rho**2
        _add_quadratic(products, rows @ rows.transpose(1, 2), weights)
        products *= weights
        variance = (square + products.sum(1)) / rows.shape[2]
        inverse = (variance.clamp(min=0) + norm.eps).rsqrt()
        weights *= inverse[:, None]
        keys.rho = inverse if keys.rho is None else keys.rho * inverse
        keys.rows, keys.beta = rows * norm.weight, norm.bias

    def _products(self, level: _Level, keys: Keys) -> Tensor:
        """Twice rows . S_l for every row of the factors, (B, R, N), from the small factors of the rows.

        Rows come in the order written: after each attention's rows its constant row.
        """
        out = torch.empty_like(keys.weights, memory_format=torch.contiguous_format)
        end = 0
        for j, (values, last) in enumerate(keys.written):
            start, end = end, end + values.shape[1] * values.shape[2] + 1
            shape = (*values.shape[:3], out.shape[2])
            by_shared(2 * values, level.dots[j], out[:, start : end - 1].view(shape))
            out[:, end - 1] = 2 * (last @ level.dots[j].flatten(0, 1) + level.consts[j])
        return out

    @torch.inference_mode()
    def logits(self, image: ImageSide, decoded: Decoded, prompt: int, masks: list[int]) -> Tensor:
        """Mask logits (len(masks), 4h, 4w) of one prompt; ``masks`` index the outputs."""
        factors = factors_of(decoded.keys, prompt)
        return self._up.logits(image.upscaled, image.grid, factors, self.hyper(decoded, prompt, masks))

    @torch.inference_mode()
    def several(self, image: ImageSide, decoded: Decoded, prompts: Tensor) -> Tensor:
        """All mask logits (P, M, 4h, 4w) of several prompts (P,), at once: for a card."""
        factors = factors_of(decoded.keys, prompts)
        hyper = self.hyper(decoded, prompts, range(decoded.quality.shape[1]))
        return self._up.several(image.upscaled, image.grid, factors, hyper)

    @torch.inference_mode()
    def upscaled(self, image: ImageSide, decoded: Decoded, prompt: int) -> Tensor:
        """(c, 4h, 4w): the upscaled image of one prompt; its products with ``hyper`` are the logits."""
        return self._up.fine(image.upscaled, image.grid, factors_of(decoded.keys, prompt))

    @torch.inference_mode()
    def upscaled_several(self, image: ImageSide, decoded: Decoded, prompts: Tensor) -> Tensor:
        """(P, c, 4h, 4w): ``upscaled`` of several prompts (P,)."""
        factors = factors_of(decoded.keys, prompts)
        return self._up.fine_of_several(image.upscaled, image.grid, factors)

    @torch.inference_mode()
    def hyper(self, decoded: Decoded, prompt: int | Tensor, masks: Sequence[int]) -> Tensor:
        """(len(masks), c): what the tokens of the outputs look for in the upscaled image; of several
        prompts (P,) with their dimension first."""
        mlps = self._decoder.output_hypernetworks_mlps
        found = [mlps[decoded.first + m](decoded.tokens[prompt, 1 + m]) for m in masks]
        return torch.stack(found, -2)


def factors_of(keys: Keys, prompt: int | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """rho, weights and rows of one prompt, or of several with their dimension first. Raises ValueError
    of a decoder without layers."""
    if keys.rho is None or keys.rows is None:
        raise ValueError("a decoder without layers has no masks")
    return keys.rho[prompt], keys.weights[prompt], keys.rows[prompt]


def _add_quadratic(out: Tensor, gram: Tensor, weights: Tensor) -> None:
    """Add to ``out`` (B, R, N) what, multiplied with the weights and summed over R, is the quadratic
    form of the symmetric ``gram`` (B, R, R) in them: a quarter of it is never computed."""
    half = gram.shape[1] // 2
    upper = gram[:, :half].clone()
    upper[:, :, half:] *= 2
    out[:, :half].baddbmm_(upper, weights)
    out[:, half:].baddbmm_(gram[:, half:, half:], weights[:, half:])


def _column(vector: Tensor | None) -> Tensor | float:
    return 0.0 if vector is None else vector[:, None]


def _project(write: Cross, image: Tensor, with_bias: bool) -> Tensor:
    projected = write.image_weight @ image
    return projected + write.image_bias[:, :, None] if with_bias else projected
