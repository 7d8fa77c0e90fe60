"""Outlines from runs against those of dense masks in float64, and of shapes that have a name."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples
from scipy import ndimage

from searchdet.masks import rle
from searchdet.masks.shape import DIM, DIRECTIONS, MEASURES, RINGS, outlines, similarity

SIZE = (120, 160)
FINE = 64
"""Points of a pixel from its top to its bottom where the reference looks how far it lies off."""


def dense(mask: np.ndarray) -> np.ndarray:
    """The outline of a mask by its pixels."""
    parts, count = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(parts.ravel())[1:]
    columns = [np.nonzero((parts == i + 1).any(0))[0].min() for i in range(count)]
    tops = [np.nonzero(parts[:, x] == i + 1)[0].min() for i, x in enumerate(columns)]
    # of parts of one size that which comes first, column by column
    mask = parts == 1 + min(range(count), key=lambda i: (-areas[i], columns[i], tops[i]))
    y, x = (v.astype(float) for v in np.nonzero(mask))
    area, centre = len(x), (x.mean() + 0.5, y.mean() + 0.5)
    x, y = x - centre[0], y - centre[1]
    corners = np.concatenate([np.stack([x + i, y + j], 1) for i in (0, 1) for j in (0, 1)])
    turns = np.arange(2 * DIRECTIONS) * np.pi / DIRECTIONS
    reach = corners @ np.stack([np.cos(turns), np.sin(turns)])
    reach = reach.max(axis=0)
    wide = reach[:DIRECTIONS] + reach[DIRECTIONS:]
    sides = min(
        zip(wide, np.roll(wide, -DIRECTIONS // 2), strict=True), key=lambda pair: pair[0] * pair[1]
    )
    far = np.hypot((x + 0.5)[:, None], y[:, None] + (np.arange(FINE) + 0.5) / FINE)
    edges = np.r_[0, RINGS, np.inf] * np.sqrt(area / np.pi)
    rings = np.histogram(far, edges)[0] / far.size
    measures = [
        np.log(max(sides) / max(min(sides), 0.5)),
        area / max(tangents(reach, turns), 1),
        area / max(sides[0] * sides[1], 1),
    ]
    return np.asarray([*measures, *rings])


def tangents(reach: np.ndarray, turns: np.ndarray) -> float:
    """Area of the polygon within the lines at a distance from the centre: a square, clipped by each."""
    side = 2 * reach.max() + 1
    shape = np.asarray([(-side, -side), (side, -side), (side, side), (-side, side)])
    for distance, turn in zip(reach, turns, strict=True):
        inside = distance - shape @ np.asarray([np.cos(turn), np.sin(turn)])
        made = []
        for i in range(len(shape)):
            one, two = inside[i - 1], inside[i]
            if (one < 0) != (two < 0):
                made.append(shape[i - 1] + (shape[i] - shape[i - 1]) * one / (one - two))
            if two >= 0:
                made.append(shape[i])
        shape = np.asarray(made)
    x, y = shape.T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)


def of(*masks: np.ndarray) -> np.ndarray:
    return outlines([rle.encode(mask) for mask in masks])


def each(*masks: np.ndarray) -> list[np.ndarray]:
    """Outlines of masks of several sizes."""
    return [of(np.ascontiguousarray(mask))[0] for mask in masks]


def disc(radius: float, centre: tuple[float, float] = (60, 80)) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    return np.hypot(y - centre[0], x - centre[1]) <= radius


def square(side: int, degrees: float = 0, centre: tuple[int, int] = (80, 60)) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    corners = cv2.boxPoints((centre, (side, side), degrees))
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 1)
    return mask.astype(bool)


def ragged(seed: int) -> np.ndarray:
    """Parts with holes; small ones for some seeds."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(40, 50)), rng.choice([0.7, 1.5, 4]))
    return field > np.quantile(field, rng.choice([0.5, 0.8, 0.99]))


def assert_equal(got: np.ndarray, wanted: np.ndarray) -> None:
    assert np.abs(got[:MEASURES] - wanted[:MEASURES]).max() < 1e-5
    # a ring may pass between two of the reference's points in every column on both sides
    assert np.abs(got[MEASURES:] - wanted[MEASURES:]).max() < 2 / FINE


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=4))
def test_outlines_are_those_of_the_pixels_whatever_lies_beside_them(seeds: list[int]) -> None:
    masks = [ragged(seed) for seed in seeds]
    for got, mask in zip(of(*masks), masks, strict=True):
        assert_equal(got, dense(mask))


