"""Files of other networks are called by their names wherever they are given, with the next step."""

from __future__ import annotations

from pathlib import Path

import pytest
import references as ref
import torch
from torch import Tensor

from searchdet.backbones.network import load_network
from searchdet.errors import CheckpointError
from searchdet.models import judge
from searchdet.proposals.sam.weights import load_sam
from searchdet.weights import Compute
from searchdet.weights.identify import identify

pytestmark = pytest.mark.model

FP32 = Compute("cpu", "fp32")
State = dict[str, Tensor]
VIT = (
    *("cls_token", "pos_embed", "patch_embed.proj.bias", "norm.weight", "norm.bias"),
    *("blocks.0.norm1.weight", "blocks.0.attn.qkv.weight", "blocks.0.attn.proj.weight"),
    *("blocks.0.norm2.weight", "blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc2.weight"),
)
SAM_DECODER = ("mask_decoder.iou_token.weight", "prompt_encoder.no_mask_embed.weight")
HUB_VIT = (
    *("embeddings.cls_token", "embeddings.position_embeddings", "layernorm.weight"),
    *("embeddings.patch_embeddings.projection.weight", "encoder.layer.0.layernorm_before.weight"),
    "encoder.layer.0.attention.attention.query.weight",
)


def named(*names: str, **shapes: tuple[int, ...]) -> State:
    return {name: torch.ones(2) for name in names} | {k: torch.ones(v) for k, v in shapes.items()}


def vit(patch: int, width: int = 384, *more: str) -> State:
    return named(*VIT, *more) | {"patch_embed.proj.weight": torch.ones(width, 3, patch, patch)}


