from __future__ import annotations

import numpy as np
import pytest
import torch
from fakes import GridBackbone, same

from searchdet.backbones import FeatureMap
from searchdet.config import EmbeddingOptions
from searchdet.embeddings import MaskEmbeddings, embed_masks, l2_normalize, pool, spread
from searchdet.errors import EmbeddingError
from searchdet.masks.coverage import mask_coverage


def random_map(channels: int, rows: int, columns: int) -> FeatureMap:
    return FeatureMap(torch.randn(channels, rows, columns), same)


def naive_coverage(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Every pixel cut into 12 x 12 points, each put into its cell. Rational sizes divide exactly."""
    fine = np.repeat(np.repeat(mask, 12, 0), 12, 1).astype(np.float64)
    y = (np.arange(fine.shape[0]) + 0.5) / fine.shape[0] * rows
    x = (np.arange(fine.shape[1]) + 0.5) / fine.shape[1] * columns
    out = np.zeros((rows, columns))
    np.add.at(out, (y.astype(int)[:, None], x.astype(int)[None]), fine)
    return out * rows * columns / fine.size


@pytest.mark.parametrize("grid", [(3, 4), (5, 7), (6, 8), (12, 16)])
def test_coverage_is_the_exact_share_of_area(grid: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((3, 6, 8)) > 0.5
    got = mask_coverage(masks, *grid).numpy()
    for mask, cells in zip(masks, got, strict=True):
        if grid[0] == 5:  # 6 * 12 / 5 is no whole number, so the points are only near
            assert np.abs(cells - naive_coverage(mask, *grid)).max() < 0.08
        else:
            assert np.abs(cells - naive_coverage(mask, *grid)).max() < 1e-5
        assert np.isclose(cells.mean(), mask.mean(), atol=1e-6)


def test_every_single_pixel_is_its_own_cell_and_not_the_global_vector() -> None:
    feature_map = random_map(16, 8, 8)
    masks = np.zeros((64 * 64, 64, 64), bool)
    masks[np.arange(64 * 64), np.repeat(np.arange(64), 64), np.tile(np.arange(64), 64)] = True
    got = pool(feature_map, mask_coverage(masks, 8, 8), EmbeddingOptions())
    cells = l2_normalize(feature_map.features.flatten(1).T.numpy())
    expected = cells.reshape(8, 8, 16).repeat(8, 0).repeat(8, 1).reshape(-1, 16)
    assert got.valid.all()
    assert got.subcell.all()
    assert np.isfinite(got.vectors).all()
    assert np.abs(got.vectors - expected).max() < 1e-5
    whole = l2_normalize(feature_map.features.mean((1, 2))[None].numpy())
    assert np.abs(got.vectors - whole).max(axis=1).min() > 1e-2


def test_whole_cells_give_their_mean_in_float64() -> None:
    feature_map = random_map(32, 6, 9)
    mask = np.zeros((1, 48, 72), bool)
    mask[0, 8:24, 16:40] = True
    got = pool(feature_map, mask_coverage(mask, 6, 9), EmbeddingOptions()).vectors[0]
    mean = feature_map.features.double().numpy()[:, 1:3, 2:5].mean((1, 2))
    assert float(got @ (mean / np.linalg.norm(mean))) > 0.999999


def test_rows_never_move_when_a_mask_is_empty(photo: np.ndarray) -> None:
    masks = np.zeros((3, 96, 128), bool)
    masks[1, :40], masks[2, 60:, 80:] = True, True
    got = embed_masks(GridBackbone(), photo, masks)
    alone = embed_masks(GridBackbone(), photo, masks[1:])
    assert got.valid.tolist() == [False, True, True]
    assert (got.vectors[0] == 0).all()
    assert np.abs(got.vectors[1:] - alone.vectors).max() < 1e-6


def test_different_masks_give_different_vectors(photo: np.ndarray) -> None:
    masks = np.zeros((2, 96, 128), bool)
    masks[0, :, :64], masks[1, :, 64:] = True, True
    first, second = embed_masks(GridBackbone(), photo, masks).vectors
    assert float(first @ second) < 0.9


def test_topk_drops_the_cells_that_are_not_typical() -> None:
    features = torch.zeros(2, 1, 4)
    features[0], features[1, 0, 3], features[0, 0, 3] = 1.0, 1.0, 0.0
    coverage = torch.ones(1, 1, 4)
    got = pool(FeatureMap(features, same), coverage, EmbeddingOptions("topk", 0.5)).vectors[0]
    assert np.allclose(got, [1, 0], atol=1e-6)
    mean = pool(FeatureMap(features, same), coverage, EmbeddingOptions()).vectors[0]
    assert not np.allclose(mean, [1, 0], atol=1e-2)


def test_finish_comes_after_pooling_and_before_l2() -> None:
    def shift(vectors: torch.Tensor) -> torch.Tensor:
        return vectors**2 + 1

    features = torch.randn(5, 2, 2)
    got = pool(FeatureMap(features, shift), torch.ones(1, 2, 2), EmbeddingOptions()).vectors[0]
    expected = features.mean((1, 2)).double().numpy() ** 2 + 1
    assert float(got @ (expected / np.linalg.norm(expected))) > 0.999999


def test_features_that_are_not_finite_are_an_error() -> None:
    features = torch.randn(5, 2, 2)
    features[0, 0, 0] = float("nan")
    with pytest.raises(EmbeddingError):
        pool(FeatureMap(features, same), torch.ones(1, 2, 2), EmbeddingOptions())


def test_masks_of_another_size_are_an_error(photo: np.ndarray) -> None:
    with pytest.raises(EmbeddingError, match="the image is 96x128"):
        embed_masks(GridBackbone(), photo, np.ones((1, 10, 10), bool))


def test_no_masks_keep_the_shape(photo: np.ndarray) -> None:
    got = embed_masks(GridBackbone(), photo, np.zeros((0, 96, 128), bool))
    assert got.vectors.shape == (0, 4)
    assert got.valid.shape == (0,)


def test_collapse_is_seen_and_healthy_maps_are_not() -> None:
    rng = np.random.default_rng(0)
    flags = np.ones(20, bool)
    healthy = l2_normalize(rng.normal(size=(20, 32)).astype(np.float32))
    alike = l2_normalize((1 + 0.02 * rng.normal(size=(20, 32))).astype(np.float32))
    good, bad = (spread(MaskEmbeddings(v, flags, ~flags)) for v in (healthy, alike))
    assert good is not None
    assert bad is not None
    assert not good.collapse
    assert bad.collapse
    assert bad.low > 0.985
    assert spread(MaskEmbeddings(alike[:4], flags[:4], flags[:4])) is None
