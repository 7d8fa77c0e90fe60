"""Names of tensors in files, to those of transformers' image networks.

Files hold whole networks for videos; the parts of these that an image has no use for are named here,
and nothing else of a file may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...weights import Layout, StateDict, rename

POSITION = "positional_embedding"
_TWIN = (f"shared_image_embedding.{POSITION}", f"prompt_encoder.shared_embedding.{POSITION}")
"""One matrix under two names, of which some files have one."""
_HUB_VIDEO = (
    r"(?:memory_attention|memory_encoder|spatial_perceiver|object_pointer_proj|mask_downsample"
    r"|temporal_positional_encoding_projection_layer)\..*"
    r"|memory_temporal_positional_encoding|no_memory_positional_encoding|no_object_pointer"
    r"|occlusion_spatial_embedding_parameter"
)
_META_VIDEO = (
    r"(?:memory_attention|memory_encoder|spatial_perceiver|obj_ptr_proj|obj_ptr_tpos_proj"
    r"|mask_downsample)\..*"
    r"|maskmem_tpos_enc|no_mem_pos_enc|no_obj_ptr|no_obj_embed_spatial"
)
_TRACKER = r"(?:tracker_model\.)?"
_SAM3_VIDEO = rf"{_TRACKER}(?:{_HUB_VIDEO})|{_TRACKER}detector_model\.(?!vision_encoder\.backbone\.).*"
"""Of SAM 3 also its detector of named concepts, but for the encoder that both parts share."""
_MLP = (
    (r"\.layers\.0\.(weight|bias)$", r".proj_in.\1"),
    (r"\.layers\.2\.(weight|bias)$", r".proj_out.\1"),
    (r"\.layers\.1\.(weight|bias)$", r".layers.0.\1"),
)
_META = (
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"^image_encoder\.trunk\.body\.", "vision_encoder.backbone.timm_model."),
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"(backbone\.patch_embed)\.proj\.", r"\1.projection."),
    (r"(backbone\.blocks\.\d+)\.norm(\d)\.", r"\1.layer_norm\2."),
    (r"(backbone\.blocks\.\d+\.mlp)\.layers\.0\.", r"\1.proj_in."),
    (r"(backbone\.blocks\.\d+\.mlp)\.layers\.1\.", r"\1.proj_out."),
    (r"^sam_prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$", _TWIN[1]),
    (r"^sam_prompt_encoder\.mask_downscaling\.0\.", "prompt_encoder.mask_embed.conv1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.1\.", "prompt_encoder.mask_embed.layer_norm1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.3\.", "prompt_encoder.mask_embed.conv2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.4\.", "prompt_encoder.mask_embed.layer_norm2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.6\.", "prompt_encoder.mask_embed.conv3."),
    (r"^sam_prompt_encoder\.", "prompt_encoder."),
    (r"^sam_mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
    (r"^sam_mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
    (r"^sam_mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
    (r"^sam_mask_decoder\.", "mask_decoder."),
    (r"^(mask_decoder\.transformer\.layers\.\d+\.mlp)\.layers\.0\.", r"\1.proj_in."),
    (r"^(mask_decoder\.transformer\.layers\.\d+\.mlp)\.layers\.1\.", r"\1.proj_out."),
    (r"^(mask_decoder\.transformer\.layers\.\d+)\.norm(\d)\.", r"\1.layer_norm\2."),
    (
        r"^mask_decoder\.transformer\.norm_final_attn\.",
        "mask_decoder.transformer.layer_norm_final_attn.",
    ),
    (r"^(mask_decoder\.transformer\..*)\.out_proj\.", r"\1.o_proj."),
)
_HEADS = re.compile(
    r"mask_decoder\.(iou_prediction_head|pred_obj_score_head|output_hypernetworks_mlps\.\d+)\."
)
_POINTS = re.compile(r"sam_prompt_encoder\.point_embeddings\.(\d+)\.weight")
_SAM3 = (
    (r"^tracker_model\.", ""),
    (r"^detector_model\.vision_encoder\.backbone\.", "vision_encoder.backbone."),
    (r"^tracker_neck\.", "vision_encoder.neck."),
)


@dataclass(frozen=True, slots=True)
class FileLayout:
    """A naming scheme, and which names in it are not of the image part (one expression)."""

    layout: Layout
    unused: str

    def parts(self, names: Iterable[str]) -> tuple[str, ...]:
        """What of these names is left out: the modules at the top, in order."""
        found = (name for name in names if re.fullmatch(self.unused, name))
        return tuple(sorted({_top(name) for name in found}))


def _top(name: str) -> str:
    parts = name.split(".")
    return ".".join(parts[:2] if parts[0].endswith("_model") else parts[:1])


def _twins(state: StateDict) -> StateDict:
    one, two = _TWIN
    if one in state and two not in state:
        state[two] = state[one].clone()
    elif two in state and one not in state:
        state[one] = state[two].clone()
    return state


def _from_hub(state: StateDict) -> StateDict:
    return _twins(rename(state, (), _HUB_VIDEO))


def _from_sam3(state: StateDict) -> StateDict:
    return _twins(rename(state, _SAM3, _SAM3_VIDEO))


def _from_meta(state: StateDict) -> StateDict:
    """SAM 2's own names; the four point embeddings become one matrix."""
    import torch

    points = {found[1]: name for name in state if (found := _POINTS.fullmatch(name))}
    rest = {name: tensor for name, tensor in state.items() if name not in points.values()}
    named = rename(rest, _META, _META_VIDEO)
    heads = {name: tensor for name, tensor in named.items() if _HEADS.match(name)}
    others = {name: tensor for name, tensor in named.items() if name not in heads}
    made = others | rename(heads, _MLP)
    if points:
        rows = [state[points[key]] for key in sorted(points, key=int)]
        made["prompt_encoder.point_embed.weight"] = torch.cat(rows)
    return _twins(made)


def _layout(
    name: str, unused: str, convert: Callable[[StateDict], StateDict], *alternatives: tuple[str, ...]
) -> FileLayout:
    """alternatives: names of which one group is in every such file."""

    def matches(found: frozenset[str]) -> bool:
        return any(found.issuperset(names) for names in alternatives)

    return FileLayout(Layout(name, matches, convert), unused)


HUB, META = "Hugging Face", "Meta"
_IOU, _META_IOU = "mask_decoder.iou_token.weight", "sam_mask_decoder.iou_token.weight"
_HIERA = "vision_encoder.backbone.patch_embed.projection.weight"
_TIMM = "vision_encoder.backbone.timm_model.stem.conv1.c.weight"
_VIT = "vision_encoder.backbone.embeddings.patch_embeddings.projection.weight"
SAM2 = (
    _layout(HUB, _HUB_VIDEO, _from_hub, (_IOU, _HIERA)),
    _layout(META, _META_VIDEO, _from_meta, (_META_IOU, "image_encoder.trunk.patch_embed.proj.weight")),
)
EDGETAM = (
    _layout(HUB, _HUB_VIDEO, _from_hub, (_IOU, _TIMM)),
    _layout(META, _META_VIDEO, _from_meta, (_META_IOU, "image_encoder.trunk.body.stem.conv1.c.weight")),
)
SAM3 = (
    _layout(
        HUB,
        _SAM3_VIDEO,
        _from_sam3,
        (_IOU, _VIT),
        (f"tracker_model.{_IOU}", f"detector_model.{_VIT}"),
        (f"tracker_model.{_IOU}", f"tracker_model.detector_model.{_VIT}"),
    ),
)
