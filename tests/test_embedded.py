"""What needs no weights of the user's: filter bank, regions, and the demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from places import Figure
from pycocotools import mask as coco
from scenes import make_scene
from skimage import data
from typer.testing import CliRunner

from searchdet.backbones import load_backbone
from searchdet.cli import app
from searchdet.commands import demo
from searchdet.config import ProposalOptions
from searchdet.embeddings import embed_masks
from searchdet.proposals import Proposals, load_proposer

pytestmark = pytest.mark.model


def best(found: Proposals, truths: Sequence[np.ndarray]) -> np.ndarray:
    """The IoU of each mask with the proposal that fits it best."""
    wanted = [coco.encode(np.asfortranarray(truth, np.uint8)) for truth in truths]
    return np.asarray(coco.iou(list(found.rles), wanted, [0] * len(wanted))).max(axis=0)


def test_the_demo_finds_the_coins(tmp_path: Path, figure: Figure) -> None:
    outcome = demo.run("coins", tmp_path)
    figure("demo coins, found of 24", outcome.found)
    figure("demo coins, false", outcome.false)
    figure("demo coins, seconds", outcome.seconds)
    assert outcome.expected == 24
    assert outcome.found >= 22
    assert outcome.false <= 2


def test_the_demo_command_says_what_was_found(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "-o", str(tmp_path / "d")])
    assert result.exit_code == 0
    assert "of 24 coins" in result.stderr
    assert "of 2 eyes" in result.stderr
    for name in ("coins", "chelsea"):
        assert (tmp_path / "d" / name / "out" / "overlays" / f"{name}.png.jpg").is_file()


def test_filterbank_tells_colours_and_textures_apart() -> None:
    rng = np.random.default_rng(0)
    image = np.full((120, 160, 3), 120, np.uint8)
    image[:, :40] = (190, 60, 50)
    image[:, 40:80] = (60, 90, 190)
    image[:, 120:] = rng.integers(60, 180, (120, 40, 1))
    masks = np.zeros((5, 120, 160), bool)
    masks[0, :60, :38], masks[1, 60:, :38] = True, True
    masks[2, :, 42:78], masks[3, :, 82:118], masks[4, :, 122:] = True, True, True
    backbone = load_backbone("filterbank")
    vectors = embed_masks(backbone, image, masks).vectors
    assert vectors.shape == (5, backbone.dim)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > 0.98
    for one, two in ((0, 2), (0, 3), (2, 3), (3, 4)):
        assert cosines[one, two] < 0.8


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (40, 40), (900, 700)])
def test_filterbank_takes_any_size(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    feature_map = load_backbone("filterbank").feature_map(image)
    assert torch.isfinite(feature_map.features).all()
    assert min(feature_map.features.shape[1:]) >= 2
    got = embed_masks(load_backbone("filterbank"), image, np.ones((1, *size), bool))
    assert got.valid.all()


def test_filterbank_does_not_depend_on_position() -> None:
    image = make_scene(3).image
    backbone = load_backbone("filterbank")
    whole = np.ones((1, 256, 256), bool)
    turned = np.ascontiguousarray(image[::-1, ::-1])
    one, two = (embed_masks(backbone, item, whole).vectors[0] for item in (image, turned))
    assert float(one @ two) > 0.995


def test_regions_find_flat_shapes_and_keep_the_contract() -> None:
    proposer = load_proposer("regions")
    hits = total = 0
    for seed in range(40, 46):
        scene = make_scene(seed)
        found = proposer.propose(scene.image)
        assert len(found) <= ProposalOptions().scored_masks
        assert (np.diff(found.quality) <= 0).all()
        assert found.dense().any(axis=(1, 2)).all()
        total += len(scene.masks)
        hits += int((best(found, scene.masks) >= 0.75).sum())
    assert hits / total >= 0.95


def test_regions_of_coins_reach_every_coin() -> None:
    image = np.repeat(data.coins()[..., None], 3, 2)
    scene = demo.SCENES["coins"]
    truths = [demo._disc(image.shape[:2], disc) for disc in scene.discs]
    reached = best(load_proposer("regions").propose(image), truths) >= 0.5
    assert reached.sum() == len(reached) == 24


def test_regions_respect_limits_repeat_and_take_flat_pictures() -> None:
    proposer = load_proposer("regions", min_area=1, max_area=10)
    image = make_scene(9).image
    one, two = proposer.propose(image), proposer.propose(image)
    assert one.rles == two.rles
    assert one.drawn is None
    shares = one.dense().mean(axis=(1, 2))
    assert ((shares >= 0.009) & (shares <= 0.11)).all()
    for size in ((1, 1), (2, 300), (64, 64)):
        flat = np.full((*size, 3), 90, np.uint8)
        assert len(load_proposer("regions").propose(flat)) <= ProposalOptions().scored_masks


def test_regions_are_given_at_the_size_of_a_large_image() -> None:
    small = make_scene(11).image
    large = np.repeat(np.repeat(small, 5, 0), 5, 1)
    found = load_proposer("regions").propose(large)
    assert found.size == (1280, 1280)
    assert found.drawn is not None
    assert max(found.drawn) < 1280
    assert found.take(np.arange(20)).dense().shape == (20, 1280, 1280)


def test_proposal_options_are_checked() -> None:
    from searchdet.errors import UsageError

    for wrong in ({"min_area": 90}, {"max_area": 150}, {"scored_masks": 0}, {"points_per_side": 0}):
        with pytest.raises(UsageError):
            ProposalOptions(**wrong)
