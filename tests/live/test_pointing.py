"""Which region a click means: the one whose middle is near, of good quality, and not half the image."""

from __future__ import annotations

from pathlib import Path

import boards
import numpy as np
import pytest

from searchdet.live import Board, Shelf
from searchdet.live.pointing import SPREAD, meant, pointed

SIZE = (100, 200)


def likely(boxes: list[list[float]], quality: list[float], at: tuple[float, float]) -> list[float]:
    return meant(np.asarray(boxes, float), np.asarray(quality, float), at, SIZE).tolist()


def test_the_nearer_middle_is_meant_and_of_two_alike_the_better() -> None:
    part, whole = [10, 10, 30, 60], [10, 10, 60, 60]
    one, two = likely([part, whole], [0.9, 0.6], (35, 35))
    assert two > one
    one, two = likely([part, whole], [0.9, 0.6], (20, 35))
    assert one > two
    one, two = likely([whole, whole], [0.5, 0.6], (30, 30))
    assert two > one


def test_it_falls_with_the_distance_in_sides() -> None:
    (middle,), (aside,) = (likely([[0, 0, 40, 20]], [0.8], at) for at in ((20, 10), (24, 8)))
    away = (4 / 40) ** 2 + (2 / 20) ** 2
    assert middle == pytest.approx(0.8)
    assert aside == pytest.approx(0.8 * np.exp(-away / (2 * SPREAD**2)))


def test_what_fills_half_of_the_image_comes_last() -> None:
    half, small = likely([[0, 0, 150, 80], [60, 20, 90, 60]], [1.0, 0.3], (75, 40))
    assert small > half


def test_all_regions_under_the_pixel_are_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shelf: Shelf = boards.shelf(tmp_path, rng, boards.kinds(rng), [40])
    board = Board(shelf)
    height, width = shelf.images[0].image.height, shelf.images[0].image.width
    for x, y in rng.random((20, 2)) * [width, height]:
        rows = pointed(board, 0, x, y)
        assert sorted(rows) == sorted(board.under(0, x, y))
        usable = shelf.arrays["valid"][rows]
        assert (np.diff(usable.astype(int)) <= 0).all(), "those without a descriptor come last"
        rows = [row for row, good in zip(rows, usable, strict=True) if good]
        boxes = shelf.arrays["boxes"][rows].astype(float)
        worth = meant(boxes, shelf.arrays["quality"][rows].astype(float), (x, y), (height, width))
        assert (np.diff(worth) <= 0).all()
    shelf.close()
