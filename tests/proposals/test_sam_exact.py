"""Our encoder and decoder against segment-anything's modules with the same weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from places import Figure
from scenes import make_scene
from segment_anything.modeling import (
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)
from torch import Tensor, nn

from searchdet.proposals.prompts import grid
from searchdet.proposals.sam import encoder as encoders
from searchdet.proposals.sam.decoder import PointDecoder
from searchdet.proposals.sam.encoder import ImageEncoder
from searchdet.proposals.sam.weights import load_sam
from searchdet.weights.devices import Compute

pytestmark = pytest.mark.model

FP32, BF16 = Compute("cpu", "fp32"), Compute("cpu", "bf16")
GLOBAL_FORMS = {"blocks": encoders.attend_blocks, "folded": encoders.attend_folded}


def relative(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).abs().max() / wanted.abs().max())


def shaken(network: nn.Module, spread: float = 0.1) -> Any:
    """With values in the parameters that segment-anything starts at zero or one."""
    for name, value in network.named_parameters():
        if value.ndim == 1 or "rel_pos" in name or "pos_embed" in name:
            value.data.add_(torch.randn_like(value) * spread)
    return network.eval()


def small_encoder(side: int = 96, window: int = 5, heads: int = 2) -> ImageEncoderViT:
    """12 x 12 cells at 96 pixels; windows of 5 reach beyond them."""
    return shaken(
        ImageEncoderViT(
            img_size=side,
            patch_size=8,
            embed_dim=24,
            depth=4,
            num_heads=heads,
            mlp_ratio=2.0,
            out_chans=16,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=window,
            global_attn_indexes=(1, 3),
        ),
        0.3,
    )


def small_sam(depth: int, dim: int, strength: float) -> Sam:
    """Random, no training; projections of the decoder grow with strength, so attention is sharp."""
    sam = Sam(
        image_encoder=small_encoder(),
        prompt_encoder=PromptEncoder(dim, (12, 12), (96, 96), mask_in_chans=4),
        mask_decoder=MaskDecoder(
            transformer_dim=dim,
            transformer=TwoWayTransformer(depth, dim, num_heads=8, mlp_dim=96),
            num_multimask_outputs=3,
            iou_head_depth=3,
            iou_head_hidden_dim=32,
        ),
    )
    for name, value in sam.mask_decoder.named_parameters():
        if name.endswith("proj.weight"):
            value.data.mul_(strength)
    return shaken(sam)


@pytest.mark.parametrize("form", GLOBAL_FORMS)
@pytest.mark.parametrize(
    ("side", "window", "heads", "block"),
    [(96, 5, 2, 256), (96, 7, 3, 50), (64, 4, 1, 64), (80, 14, 2, 7)],
)
def test_the_encoder_is_segment_anything_s(
    form: str,
    side: int,
    window: int,
    heads: int,
    block: int,
    figure: Figure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = small_encoder(side, window, heads)
    image = torch.randn(1, 3, side, side)
    monkeypatch.setattr(encoders, "_attend_global", GLOBAL_FORMS[form])
    monkeypatch.setattr(encoders, "QUERY_BLOCK", block)
    with torch.inference_mode():
        wanted = network(image)
    gap = relative(ImageEncoder(network, FP32)(image), wanted)
    assert figure(f"encoder, {form}, relative difference to stock", gap) < 1e-5


def test_the_encoder_needs_its_position_bias_and_its_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    network, image = small_encoder(), torch.randn(1, 3, 96, 96)
    with torch.inference_mode():
        wanted = network(image)
    own = ImageEncoder(network, FP32)
    plain = encoders.windows
    with monkeypatch.context() as patch:
        patch.setattr(encoders, "windows", lambda p, bias, w: plain(p, torch.zeros_like(bias), w))
        assert relative(own(image), wanted) > 1e-3
    with monkeypatch.context() as patch:
        bias = encoders._position_bias
        patch.setattr(encoders, "_position_bias", lambda *a: tuple(part * 0 for part in bias(*a)))
        assert relative(own(image), wanted) > 1e-3


def test_both_forms_of_global_attention_agree_with_a_plain_one() -> None:
    q, k, v = torch.randn(3, 1, 2, 6 * 9, 8)
    down, across = torch.randn(1, 2, 54, 6), torch.randn(1, 2, 54, 9)
    bias = (down[..., :, None] + across[..., None, :]).flatten(-2)
    wanted = ((q @ k.transpose(-1, -2)) / 8**0.5 + bias).softmax(-1) @ v
    for attend in GLOBAL_FORMS.values():
        assert relative(attend(q, k, v, down, across), wanted) < 1e-5


def prepared(sam: Sam, seed: int) -> Tensor:
    pixels = torch.from_numpy(make_scene(seed, size=sam.image_encoder.img_size).image)
    return sam.preprocess(pixels.permute(2, 0, 1)[None])


@pytest.mark.parametrize("form", GLOBAL_FORMS)
def test_the_encoder_of_the_trained_sam(
    tiny_sam: Path, form: str, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam = load_sam(tiny_sam, FP32).get()
    monkeypatch.setattr(encoders, "_attend_global", GLOBAL_FORMS[form])
    for seed in (1, 2):
        image = prepared(sam, seed)
        with torch.inference_mode():
            wanted = sam.image_encoder(image)
        gap = relative(ImageEncoder(sam.image_encoder, FP32)(image), wanted)
        assert figure(f"encoder of the small SAM, {form}, relative difference", gap) < 1e-5
        rough = ImageEncoder(sam.image_encoder, BF16)(image)
        assert rough.dtype == torch.float32
        cosine = torch.nn.functional.cosine_similarity(rough, wanted).min()
        assert figure("encoder of the small SAM, bf16, 1 - least cosine", 1 - float(cosine)) < 0.01


def stock_decode(sam: Sam, embedding: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    labels = torch.ones(len(points), 1, dtype=torch.int)
    with torch.inference_mode():
        sparse, dense = sam.prompt_encoder((points[:, None], labels), None, None)
        place = sam.prompt_encoder.get_dense_pe()
        return sam.mask_decoder(embedding, place, sparse, dense, True)


def check_decoder(sam: Sam, embedding: Tensor, points: Tensor, figure: Figure, what: str) -> None:
    fast = PointDecoder(sam)
    wanted, quality = stock_decode(sam, embedding, points)
    assert wanted.std(0).max() > 0.05 * wanted.abs().max(), "every point gives the same mask"
    side = fast.image_side(embedding)
    decoded = fast.decode(side, points)
    gap = relative(decoded.quality, quality)
    assert figure(f"decoder, {what}: predicted IoU, relative difference", gap) < 1e-5
    for prompt in range(len(points)):
        logits = fast.logits(side, decoded, prompt, [0, 1, 2])
        gap = relative(logits, wanted[prompt])
        assert figure(f"decoder, {what}: logits, relative difference", gap) < 1e-5


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("strength", [1.5, 3.0])
def test_the_decoder_is_segment_anything_s(depth: int, strength: float, figure: Figure) -> None:
    sam = small_sam(depth, 64, strength)
    points = torch.from_numpy(grid(3)).double() * 96
    check_decoder(sam, torch.randn(1, 64, 12, 12), points, figure, f"random, weights x {strength:g}")


def test_the_decoder_of_the_trained_sam(tiny_sam: Path, figure: Figure) -> None:
    sam = load_sam(tiny_sam, FP32).get()
    with torch.inference_mode():
        embedding = sam.image_encoder(prepared(sam, 3))
    check_decoder(sam, embedding, torch.from_numpy(grid(4)).double() * 256, figure, "small SAM")


def test_masks_can_be_asked_one_by_one_and_in_any_batch() -> None:
    sam = small_sam(2, 64, 2.0)
    fast = PointDecoder(sam)
    side = fast.image_side(torch.randn(1, 64, 12, 12))
    points = torch.from_numpy(grid(3)).double() * 96
    whole = fast.decode(side, points)
    for prompt in (0, 4, 8):
        alone = fast.decode(side, points[prompt : prompt + 1])
        assert relative(alone.quality[0], whole.quality[prompt]) < 1e-5
        together = fast.logits(side, whole, prompt, [0, 1, 2])
        assert relative(fast.logits(side, alone, 0, [2, 0]), together[[2, 0]]) < 1e-5
    assert fast.decode(side, points[:2]).quality.shape == (2, 3)


def test_images_and_weights_leave_each_other_alone() -> None:
    sam = small_sam(2, 64, 2.0)
    state = {name: value.clone() for name, value in sam.state_dict().items()}
    fast = PointDecoder(sam)
    points = torch.from_numpy(grid(2)).double() * 96
    first, second = (fast.image_side(item) for item in torch.randn(2, 1, 64, 12, 12))
    before, other, again = (
        fast.logits(side, fast.decode(side, points), 0, [0, 1, 2]) for side in (first, second, first)
    )
    assert (before == again).all()
    assert relative(other, before) > 1e-2
    assert all((value == state[name]).all() for name, value in sam.state_dict().items())
