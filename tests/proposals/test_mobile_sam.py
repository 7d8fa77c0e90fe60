"""MobileSAM's encoder, weights and masks against the package ``mobile_sam``, with random weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mobiles
import pytest
import torch
from places import Figure
from pycocotools import mask as coco
from scenes import make_scene
from torch import Tensor

from searchdet.config import ProposalOptions
from searchdet.errors import CheckpointError
from searchdet.proposals import load_proposer
from searchdet.proposals.mobile_sam import MobileSamProposer, encoder, weights
from searchdet.proposals.mobile_sam.encoder import TinyEncoder
from searchdet.records import WeightsInfo
from searchdet.weights import Compute, Lazy, devices

pytestmark = pytest.mark.model

FP32, BF16 = Compute("cpu", "fp32"), Compute("cpu", "bf16")
State = dict[str, Tensor]
OPTIONS = ProposalOptions(
    "mobile_sam",
    points_per_side=10,
    pred_iou_thresh=0.3,
    stability_score_thresh=0.5,
    min_area=0.0,
    max_area=100.0,
    scored_masks=100_000,
)


def relative(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).abs().max() / wanted.abs().max())


def both(side: int = 128, **changes: Any) -> tuple[Any, Any, Tensor]:
    """The package's encoder, ours as modules, a picture."""
    sam = mobiles.small_mobile_sam(side, **changes)
    return sam.image_encoder, mobiles.ours(sam).image_encoder, torch.randn(1, 3, side, side)


@pytest.mark.parametrize(
    ("side", "changes"),
    [
        (128, {}),
        (96, {"window_sizes": [7, 3, 6, 14]}),  # windows that divide the grid, and that exceed it
        (128, {"window_sizes": [7, 16, 8, 8]}),  # one window is the grid
        (
            64,
            {
                "depths": [2, 1, 3, 2],
                "local_conv_size": 5,
                "mbconv_expand_ratio": 2.0,
                "mlp_ratio": 2.0,
            },
        ),
    ],
)
def test_the_encoder_is_mobile_sam_s(side: int, changes: dict[str, Any], figure: Figure) -> None:
    stock, own, image = both(side, **changes)
    with torch.inference_mode():
        wanted = stock(image)
    gap = relative(TinyEncoder(own, FP32)(image), wanted)
    assert figure("MobileSAM's encoder, relative difference to its own", gap) < 1e-5


def test_bf16_gives_nearly_the_same_features_as_float32(figure: Figure) -> None:
    _, own, image = both()
    wanted, rough = (TinyEncoder(own, compute)(image) for compute in (FP32, BF16))
    assert rough.dtype == torch.float32
    cosine = torch.nn.functional.cosine_similarity(rough, wanted).min()
    assert 0 < figure("MobileSAM's encoder, bf16, 1 - least cosine", 1 - float(cosine)) < 0.01


def test_the_encoder_needs_its_position_bias_and_its_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    stock, own, image = both()
    with torch.inference_mode():
        wanted = stock(image)
    plain, bias = encoder.windows, encoder.position_bias
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "windows", lambda p, fill, w: plain(p, torch.zeros_like(fill), w))
        assert relative(TinyEncoder(own, FP32)(image), wanted) > 1e-3
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "position_bias", lambda *given: bias(*given) * 0)
        assert relative(TinyEncoder(own, FP32)(image), wanted) > 1e-3


def test_no_whole_attention_matrix_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    _, own, image = both()
    seen: list[tuple[int, ...]] = []
    fused = torch.nn.functional.scaled_dot_product_attention

    def watch(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor) -> Tensor:
        seen.append((attn_mask.shape[0], q.shape[2]))
        return fused(q, k, v, attn_mask=attn_mask)

    monkeypatch.setattr(encoder.F, "scaled_dot_product_attention", watch)
    TinyEncoder(own, FP32)(image)
    assert seen == [(1, 25), (1, 25), (1, 49), (1, 49), (1, 16)]


def test_features_after_the_second_layer_are_there_for_other_decoders() -> None:
    stock, own, image = both()
    seen: list[Tensor] = []
    stock.layers[1].register_forward_hook(lambda *call: seen.append(call[2]))
    with torch.inference_mode():
        stock(image)
    found = TinyEncoder(own, FP32).features(image)
    assert found.early is not None
    assert found.early.shape == (1, 8, 8, 24)
    assert relative(found.early, seen[0].view(1, 8, 8, 24)) < 1e-5
    assert torch.equal(found.embedding, TinyEncoder(own, FP32)(image))


