"""Pooling from runs is pooling with coverage, and a fine map is described as any other is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fakes import same

from searchdet import embeddings
from searchdet.backbones import FeatureMap
from searchdet.config import EmbeddingOptions
from searchdet.embeddings import Descriptors, describe, l2_normalize, pool, under_runs
from searchdet.errors import EmbeddingError
from searchdet.masks import rle
from searchdet.masks import shape as outline
from searchdet.masks.coverage import Masks, mask_coverage, runs_coverage, surroundings

TOLERANCE = 2e-5
"""Of a mean of features around 1, in the units of these: float32 sums down a column are subtracted."""


def some_masks(size: tuple[int, int], seed: int) -> np.ndarray:
    """Boxes, ragged masks with many runs a column, single pixels at the corners, all, and nothing."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((16, *size), bool)
    for mask in masks[:6]:
        y, x = (int(rng.integers(0, n - 2)) for n in size)
        mask[y : y + int(rng.integers(2, size[0])), x : x + int(rng.integers(2, size[1]))] = True
    masks[6:9] = rng.random((3, *size)) < np.asarray([0.05, 0.5, 0.9])[:, None, None]
    masks[9, 0, 0] = masks[10, -1, -1] = masks[11, 0, -1] = masks[12, size[0] // 2, size[1] // 3] = True
    masks[13] = True
    masks[14, :, size[1] // 2] = True
    return masks


def as_runs(masks: np.ndarray) -> Masks:
    return Masks.of([rle.encode(mask) for mask in masks], (masks.shape[1], masks.shape[2]))


def under(layer: torch.Tensor, masks: np.ndarray) -> np.ndarray:
    """Masked average pooling in float64, with exact shares of pixels."""
    rows, columns = layer.shape[1:]
    down, across = (share(n, k) for n, k in zip(masks.shape[1:], (rows, columns), strict=True))
    weights = (down @ masks.astype(float) @ across.T).reshape(len(masks), -1)
    total = np.maximum(weights.sum(1, keepdims=True), 1e-30)
    return weights @ layer.double().numpy().reshape(len(layer), -1).T / total


def share(pixels: int, cells: int) -> np.ndarray:
    """(cells, pixels): how much of each pixel lies in each cell, in pixels."""
    edges = np.arange(cells + 1) * pixels / cells
    low, high = np.arange(pixels), np.arange(pixels) + 1
    return np.clip(np.minimum(edges[1:, None], high) - np.maximum(edges[:-1, None], low), 0, None)


SIZES = [
    ((48, 64), (12, 16)),
    ((47, 61), (12, 16)),  # cells of no whole number of pixels
    ((50, 33), (50, 33)),
    ((9, 14), (20, 30)),  # cells smaller than pixels
    ((301, 200), (7, 100)),
    ((5, 5), (1, 1)),
]


@pytest.mark.parametrize(("size", "grid"), SIZES)
@pytest.mark.parametrize("offset", [0.0, 1.0], ids=["signed", "positive"])
def test_pooling_from_runs_is_pooling_with_coverage(
    size: tuple[int, int], grid: tuple[int, int], offset: float
) -> None:
    masks = some_masks(size, size[0])
    layer = offset + torch.randn(5, *grid)
    got = under_runs(layer, as_runs(masks)).numpy()
    assert got.dtype == np.float32
    assert np.abs(got - under(layer, masks)).max() < TOLERANCE
    assert (got[15] == 0).all(), "nothing lies under an empty mask"
    dense = pool(FeatureMap(layer, same), mask_coverage(masks, *grid), EmbeddingOptions())
    some = np.arange(15)
    assert np.abs(l2_normalize(got)[some] - dense.vectors[some]).max() < 2 * TOLERANCE


def test_a_pixel_of_a_fine_map_is_the_cell_it_lies_in() -> None:
    layer = 1 + torch.rand(4, 128, 96)
    masks = np.zeros((200, 1024, 768), bool)
    rng = np.random.default_rng(0)
    y, x = rng.integers(0, 1024, 200), rng.integers(0, 768, 200)
    masks[np.arange(200), y, x] = True
    got = under_runs(layer, as_runs(masks)).numpy()
    wanted = layer.numpy()[:, y // 8, x // 8].T
    # a sum of 128 cells is known to 2 ** -17, and a pixel is an eighth of a cell
    assert np.abs(got - wanted).max() < 5e-4


def test_no_masks_at_all_keep_their_forms() -> None:
    none = as_runs(np.zeros((0, 20, 30), bool))
    assert under_runs(torch.randn(3, 4, 6), none).shape == (0, 3)
    assert runs_coverage(none, (4, 6)).shape == (0, 4, 6)
    assert none.areas.shape == none.starts.shape == (0,)
    empty = as_runs(np.zeros((2, 20, 30), bool))
    assert under_runs(torch.randn(3, 4, 6), empty).tolist() == [[0.0] * 3] * 2


def two_layers(rows: int, columns: int, finish: object = same) -> FeatureMap:
    fine, coarse = torch.rand(6, rows, columns), torch.randn(3, rows // 4, columns // 4)
    return FeatureMap(fine, finish, (coarse,))


def described(feature_map: FeatureMap, masks: np.ndarray, **options: object) -> Descriptors:
    unknown = np.full((len(masks), outline.DIM), np.nan, np.float32)
    return describe(feature_map, as_runs(masks), unknown, EmbeddingOptions(**options))


def around(feature_map: FeatureMap, masks: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """What surrounds masks, by rings on a grid. Coverage is that from runs, whose last bit decides
    where a ring begins."""
    rings = surroundings(runs_coverage(as_runs(masks), grid))
    return pool(feature_map, rings, EmbeddingOptions()).vectors


@pytest.mark.parametrize("size", [(96, 128), (75, 110)])
def test_a_fine_map_is_described_as_by_dense_masks_but_for_its_rings(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    def finish(pooled: torch.Tensor) -> torch.Tensor:
        return torch.cat([pooled[:, :6].sqrt(), pooled[:, 6:] ** 3], dim=1)

    feature_map, masks = two_layers(24, 32, finish), some_masks(size, 3)
    monkeypatch.setattr(embeddings, "FINE", 24 * 32)
    calls = []
    monkeypatch.setattr(embeddings, "under_runs", lambda *of: calls.append(1) or under_runs(*of))
    got = described(feature_map, masks)
    assert calls, "the mask itself is pooled from its runs"
    layers = [under(layer, masks) for layer in feature_map.layers]
    wanted = finish(torch.from_numpy(np.concatenate(layers, axis=1))).numpy()
    wanted[15] = 0
    assert np.abs(got.embedded.vectors - l2_normalize(wanted)).max() < 2 * TOLERANCE
    dense = pool(feature_map, mask_coverage(masks, 24, 32), EmbeddingOptions())
    assert got.embedded.valid.tolist() == dense.valid.tolist() == [True] * 15 + [False]
    assert got.embedded.subcell.tolist() == dense.subcell.tolist()
    assert np.abs(got.embedded.vectors - dense.vectors).max() < 2 * TOLERANCE
    half, whole = (around(feature_map, masks, grid) for grid in ((12, 16), (24, 32)))
    assert np.abs(got.contexts - half).max() < 2 * TOLERANCE
    assert np.abs(got.contexts - whole).max() > 1e-3, "rings are those of half the resolution"


@pytest.mark.parametrize(
    ("grid", "least", "pooling"),
    [((24, 32), 24 * 32 + 1, "mean"), ((25, 32), 1, "mean"), ((24, 32), 1, "topk")],
    ids=["coarse", "odd", "topk"],
)
def test_any_other_map_is_described_with_its_own_coverage(
    monkeypatch: pytest.MonkeyPatch, grid: tuple[int, int], least: int, pooling: str
) -> None:
    monkeypatch.setattr(embeddings, "FINE", least)
    feature_map, masks = FeatureMap(torch.randn(4, *grid), same), some_masks((96, 128), 4)
    got = described(feature_map, masks, pooling=pooling)
    dense = pool(feature_map, mask_coverage(masks, *grid), EmbeddingOptions(pooling))
    assert np.abs(got.embedded.vectors - dense.vectors).max() < TOLERANCE
    assert np.abs(got.contexts - around(feature_map, masks, grid)).max() < TOLERANCE


def test_a_fine_map_that_is_not_finite_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "FINE", 1)
    feature_map, masks = two_layers(8, 8), some_masks((32, 32), 5)
    feature_map.features[0, 7, 7] = float("nan")
    with pytest.raises(EmbeddingError, match="NaN"):
        described(feature_map, masks[:1])
