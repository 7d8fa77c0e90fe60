"""DINOv2 in transformers' layout, DINOv2 with registers and DINOv3-7B against other implementations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import references as ref
import torch
from places import Figure
from torch import Tensor, nn

from searchdet.backbones import SPECS
from searchdet.backbones.network import NetworkBackbone, load_network
from searchdet.errors import CheckpointError
from searchdet.weights import Compute
from searchdet.weights.identify import identify

pytestmark = pytest.mark.model

FP32 = Compute("cpu", "fp32")
State = dict[str, Tensor]
IMAGE = np.random.default_rng(0).integers(0, 255, (70, 98, 3), np.uint8)


def load(path: Path, name: str, state: State, side: int = 70) -> NetworkBackbone:
    torch.save({k: v.clone() for k, v in state.items()}, path)
    return load_network(ref.small_spec(name), path, FP32, side)


def cosines(backbone: NetworkBackbone, network: nn.Module, skip: int, image: np.ndarray) -> float:
    """The least over all patch tokens."""
    with torch.inference_mode():
        wanted = network(backbone.prepare(image)).last_hidden_state[0, skip:]
    got = backbone.feature_map(image).features.flatten(1).T
    return float(torch.cosine_similarity(got, wanted).min())


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("naming", ["hub", "newest"])
@pytest.mark.parametrize("prefix", ["", "dinov2."])
def test_dinov2_in_transformers_names(
    tmp_path: Path, gated: bool, naming: str, prefix: str, figure: Figure
) -> None:
    network = ref.dinov2_reference(gated)
    state = ref.dinov2_hub(network) if naming == "hub" else dict(network.state_dict())
    state = {prefix + name: tensor for name, tensor in state.items()}
    backbone = load(tmp_path / "w.pth", "dinov2_g" if gated else "dinov2_s", state)
    assert backbone.weights is not None
    assert (backbone.weights.layout, backbone.weights.prefix) == ("transformers", prefix)
    least = cosines(backbone, network, 1, IMAGE[:, :70])
    figure("DINOv2 in transformers' names, 1 - cosine", 1 - least)
    assert least >= 0.9999


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("layout", ["Meta", "timm", "transformers", "newest"])
@pytest.mark.parametrize("wide", [False, True])
def test_dinov2_with_registers_in_every_layout(
    tmp_path: Path, gated: bool, layout: str, wide: bool, figure: Figure
) -> None:
    network = ref.dinov2_registers_reference(gated)
    meta = ref.dinov2_meta(network.state_dict())
    state = {
        "Meta": meta,
        "timm": ref.dinov2_registers_timm(meta),
        "transformers": ref.dinov2_hub(network),
        "newest": dict(network.state_dict()),
    }[layout]
    backbone = load(tmp_path / "w.pth", "dinov2_g_reg" if gated else "dinov2_s_reg", state)
    assert backbone.weights is not None
    assert backbone.weights.layout == ("transformers" if layout == "newest" else layout)
    least = cosines(backbone, network, 5, IMAGE if wide else IMAGE[:, :70])
    figure("DINOv2 with registers, 1 - cosine to transformers", 1 - least)
    assert least >= 0.9999


def test_dinov3_7b_in_metas_layout(tmp_path: Path, photo: np.ndarray, figure: Figure) -> None:
    network = ref.vit_reference(True)
    for layer in network.model.layer:
        for part in (layer.attention.q_proj, layer.attention.v_proj):
            part.bias.data.zero_()
    state = ref.vit_meta(ref.saved(network))
    state = {k: v for k, v in state.items() if not k.endswith(("qkv.bias", "qkv.bias_mask"))}
    state |= {f"local_cls_norm.{part}": torch.ones(64) for part in ("weight", "bias")}
    name = "dinov3_vit7b16_pretrain_sat493m-a6675841.pth"
    backbone = load(tmp_path / name, "dinov3_vit7b16", state, 96)
    least = cosines(backbone, network, 5, photo)
    figure("DINOv3 7B, 1 - cosine to transformers", 1 - least)
    assert least >= 0.9999


def test_the_extra_norm_is_all_that_may_be_left_out(tmp_path: Path) -> None:
    state = ref.vit_meta(ref.saved(ref.vit_reference()))
    load(tmp_path / "w.pth", "dinov3_vitb16", state | {"local_cls_norm.bias": torch.ones(64)})
    for name in ("cls_norm.weight", "local_cls_norm.extra", "local_norm.weight"):
        with pytest.raises(CheckpointError, match="1 unexpected"):
            load(tmp_path / "w.pth", "dinov3_vitb16", state | {name: torch.ones(64)})


def test_files_with_and_without_registers_are_told_apart(tmp_path: Path) -> None:
    plain = ref.dinov2_hub(ref.dinov2_reference())
    with_registers = ref.dinov2_hub(ref.dinov2_registers_reference())
    for name, state, said in (
        ("dinov2_s_reg", plain, "DINOv2 ViT-?/14."),
        ("dinov2_s", with_registers, "DINOv2 ViT-?/14 with registers"),
    ):
        with pytest.raises(CheckpointError) as caught:
            load(tmp_path / "w.pth", name, state)
        assert said in caught.value.hint


@pytest.mark.parametrize("name", ["dinov2_s_reg", "dinov2_g_reg", "dinov3_vit7b16"])
def test_each_is_recognised(name: str) -> None:
    spec = SPECS[name]
    with torch.device("meta"):
        shapes = {k: tuple(v.shape) for k, v in spec.build(spec, {}).state_dict().items()}
    for prefix in ("", "model.", "teacher.backbone."):
        found = identify({prefix + k: v for k, v in shapes.items()} | {"head.weight": (3, 9)})
        assert found is not None
        assert found[1] == name
