"""Several prompts in one call, which is how a card is asked, against one prompt after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from places import TINY_SAM, Figure
from scenes import make_scene
from test_sam_exact import relative, small_sam
from test_sam_hq_exact import connected, random_hq
from test_sam_hq_exact import loaded as loaded_hq
from test_transformers_sam import FP32, KINDS, SquashedNetwork
from test_transformers_sam import loaded as loaded_hub

from searchdet.proposals import load_proposer
from searchdet.proposals.cutting import Cutter
from searchdet.proposals.points import chosen
from searchdet.proposals.points.chosen import by_several, logits_of
from searchdet.proposals.prompts import grid
from searchdet.proposals.sam.decoder import PointDecoder


def gap(decoder: Any, state: Any, answer: Any, masks: dict[int, list[int]]) -> float:
    """The largest relative difference of both ways, for every number of prompts at once."""
    wanted = logits_of(decoder, state, answer, masks)
    assert len(wanted) == sum(len(some) for some in masks.values())
    many = [by_several(decoder, state, answer, masks, count) for count in (1, 2, 16)]
    assert relative(wanted[1:], wanted[:-1]) > 1e-2, "all masks are alike: this shows nothing"
    return max(relative(made, wanted) for made in many)


def test_sam(figure: Figure) -> None:
    decoder = PointDecoder(small_sam(2, 64, 2.0))
    side = decoder.image_side(torch.randn(1, 64, 12, 12))
    points = decoder.decode(side, torch.from_numpy(grid(3)).double() * 96)
    found = gap(decoder, side, points, {0: [0, 1, 2], 3: [2, 0], 4: [1], 8: [1, 2]})
    assert figure("SAM, several prompts at once, relative difference", found) < 1e-5
    boxes = torch.tensor([[10.0, 12.0, 50.0, 70.0], [0.0, 0.0, 95.0, 95.0], [40.0, 5.0, 44.0, 90.0]])
    answer = decoder.decode_boxes(side, boxes)
    assert gap(decoder, side, answer, {0: [0], 1: [0], 2: [0]}) < 1e-5


def test_sam_hq(tmp_path: Path, figure: Figure) -> None:
    network = connected(loaded_hq(random_hq(), tmp_path))
    state = network.encode(np.random.default_rng(6).integers(0, 255, (64, 64, 3), np.uint8))
    answer = network.decode(state, network.points(grid(3) * 64, (64, 64)))
    found = gap(network._decoder, state, answer, {0: [0], 2: [0], 5: [0], 8: [0]})
    assert figure("SAM-HQ, several prompts at once, relative difference", found) < 1e-5


@pytest.mark.parametrize("name", KINDS)
def test_networks_of_transformers(name: str, tmp_path: Path, figure: Figure) -> None:
    _, model, _ = loaded_hub(name, tmp_path)
    network = SquashedNetwork(model, KINDS[name].pixels, FP32)
    state = network.encode(np.random.default_rng(6).integers(0, 255, (50, 64, 3), np.uint8))
    answer = network.decode(state, network.points(grid(3) * [[64, 50]], (50, 64)))
    found = gap(network._decoder, state, answer, {0: [0, 1, 2], 3: [2, 0], 8: [1]})
    assert figure(f"{name}, several prompts at once, relative difference", found) < 1e-5


def test_proposals_made_as_on_a_card_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_scene(3, size=320).image[:, :240]
    sure: dict[str, Any] = {"pred_iou_thresh": 0.7, "stability_score_thresh": 0.8, "points_per_side": 8}
    wanted = load_proposer("sam", TINY_SAM, "cpu", "fp32", **sure).propose(image)

    def several(decoder: Any, state: Any, answer: Any, masks: dict[int, list[int]]) -> torch.Tensor:
        return by_several(decoder, state, answer, masks, chosen.AT_ONCE)

    monkeypatch.setattr("searchdet.proposals.sam.network.logits_of", several)
    monkeypatch.setattr(Cutter, "cut", Cutter.at_once)
    got = load_proposer("sam", TINY_SAM, "cpu", "fp32", **sure).propose(image)
    assert len(got) > 4
    assert got.rles == wanted.rles
    assert got.removed == wanted.removed
    assert np.allclose(got.boxes, wanted.boxes)