CASES: dict[str, tuple[State, str]] = {
    "SAM of the hub": (
        named(
            *("vision_encoder.patch_embed.projection.weight", "vision_encoder.layers.0.attn.qkv.bias"),
            *("shared_image_embedding.positional_embedding", *SAM_DECODER),
        ),
        "SAM in the Hugging Face layout",
    ),
    "SAM-HQ of the hub": (
        named("vision_encoder.layers.0.attn.qkv.bias", "mask_decoder.hq_token.weight", *SAM_DECODER),
        "SAM-HQ in the Hugging Face layout",
    ),
    "SAM 2": (
        named(
            *("image_encoder.trunk.blocks.0.attn.qkv.weight", "memory_attention.norm.weight"),
            *("sam_mask_decoder.iou_token.weight", "no_mem_embed"),
        ),
        "SAM 2",
    ),
    "SAM 2 of the hub": (
        named("vision_encoder.backbone.blocks.0.attn.qkv.weight", "no_memory_embedding", *SAM_DECODER),
        "a network like SAM 2 in the Hugging Face layout",
    ),
    "SAM 3": (
        named(
            "detector.backbone.vision_backbone.trunk.blocks.0.attn.qkv.weight",
            "tracker.maskmem_tpos_enc",
            "detector.geometry_encoder.norm.weight",
        ),
        "SAM 3",
    ),
    "SAM 3 of the hub": (
        named(
            "vision_encoder.backbone.layers.0.attention.q_proj.weight",
            "geometry_encoder.cls_embed.weight",
            "detr_decoder.layers.0.norm.weight",
        ),
        "SAM 3",
    ),
    "SAM 3 video of the hub without its tracker": (
        named(
            "detector_model.vision_encoder.backbone.layers.0.mlp.fc1.weight",
            "detector_model.geometry_encoder.norm.weight",
        ),
        "SAM 3's detector",
    ),
    "SAM-HQ": (
        named("image_encoder.pos_embed", "mask_decoder.hf_token.weight", *SAM_DECODER)
        | {"image_encoder.patch_embed.proj.weight": torch.ones(768, 3, 16, 16)},
        "SAM-HQ",
    ),
    "MobileSAM": (
        named(
            "image_encoder.patch_embed.seq.0.c.weight",
            "image_encoder.layers.0.blocks.0.conv1.c.weight",
            *SAM_DECODER,
        ),
        "MobileSAM",
    ),
    "EfficientSAM": (
        named("image_encoder.pos_embed", "image_encoder.blocks.0.attn.qkv.weight", *SAM_DECODER)
        | {"image_encoder.patch_embed.proj.weight": torch.ones(192, 3, 16, 16)},
        "a SAM without relative positions (EfficientSAM",
    ),
    "DINO": (vit(16), "a plain ViT-S/16 without layer scale (DINOv1"),
    "DINO, 8": (vit(8, 768), "a plain ViT-B/8"),
    "DINO with its head": (
        vit(16, 384, "head.mlp.0.weight", "head.last_layer.weight_v"),
        "a plain ViT-S/16",
    ),
    "MAE": (vit(16, 768, "mask_token", "decoder_embed.weight", "decoder_blocks.0.norm1.weight"), "MAE"),
    "MAE of the hub": (
        named(
            *(f"vit.{name}" for name in HUB_VIT), "decoder.decoder_embed.weight", "decoder.mask_token"
        ),
        "MAE",
    ),
    "DINO of the hub": (named(*HUB_VIT), "a vision transformer (ViT, DeiT, DINO or BEiT)"),
    "CLIP": (
        named("visual.conv1.weight", "visual.transformer.resblocks.0.ln_1.weight", "text_projection"),
        "CLIP (OpenAI's",
    ),
    "CLIP of the hub": (
        named(
            "vision_model.embeddings.class_embedding",
            "vision_model.pre_layrnorm.weight",
            "text_model.final_layer_norm.weight",
            "visual_projection.weight",
        ),
        "CLIP in the Hugging Face layout",
    ),
    "SigLIP of the hub": (
        named(
            "vision_model.embeddings.patch_embedding.weight",
            "text_model.head.weight",
            "logit_scale",
            "logit_bias",
        ),
        "SigLIP",
    ),
    "BEiT": (vit(16, 768, "blocks.0.gamma_1", "blocks.0.attn.relative_position_bias_table"), "BEiT"),
    "Swin": (named("layers.0.blocks.0.attn.relative_position_index", "norm.weight"), "Swin"),
    "torchvision's ViT": (
        named("conv_proj.weight", "encoder.layers.encoder_layer_0.ln_1.weight", "heads.head.weight"),
        "a torchvision vision transformer",
    ),
    "MobileNet": (named("features.0.0.weight", "classifier.1.weight"), "a torchvision network"),
    "Mask R-CNN": (named("backbone.body.conv1.weight", "rpn.head.conv.weight"), "a detector"),
    "YOLO": (named("model.0.conv.weight", "model.2.cv1.conv.weight"), "FastSAM or another YOLO"),
    "language model": (named("model.embed_tokens.weight", "lm_head.weight"), "a language model"),
    "a linear head": (named("weight", "bias"), "a head or a layer alone"),
    "LoRA": (named("base_model.model.layer.0.attention.q_proj.lora_A.weight"), "LoRA"),
    "DINOv2": (
        ref.dinov2_meta(ref.dinov2_reference().state_dict())
        | {"patch_embed.proj.weight": torch.ones(384, 3, 14, 14)},
        "a DINOv2 ViT-S/14",
    ),
}


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
@pytest.mark.parametrize("kind", CASES)
def test_each_is_named_for_either_option(tmp_path: Path, kind: str, prefix: str) -> None:
    state, what = CASES[kind]
    path = tmp_path / "w.pth"
    torch.save({"model": {prefix + name: tensor for name, tensor in state.items()}}, path)
    with pytest.raises(CheckpointError) as caught:
        load_network(ref.small_spec("dinov3_convnext_tiny"), path, FP32, 64)
    assert f"The file is {what}" in caught.value.hint
    own = "dinov3_convnext_tiny_pretrain_lvd1689m-21b726bb.pth", "use --backbone dinov2_s"
    assert any(step in caught.value.hint for step in own)
    with pytest.raises(CheckpointError) as caught:
        load_sam(path, FP32)
    assert f"The file is {what}" in caught.value.hint
    assert "Use sam_vit_b, sam_vit_l or sam_vit_h" in caught.value.hint
    assert "ownload" not in caught.value.one_line()
    verdict = judge(path, FP32)
    assert verdict.loads is False
    assert verdict.what.startswith(what)


