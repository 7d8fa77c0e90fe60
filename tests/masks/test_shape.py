"""Outlines do not change with place, size and rotation, and tell shapes apart; rings surround masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from searchdet.masks import rle
from searchdet.masks.coverage import surroundings
from searchdet.masks.shape import DIM, MEASURES, outlines, similarity

SIZE = (240, 320)


def drawn(kind: str, centre: tuple[int, int], size: float, degrees: float) -> dict[str, object]:
    """A bar, disc, triangle or L of a size, turned."""
    shapes = {
        "bar": [(-2, -0.4), (2, -0.4), (2, 0.4), (-2, 0.4)],
        "triangle": [(-1, -1), (1.5, 0), (-1, 1)],
        "L": [(-1, -1.5), (-0.4, -1.5), (-0.4, 1), (1, 1), (1, 1.5), (-1, 1.5)],
        "disc": [(np.cos(t), np.sin(t)) for t in np.linspace(0, 2 * np.pi, 60)],
    }
    turn = np.deg2rad(degrees)
    matrix = np.asarray([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = np.asarray(shapes[kind]) @ matrix.T * size + centre
    mask = np.zeros(SIZE, np.uint8)
    cv2.fillPoly(mask, [points.round().astype(np.int32)], 1)
    return rle.encode(mask.astype(bool))


KINDS = ("bar", "triangle", "L", "disc")


@pytest.mark.parametrize("kind", KINDS)
def test_place_size_and_rotation_hardly_count_and_the_kind_does(kind: str) -> None:
    one = outlines([drawn(kind, (100, 120), 40, 0)])
    for centre, size, degrees in (((220, 110), 40, 0), ((160, 120), 25, 0), ((160, 120), 40, 33)):
        again = outlines([drawn(kind, centre, size, degrees)])
        assert similarity(one, again)[0, 0] > 0.88
    others = outlines([drawn(other, (160, 120), 40, 20) for other in KINDS if other != kind])
    assert similarity(one, others).max() < 0.88


def test_measures_are_those_of_geometry() -> None:
    bar, disc = outlines([drawn("bar", (160, 120), 40, 0), drawn("disc", (160, 120), 80, 0)])
    assert bar[0] == pytest.approx(np.log(161 / 33), abs=0.06)
    assert bar[1:3] == pytest.approx([1, 1], abs=0.05)
    assert disc[0] == pytest.approx(0, abs=0.03)
    assert disc[1] == pytest.approx(1, abs=0.03)
    assert disc[2] == pytest.approx(np.pi / 4, abs=0.03)
    assert disc[MEASURES:].sum() == pytest.approx(1)
    # Of a disc the share within a radius r grows as r squared.
    assert np.cumsum(disc[MEASURES:])[:4] == pytest.approx([1 / 16, 1 / 4, 9 / 16, 1], abs=0.03)


def test_an_outline_equals_itself_and_unknown_ones_stay_unknown() -> None:
    made = outlines([drawn(kind, (160, 120), 30, 10) for kind in KINDS])
    assert similarity(made, made).diagonal() == pytest.approx(np.ones(4))
    assert (similarity(made, made) == similarity(made, made).T).all()
    empty = outlines([rle.encode(np.zeros(SIZE, bool))])
    assert np.isnan(empty).all()
    assert np.isnan(similarity(made, empty)).all()
    assert outlines([]).shape == (0, DIM)


def test_stray_pixels_change_nothing() -> None:
    whole = drawn("bar", (160, 120), 40, 10)
    mask = rle.decode([whole], SIZE)[0].copy()
    mask[3, 5] = mask[230:232, 300] = True
    assert similarity(outlines([whole]), outlines([rle.encode(mask)]))[0, 0] > 0.9


@pytest.mark.parametrize("pixels", [(1, 1), (1, 200), (2, 2), (240, 320)])
def test_thin_and_tiny_masks_have_an_outline(pixels: tuple[int, int]) -> None:
    mask = np.zeros(SIZE, bool)
    mask[: pixels[0], : pixels[1]] = True
    assert np.isfinite(outlines([rle.encode(mask)])).all()


def test_rings_lie_around_masks_and_not_on_them() -> None:
    coverage = torch.zeros(4, 24, 32)
    coverage[0, 8:16, 10:22] = 1
    coverage[1, 5, 5] = 0.2  # smaller than a cell
    coverage[2] = 1
    rings = surroundings(coverage)
    assert rings[0, 8:16, 10:22].sum() == 0
    assert rings[0, 7, 12] == 0, "the cell beside the mask holds its edge"
    assert rings[0, 6, 12] == 1
    assert rings[0, 0].sum() == 0
    assert rings[1, 5, 5] == 0
    assert rings[1].sum() > 0
    assert rings[2].sum() == 0
    assert rings[3].sum() == 0
    assert surroundings(torch.zeros(0, 4, 4)).shape == (0, 4, 4)
