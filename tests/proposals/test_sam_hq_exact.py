"""Our SAM-HQ against the authors' modules with the same weights: embedding, early features, logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hqs import hq_package, ours_tiny, random_hq, save, tiny_hq, trained_hq
from places import Figure
from scenes import make_scene
from torch import Tensor

from searchdet.proposals.prompts import grid
from searchdet.proposals.sam import encoder as encoders
from searchdet.proposals.sam_hq import decoder
from searchdet.proposals.sam_hq.network import HqNetwork, TinyHqEncoder, VitEncoder, encoder_of
from searchdet.proposals.sam_hq.weights import load_hq
from searchdet.weights import Compute

pytestmark = pytest.mark.model

FP32 = Compute("cpu", "fp32")

LOGITS = 3e-5
"""The authors' own fp32 logits lie up to 8e-6 from their fp64 ones, ours up to 6e-6."""


def relative(got: Tensor, wanted: Tensor) -> float:
    return float((got - wanted).abs().max() / wanted.abs().max())


def loaded(sam: Any, folder: Path) -> Any:
    """Our network from the file that the authors' would be saved in."""
    return load_hq(save(sam, folder / "sam_hq.pth"), FP32).get()


def connected(network: Any) -> HqNetwork:
    return HqNetwork(network, encoder_of(network.image_encoder, FP32), FP32)


@pytest.mark.parametrize("form", ["blocks", "folded"])
def test_the_encoder_gives_the_first_global_block_too(
    form: str, tmp_path: Path, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    attend = {"blocks": encoders.attend_blocks, "folded": encoders.attend_folded}[form]
    monkeypatch.setattr(encoders, "_attend_global", attend)
    sam, image = random_hq(3.0), torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        embedding, between = sam.image_encoder(image)
    assert len(between) == 2, "so the first is not the last"
    ours = loaded(sam, tmp_path).image_encoder
    got, early = VitEncoder(ours, FP32)(image)
    gap = relative(early, between[0].permute(0, 3, 1, 2))
    assert figure("SAM-HQ encoder, early features, relative difference", gap) < 1e-5
    assert relative(early, between[1].permute(0, 3, 1, 2)) > 1e-2
    assert figure("SAM-HQ encoder, embedding, relative difference", relative(got, embedding)) < 1e-5
    assert (encoders.ImageEncoder(ours, FP32)(image) == got).all()


def test_the_tiny_encoder_gives_its_second_layer_too(figure: Figure) -> None:
    sam, image = tiny_hq(), torch.randn(1, 3, 128, 128)
    with torch.inference_mode():
        embedding, between = sam.image_encoder(image)
    encoder = encoder_of(ours_tiny(sam).image_encoder, FP32)
    assert isinstance(encoder, TinyHqEncoder)
    got, early = encoder(image)
    gap = relative(early, between[0].permute(0, 3, 1, 2))
    assert figure("SAM-HQ tiny's encoder, early features, relative difference", gap) < 1e-5
    gap = relative(got, embedding)
    assert figure("SAM-HQ tiny's encoder, embedding, relative difference", gap) < 1e-5


def test_logits_are_the_authors_with_a_tiny_encoder(figure: Figure) -> None:
    sam = tiny_hq()
    compare(sam, connected(ours_tiny(sam)), make_scene(3, size=160).image, figure, "tiny")


def check(sam: Any, folder: Path, image: np.ndarray, figure: Figure, what: str) -> None:
    compare(sam, connected(loaded(sam, folder)), image, figure, what)


def compare(sam: Any, ours: HqNetwork, image: np.ndarray, figure: Figure, what: str) -> None:
    side = int(sam.image_encoder.img_size)
    predictor = hq_package().SamPredictor(sam)
    predictor.set_image(image)
    points = ours.points(grid(4) * side, (side, side))
    labels = torch.ones(len(points), 1, dtype=torch.int)
    _, quality, wanted = predictor.predict_torch(points[:, None], labels, return_logits=True)
    assert wanted.shape[1] == 1, "one mask a point"
    assert wanted.std(0).max() > 0.05 * wanted.abs().max(), "every point gives the same mask"
    state = ours.encode(image)
    answer = ours.decode(state, points)
    gap = relative(answer.quality, quality)
    assert figure(f"SAM-HQ, {what}: predicted IoU, relative difference", gap) < 1e-5
    for prompt in range(len(points)):
        logits = ours.logits(state, answer, {prompt: [0]})
        gap = relative(logits, wanted[prompt])
        assert figure(f"SAM-HQ, {what}: logits, relative difference", gap) < LOGITS
    plain = ours._decoder._plain.logits(state.plain, answer.plain, 5, [int(answer.best[5])])
    assert relative(plain, wanted[5]) > 1e-2, "the further token changes nothing"


@pytest.mark.parametrize(("strength", "strip"), [(3.0, 64), (5.0, 64), (5.0, 7)])
def test_logits_are_the_authors_with_random_weights(
    strength: float, strip: int, tmp_path: Path, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "STRIP", strip)
    picture = np.random.default_rng(5).integers(0, 255, (64, 64, 3), np.uint8)
    check(random_hq(strength), tmp_path, picture, figure, f"random, weights x {strength:g}")


def test_logits_are_the_authors_with_trained_weights(tmp_path: Path, figure: Figure) -> None:
    check(trained_hq(), tmp_path, make_scene(3, size=256).image, figure, "small trained SAM")


def test_points_are_answered_in_any_batch_and_images_leave_each_other_alone(tmp_path: Path) -> None:
    ours = connected(loaded(random_hq(), tmp_path))
    one, two = np.random.default_rng(6).integers(0, 255, (2, 64, 64, 3), np.uint8)
    points = ours.points(grid(3) * 64, (64, 64))
    state = ours.encode(one)
    whole = ours.decode(state, points)
    before = [ours.logits(state, whole, {prompt: [0]}) for prompt in (0, 4)]
    alone = ours.decode(state, points[4:5])
    assert relative(alone.quality[0], whole.quality[4]) < 1e-5
    assert relative(ours.logits(state, alone, {0: [0]}), before[1]) < 1e-5
    other = ours.encode(two)
    assert relative(ours.logits(other, ours.decode(other, points), {0: [0]}), before[0]) > 1e-2
    assert (ours.logits(state, whole, {0: [0]}) == before[0]).all()


def test_another_encoder_takes_the_vit_s_place(tmp_path: Path) -> None:
    """Whatever gives an embedding and early features."""
    network = loaded(random_hq(), tmp_path)
    asked = []

    def encoder(image: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(tuple(image.shape))
        return torch.ones(1, 64, 8, 8), torch.ones(1, 24, 8, 8)

    ours = HqNetwork(network, encoder, FP32)
    state = ours.encode(np.zeros((40, 64, 3), np.uint8))
    assert asked == [(1, 3, 64, 64)]
    assert state.features.shape == (8, 32, 32)
