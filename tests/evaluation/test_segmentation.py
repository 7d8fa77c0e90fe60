"""IoU of masks and of their boundaries against definitions written otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import distance_transform_cdt

from searchdet.evaluation.segmentation import Overlap, boundary


def blob(seed: int, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    chance = np.random.default_rng(seed)
    rows, columns = np.ogrid[: size[0], : size[1]]
    y, x, r = chance.uniform(10, 50), chance.uniform(0, 70), chance.uniform(8, 25)
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 <= r**2)


@pytest.mark.parametrize("seed", range(6))
def test_a_boundary_is_what_lies_near_the_outside(seed: int) -> None:
    """By distance (chessboard), with the image's own frame as outside; 2 % of 100 pixels are 2."""
    mask = blob(seed)
    away = distance_transform_cdt(np.pad(mask, 1), "chessboard")[1:-1, 1:-1]
    assert (boundary(mask) == (mask & (away <= 2))).all()
    assert (boundary(mask, 0.001) == (mask & (away <= 1))).all()


def test_images_of_a_class_are_summed_before_they_are_divided() -> None:
    pairs = [(blob(i), blob(i + 10)) for i in range(4)]
    found = Overlap()
    for ours, theirs in pairs:
        found.add(ours, theirs)
    both = sum(np.count_nonzero(np.logical_and(a, b)) for a, b in pairs)
    either = sum(np.count_nonzero(np.logical_or(a, b)) for a, b in pairs)
    assert found.iou == both / either
    edges = [(boundary(a), boundary(b)) for a, b in pairs]
    expected = sum((a & b).sum() for a, b in edges) / sum((a | b).sum() for a, b in edges)
    assert found.boundary_iou == pytest.approx(expected)
    assert found.iou != found.boundary_iou


def test_nothing_at_all_has_no_overlap_and_other_sizes_are_refused() -> None:
    found = Overlap()
    found.add(np.zeros((4, 5), bool), np.zeros((4, 5), bool))
    assert (found.iou, found.boundary_iou) == (None, None)
    with pytest.raises(ValueError, match="pixels"):
        found.add(np.zeros((4, 5), bool), np.zeros((5, 4), bool))
