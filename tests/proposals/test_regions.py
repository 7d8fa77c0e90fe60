"""The parts of the embedded proposer against plain loops over dense masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scenes import make_scene

from searchdet.config import ProposalOptions
from searchdet.masks import rle
from searchdet.masks.rle import AllRuns
from searchdet.proposals import copies, families, hierarchy, quality, thresholds
from searchdet.proposals.families import Family
from searchdet.proposals.regions import RegionProposer
from searchdet.proposals.scene import WORKING_PIXELS, prepare
from searchdet.proposals.superpixels import superpixels

SIZE = (20, 24)


def dense(runs: AllRuns, count: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    masks = np.zeros((count, *size), int)
    for owner, x, top, bottom in zip(runs.owner, runs.column, runs.top, runs.bottom, strict=True):
        masks[owner, top:bottom, x] += 1
    assert masks.max(initial=0) <= 1
    return masks > 0


def of(family: Family) -> np.ndarray:
    pairs = zip(family.low, family.high, strict=True)
    return np.stack([(family.numbers >= low) & (family.numbers < high) for low, high in pairs])


def blocks(rows: int = 4, columns: int = 4) -> np.ndarray:
    numbers = np.random.default_rng(1).permutation(rows * columns).reshape(rows, columns)
    return np.repeat(np.repeat(numbers, 5, 0), 6, 1)[: SIZE[0], : SIZE[1]].astype(np.int64)


def tree(
    labels: np.ndarray, lab: np.ndarray, distance: hierarchy.Distance
) -> tuple[Family, np.ndarray]:
    boxes, areas = hierarchy.boxes_and_areas(labels)
    edges = np.random.default_rng(4).random(labels.shape).astype(np.float32)
    segments = hierarchy.segments_of(lab, labels, boxes)
    rounds, around = hierarchy.merge_order(segments, hierarchy.borders_of(labels, edges), distance)
    return hierarchy.family(labels, boxes, areas, rounds), around


DISTANCES = [hierarchy.by_colour, hierarchy.by_edge, hierarchy.by_mean]


@pytest.mark.parametrize("distance", DISTANCES, ids=lambda f: f.__name__)
def test_a_merge_tree_has_every_leaf_and_merge_once(distance: hierarchy.Distance) -> None:
    labels, rng = blocks(), np.random.default_rng(0)
    lab = rng.normal(50, 10, (*SIZE, 3)).astype(np.float32)
    found, around = tree(labels, lab, distance)
    masks = of(found)
    assert len(masks) == len(around) == 16 + 15
    assert len({mask.tobytes() for mask in masks}) == 31
    assert sum(mask.all() for mask in masks) == 1
    for label in range(16):
        assert (masks[label] == (labels == label)).all(), "leaves stand first, in order"
    for mask, box, area in zip(masks, found.boxes, found.areas, strict=True):
        assert area == mask.sum()
        y, x = np.nonzero(mask)
        assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    inside = np.einsum("ihw,jhw->ij", masks.astype(int), masks.astype(int))
    areas = found.areas
    nested = (inside == 0) | (inside == areas[:, None]) | (inside == areas[None])
    assert nested.all()


def test_equal_neighbours_merge_first_and_borders_add_up() -> None:
    labels = blocks()
    lab = np.zeros((*SIZE, 3), np.float32)
    lab[:, SIZE[1] // 2 :] = 80
    found, _ = tree(labels, lab, hierarchy.by_mean)
    half = np.zeros(SIZE, bool)
    half[:, 12:] = True
    assert any((mask == half).all() for mask in of(found))
    borders = hierarchy.borders_of(labels, np.ones(SIZE, np.float32))
    assert len(borders.pairs) == 24
    steps = (labels[:, 1:] != labels[:, :-1]).sum() + (labels[1:] != labels[:-1]).sum()
    assert borders.length.sum() == borders.strength.sum() == steps


def test_runs_of_a_family_are_those_of_its_masks_both_ways() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        numbers = (rng.integers(0, 9, SIZE) - rng.integers(0, 2)).astype(np.int32)
        low = rng.integers(0, 8, 12)
        high = low + rng.integers(1, 3, 12)
        none = np.zeros((12, 4), np.int64), np.zeros(12, np.int64)
        family = Family(numbers, 9, low, np.minimum(high, 9), *none)
        columns = families.runs_of(family)
        assert (dense(columns, 12) == of(family)).all()
        turned = dense(families.runs_of(family, turned=True), 12, SIZE[::-1])
        assert (turned == of(family).transpose(0, 2, 1)).all()
        codes = [rle.encode(mask) for mask in of(family)]
        assert rle.from_runs(columns, 12, SIZE) == codes
        rows = rng.permutation(12)[:5]
        some = families.chosen_runs(columns, rows, 12)
        assert rle.from_runs(some, 5, SIZE) == [codes[i] for i in rows]


def test_runs_of_windows_lie_where_the_windows_do() -> None:
    rng = np.random.default_rng(3)
    windows, corners, wanted = [], [], []
    for _ in range(30):
        y, x = rng.integers(0, 15), rng.integers(0, 20)
        window = rng.random((rng.integers(1, SIZE[0] - y + 1), rng.integers(1, SIZE[1] - x + 1))) > 0.4
        mask = np.zeros(SIZE, bool)
        mask[y : y + window.shape[0], x : x + window.shape[1]] = window
        windows.append(window)
        corners.append((x, y, x + window.shape[1], y + window.shape[0]))
        wanted.append(mask)
    boxes = np.asarray(corners)
    assert (dense(families.runs_of_windows(windows, boxes), 30) == wanted).all()
    turned = dense(families.runs_of_windows(windows, boxes, turned=True), 30, SIZE[::-1])
    assert (turned == np.transpose(wanted, (0, 2, 1))).all()
    both = families.stacked([families.runs_of_windows(windows, boxes)] * 2, [30, 30])
    assert (dense(both, 60) == wanted * 2).all()
    assert len(families.runs_of_windows([], np.zeros((0, 4), np.int64)).owner) == 0


def test_windows_of_runs_are_those_of_each_mask() -> None:
    rng = np.random.default_rng(9)
    masks = rng.random((40, *SIZE)) > rng.choice([0.3, 0.97, 0.999, 1.0], (40, 1, 1))
    codes = [rle.encode(mask) for mask in masks]
    for got, code in zip(families.windows_of(rle.all_runs(codes), 40), codes, strict=True):
        window, corner = rle.window(code)
        assert got[0].shape == window.shape
        assert (got[0] == window).all()
        assert got[1] == corner
    empty = rle.encode(np.zeros(SIZE, bool))
    assert families.windows_of(rle.all_runs([empty]), 1)[0][0].shape == (0, 0)


def test_near_copies_are_kept_once_the_first_of_each() -> None:
    boxes = np.asarray([[10, 10, 60, 60], [11, 10, 60, 61], [10, 10, 60, 60], [60, 10, 110, 60]])
    areas = np.asarray([2000, 2010, 700, 2000])
    rows, counts = copies.distinct(boxes, areas)
    assert rows.tolist() == [0, 2, 3]
    assert counts.tolist() == [2, 1, 1]
    rng = np.random.default_rng(5)
    corner = rng.integers(0, 200, (500, 2))
    many = np.concatenate([corner, corner + rng.integers(5, 90, (500, 2))], axis=1)
    rows, counts = copies.distinct(many, (many[:, 2:] - many[:, :2]).prod(axis=1))
    assert counts.sum() == 500
    assert (np.diff(rows) > 0).all()
    again, single = copies.distinct(np.repeat(many, 3, 0), np.repeat(np.ones(500, np.int64), 3))
    assert (again % 3 == 0).all()
    assert (single >= 3).all()


def test_looks_are_those_of_plain_loops() -> None:
    image = make_scene(3).image
    scene = prepare(image[:90, :110])
    rng = np.random.default_rng(6)
    masks = np.zeros((4, 90, 110), bool)
    masks[0, 20:50, 30:70], masks[1, 0:40, 0:30], masks[2] = True, True, True
    masks[3] = cv2.resize(rng.random((9, 11)), (110, 90)) > 0.5
    columns = rle.all_runs([rle.encode(mask) for mask in masks])
    rows = rle.all_runs([rle.encode(np.ascontiguousarray(mask.T)) for mask in masks])
    looks = quality.look(scene, columns, rows, 4)
    plain = cv2.dilate(scene.edges, np.ones((3, 3), np.uint8)) >= quality.FAINT
    for i, mask in enumerate(masks):
        ends = edges = 0
        rim, ring = [], []
        for lab, on, part in (
            (scene.lab, plain, mask),
            (scene.lab.transpose(1, 0, 2), plain.T, mask.T),
        ):
            height = part.shape[0]
            for x in range(part.shape[1]):
                step = np.diff(part[:, x].astype(int), prepend=0, append=0)
                for top, bottom in zip(
                    np.flatnonzero(step == 1), np.flatnonzero(step == -1), strict=True
                ):
                    ends += int(top > 0) + int(bottom < height)
                    edges += int(on[top, x] and top > 0) + int(on[bottom - 1, x] and bottom < height)
                    width = min(quality.RING, bottom - top)
                    rim += [*lab[top : top + width, x], *lab[bottom - width : bottom, x]]
                    ring += [*lab[max(0, top - quality.RING) : top, x]]
                    ring += [*lab[bottom : bottom + quality.RING, x]]
        wanted = np.linalg.norm(np.mean(rim, 0) - np.mean(ring, 0)) if ring else 0
        assert looks.contrast[i] == pytest.approx(wanted, abs=0.1)
        assert looks.faint[i] == pytest.approx(1 - edges / max(ends, 1))


def test_what_stands_out_and_has_copies_is_better_and_crowds_are_lowered() -> None:
    looks = quality.Looks(np.asarray([30.0, 5, 30, 30]), np.asarray([0.0, 0, 0.9, 0]))
    value = quality.quality(looks, np.asarray([1, 1, 1, 9]), np.asarray([4, 4**3, 4**5, 4**7]))
    assert value[3] > value[0] > max(value[1], value[2])
    assert ((value > 0) & (value < 1)).all()
    same = quality.Looks(np.full(100, 20.0), np.zeros(100))
    crowd = quality.quality(same, np.ones(100, np.int64), np.append(np.full(99, 50), 5000))
    assert crowd[99] == crowd[0] > crowd[98]


def test_superpixels_cover_the_picture_and_follow_its_edges() -> None:
    scene = prepare(make_scene(5).image)
    labels = superpixels(scene)
    assert labels.shape == scene.size
    assert (np.bincount(labels.ravel()) > 0).all()
    for mask in make_scene(5).masks:
        inside = np.bincount(labels.ravel(), mask.ravel()) / np.bincount(labels.ravel())
        best = (inside > 0.5)[labels]
        assert (best & mask).sum() / (best | mask).sum() > 0.8


def test_discs_that_touch_are_parted() -> None:
    rows, columns = np.mgrid[:80, :120]
    discs = [(rows - 40) ** 2 + (columns - x) ** 2 <= r**2 for x, r in ((35, 22), (75, 16))]
    both = (discs[0] | discs[1]).astype(np.uint8)
    (parts,) = thresholds.touching(both, 12)
    found = [parts.labels == n for n in parts.number]
    for disc in discs:
        assert max((part & disc).sum() / (part | disc).sum() for part in found) > 0.9
    assert not list(thresholds.touching(discs[0].astype(np.uint8), 12))


def test_holes_of_components_are_filled() -> None:
    mask = np.zeros((30, 40), np.uint8)
    mask[5:20, 8:30], mask[9:12, 12:20], mask[2, 2] = 1, 0, 1
    (parts,) = thresholds.components(mask, 2)
    (window,) = parts.windows()
    assert window.all()
    assert parts.boxes.tolist() == [[8, 5, 30, 20]]


def test_long_images_have_a_longer_working_copy_and_small_ones_are_not_enlarged() -> None:
    for size in ((300, 3000), (1000, 1000), (2000, 500)):
        scene = prepare(np.zeros((*size, 3), np.uint8))
        assert scene.size[0] * scene.size[1] == pytest.approx(WORKING_PIXELS, rel=0.02)
        assert scene.size[0] / scene.size[1] == pytest.approx(size[0] / size[1], rel=0.02)
    assert prepare(np.zeros((40, 60, 3), np.uint8)).size == (40, 60)


def test_the_limit_keeps_the_best_and_filters_leave_room() -> None:
    rng = np.random.default_rng(7)
    image = cv2.resize(rng.integers(0, 255, (90, 120, 3), np.uint8), (480, 360))
    every = RegionProposer(ProposalOptions("regions", scored_masks=10**6)).propose(image)
    assert len(every) > ProposalOptions().scored_masks
    found = RegionProposer(ProposalOptions("regions", scored_masks=50)).propose(image)
    assert 45 < len(found) <= 50
    assert found.removed["limit"] >= every.removed["limit"] + len(every) - 50
    assert found.rles == every.rles[: len(found)]
    assert len(RegionProposer(ProposalOptions("regions")).propose(image)) <= 2500
    options = ProposalOptions("regions", scored_masks=50, drop_border=True)
    inner = RegionProposer(options).propose(image)
    assert inner.removed["border"] > 0
    assert (inner.boxes[:, :2] >= 2).all()
    off = [code for code, box in zip(every.rles, every.boxes, strict=True) if inside(box)]
    assert list(inner.rles) == off[: len(inner)]
    assert len(inner) > 25, "twice as many are filtered as will be kept"
    smoothed = RegionProposer(ProposalOptions("regions", scored_masks=50, smooth=2)).propose(image)
    assert smoothed.rles != every.rles[: len(smoothed)]


def inside(box: np.ndarray) -> bool:
    """Whether a box lies off the frame of that picture."""
    return bool((box[:2] >= 2).all() and box[2] <= 478 and box[3] <= 358)