def test_weights_are_left_alone() -> None:
    _, own, image = both()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    TinyEncoder(own, FP32)(image)
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())


def test_the_official_size_is_read_off_its_shapes() -> None:
    official = mobiles.package().sam_model_registry["vit_t"]()
    named = weights.LAYOUTS[0].convert(dict(official.state_dict()))
    with torch.device("meta"):
        own = weights.build(named)
    wanted = {name: tensor.shape for name, tensor in named.items()}
    assert {name: tensor.shape for name, tensor in own.state_dict().items()} == wanted
    left = official.state_dict().keys() - named.keys()
    assert left == {f"image_encoder.{part}" for part in unused()}
    shape = weights.shape_of(named)
    assert [layer.heads for layer in shape.layers] == [0, 4, 5, 10]
    assert [layer.window for layer in shape.layers] == [0, 7, 14, 7]
    assert (shape.image, shape.grid) == (1024, 64)


def unused() -> set[str]:
    return {f"{module}.{kind}" for module in ("norm_head", "head") for kind in ("weight", "bias")}


@pytest.mark.slow
def test_the_official_size_gives_the_package_s_features(tmp_path: Path, figure: Figure) -> None:
    sam = mobiles.shaken(mobiles.package().sam_model_registry["vit_t"]())
    own, _ = weights.fill_mobile_sam(mobiles.saved(sam, tmp_path / "w.pt"), FP32)
    image = torch.randn(1, 3, 1024, 1024)
    with torch.inference_mode():
        wanted = sam.image_encoder(image)
    gap = relative(TinyEncoder(own.image_encoder, FP32)(image), wanted)
    assert figure("MobileSAM's encoder of the official size, relative difference", gap) < 1e-5


def test_a_file_in_the_official_layout_is_used_completely(tiny_mobile_sam: Path) -> None:
    loaded = weights.load_mobile_sam(tiny_mobile_sam, FP32)
    state = torch.load(tiny_mobile_sam, weights_only=True)
    own = loaded.get().state_dict()
    assert state.keys() - own.keys() == {f"image_encoder.{part}" for part in unused()}
    assert all(torch.equal(tensor, state[name]) for name, tensor in own.items())
    assert (loaded.weights.layout, loaded.weights.verified) == ("MobileSAM", None)


def drop(state: State, pattern: str) -> None:
    for name in [name for name in state if re.fullmatch(pattern, name)]:
        del state[name]


def put(name: str, *shape: int) -> Callable[[State], object]:
    return lambda state: state.update({name: torch.zeros(shape)})


def changed(path: Path, folder: Path, change: Callable[[State], object]) -> Path:
    state = dict(torch.load(path, weights_only=True))
    change(state)
    torch.save(state, folder / "w.pt")
    return folder / "w.pt"


def test_the_classifier_may_be_left_out(tiny_mobile_sam: Path, tmp_path: Path) -> None:
    path = changed(tiny_mobile_sam, tmp_path, lambda state: drop(state, weights.UNUSED))
    assert weights.load_mobile_sam(path, FP32).get() is not None


