"""Residuals, units and limits against independent formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from searchdet.normality.learn import Good, _models_without, views_of
from searchdet.normality.residual import Moments, residuals, robust, subspace
from searchdet.normality.units import limit_of, unusual


def _cells(seed: int, count: int = 160, dim: int = 12, rank: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(count, rank)) @ rng.normal(size=(rank, dim))
    return (made + rng.normal(0, 0.05, (count, dim)) + 0.7).astype(np.float32)


def _by_svd(normal: np.ndarray, cells: np.ndarray, explained: float) -> np.ndarray:
    """What the fewest singular directions that hold this share of the variance leave, in float64."""
    wide = normal.astype(np.float64)
    middle = wide.mean(axis=0)
    _, values, rows = np.linalg.svd(wide - middle, full_matrices=False)
    held = np.cumsum(values**2) / (values**2).sum()
    kept = rows[: int(np.argmax(held >= explained)) + 1]
    apart = cells.astype(np.float64) - middle
    return np.linalg.norm(apart - apart @ kept.T @ kept, axis=1)


@pytest.mark.parametrize("explained", [0.5, 0.9, 0.999])
def test_subspace_leaves_what_svd_leaves(explained: float) -> None:
    normal, other = _cells(0), _cells(1)
    model = subspace(Moments.of(normal), explained)
    found = residuals(other, "subspace", model)
    np.testing.assert_allclose(found, _by_svd(normal, other, explained), rtol=2e-4, atol=2e-5)


def test_nearest_is_the_least_cosine_distance() -> None:
    rng = np.random.default_rng(2)
    normal, other = (rng.normal(size=(n, 7)).astype(np.float32) for n in (9, 5))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    found = residuals(other, "nearest", {"cells": normal})
    for cell, value in zip(other.astype(np.float64), found, strict=True):
        nearest = max(float(cell @ one) for one in normal.astype(np.float64))
        assert value == pytest.approx(1 - nearest, abs=1e-6)


def test_an_image_is_its_own_measure_but_for_its_most_unusual_cells() -> None:
    cells = _cells(3, 400)
    cells[7] += 4 * np.random.default_rng(4).normal(size=12).astype(np.float32)
    found = residuals(cells, "image", {})
    assert found.argmax() == 7
    assert found[7] > 10 * np.median(found)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="no method"):
        residuals(_cells(0), "guess", {})


@pytest.mark.parametrize("method", ["subspace", "nearest"])
def test_leaving_one_out_is_learning_from_the_others(method: str) -> None:
    parts = [_cells(seed, 40) for seed in range(4)]
    seen = [Good((), part, part) for part in parts]
    model = _models_without(seen, method)(2)
    others = np.concatenate([part for i, part in enumerate(parts) if i != 2])
    alone = subspace(Moments.of(others)) if method == "subspace" else {"cells": others}
    expected = residuals(parts[2], method, alone)
    np.testing.assert_allclose(residuals(parts[2], method, model), expected, atol=1e-4)
    with_it = residuals(parts[2], method, _models_without(seen, method)(None))
    assert with_it.mean() < expected.mean()


def test_robust_is_mean_and_deviation_of_a_normal_distribution() -> None:
    values = np.random.default_rng(5).normal(3.0, 0.5, 20_001).astype(np.float32)
    values[:500] = 1e3
    middle, spread = robust(values)
    assert middle == pytest.approx(3.0, abs=0.05)
    assert spread == pytest.approx(0.5, abs=0.05)


def test_limit_is_the_bound_of_a_prediction_interval() -> None:
    most = [1.0, 2.0, 4.0]
    mean, deviation = math.log(2), math.log(2)
    bound = mean + 2.9199856 * deviation * math.sqrt(4 / 3)  # 95 % point of Student's t, 2 degrees
    assert limit_of(most) == pytest.approx(math.exp(bound), rel=1e-6)


def test_the_next_good_part_stays_below_the_limit_in_19_of_20_cases() -> None:
    rng = np.random.default_rng(6)
    logs = rng.normal(1.0, 0.4, (4000, 9))
    below = [row[-1] < math.log(limit_of(np.exp(row[:-1]).tolist())) for row in logs]
    assert np.mean(below) == pytest.approx(0.95, abs=0.015)


def test_unusual_is_one_half_at_the_limit_and_does_not_depend_on_the_unit() -> None:
    quality, deviations = np.asarray([0.8, 0.5, 0.2], np.float32), np.asarray([1.0, 7.0, -3.0])
    strength = [4 * 2.0, 1 * 8.0, 0.25 * 1.0]
    found = unusual(quality, deviations, 8.0)
    np.testing.assert_allclose(found, [s / (s + 8) for s in strength], rtol=1e-6)
    assert found[0] == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize(("how", "count"), [("none", 1), ("flips", 4), ("turns", 8)])
def test_views_are_the_turns_that_they_say(how: str, count: int) -> None:
    image = np.random.default_rng(7).integers(0, 255, (4, 4, 3), np.uint8)
    made = [view.tobytes() for view in views_of(image, how)]
    assert len(made) == len(set(made)) == count
    assert made[0] == image.tobytes()
