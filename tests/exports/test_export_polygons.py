"""Polygons of masks: what they give when others draw them."""

from __future__ import annotations

import numpy as np
import pytest
from exported import blob, drawn, iou, ring
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from places import Figure
from profiles import examples
from scipy import ndimage
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from skimage.draw import polygon

from searchdet.masks.bridges import joined
from searchdet.masks.polygons import Part, _loops, outline, parts

MASKS = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
EIGHT = np.ones((3, 3))


def rings(found: tuple[Part, ...]) -> list[np.ndarray]:
    return [one for part in found for one in (part.outer, *part.holes)]


def sampled(ring: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A polygon as scikit-image fills it: which pixel middles lie in it. A reference of another maker.
    It takes a point on an edge for inside, so that the middles are moved off bridges."""
    mask = np.zeros(size, bool)
    mask[polygon(ring[:, 1] - 0.5007, ring[:, 0] - 0.5003, size)] = True
    return mask


@settings(max_examples=examples(300), deadline=None)
@given(MASKS)
def test_exact_outlines_draw_the_mask_and_have_one_part_for_each_of_it(mask: np.ndarray) -> None:
    loops = list(_loops(mask))
    _, count = ndimage.label(mask, EIGHT)
    _, holes = ndimage.label(~np.pad(mask, 1))
    assert sum(not loop.hole for loop in loops) == count
    assert sum(loop.hole for loop in loops) == holes - 1
    if mask.any():
        found = parts(mask)
        assert len(found) == count
        assert sum(len(part.holes) for part in found) == holes - 1
        whole = joined([loop.corners for loop in loops])
        assert (drawn([whole.ravel()], mask.shape) == mask).all()
        assert (np.abs(np.diff(np.vstack([whole, whole[:1]]), axis=0)).sum(axis=1) > 0).all()


@pytest.mark.model
@pytest.mark.parametrize("grain", [0.0, 0.7, 2.0, 5.0])
@pytest.mark.parametrize("share", [0.04, 0.3, 0.8])
def test_polygons_draw_back_to_the_mask(grain: float, share: float, figure: Figure) -> None:
    for seed in range(6):
        mask = blob(seed, (61, 83), grain, share)
        found = parts(mask)
        apart = drawn([part.ring.ravel() for part in found], mask.shape)
        whole = outline(mask)
        together = drawn([whole.ravel()], mask.shape)
        lost = 1 - min(iou(apart, mask), iou(together, mask))
        assert figure("exports: 1 - IoU of a polygon with its mask", lost) <= 0.01
        lost = 1 - iou(sampled(whole, mask.shape), mask)
        specks = grain < 1 and share < 0.1  # hundreds of parts of a pixel or two
        most = 0.08 if specks else 0.02
        assert figure("exports: 1 - IoU of a polygon, sampled, with its mask", lost) <= most
        for part in rings(found):
            assert len(part) >= 3
            assert part.min() >= 0
            assert (part.max(axis=0) <= mask.shape[::-1]).all()


def test_each_part_is_drawn_back_not_just_their_sum() -> None:
    mask = np.zeros((200, 200), bool)
    mask[:150, :150] = True
    rows = np.arange(155, 195)
    mask[rows, 160 + rows % 7] = True  # a thin crooked scratch beside a large part
    labels, count = ndimage.label(mask, EIGHT)
    found = parts(mask)
    assert len(found) == count > 1
    for part in found:
        one = drawn([part.ring.ravel()], mask.shape)
        assert max(iou(one, labels == number) for number in range(1, count + 1)) >= 0.98


@pytest.mark.parametrize(
    "mask",
    [
        np.pad(np.ones((1, 1), bool), 3),
        np.pad(np.ones((1, 9), bool), 3),
        np.pad(np.ones((9, 1), bool), 3),
        np.pad(np.eye(9, dtype=bool), 3),
        np.pad(np.eye(40, dtype=bool)[::-1], 1),
        np.ones((1, 1), bool),
        np.ones((5, 7), bool),
    ],
)
def test_thin_masks_keep_their_area(mask: np.ndarray) -> None:
    found = parts(mask)
    assert len(found) == 1
    x, y = found[0].outer.T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert area == mask.sum()
    assert len(found[0].outer) >= 3
    assert (drawn([found[0].outer.ravel()], mask.shape) == mask).all()


def test_a_rectangle_is_four_corners_and_a_disc_is_simplified() -> None:
    mask = np.zeros((50, 80), bool)
    mask[10:40, 20:61] = True
    assert sorted(map(tuple, parts(mask)[0].outer.tolist())) == [(20, 10), (20, 40), (61, 10), (61, 40)]
    y, x = np.indices((203, 203))
    disc = np.hypot(y - 101, x - 101) <= 100
    found = parts(disc, corner=(5, 7))[0].outer
    assert len(found) < 60
    assert found.min(axis=0).tolist() == pytest.approx([8, 6], abs=1)
    assert iou(drawn([(found - (7, 5)).ravel()], disc.shape), disc) >= 0.99


def test_holes_are_cut_out_and_belong_to_their_part() -> None:
    mask = np.zeros((40, 120), bool)
    mask[:, :60] = ring()
    mask[:, 60:] = ring()
    found = parts(mask)
    assert [len(part.holes) for part in found] == [1, 1]
    for part in found:
        assert part.holes[0][:, 0].min() > part.outer[:, 0].min()
        assert part.holes[0][:, 0].max() < part.outer[:, 0].max()
    assert (drawn([part.ring.ravel() for part in found], mask.shape) == mask).all()


def test_many_parts_are_joined_in_time() -> None:
    mask = np.zeros((160, 160), bool)
    mask[::2, ::2] = True
    whole = joined(rings(parts(mask)))
    assert (drawn([whole.ravel()], mask.shape) == mask).all()


def kept(ring: np.ndarray) -> np.ndarray:
    """A polygon as a file holds it and as readers take it that drop points which repeat."""
    rows = ring.round(4)
    _, first = np.unique(rows, axis=0, return_index=True)
    return rows[np.sort(first)]


def disc(size: tuple[int, int], y: int, x: int, radius: float) -> np.ndarray:
    rows, columns = np.indices(size)
    return np.hypot(rows - y, columns - x) <= radius


RINGS = {
    "square hole": ring((60, 80)),
    "round hole": disc((90, 90), 44, 44, 40) & ~disc((90, 90), 44, 44, 25),
    "four holes": np.ones((60, 60), bool) & ~np.kron(np.eye(4, dtype=bool), disc((15, 15), 7, 7, 4)),
    "thin ring": disc((90, 90), 44, 44, 40) & ~disc((90, 90), 44, 44, 39),
    "two parts": disc((90, 90), 20, 20, 15) | disc((90, 90), 60, 61, 18),
    "ring in a ring": disc((99, 99), 49, 49, 45)
    & (~disc((99, 99), 49, 49, 35) | (disc((99, 99), 49, 49, 22) & ~disc((99, 99), 49, 49, 10))),
    "touching corners": np.kron(np.indices((6, 6)).sum(axis=0) % 2, np.ones((9, 9))).astype(bool),
    "diagonal": np.eye(50, dtype=bool),
    "crooked line": np.pad(np.eye(50, dtype=bool) | np.eye(50, k=1, dtype=bool)[::-1], 3),
}


@pytest.mark.parametrize("name", RINGS)
def test_no_corner_comes_twice_so_that_slits_survive_readers_that_drop_it(name: str) -> None:
    mask = RINGS[name]
    whole = outline(mask)
    assert len(kept(whole)) == len(whole)
    assert iou(drawn([kept(whole).ravel()], mask.shape), mask) >= 0.99
    apart = [kept(part.ring) for part in parts(mask)]
    assert [len(one) for one in apart] == [len(part.ring) for part in parts(mask)]
    assert iou(drawn([one.ravel() for one in apart], mask.shape), mask) >= 0.99
    assert whole.min() >= 0
    assert (whole.max(axis=0) <= mask.shape[::-1]).all()


@settings(max_examples=examples(300), deadline=None)
@given(MASKS.filter(np.any), st.tuples(st.integers(0, 3000), st.integers(0, 3000)))
def test_outlines_of_any_mask_repeat_no_corner_and_draw_it(
    mask: np.ndarray, corner: tuple[int, int]
) -> None:
    whole = outline(mask, corner)
    assert len(kept(whole)) == len(whole) >= 3
    assert iou(drawn([(kept(whole) - corner[::-1]).ravel()], mask.shape), mask) >= 0.99


def length(ring: np.ndarray) -> float:
    return float(np.hypot(*(np.roll(ring, -1, axis=0) - ring).T).sum())


@pytest.mark.parametrize("grain", [0.0, 0.8, 2.0, 3.0])
def test_bridges_are_the_shortest(grain: float) -> None:
    found = rings(parts(blob(3, (50, 60), grain, 0.2)))
    gaps = [[cdist(one, two).min() for two in found] for one in found]
    assert len(found) > 5
    shortest = minimum_spanning_tree(np.array(gaps) + 1e-6).sum()  # where 0 is no edge
    extra = length(joined(found)) - sum(map(length, found))
    assert extra == pytest.approx(2 * shortest, abs=0.02 * 2 * len(found))  # corners move
