"""SAM and SAM-HQ by the names of transformers: the same tensors, one for one, and the same results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from places import TINY_SAM, Figure
from torch import Tensor

from searchdet.errors import CheckpointError
from searchdet.proposals.prompts import grid
from searchdet.proposals.sam.layouts import hub
from searchdet.proposals.sam.network import SamNetwork
from searchdet.proposals.sam.weights import load_sam
from searchdet.proposals.sam_hq.network import HqNetwork, VitEncoder
from searchdet.proposals.sam_hq.weights import load_hq
from searchdet.weights import Compute

pytestmark = pytest.mark.model

FP32 = Compute("cpu", "fp32")
State = dict[str, Tensor]
SHARED = "shared_image_embedding.positional_embedding"
OWN = "prompt_encoder.shared_embedding.positional_embedding"
VISION = {
    **{"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "mlp_dim": 40},
    **{"image_size": 64, "patch_size": 8, "window_size": 3, "global_attn_indexes": [1, 2]},
    **{"output_channels": 64, "num_pos_feats": 32},
}
PROMPTS = {"hidden_size": 64, "image_size": 64, "patch_size": 8, "mask_input_channels": 4}
# transformers norms the decoder's tokens with another epsilon than the authors, whose weights these are
DECODER = {"hidden_size": 64, "mlp_dim": 48, "iou_head_hidden_dim": 24, "layer_norm_eps": 1e-5}
LOADERS: dict[str, Any] = {"sam": load_sam, "sam_hq": load_hq}


def transformers_model(kind: str, head_depth: int = 3) -> Any:
    """A small model of transformers with no parameter at zero or one."""
    import transformers

    config, model = {
        "sam": (transformers.SamConfig, transformers.SamModel),
        "sam_hq": (transformers.SamHQConfig, transformers.SamHQModel),
    }[kind]
    decoder = DECODER | {"iou_head_depth": head_depth} | ({"vit_dim": 24} if kind == "sam_hq" else {})
    parts = {"vision_config": VISION, "prompt_encoder_config": PROMPTS, "mask_decoder_config": decoder}
    made = model(config(**parts))
    torch.manual_seed(4)
    for name, value in made.named_parameters():
        if "positional_embedding" not in name:
            value.data.add_(torch.randn_like(value) * (0.2 if value.ndim == 1 else 0.1))
    return made.eval()


def mended(model: Any) -> None:
    """transformers' SamHQMaskDecoder drops the image tokens that its transformer returns and upscales
    those it was given, rows and columns swapped. With this the returned ones stand in their place."""

    def put(module: Any, args: Any, kwargs: Any, found: Any) -> None:
        given = kwargs["image_embeddings"]
        given.copy_(found[1].transpose(2, 3).reshape(given.shape).transpose(2, 3))

    model.mask_decoder.transformer.register_forward_hook(put, with_kwargs=True)


def ours(kind: str, path: Path) -> Any:
    network = LOADERS[kind](path, FP32).get()
    if kind == "sam":
        return SamNetwork(network, FP32)
    return HqNetwork(network, VitEncoder(network.image_encoder, FP32), FP32)


def relative(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("kind", LOADERS)
def test_masks_are_those_of_transformers(kind: str, tmp_path: Path, figure: Figure) -> None:
    model = transformers_model(kind)
    model.save_pretrained(tmp_path)
    network = ours(kind, tmp_path / "model.safetensors")
    if kind == "sam_hq":
        mended(model)
    picture = np.random.default_rng(5).integers(0, 255, (64, 64, 3), np.uint8)
    points = network.points(grid(3) * 64, (64, 64)).float()
    with torch.inference_mode():
        pixels = network.prepared(picture)
        told = model(pixels, input_points=points[None, :, None], multimask_output=True)
    state = network.encode(picture)
    answer = network.decode(state, points)
    count = answer.quality.shape[1]
    assert count == (3 if kind == "sam" else 1)
    gap = relative(answer.quality, told.iou_scores[0, :, :count])
    assert figure(f"{kind} of transformers: predicted IoU, relative difference", gap) < 1e-5
    for prompt in range(len(points)):
        logits = network.logits(state, answer, {prompt: list(range(count))})
        gap = relative(logits, told.pred_masks[0, prompt, :count])
        assert figure(f"{kind} of transformers: logits, relative difference", gap) < 1e-5


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("head_depth", [2, 3, 5])
def test_every_tensor_is_renamed_and_none_is_left(kind: str, head_depth: int, tmp_path: Path) -> None:
    state = transformers_model(kind, head_depth).state_dict()
    torch.save(state, tmp_path / "hub.pth")
    lazy = LOADERS[kind](tmp_path / "hub.pth", FP32)
    assert lazy.weights.layout == "Hugging Face"
    found = lazy.get().state_dict()
    assert len(found) == len(state) - 1, "the frequencies have two names"
    wanted = sorted((tuple(v.shape), float(v.double().sum())) for k, v in state.items() if k != OWN)
    assert sorted((tuple(v.shape), float(v.double().sum())) for v in found.values()) == wanted
    torch.save(found, tmp_path / "meta.pth")
    lazy = LOADERS[kind](tmp_path / "meta.pth", FP32)
    assert lazy.weights.layout == "Meta"
    again = lazy.get().state_dict()
    assert again.keys() == found.keys()
    assert all((again[name] == tensor).all() for name, tensor in found.items())


def test_a_sam_of_segment_anything_has_the_names_that_it_is_converted_to(tmp_path: Path) -> None:
    """The trained SAM, renamed by hand and back by the layout."""
    meta: State = torch.load(TINY_SAM, weights_only=True)
    pairs = (
        ("image_encoder.patch_embed.proj", "vision_encoder.patch_embed.projection"),
        ("image_encoder.neck.0", "vision_encoder.neck.conv1"),
        ("image_encoder.neck.1", "vision_encoder.neck.layer_norm1"),
        ("image_encoder.neck.2", "vision_encoder.neck.conv2"),
        ("image_encoder.neck.3", "vision_encoder.neck.layer_norm2"),
        ("image_encoder.blocks.", "vision_encoder.layers."),
        ("image_encoder.", "vision_encoder."),
        ("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", SHARED),
        ("prompt_encoder.mask_downscaling.0", "prompt_encoder.mask_embed.conv1"),
        ("prompt_encoder.mask_downscaling.1", "prompt_encoder.mask_embed.layer_norm1"),
        ("prompt_encoder.mask_downscaling.3", "prompt_encoder.mask_embed.conv2"),
        ("prompt_encoder.mask_downscaling.4", "prompt_encoder.mask_embed.layer_norm2"),
        ("prompt_encoder.mask_downscaling.6", "prompt_encoder.mask_embed.conv3"),
        ("prompt_encoder.point_embeddings", "prompt_encoder.point_embed"),
        ("norm_final_attn", "layer_norm_final_attn"),
        (".norm", ".layer_norm"),
        ("output_upscaling.0", "upscale_conv1"),
        ("output_upscaling.1", "upscale_layer_norm"),
        ("output_upscaling.3", "upscale_conv2"),
        *((f"{n}.layers.0", f"{n}.proj_in") for n in ("mlps.0", "mlps.1", "mlps.2", "mlps.3", "head")),
        *((f"{n}.layers.1", f"{n}.layers.0") for n in ("mlps.0", "mlps.1", "mlps.2", "mlps.3", "head")),
        *((f"{n}.layers.2", f"{n}.proj_out") for n in ("mlps.0", "mlps.1", "mlps.2", "mlps.3", "head")),
    )
    state: State = {}
    for name, tensor in meta.items():
        for old, new in pairs:
            name = name.replace(old, new)
        state[name] = tensor
    path = tmp_path / "hub.pth"
    torch.save(state, path)
    found = load_sam(path, FP32).get().state_dict()
    assert found.keys() == meta.keys()
    assert all((found[name] == tensor).all() for name, tensor in meta.items())


def test_frequencies_have_either_name_or_both_but_one_value(tmp_path: Path) -> None:
    state = transformers_model("sam").state_dict()
    either = [{k: v for k, v in state.items() if k != name} for name in (SHARED, OWN)]
    layout = hub()
    one, two, both = (layout.convert(dict(item)) for item in (*either, state))
    assert one.keys() == two.keys() == both.keys()
    path = tmp_path / "w.pth"
    torch.save(state | {OWN: state[OWN] + 1}, path)
    with pytest.raises(CheckpointError, match="differ, which are one tensor") as caught:
        load_sam(path, FP32)
    assert str(path) in caught.value.message


@pytest.mark.parametrize("kind", LOADERS)
def test_a_tensor_more_or_less_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    state = transformers_model(kind).state_dict()
    path = tmp_path / "w.pth"
    torch.save(state | {"mask_decoder.more.weight": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match=r"1 unexpected \(first: mask_decoder\.more\.weight"):
        LOADERS[kind](path, FP32)
    name = "vision_encoder.neck.conv2.weight"
    torch.save({k: v for k, v in state.items() if k != name}, path)
    with pytest.raises(CheckpointError, match=r"1 missing \(first: image_encoder\.neck\.2\.weight"):
        LOADERS[kind](path, FP32)
