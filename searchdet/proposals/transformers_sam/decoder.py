"""The mask decoder of SAM 2's kind for many points of one image, by the factors of SAM's decoder.

SAM 2, EdgeTAM and SAM 3's tracker have SAM's two-way transformer under other names, one prompt token
more (whether there is an object) and finer maps of the image that are added while masks are upscaled.
``PointDecoder`` so computes the same numbers as the modules of transformers, without image tokens for
each prompt; here are its names for these modules, and what differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..sam.decoder import Decoded, ImageSide, PointDecoder, factors_of
from .upscaling import Finer, FineUpscaling


@dataclass(frozen=True, slots=True)
class FineSide:
    """What no prompt changes of one image: the terms of the decoder, and the finer maps."""

    image: ImageSide
    finer: Finer


class FineDecoder:
    """Decoder of one network of transformers, in float32: three masks, as of an ambiguous point."""

    def __init__(self, model: Any) -> None:
        names = _Names(model)
        self._decoder = _Decoder(names)
        self._up = FineUpscaling(names.mask_decoder, self._decoder.last_bias)

    @torch.inference_mode()
    def image_side(self, features: list[Tensor]) -> FineSide:
        """features: of ``get_image_embeddings``, the finest first: (1, C/8, 4h, 4w), (1, C/4, 2h, 2w)
        and (1, C, h, w)."""
        fine, middle, coarse = (part.float() for part in features)
        return FineSide(self._decoder.image_side(coarse), self._up.finer(fine[0], middle[0]))

    def decode(self, side: FineSide, points: Tensor) -> Decoded:
        """One foreground point a prompt: (B, 2) xy in pixels of the network's input."""
        return self._decoder.decode(side.image, points)

    @torch.inference_mode()
    def logits(self, side: FineSide, decoded: Decoded, prompt: int, masks: list[int]) -> Tensor:
        """Mask logits (len(masks), 4h, 4w) of one prompt; ``masks`` index the multi-mask outputs."""
        factors = factors_of(decoded.keys, prompt)
        hyper = self._decoder.hyper(decoded, prompt, masks)
        image = side.image
        return self._up.fine_logits(image.upscaled, image.grid, factors, hyper, side.finer)

    @torch.inference_mode()
    def several(self, side: FineSide, decoded: Decoded, prompts: Tensor) -> Tensor:
        """All mask logits (P, M, 4h, 4w) of several prompts (P,), at once: for a card."""
        factors = factors_of(decoded.keys, prompts)
        hyper = self._decoder.hyper(decoded, prompts, range(decoded.quality.shape[1]))
        image, finer = side.image, (side.finer.middle, side.finer.fine)
        return self._up.several(image.upscaled, image.grid, factors, hyper, finer)


class _Decoder(PointDecoder):
    """SAM's, with the token of object presence. The order of tokens has no meaning to the transformer,
    so those that are used at the end stay where SAM's are."""

    def __init__(self, names: _Names) -> None:
        super().__init__(names)
        self.last_bias = self._layers[-1].norm4.bias
        self._names = names

    def _sparse(self, points: Tensor) -> Tensor:
        return self._names.embed(points)

    def _tokens(self, sparse: Tensor) -> Tensor:
        names = self._names
        tokens = (names.iou_token.weight, names.mask_tokens.weight, names.presence.weight)
        return torch.cat([torch.cat(tokens).expand(len(sparse), -1, -1), sparse], 1)


class _Names:
    """segment-anything's names for the modules of transformers that decode: a Sam, its decoder, its
    prompt encoder and its transformer in one."""

    def __init__(self, model: Any) -> None:
        decoder, prompt = model.mask_decoder, model.prompt_encoder
        self.mask_decoder = self.prompt_encoder = self.transformer = self
        self.layers = [_Layer(layer) for layer in decoder.transformer.layers]
        self.final_attn_token_to_image = _Attention(decoder.transformer.final_attn_token_to_image)
        self.norm_final_attn = decoder.transformer.layer_norm_final_attn
        self.num_mask_tokens = int(decoder.num_mask_tokens)
        self.iou_token, self.mask_tokens = decoder.iou_token, decoder.mask_tokens
        self.presence = decoder.obj_score_token
        self.iou_prediction_head = decoder.iou_prediction_head
        self.output_hypernetworks_mlps = decoder.output_hypernetworks_mlps
        act = decoder.activation
        up = (decoder.upscale_conv1, decoder.upscale_layer_norm, act, decoder.upscale_conv2, act)
        self.output_upscaling = up
        self.no_mask_embed = prompt.no_mask_embed
        self._model = model

    def get_dense_pe(self) -> Tensor:
        """(1, C, h, w): where the image tokens are."""
        place: Tensor = self._model.get_image_wide_positional_embeddings()
        return place

    def embed(self, points: Tensor) -> Tensor:
        """(B, 2, C): tokens of B foreground points, each with the padding point."""
        labels = torch.ones(1, len(points), 1, dtype=torch.int, device=points.device)
        sparse, _ = self._model.prompt_encoder(points[None, :, None].float(), labels, None, None)
        tokens: Tensor = sparse[0]
        return tokens


class _Layer:
    """A block of the two-way transformer."""

    def __init__(self, layer: Any) -> None:
        self.skip_first_layer_pe = bool(layer.skip_first_layer_pe)
        self.self_attn = _Attention(layer.self_attn)
        self.cross_attn_token_to_image = _Attention(layer.cross_attn_token_to_image)
        self.cross_attn_image_to_token = _Attention(layer.cross_attn_image_to_token)
        self.norm1, self.norm2 = layer.layer_norm1, layer.layer_norm2
        self.norm3, self.norm4 = layer.layer_norm3, layer.layer_norm4
        self.mlp = layer.mlp


class _Attention:
    """An attention with its projections; called, it attends among prompt tokens (B, T, C)."""

    def __init__(self, attention: Any) -> None:
        self.num_heads = int(attention.num_attention_heads)
        self.q_proj, self.k_proj = attention.q_proj, attention.k_proj
        self.v_proj, self.out_proj = attention.v_proj, attention.o_proj
        self._attention = attention

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        told, _ = self._attention(query=q[None], key=k[None], value=v[None])
        out: Tensor = told[0]
        return out
