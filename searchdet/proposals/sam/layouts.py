"""Names of SAM's tensors: its authors', which the network has, and transformers'.

``SamModel`` holds the same tensors with the same shapes, so every one is renamed and none is computed.
Its two matrices of random frequencies are one tensor, of which files hold either name or both.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ...errors import CheckpointError
from ...weights import Layout, StateDict, rename

META_PATCHES = "image_encoder.patch_embed.proj.weight"
HUB_PATCHES = "vision_encoder.patch_embed.projection.weight"
Rules = tuple[tuple[str, str], ...]
_FREQUENCIES = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
_SHARED = "shared_image_embedding.positional_embedding"
_OWN = "prompt_encoder.shared_embedding.positional_embedding"
_ENCODER: Rules = (
    (r"^vision_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
    (r"^vision_encoder\.pos_embed$", "image_encoder.pos_embed"),
    (r"^vision_encoder\.layers\.(\d+)\.layer_norm([12])\.", r"image_encoder.blocks.\1.norm\2."),
    (r"^vision_encoder\.layers\.(\d+)\.(attn|mlp)\.", r"image_encoder.blocks.\1.\2."),
    (r"^vision_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
    (r"^vision_encoder\.neck\.layer_norm1\.", "image_encoder.neck.1."),
    (r"^vision_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
    (r"^vision_encoder\.neck\.layer_norm2\.", "image_encoder.neck.3."),
)
_PROMPTS: Rules = (
    (rf"^{re.escape(_SHARED)}$", _FREQUENCIES),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
)
_DECODER: Rules = (
    (r"^(mask_decoder\.transformer\.layers\.\d+)\.layer_norm(\d)\.", r"\1.norm\2."),
    (r"^(mask_decoder\.transformer)\.layer_norm_final_attn\.", r"\1.norm_final_attn."),
    (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
)
_HEADS = r"(?:output_hypernetworks_mlps\.\d+|iou_prediction_head|hf_mlp)"
_HEAD = re.compile(rf"^(mask_decoder\.{_HEADS})\.(proj_in|proj_out|layers\.(\d+))\.(.+)$")


def is_meta(names: Collection[str]) -> bool:
    """Whether a file has the encoder of a SAM by its authors' names, behind any prefix."""
    return _ends(names, META_PATCHES, "image_encoder.blocks.0.attn.rel_pos_h")


def is_hub(names: Collection[str]) -> bool:
    """The same by transformers' names."""
    return _ends(names, HUB_PATCHES, "vision_encoder.layers.0.attn.rel_pos_h")


def _ends(names: Collection[str], *ends: str) -> bool:
    return all(any(name.endswith(end) for name in names) for end in ends)


def meta() -> Layout:
    """The names of segment-anything."""
    return Layout("Meta", lambda names: META_PATCHES in names, dict)


def hub(rules: Rules = ()) -> Layout:
    """The names of transformers. rules: of what a family has beside SAM's tensors."""

    def convert(state: StateDict) -> StateDict:
        return _heads(rename(_one_matrix(state), (*_ENCODER, *_PROMPTS, *_DECODER, *rules)))

    return Layout("Hugging Face", lambda names: HUB_PATCHES in names, convert)


def _one_matrix(state: StateDict) -> StateDict:
    """With the frequencies under one name. Raises CheckpointError where two differ."""
    own = state.get(_OWN)
    if own is None:
        return state
    shared = state.get(_SHARED, own)
    if shared.shape != own.shape or not bool((shared == own).all()):
        raise CheckpointError(f"{_SHARED} and {_OWN} differ, which are one tensor.")
    return {name: tensor for name, tensor in state.items() if name != _OWN} | {_SHARED: shared}


def _heads(state: StateDict) -> StateDict:
    """Layers of the small heads by number: transformers names the first and the last of them."""
    found = {name: _HEAD.match(name) for name in state}
    inner: dict[str, int] = {}
    for match in found.values():
        if match is not None and match[3]:
            inner[match[1]] = max(inner.get(match[1], 0), int(match[3]) + 1)
    renamed: StateDict = {}
    for name, tensor in state.items():
        match = found[name]
        if match is not None:
            ends = {"proj_in": 0, "proj_out": inner.get(match[1], 0) + 1}
            at = int(match[3]) + 1 if match[3] else ends[match[2]]
            name = f"{match[1]}.layers.{at}.{match[4]}"
        renamed[name] = tensor
    return renamed
