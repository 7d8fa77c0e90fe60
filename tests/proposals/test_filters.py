from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from searchdet.config import ProposalOptions
from searchdet.masks import rle
from searchdet.proposals import filters
from searchdet.proposals.types import Proposals, from_masks

SIZE = (100, 200)
OFF = {"min_area": 0.0, "max_area": 100.0, "scored_masks": 1000}


def block(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def polygon(points: np.ndarray, size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 1, shift=4)
    return mask > 0


def disc(x: float, y: float, radius: float, size: tuple[int, int] = SIZE) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 <= radius**2)


def turned_block(degrees: float, wide: float = 60, high: float = 36) -> np.ndarray:
    corners = cv2.boxPoints(((100, 50), (wide, high), degrees))
    return polygon(corners)


def proposals(masks: Sequence[np.ndarray]) -> Proposals:
    quality = [1 - 0.01 * i for i in range(len(masks))]
    return from_masks(masks, quality, SIZE)


def finished(masks: Sequence[np.ndarray], **options: object) -> Proposals:
    return filters.finish(proposals(masks), ProposalOptions(**(OFF | options)))


def left(masks: Sequence[np.ndarray], **options: object) -> list[int]:
    """Which masks stay."""
    codes = [rle.encode(mask) for mask in masks]
    return [codes.index(code) for code in finished(masks, **options).rles]


def test_area_is_in_percent_of_the_image_and_limits_are_inside() -> None:
    masks = [block(0, 0, 20, 10), block(0, 0, 20, 20), block(0, 0, 200, 50), block(0, 0, 200, 51)]
    assert left(masks, min_area=1.0, max_area=50.0) == [0, 1, 2]
    assert left(masks, min_area=1.01, max_area=51.0) == [1, 2, 3]
    assert finished(masks, min_area=1.01, max_area=50.0).removed["area"] == 2


def test_an_empty_mask_never_stays() -> None:
    assert left([block(5, 5, 5, 5), block(5, 5, 6, 6)]) == [1]


@pytest.mark.parametrize("width", [1, 2, 5])
def test_a_mask_in_the_frame_goes_and_one_beside_it_stays(width: int) -> None:
    inside = (width, width, SIZE[1] - width, SIZE[0] - width)
    outside = [
        tuple(v + (i == side) * (-1 if side < 2 else 1) for i, v in enumerate(inside))
        for side in range(4)
    ]
    masks = [block(*inside), *(block(*box) for box in outside)]
    assert left(masks, drop_border=True, border_width=width) == [0]
    assert finished(masks, drop_border=True, border_width=width).removed["border"] == 4
    assert len(left(masks, border_width=width)) == 5


def test_by_default_a_mask_at_the_edge_of_the_picture_stays() -> None:
    masks = [block(0, 0, 40, 40), block(160, 60, 200, 100), block(0, 30, 200, 60), disc(0, 50, 20)]
    found = filters.finish(proposals(masks), ProposalOptions())
    assert len(found) == 4
    assert set(found.removed.values()) <= {0}


@pytest.mark.parametrize("degrees", [0, 10, 30, 45, 77])
def test_rectangles_with_holes_are_known_at_any_angle(degrees: float) -> None:
    """A picture frame, and a sheet with two holes; a ring is none, nor is a frame that is open."""
    whole = turned_block(degrees)
    frame = whole & ~turned_block(degrees, 44, 22)
    sheet = whole & ~disc(95, 50, 5) & ~disc(107, 50, 3)
    ring = disc(100, 50, 20) & ~disc(100, 50, 12)
    wanted = filters.rectangularity(rle.encode(whole))
    for mask in (frame, sheet):
        assert filters.rectangularity(rle.encode(mask)) == wanted
    assert left([frame, sheet, ring], drop_rectangles=0.9) == [2]
    opened = frame & ~block(96, 0, 104, 50)
    assert filters.rectangularity(rle.encode(opened)) < 0.7
    assert left([opened], drop_rectangles=0.9) == [0]


@pytest.mark.parametrize("degrees", [0, 10, 30, 45, 77])
def test_rectangles_at_any_angle_are_known(degrees: float) -> None:
    assert filters.rectangularity(rle.encode(turned_block(degrees))) > 0.93


def test_other_shapes_are_as_rectangular_as_geometry_says() -> None:
    for mask, share in (
        (disc(100, 50, 45), np.pi / 4),
        (polygon(np.array([[20.0, 10], [180, 10], [100, 90]])), 0.5),
        (block(20, 20, 60, 60) | block(20, 20, 120, 40), 2800 / 4000),
    ):
        assert filters.rectangularity(rle.encode(mask)) == pytest.approx(share, abs=0.03)
    assert filters.rectangularity(rle.encode(block(3, 3, 3, 3))) == 0
    for exact in (block(7, 9, 8, 10), block(0, 4, 200, 5), block(9, 0, 10, 100), block(2, 3, 40, 77)):
        assert filters.rectangularity(rle.encode(exact)) == pytest.approx(1.0, abs=1e-6)