LAYERS = "image_encoder.layers"
BIASES = f"{LAYERS}.1.blocks.0.attn.attention_biases"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: drop(state, r".*layers\.2\.blocks\.1\.attn\.proj\.bias"), "1 missing"),
        (lambda state: drop(state, r"mask_decoder\.iou_token\.weight"), "1 missing"),
        (
            lambda state: drop(state, r"mask_decoder\.mask_tokens\.weight"),
            "mask_tokens.weight is missing",
        ),
        (lambda state: drop(state, r"image_encoder\.layers\..*"), "0 layers"),
        (lambda state: drop(state, r"image_encoder\.layers\.3\..*"), "unexpected"),
        (lambda state: drop(state, r".*layers\.1\.blocks\.0\.mlp.*"), "fc1.weight is missing"),
        (put(f"{LAYERS}.1.extra", 2), "1 unexpected"),
        (put("image_encoder.head.extra", 2), "1 unexpected"),
        (put("mask_decoder.iou_token.weight", 256, 1), "1 of another shape"),
        (put(f"{LAYERS}.3.blocks.0.attn.qkv.weight", 3, 320), "1 of another shape"),
        (put(BIASES, 2, 24), "24 distances"),
        (put(BIASES, 5, 25), "5 heads"),
        (put(BIASES, 0, 25), "0 heads"),
        (put(BIASES, 25), "not a SAM with a TinyViT encoder"),
        (put(f"{LAYERS}.0.blocks.0.conv1.c.weight", 3), "not a SAM with a TinyViT encoder"),
        (put(f"{LAYERS}.0.blocks.0.conv1.c.weight", 0, 8, 1, 1), "no channels"),
        (put(f"{LAYERS}.1.blocks.0.local_conv.c.weight", 16, 1, 2, 2), "of 2 cells"),
        (put("image_encoder.patch_embed.seq.0.c.weight", 0, 3, 3, 3), "no channels"),
        (put("image_encoder.neck.0.weight"), "not a SAM with a TinyViT encoder"),
        (put("image_encoder.neck.0.weight", 9, 320, 1, 1), "do not fit together"),
        (put("mask_decoder.mask_tokens.weight"), "not a SAM with a TinyViT encoder"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_file_named(
    tiny_mobile_sam: Path, tmp_path: Path, change: Callable[[State], object], said: str
) -> None:
    path = changed(tiny_mobile_sam, tmp_path, change)
    with pytest.raises(CheckpointError, match=r"w\.pt") as caught:
        weights.load_mobile_sam(path, FP32)
    assert said in caught.value.message
    assert "The file is MobileSAM (a TinyViT encoder), but not as it was published" in caught.value.hint
    assert "Use mobile_sam.pt from https://github.com/ChaoningZhang/MobileSAM" in caught.value.hint


def overlaps(one: list[Any], two: list[Any]) -> Any:
    return coco.iou(one, two, [0] * len(two))


@pytest.mark.parametrize(("seed", "size"), [(1, (96, 150)), (2, (131, 97))])
def test_masks_are_those_of_mobile_sam_s_own_generator(
    seed: int, size: tuple[int, int], figure: Figure
) -> None:
    torch.manual_seed(seed)
    sam = mobiles.pointed(mobiles.small_mobile_sam())
    generator = mobiles.package().SamAutomaticMaskGenerator(
        sam,
        points_per_side=OPTIONS.points_per_side,
        pred_iou_thresh=OPTIONS.pred_iou_thresh,
        stability_score_thresh=OPTIONS.stability_score_thresh,
        output_mode="coco_rle",
    )
    image = make_scene(seed, size=192).image[-size[0] :, : size[1]].copy()
    wanted = [item["segmentation"] for item in generator.generate(image)]
    found = proposer(sam).propose(image)
    mine = list(found.rles)
    assert len(wanted) >= 20, "too few masks to compare"
    paired = [(table >= 0.99).any(1) for table in (overlaps(mine, wanted), overlaps(wanted, mine))]
    share = sum(part.sum() for part in paired) / (len(mine) + len(wanted))
    assert 1 - figure("masks without a partner in MobileSAM's own", 1 - float(share)) >= 0.99
    assert found.details["points_asked"] == 100


def proposer(sam: Any, **changes: Any) -> MobileSamProposer:
    own = mobiles.ours(sam)
    lazy = Lazy(WeightsInfo("small", "", "MobileSAM", None), lambda: own)
    return MobileSamProposer(lazy, replace(OPTIONS, **changes), FP32)


def test_crops_and_smoothing_act() -> None:
    sam = mobiles.pointed(mobiles.small_mobile_sam(64))
    image = make_scene(3, size=96).image
    few = {"points_per_side": 2}
    plain = proposer(sam, **few).propose(image)
    assert proposer(sam, crop_layers=1, **few).propose(image).details["points_asked"] == 5 * 4
    assert proposer(sam, smooth=2, **few).propose(image).rles != plain.rles


def test_auto_is_fp32_on_a_cpu_that_has_bf16(
    tiny_mobile_sam: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There it takes a whole picture 9 s in fp32 and 16 s in bf16 (benchmarks/README.md)."""
    monkeypatch.setattr(devices, "_native_bf16", lambda device: True)
    for asked, used in (("auto", "fp32"), ("bf16", "bf16"), ("fp32", "fp32")):
        made = load_proposer("mobile_sam", tiny_mobile_sam, "cpu", asked, allow_unverified=True)
        assert made.compute is not None
        assert made.compute.precision == used