POINTED: dict[str, tuple[tuple[str, ...], str]] = {
    "SAM-HQ with a TinyViT encoder (Light HQ-SAM, vit_tiny)": (
        (
            *("image_encoder.patch_embed.seq.0.c.weight", "image_encoder.layers.0.blocks.0.bn.weight"),
            *("mask_decoder.hf_token.weight", *SAM_DECODER),
        ),
        "sam_hq",
    ),
    "SAM 2": (("image_encoder.trunk.pos_embed_window", "sam_mask_decoder.iou_token.weight"), "sam2"),
    "SAM 2 in the Hugging Face layout": (
        ("vision_encoder.backbone.pos_embed_window", "mask_decoder.iou_token.weight"),
        "sam2",
    ),
    "EdgeTAM": (
        ("image_encoder.trunk.body.stem.conv1.c.weight", "sam_mask_decoder.iou_token.weight"),
        "edgetam",
    ),
    "EdgeTAM in the Hugging Face layout": (
        ("vision_encoder.backbone.timm_model.stem.conv1.c.weight", "mask_decoder.iou_token.weight"),
        "edgetam",
    ),
    "SAM 3 in the Hugging Face layout": (
        (
            "detector_model.vision_encoder.backbone.layers.0.mlp.fc1.weight",
            "tracker_model.mask_decoder.iou_token.weight",
            "detector_model.geometry_encoder.norm.weight",
        ),
        "sam3",
    ),
}
"""Networks that points ask, which load by another option."""


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("what", POINTED)
def test_a_network_that_another_proposer_loads_is_told_with_its_option(
    tmp_path: Path, what: str, prefix: str
) -> None:
    names, proposer = POINTED[what]
    path = tmp_path / "w.pth"
    torch.save(named(*(prefix + name for name in names)), path)
    with pytest.raises(CheckpointError) as caught:
        load_network(ref.small_spec("dinov3_convnext_tiny"), path, FP32, 64)
    step = f"pass it as --sam-checkpoint (--proposals {proposer})"
    assert f"The file is {what}, not a backbone; {step}" in caught.value.hint
    with pytest.raises(CheckpointError) as caught:
        load_sam(path, FP32)
    assert f"The file is {what}; pass --proposals {proposer} with it." in caught.value.hint


@pytest.mark.parametrize(("depth", "backbone"), [(18, ""), (50, ""), (101, "resnet101"), (152, "")])
def test_resnets_are_told_by_their_depth(depth: int, backbone: str) -> None:
    import torchvision

    with torch.device("meta"):
        network = getattr(torchvision.models, f"resnet{depth}")()
    found = identify({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})
    assert found is not None
    assert f"ResNet-{depth}" in found[0]
    assert found[1] == backbone


def test_a_sam_as_a_backbone_and_a_backbone_as_a_sam(tiny_sam: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_network(ref.small_spec("dinov2_s"), tiny_sam, FP32, 70)
    assert "pass it as --sam-checkpoint" in caught.value.hint
    path = tmp_path / "w.pth"
    torch.save(CASES["DINOv2"][0], path)
    with pytest.raises(CheckpointError) as caught:
        load_sam(path, FP32)
    assert "pass it as --backbone-ckpt (--backbone dinov2_s)" in caught.value.hint


def test_a_sam_without_one_tensor_names_it(tiny_sam: Path, tmp_path: Path) -> None:
    state = dict(torch.load(tiny_sam, weights_only=True))
    path = tmp_path / "w.pth"
    del state["mask_decoder.mask_tokens.weight"]
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"mask_decoder\.mask_tokens\.weight is missing"):
        load_sam(path, FP32)
