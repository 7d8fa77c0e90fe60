from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco

from searchdet.masks import rle
from searchdet.masks.areas import areas


def special_masks() -> dict[str, np.ndarray]:
    blank = np.zeros((23, 31), bool)
    found = {"empty": blank, "full": ~blank}
    for name, where in {
        "first pixel": np.s_[0, 0],
        "last pixel": np.s_[-1, -1],
        "inner pixel": np.s_[11, 17],
        "first column": np.s_[:, 0],
        "last column": np.s_[:, -1],
        "first row": np.s_[0],
        "last row": np.s_[-1],
        "two whole columns": np.s_[:, 4:6],
        "across a column's end": np.s_[20:, 9],
    }.items():
        found[name] = blank.copy()
        found[name][where] = True
    found["across a column's end"][:3, 10] = True
    return found


def random_masks() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    found = {}
    for size in ((1, 1), (1, 40), (40, 1), (7, 5), (64, 48), (151, 203)):
        for density in (0.02, 0.5, 0.98):
            found[f"{size[0]}x{size[1]}, {density}"] = rng.random(size) < density
    large = np.zeros((3000, 200), bool)
    large[1200:2800, 37:190] = True
    large[5, 150] = True
    found["long runs"] = large
    return found


MASKS = special_masks() | random_masks()
every_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())


def reference(mask: np.ndarray) -> dict[str, object]:
    code = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(code["size"]), "counts": code["counts"].decode()}


@every_mask
def test_encodings_are_those_of_pycocotools_and_fit_in_json(mask: np.ndarray) -> None:
    code = rle.encode(mask)
    assert code == reference(mask)
    assert json.loads(json.dumps(code)) == code
    assert (rle.decode([code], mask.shape)[0] == mask).all()
    assert rle.area(code) == mask.sum()


@every_mask
def test_runs_paint_the_mask(mask: np.ndarray) -> None:
    found = rle.runs(reference(mask))
    painted = np.zeros(mask.shape, np.int64)
    for column, top, bottom in zip(found.column, found.top, found.bottom, strict=True):
        assert 0 <= top < bottom <= mask.shape[0]
        painted[top:bottom, column] += 1
    assert (painted == mask).all()
    assert (np.diff(found.column) >= 0).all()


@every_mask
def test_a_window_is_the_mask_cropped_to_its_box(mask: np.ndarray) -> None:
    part, (y, x) = rle.window(reference(mask))
    if not mask.any():
        assert part.shape == (0, 0)
        return
    rows, columns = np.nonzero(mask)
    assert (y, x) == (rows.min(), columns.min())
    assert (part == mask[y : rows.max() + 1, x : columns.max() + 1]).all()


def test_boxes_hold_their_masks_with_an_exclusive_end() -> None:
    masks = [mask for mask in MASKS.values() if mask.any()]
    got = rle.boxes([rle.encode(mask) for mask in masks])
    assert got.dtype == np.float32
    for mask, box in zip(masks, got, strict=True):
        rows, columns = np.nonzero(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_nothing_keeps_its_shape() -> None:
    assert rle.boxes([]).shape == (0, 4)
    assert rle.decode([], (5, 7)).shape == (0, 5, 7)
    empty = rle.runs(rle.encode(np.zeros((5, 7), bool)))
    assert len(empty.column) == len(empty.top) == len(empty.bottom) == 0


CORNERS = ("start", "end", "right", "below", "inside")


@pytest.mark.parametrize("place", CORNERS)
@every_mask
def test_a_mask_moved_into_an_image_is_as_if_it_was_encoded_there(mask: np.ndarray, place: str) -> None:
    height, width = mask.shape
    room = {"start": (4, 6), "end": (4, 6), "right": (0, 3), "below": (2, 0), "inside": (9, 9)}[place]
    size = (height + room[0], width + room[1])
    corner = {"start": (0, 0), "inside": (5, 2)}.get(place, room)
    whole = np.zeros(size, bool)
    whole[corner[0] : corner[0] + height, corner[1] : corner[1] + width] = mask
    assert rle.moved(rle.encode(mask), corner, size) == reference(whole)
    assert rle.encode_window(mask, corner, size) == reference(whole)


@every_mask
def test_a_window_as_large_as_the_image_is_encoded_directly(mask: np.ndarray) -> None:
    assert rle.encode_window(mask, (0, 0), mask.shape) == reference(mask)
    assert rle.moved(reference(mask), (0, 0), mask.shape) == reference(mask)


def test_many_masks_decode_in_order() -> None:
    rng = np.random.default_rng(1)
    masks = rng.random((9, 17, 13)) > 0.6
    assert (rle.decode([rle.encode(mask) for mask in masks], (17, 13)) == masks).all()


def groups() -> dict[tuple[int, int], list[np.ndarray]]:
    """Masks by their size, in random order, some of them twice."""
    rng = np.random.default_rng(8)
    found: dict[tuple[int, int], list[np.ndarray]] = {}
    for mask in MASKS.values():
        found.setdefault(mask.shape, []).append(mask)
    for size, masks in found.items():
        masks += [rng.random(size) < density for density in (0.1, 0.4, 0.6, 0.0, 1.0)]
    return {size: [masks[i] for i in rng.integers(0, len(masks), 17)] for size, masks in found.items()}


@pytest.mark.parametrize(("size", "masks"), groups().items(), ids=str)
def test_all_runs_are_the_runs_of_each_and_encode_to_the_same(
    size: tuple[int, int], masks: list[np.ndarray]
) -> None:
    codes = [rle.encode(mask) for mask in masks]
    found = rle.all_runs(codes)
    assert (np.diff(found.owner) >= 0).all()
    for i, code in enumerate(codes):
        wanted, mine = rle.runs(code), found.owner == i
        for name in ("column", "top", "bottom"):
            assert getattr(found, name)[mine].tolist() == getattr(wanted, name).tolist()
    assert rle.from_runs(found, len(codes), size) == codes


def test_all_runs_of_nothing_and_of_empty_masks() -> None:
    assert len(rle.all_runs([]).owner) == 0
    assert rle.from_runs(rle.all_runs([]), 0, (5, 7)) == []
    blank = rle.encode(np.zeros((5, 7), bool))
    assert len(rle.all_runs([blank, blank]).owner) == 0
    assert rle.from_runs(rle.all_runs([blank]), 2, (5, 7)) == [blank, blank]


def test_all_runs_refuse_what_is_no_mask_and_different_sizes() -> None:
    good = rle.encode(np.ones((5, 7), bool))
    for counts in ("", "0", "05", "0S2", "~"):
        with pytest.raises(ValueError, match="run lengths"):
            rle.all_runs([good, {"size": [5, 7], "counts": counts}])
    with pytest.raises(ValueError, match="2 sizes"):
        rle.all_runs([good, rle.encode(np.ones((7, 5), bool))])


@pytest.mark.parametrize("count", [0, 1, 256, 700])
def test_areas_of_many_masks_are_counts_of_their_pixels(count: int) -> None:
    masks = np.random.default_rng(count).random((count, 9, 7)) < 0.4
    codes = [rle.encode(mask) for mask in masks]
    assert areas(codes, (9, 7)).tolist() == masks.sum(axis=(1, 2)).tolist()
    assert areas(codes, (18, 21)).tolist() == pytest.approx((6 * masks.sum(axis=(1, 2))).tolist())