@pytest.mark.parametrize("radius", [3, 12.5, 40])
def test_a_disc(radius: float) -> None:
    (got,) = of(disc(radius))
    assert_equal(got, dense(disc(radius)))
    assert got[0] == pytest.approx(0, abs=0.02)
    if radius == 40:
        assert got[1:3] == pytest.approx([1, np.pi / 4], abs=0.03)
        within = np.minimum(np.r_[RINGS, np.inf] ** 2, 1)
        assert np.cumsum(got[MEASURES:]) == pytest.approx(within, abs=0.02)


@pytest.mark.parametrize("degrees", [0, 22.5, 45])
def test_a_square_and_a_turned_one(degrees: float) -> None:
    (got,) = of(square(50, degrees))
    assert_equal(got, dense(square(50, degrees)))
    assert got[:MEASURES] == pytest.approx([0, 1, 1], abs=0.06)
    upright, other = of(square(50), square(50, degrees))
    assert similarity(upright[None], other[None])[0, 0] > 0.93


def test_of_two_parts_the_larger_counts_and_of_equal_ones_the_first() -> None:
    large, small = square(40, 0, (50, 60)), disc(15, (60, 130))
    alone, both = of(large, large | small)
    assert np.array_equal(alone, both)
    one, two = np.zeros((2, *SIZE), bool)
    one[10:14, 10:30] = two[50:70, 50:54] = True
    assert np.array_equal(*of(one, one | two))
    touching = np.zeros(SIZE, bool)
    touching[10:20, 10:20] = touching[20:30, 20:30] = True
    assert of(touching)[0, 1] < 0.8, "corners touch: one part"
    assert_equal(of(touching)[0], dense(touching))


@pytest.mark.parametrize("place", [(0, 0), (119, 159), (60, 80)])
def test_a_single_pixel(place: tuple[int, int]) -> None:
    mask = np.zeros(SIZE, bool)
    mask[place] = True
    (got,) = of(mask)
    assert got[:MEASURES] == pytest.approx([0, 1, 1])
    assert got[MEASURES:].sum() == pytest.approx(1)
    assert_equal(got, dense(mask))


def test_empty_masks_are_unknown_wherever_they_stand() -> None:
    nothing = np.zeros(SIZE, bool)
    assert np.isnan(of(nothing)).all()
    got = of(nothing, disc(9), nothing, square(20), nothing)
    assert np.isnan(got).all(axis=1).tolist() == [True, False, True, False, True]
    assert np.array_equal(got[[1, 3]], of(disc(9), square(20)))
    assert outlines([]).shape == (0, DIM)


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 30), st.integers(0, 40))
def test_the_place_counts_for_nothing(seed: int, y: int, x: int) -> None:
    mask, moved = np.zeros((2, 80, 100), bool)
    mask[:40, :50] = moved[y : y + 40, x : x + 50] = ragged(seed)
    one, two = of(mask, moved)
    assert np.abs(one - two).max() < 1e-5


@pytest.mark.parametrize("mask", [disc(20), square(30), square(30, 22.5), ragged(30)])
@pytest.mark.parametrize("times", [2, 5])
def test_the_size_counts_for_nothing(mask: np.ndarray, times: int) -> None:
    one, two = each(mask, mask.repeat(times, 0).repeat(times, 1))
    assert np.abs(one[:MEASURES] - two[:MEASURES]).max() < 1e-5
    assert np.abs(one[MEASURES:] - two[MEASURES:]).max() < 0.03, "columns are lines, and finer ones"


@pytest.mark.parametrize("mask", [square(30, 22.5), ragged(4), ragged(30)])
def test_quarter_turns_and_mirrors_count_for_nothing(mask: np.ndarray) -> None:
    for other in (mask[::-1], mask[:, ::-1], np.rot90(mask), mask.T):
        one, two = each(mask, other)
        assert np.abs(one[:MEASURES] - two[:MEASURES]).max() < 1e-5
        assert np.abs(one[MEASURES:] - two[MEASURES:]).max() < 0.03
