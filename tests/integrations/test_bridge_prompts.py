from __future__ import annotations

import pytest
from bridged import RING, block

from searchdet.integrations.predictor import Marks
from searchdet.integrations.prompts import under_points
from searchdet.masks import rle

MASKS = [rle.encode(mask) for mask in (RING, block(15, 10, 25, 20), block(0, 0, 60, 40))]


@pytest.mark.parametrize(
    ("points", "against", "place"),
    [
        (((11, 6),), (), 0),
        (((20, 15),), (), 1),
        (((11.9, 6.9), (20, 15)), (), 2),
        (((11, 6),), ((29, 24),), None),
        (((11, 6),), ((20, 15),), 0),
        (((29.9, 24.9),), (), 0),
        (((30.0, 24.9),), (), 2),
        (((-1, 5),), (), None),
        ((), (), None),
    ],
)
def test_the_first_mask_that_holds_most_points(
    points: tuple[tuple[float, float], ...],
    against: tuple[tuple[float, float], ...],
    place: int | None,
) -> None:
    assert under_points(MASKS, Marks(points, against)) == place
