"""What differs between SAM 2, EdgeTAM and SAM 3: names, sizes, pixels, and how each is put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...config.pixels import HALF, IMAGENET, Stats
from ...errors import CheckpointError
from ...weights import Published, StateDict
from . import configs, layouts, published
from .configs import Told
from .layouts import FileLayout
from .package import classes


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of network. words: a file of it, in words. types: its ``model_type``s in a config.json;
    settings: what of one is taken, of the encoder and of what follows it. build(state, told): the
    network, without weights; raises CheckpointError, ValueError or TypeError."""

    name: str
    words: str
    pixels: Stats
    layouts: tuple[FileLayout, ...]
    types: tuple[str, ...]
    settings: tuple[tuple[str, ...], tuple[str, ...]]
    build: Callable[[StateDict, Told], Any]
    published: tuple[Published, ...]


@dataclass(frozen=True, slots=True)
class _Trunk:
    """What the shapes of a Hiera do not show: heads of the first stage, windows, global blocks."""

    heads: int
    windows: tuple[int, int, int, int]
    everywhere: tuple[int, int, int]


_TRUNKS: dict[tuple[int, tuple[int, ...]], _Trunk] = {
    (96, (1, 2, 7, 2)): _Trunk(1, (8, 4, 14, 7), (5, 7, 9)),
    (96, (1, 2, 11, 2)): _Trunk(1, (8, 4, 14, 7), (7, 10, 13)),
    (112, (2, 3, 16, 3)): _Trunk(2, (8, 4, 14, 7), (12, 16, 20)),
    (144, (2, 6, 36, 4)): _Trunk(2, (8, 4, 16, 8), (23, 33, 43)),
}
"""SAM 2 and 2.1 tiny, small, base plus and large, by channels and blocks of each stage."""
_BLOCK = "vision_encoder.backbone.blocks.{}.attn.proj.weight"


def trunk_of(state: StateDict) -> dict[str, Any]:
    """Settings of the Hiera of a SAM 2 by its shapes. Raises CheckpointError for another size."""
    widths: list[int] = []
    while (name := _BLOCK.format(len(widths))) in state:
        widths.append(int(state[name].shape[0]))
    stages = tuple(dict.fromkeys(widths))
    blocks = tuple(widths.count(width) for width in stages)
    found = _TRUNKS.get((stages[0], blocks)) if stages else None
    if found is None:
        raise CheckpointError(
            f"an encoder of {len(widths)} blocks of {', '.join(map(str, stages)) or 'no'} channels is "
            "of no SAM 2 as published (tiny, small, base plus or large).",
            f"Put the network's {configs.NAME} in the Hugging Face layout beside it.",
        )
    return {
        "hidden_size": stages[0],
        "num_attention_heads": found.heads,
        "blocks_per_stage": list(blocks),
        "embed_dim_per_stage": list(stages),
        "num_attention_heads_per_stage": [found.heads * 2**i for i in range(4)],
        "window_size_per_stage": list(found.windows),
        "global_attention_blocks": list(found.everywhere),
        "window_positional_embedding_background_size": _background(state),
    }


def _background(state: StateDict) -> list[int]:
    position = state.get("vision_encoder.backbone.pos_embed")
    if position is None or position.ndim != 4:
        raise CheckpointError("of a SAM 2's tensors vision_encoder.backbone.pos_embed is missing.")
    return [int(side) for side in position.shape[2:]]


def _sam2(state: StateDict, told: Told) -> Any:
    model, config, vision, trunk, prompt, decoder = classes(
        "sam2",
        *("Sam2Model", "Sam2Config", "Sam2VisionConfig", "Sam2HieraDetConfig"),
        *("Sam2PromptEncoderConfig", "Sam2MaskDecoderConfig"),
    )
    encoder: dict[str, Any] = dict(told.backbone) or trunk_of(state)
    stages = encoder.get("embed_dim_per_stage")
    usual = {"backbone_channel_list": list(stages)[::-1]} if stages else {}
    made = config(
        vision_config=vision(backbone_config=trunk(**encoder), **configs.merged(usual, told.vision)),
        prompt_encoder_config=prompt(**told.prompt),
        mask_decoder_config=decoder(**told.decoder),
    )
    configs.require_square(made)
    return model(made)


def _edgetam(state: StateDict, told: Told) -> Any:
    model, config, vision, trunk, prompt, decoder = classes(
        "edgetam",
        *("EdgeTamModel", "EdgeTamConfig", "EdgeTamVisionConfig", "TimmWrapperConfig"),
        *("EdgeTamPromptEncoderConfig", "EdgeTamMaskDecoderConfig"),
    )
    stages = {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]}
    encoder = trunk(architecture=configs.architecture(told.backbone, "repvit_m1"), model_args=stages)
    made = config(
        vision_config=vision(backbone_config=encoder, **told.vision),
        prompt_encoder_config=prompt(**told.prompt),
        mask_decoder_config=decoder(**told.decoder),
    )
    configs.require_square(made)
    return model(made)


def _sam3(state: StateDict, told: Told) -> Any:
    model, config, vision, trunk, prompt, decoder = classes(
        "sam3",
        *("Sam3TrackerModel", "Sam3TrackerConfig", "Sam3VisionConfig", "Sam3ViTConfig"),
        *("Sam3TrackerPromptEncoderConfig", "Sam3TrackerMaskDecoderConfig"),
    )
    made = config(
        vision_config=vision(backbone_config=trunk(**told.backbone), **told.vision),
        prompt_encoder_config=prompt(**told.prompt),
        mask_decoder_config=decoder(**told.decoder),
    )
    configs.require_square(made)
    return model(made)


SAM2 = Kind(
    name="sam2",
    words="a SAM 2",
    pixels=IMAGENET,
    layouts=layouts.SAM2,
    types=("sam2", "sam2_video"),
    settings=(configs.HIERA, configs.PYRAMID),
    build=_sam2,
    published=published.SAM2,
)
EDGETAM = Kind(
    name="edgetam",
    words="an EdgeTAM",
    pixels=IMAGENET,
    layouts=layouts.EDGETAM,
    types=("edgetam", "edgetam_video"),
    settings=(("architecture",), configs.PYRAMID),
    build=_edgetam,
    published=published.EDGETAM,
)
SAM3 = Kind(
    name="sam3",
    words="a SAM 3",
    pixels=HALF,
    layouts=layouts.SAM3,
    types=("sam3_tracker", "sam3_video", "sam3_tracker_video"),
    settings=(configs.VIT, configs.SCALED),
    build=_sam3,
    published=published.SAM3,
)
