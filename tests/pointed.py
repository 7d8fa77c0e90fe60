"""Small networks of SAM 2's kind with random weights, as files in every layout."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from scenes import make_scene
from torch import Tensor

State = dict[str, Tensor]
SIDE = 128
SIDE3 = 112


def sam2_config() -> Any:
    from transformers import Sam2Config, Sam2HieraDetConfig, Sam2VisionConfig

    trunk = Sam2HieraDetConfig(
        hidden_size=16,
        num_attention_heads=1,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[16, 32, 64, 128],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[8, 4, 4, 2],
        global_attention_blocks=[3],
    )
    vision = Sam2VisionConfig(
        backbone_config=trunk,
        backbone_channel_list=[128, 64, 32, 16],
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
        fpn_hidden_size=32,
    )
    return Sam2Config(vision_config=vision, **_heads("Sam2", SIDE, 16))


def edgetam_config() -> Any:
    from transformers import EdgeTamConfig, EdgeTamVisionConfig, TimmWrapperConfig

    stages = {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]}
    vision = EdgeTamVisionConfig(
        backbone_config=TimmWrapperConfig(architecture="repvit_m0_9", model_args=stages),
        backbone_channel_list=[384, 192, 96, 48],
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
        fpn_hidden_size=32,
    )
    return EdgeTamConfig(vision_config=vision, **_heads("EdgeTam", SIDE, 16))


def sam3_config() -> Any:
    from transformers import Sam3TrackerConfig, Sam3VisionConfig, Sam3ViTConfig

    trunk = Sam3ViTConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE3,
        patch_size=14,
        window_size=4,
        global_attn_indexes=[1],
        pretrain_image_size=56,
    )
    vision = Sam3VisionConfig(
        backbone_config=trunk,
        fpn_hidden_size=32,
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
    )
    return Sam3TrackerConfig(vision_config=vision, **_heads("Sam3Tracker", SIDE3, 14))


def _heads(family: str, side: int, patch: int) -> dict[str, Any]:
    import transformers

    prompt = getattr(transformers, f"{family}PromptEncoderConfig")
    decoder = getattr(transformers, f"{family}MaskDecoderConfig")
    return {
        "prompt_encoder_config": prompt(hidden_size=32, image_size=side, patch_size=patch),
        "mask_decoder_config": decoder(
            hidden_size=32, mlp_dim=64, num_attention_heads=4, iou_head_hidden_dim=32
        ),
    }


def network(name: str, seed: int = 0) -> Any:
    """A small ``sam2``, ``edgetam`` or ``sam3`` of transformers that answers points with many masks."""
    import transformers

    made = {
        "sam2": ("Sam2Model", sam2_config),
        "edgetam": ("EdgeTamModel", edgetam_config),
        "sam3": ("Sam3TrackerModel", sam3_config),
    }
    kind, config = made[name]
    torch.manual_seed(seed)
    model = getattr(transformers, kind)(config()).eval()
    liven(model)
    return model


def liven(model: Any) -> None:
    """Random weights for which different points give different masks, some of them whole."""
    generator = torch.Generator().manual_seed(3)

    def noise(value: Tensor, scale: float) -> None:
        value.data.copy_(torch.randn(value.shape, generator=generator) * scale)

    for name, value in model.named_parameters():
        if value.ndim == 1:
            if name.endswith("bias"):
                noise(value, 0.1)
        elif ("_token" in name and "attn" not in name) or "point" in name:
            noise(value, 1.0)
        elif "upscale" in name:
            noise(value, 2.8 / len(value) ** 0.5)
        else:
            noise(value, (2.0 if "transformer" in name else 1.4) / value[0].numel() ** 0.5)
    for name, value in model.named_parameters():
        if "hypernetworks" in name and name.endswith("proj_out.weight"):
            value.data.mul_(8)
        if name == "no_memory_embedding":
            noise(value, 0.3)
    point = model.prompt_encoder.shared_embedding.positional_embedding
    model.shared_image_embedding.positional_embedding.copy_(point)
    _settle(model)


@torch.no_grad()
def _settle(model: Any) -> None:
    """Change the last layers of the encoder so that its maps vary about zero, as trained ones do."""
    side = int(model.prompt_encoder.input_image_size)
    scene = torch.from_numpy(make_scene(77).image).permute(2, 0, 1)[None].float() / 128 - 1
    pixels = torch.nn.functional.interpolate(scene, (side, side), mode="bilinear")
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    model.train()
    model.vision_encoder(pixels)
    model.eval()
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d) and part.running_var is not None:
            part.running_var.clamp_(min=float(part.running_var.median()))
    neck = model.vision_encoder.neck
    last = [neck.fpn_layers[2].proj2] if hasattr(neck, "fpn_layers") else [neck.convs[1], neck.convs[0]]
    decoder = model.mask_decoder
    maps = model.get_image_embeddings(pixels)
    maps[2] = maps[2] - model.no_memory_embedding.reshape(1, -1, 1, 1)
    for found, layers in zip(maps, ([decoder.conv_s0], [decoder.conv_s1], last), strict=True):
        flat = found[0].flatten(1)
        mean, deviation = flat.mean(1), flat.std(1)
        deviation = deviation.clamp(min=float(deviation.median()) / 4)
        layers[0].bias.sub_(mean)
        for layer in layers:
            layer.weight.div_(deviation[:, None, None, None])
            layer.bias.div_(deviation)
    _shrink(model, pixels)


def _shrink(model: Any, pixels: Tensor) -> None:
    """Make masks small, so that their boxes differ: what is upscaled is positive on the whole."""
    side = pixels.shape[-1]
    points = torch.rand(1, 12, 1, 2, generator=torch.Generator().manual_seed(5)) * side
    maps = model.get_image_embeddings(pixels)
    for _ in range(150):
        masks = model(image_embeddings=maps, input_points=points).pred_masks
        if float((masks > 0).float().mean()) < 0.35:
            return
        for part in model.mask_decoder.output_hypernetworks_mlps:
            part.proj_out.bias.sub_(0.2)


def save(model: Any, folder: Path) -> Path:
    """A folder as the hub has it; the weight file in it."""
    model.save_pretrained(folder)
    return folder / "model.safetensors"


_HEADS = re.compile(r"iou_prediction_head|pred_obj_score_head|output_hypernetworks_mlps")
_OWN = (
    (
        "prompt_encoder.shared_embedding.positional_embedding",
        "{p}pe_layer.positional_encoding_gaussian_matrix",
    ),
    ("prompt_encoder.mask_embed.conv1", "{p}mask_downscaling.0"),
    ("prompt_encoder.mask_embed.layer_norm1", "{p}mask_downscaling.1"),
    ("prompt_encoder.mask_embed.conv2", "{p}mask_downscaling.3"),
    ("prompt_encoder.mask_embed.layer_norm2", "{p}mask_downscaling.4"),
    ("prompt_encoder.mask_embed.conv3", "{p}mask_downscaling.6"),
    ("upscale_conv1", "output_upscaling.0"),
    ("upscale_layer_norm", "output_upscaling.1"),
    ("upscale_conv2", "output_upscaling.3"),
    ("no_memory_embedding", "no_mem_embed"),
    ("vision_encoder.backbone.timm_model", "image_encoder.trunk.body"),
    ("vision_encoder.backbone", "image_encoder.trunk"),
    ("vision_encoder.neck", "image_encoder.neck"),
    ("patch_embed.projection", "patch_embed.proj"),
    (".layer_norm", ".norm"),
    (".o_proj", ".out_proj"),
    (".mlp.proj_in", ".mlp.layers.0"),
    (".mlp.proj_out", ".mlp.layers.1"),
)


def own_names(state: State) -> State:
    """Tensors of transformers' names by those of the networks' authors."""
    made: State = {}
    for name, value in state.items():
        if name.startswith("shared_image_embedding"):
            continue
        if name == "prompt_encoder.point_embed.weight":
            for i, row in enumerate(value):
                made[f"sam_prompt_encoder.point_embeddings.{i}.weight"] = row[None].clone()
            continue
        made[_own(name)] = value
    return made


def _own(name: str) -> str:
    if _HEADS.search(name):
        for old, new in (
            (".layers.0.", ".layers.1."),
            (".proj_in.", ".layers.0."),
            (".proj_out.", ".layers.2."),
        ):
            name = name.replace(old, new)
    for old, new in _OWN if "timm_model" not in name else _OWN[10:11]:
        name = name.replace(old, new.format(p="sam_prompt_encoder."))
    name = re.sub(r"^(prompt_encoder|mask_decoder)", r"sam_\1", name)
    return re.sub(r"(neck\.convs\.\d+)\.", r"\1.conv.", name)