def test_rectangles_are_dropped_from_the_given_overlap_on() -> None:
    masks = [turned_block(30), disc(100, 50, 40), block(10, 10, 50, 90)]
    assert left(masks) == [0, 1, 2]
    assert left(masks, drop_rectangles=0.9) == [1]
    assert left(masks, drop_rectangles=0.7) == []
    assert finished(masks, drop_rectangles=0.9).removed["rectangle"] == 2


def test_a_mask_inside_a_better_one_goes() -> None:
    large, small = block(10, 10, 90, 90), block(30, 30, 50, 50)
    assert left([large, small], max_containment=0.9) == [0]
    assert left([small, large], max_containment=0.9) == [0, 1]
    assert left([large, small]) == [0, 1]


def test_containment_is_counted_in_the_smaller_mask_and_must_exceed_the_limit() -> None:
    large, half = block(10, 10, 90, 90), block(80, 20, 100, 40)
    assert left([large, half], max_containment=0.5) == [0, 1]
    assert left([large, half], max_containment=0.49) == [0]


def test_what_a_dropped_mask_holds_and_what_two_masks_hold_together_stays() -> None:
    one, two, both = block(0, 0, 50, 50), block(50, 0, 100, 50), block(30, 10, 70, 20)
    assert left([one, two, both], max_containment=0.6) == [0, 1, 2]
    large, middle = block(10, 10, 60, 60), block(20, 20, 65, 60)
    edge = block(58, 25, 65, 35)
    assert left([large, middle, edge], max_containment=0.8) == [0, 2]


def test_filters_count_in_order_and_the_limit_comes_last() -> None:
    masks = [
        block(50, 30, 150, 80),  # a rectangle
        disc(100, 55, 24),  # inside it, but that is gone by then
        disc(100, 55, 12),  # inside the disc
        block(0, 0, 2, 2),  # small, at the border, a rectangle
        block(0, 20, 30, 60),  # at the border, a rectangle
        disc(30, 50, 15),
        disc(170, 50, 15),
    ]
    options = {"min_area": 0.1, "drop_border": True, "drop_rectangles": 0.9, "max_containment": 0.9}
    found = finished(masks, **options, scored_masks=2)
    assert found.rles == (rle.encode(masks[1]), rle.encode(masks[5]))
    assert dict(found.removed) == {"area": 1, "border": 1, "rectangle": 1, "contained": 1, "limit": 1}
    assert found.boxes.shape == (2, 4)
    assert np.allclose(found.quality, [0.99, 0.95])


def test_filters_that_are_off_are_not_in_the_record() -> None:
    assert set(finished([block(0, 0, 9, 9)]).removed) == {"area", "limit"}


def test_counts_add_to_what_was_counted_before() -> None:
    found = proposals([block(0, 0, 9, 9), block(0, 0, 1, 1)])
    before = Proposals(*(getattr(found, n) for n in ("size", "boxes", "quality", "rles")), {"area": 3})
    options = ProposalOptions(**(OFF | {"min_area": 0.1}))
    assert filters.finish(before, options).removed == {"area": 4, "limit": 0}
    assert before.removed == {"area": 3}


def test_no_masks_pass_all_filters() -> None:
    options = {"drop_border": True, "drop_rectangles": 0.9, "max_containment": 0.5}
    assert len(finished([], **options)) == 0


def field_of(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 4, -4).astype(np.float32)


def test_opening_removes_a_thin_spur_and_closing_fills_a_hole() -> None:
    body = disc(80, 50, 30)
    spur, hole = block(110, 50, 160, 52), block(79, 49, 81, 51)
    got = filters.smooth(field_of((body | spur) & ~hole), 3) > 0
    assert not got[50:52, 116:160].any()
    assert got[hole].all()
    assert (got & body).sum() / (got | body).sum() > 0.97
    assert not (filters.smooth(field_of(spur), 3) > 0).any()


def test_smoothing_commutes_with_every_threshold() -> None:
    rng = np.random.default_rng(3)
    field = cv2.resize(rng.normal(0, 3, (24, 24)).astype(np.float32), (96, 96))
    for radius in (1, 2, 4):
        smooth = filters.smooth(field, radius)
        for level in (-2.0, 0.0, 1.0, 3.0):
            mask = filters.smooth((field > level).astype(np.float32), radius) > 0.5
            assert (mask == (smooth > level)).all()


def test_smoothing_twice_is_smoothing_once_and_keeps_what_touches_the_edge() -> None:
    rng = np.random.default_rng(4)
    field = cv2.resize(rng.normal(0, 3, (24, 24)).astype(np.float32), (96, 96))
    once = filters.smooth(field, 2)
    assert (filters.smooth(once, 2) == once).all()
    corner = field_of(block(0, 0, 30, 30) | block(150, 0, 200, 100))
    assert ((filters.smooth(corner, 3) > 0)[:25, :25]).all()
    assert ((filters.smooth(corner, 3) > 0)[:, 150:]).all()
