"""Position in feature maps: found on noise, taken off, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from searchdet.backbones import load_backbone
from searchdet.backbones.position import Position, directions, without
from searchdet.config import BackboneOptions
from searchdet.errors import UsageError


def placed(images: np.ndarray) -> tuple[torch.Tensor, ...]:
    """Maps (N, 6, 8, 8): three channels of colour, two that tell row and column, one constant."""
    small = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    colours = torch.nn.functional.adaptive_avg_pool2d(small, 8)
    steps = torch.linspace(-2, 2, 8)
    rows = steps[:, None].expand(8, 8)
    where = torch.stack([rows, rows.T, torch.ones(8, 8)]).expand(len(images), 3, 8, 8)
    return (torch.cat([colours, where], 1),)


def test_what_tells_of_place_goes_and_the_rest_stays() -> None:
    picture = np.zeros((1, 64, 64, 3), np.uint8)
    picture[:, 16:40, 8:48] = (250, 30, 90)
    (before,) = placed(picture)
    (after,) = Position(2).removed((before,), (64, 64), placed)
    assert after[0, 3:5].abs().max() < 0.05, "row and column"
    assert (after[0, :3] - before[0, :3]).abs().max() < 0.05, "colours"
    assert (after[0, 5] - before[0, 5]).abs().max() < 0.05, "what is the same everywhere is no place"


def test_directions_are_orthonormal_and_taken_off_completely() -> None:
    features = torch.randn(12, 9, 7, generator=torch.Generator().manual_seed(0))
    base = directions(features, 5)
    assert torch.allclose(base @ base.T, torch.eye(5), atol=1e-5)
    left = without(features[None], base)[0]
    assert (base @ left.flatten(1)).abs().max() < 1e-5
    assert directions(features[:, :1, :3], 64).shape == (3, 12), "no more than there are"


def test_the_noise_is_looked_at_once_a_size_and_not_at_all_at_rank_0() -> None:
    seen = []

    def counted(images: np.ndarray) -> tuple[torch.Tensor, ...]:
        seen.append(images.shape)
        return placed(images)

    picture = np.zeros((2, 64, 64, 3), np.uint8)
    maps = placed(picture)
    none = Position(0).removed(maps, (64, 64), counted)
    assert none is maps
    position = Position(1)
    for _ in range(3):
        position.removed(maps, (64, 64), counted)
    assert seen == [(1, 64, 64, 3)]


def test_a_backbone_without_network_takes_no_rank() -> None:
    with pytest.raises(UsageError, match="--remove-position needs a network"):
        load_backbone_with_rank("filterbank")


def load_backbone_with_rank(name: str) -> object:
    from searchdet import backbones

    return backbones.load(BackboneOptions(name, position_rank=3))


def test_the_rank_stands_in_the_preprocessing() -> None:
    assert load_backbone("filterbank").preprocessing.position_rank == 0
