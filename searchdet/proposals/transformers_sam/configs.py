"""The configuration of a network: of the ``config.json`` beside its file, else of its shapes.

Only the settings named here are taken from a file; no class is chosen by one, nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from ...storage.values import Fields, JsonObject
from ...weights.shards import INDEX, WHOLE

NAME = "config.json"
_MOST_BYTES = 1 << 22
_NORM = ("hidden_act", "layer_norm_eps")
HIERA = (
    *("hidden_size", "num_attention_heads", "num_channels", "image_size", "mlp_ratio", *_NORM),
    *("patch_kernel_size", "patch_stride", "patch_padding", "query_stride", "num_query_pool_stages"),
    *("window_positional_embedding_background_size", "blocks_per_stage", "embed_dim_per_stage"),
    *("num_attention_heads_per_stage", "window_size_per_stage", "global_attention_blocks"),
)
VIT = (
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_channels"),
    *("image_size", "patch_size", "window_size", "global_attn_indexes", "layer_scale_init_value"),
    *("pretrain_image_size", "rope_parameters", *_NORM),
)
PYRAMID = (
    *("backbone_channel_list", "backbone_feature_sizes", "fpn_hidden_size", "fpn_kernel_size"),
    *("fpn_stride", "fpn_padding", "fpn_top_down_levels", "num_feature_levels", *_NORM),
)
SCALED = ("fpn_hidden_size", "backbone_feature_sizes", "scale_factors", *_NORM)
PROMPT = (
    *("hidden_size", "image_size", "patch_size", "mask_input_channels", "num_point_embeddings"),
    *("scale", *_NORM),
)
DECODER = (
    *("hidden_size", "hidden_act", "mlp_dim", "num_hidden_layers", "num_attention_heads"),
    *("attention_downsample_rate", "num_multimask_outputs", "iou_head_depth", "iou_head_hidden_dim"),
)
_ARCHITECTURE = re.compile(r"(?:timm/)?([a-z0-9_]+)(?:\.[a-z0-9_]+)?")


@dataclass(frozen=True, slots=True)
class Told:
    """What a ``config.json`` says, by part; all empty where there is none. digest: of these."""

    backbone: JsonObject
    vision: JsonObject
    prompt: JsonObject
    decoder: JsonObject
    digest: str = ""


NOTHING = Told({}, {}, {}, {})


def of_hub(path: Path) -> bool:
    """Whether a weight file is called as in a folder of the hub: what lies beside it belongs to it."""
    return path.name.removesuffix(INDEX) in WHOLE


def beside(path: Path, types: tuple[str, ...], parts: tuple[tuple[str, ...], ...]) -> Told:
    """The settings beside a weight file, if they are of a network of these ``model_type``s.

    parts: names of settings of the encoder and of what follows it. Raises CheckpointError for settings
    that cannot be read, and, beside a file that is called as the hub calls them, for those of another
    network (without a hint: what the file is, its tensors say); beside other files these are not looked
    at.
    """
    found = path.parent / NAME
    if not found.is_file():
        return NOTHING
    try:
        if found.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too long")
        fields = Fields.of(json.loads(found.read_text(encoding="utf-8-sig")))
        kind = fields.text("model_type") if "model_type" in fields else ""
        if kind in types:
            return _told(fields, *parts)
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{found}: lies beside the weights and cannot be read ({error}).", "Download it again."
        ) from error
    if of_hub(path):
        raise CheckpointError(
            f"{found}: is of a network of the type {kind!r}, not of {' or '.join(types)}; weights "
            f"called {path.name} need their own beside them."
        )
    return NOTHING


def _told(fields: Fields, encoder: tuple[str, ...], pyramid: tuple[str, ...]) -> Told:
    """Settings of the image part; of SAM 3's whole network these are its tracker's."""
    tracker = _part(fields, "tracker_config")
    vision = _part(tracker, "vision_config")
    if not vision.values:
        vision = _part(_part(fields, "detector_config"), "vision_config")
    own = tracker if tracker.values else fields
    vision = _part(own, "vision_config") if _part(own, "vision_config").values else vision
    parts = (
        _taken(_part(vision, "backbone_config"), encoder),
        _taken(vision, pyramid),
        _taken(_part(own, "prompt_encoder_config"), PROMPT),
        _taken(_part(own, "mask_decoder_config"), DECODER),
    )
    text = json.dumps(parts, sort_keys=True)
    return Told(*parts, hashlib.sha256(text.encode()).hexdigest()[:12])


def _part(fields: Fields, name: str) -> Fields:
    """An object in another; an empty one where it is absent."""
    found = fields.optional_child(name) if name in fields else None
    return Fields({}, name) if found is None else found


def _taken(fields: Fields, names: tuple[str, ...]) -> JsonObject:
    return {name: fields.values[name] for name in names if fields.values.get(name) is not None}


def architecture(told: JsonObject, usual: str) -> str:
    """The name of a network of timm's own in settings; a place to download one from is refused with
    ValueError."""
    text = Fields(told).text("architecture") if "architecture" in told else usual
    found = _ARCHITECTURE.fullmatch(text)
    if found is None:
        raise ValueError(f"architecture is {text!r:.60}, not the name of a network of timm")
    return found[1]


def require_square(config: Any) -> None:
    """Raise ValueError where the sizes of a configuration do not belong together."""
    prompt = config.prompt_encoder_config
    side, patch = prompt.image_size, prompt.patch_size
    if not isinstance(side, int) or not isinstance(patch, int) or patch < 1 or side % patch:
        raise ValueError(f"an image of {side} and patches of {patch} pixels")
    cells = side // patch
    sizes = [[4 * cells] * 2, [2 * cells] * 2, [cells] * 2]
    found = [list(size) for size in config.vision_config.backbone_feature_sizes]
    if found != sizes:
        raise ValueError(f"feature sizes {found} for an image of {side} and patches of {patch} pixels")


def merged(usual: Mapping[str, Any], told: JsonObject) -> dict[str, Any]:
    """What is usual, but for what is told."""
    return {**usual, **told}
