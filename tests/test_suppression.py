"""Suppression against plain loops over dense masks, its order rules, and its invariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from searchdet.embeddings import l2_normalize
from searchdet.masks import rle
from searchdet.masks.coverage import Masks
from searchdet.suppression import (
    SAME_OBJECT,
    Overlaps,
    Suppressed,
    across_classes,
    box_nms,
    diffuse,
    merge,
    mutual,
    nms,
    overlaps,
    total_order,
)

SIZE = (60, 80)


def discs(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    made = [
        (x - rng.uniform(5, 75)) ** 2 + (y - rng.uniform(5, 55)) ** 2 <= rng.uniform(3, 18) ** 2
        for _ in range(count)
    ]
    return np.stack(made) if made else np.zeros((0, *SIZE), bool)


def measure(masks: np.ndarray) -> Overlaps:
    return overlaps(Masks.of([rle.encode(mask) for mask in masks], masks.shape[1:]))


def merged(found: Overlaps, vectors: np.ndarray, labels: np.ndarray, order: np.ndarray) -> Suppressed:
    pairs = found.pairs()
    return merge(pairs, mutual(vectors, pairs), labels, order)


def shares(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(inside, iou) of dense masks, in float64."""
    flat = masks.reshape(len(masks), -1).astype(float)
    shared = flat @ flat.T
    area = flat.sum(1)
    return shared / area[:, None], shared / (area[:, None] + area[None] - shared)


def test_on_a_grid_as_fine_as_the_image_overlaps_are_exact() -> None:
    masks = discs(12, 0)
    inside, iou = shares(masks)
    got = measure(masks)
    assert np.allclose(got.inside, inside, atol=1e-5)
    assert np.allclose(got.iou, iou, atol=1e-5)


def test_on_a_coarse_grid_overlaps_are_close_and_a_tiny_mask_is_in_itself() -> None:
    large = discs(12, 1).repeat(10, axis=1).repeat(10, axis=2)
    got = measure(large)
    inside, iou = shares(large)
    assert np.abs(got.inside - inside).max() < 0.06
    assert np.abs(got.iou - iou).max() < 0.06
    tiny = np.zeros((2, 600, 800), bool)
    tiny[0, 301, 402] = True
    tiny[1, 200:400, 300:500] = True
    got = measure(tiny)
    assert got.inside[0, 0] == pytest.approx(1)
    assert got.inside[0, 1] == pytest.approx(1)
    assert got.inside[1, 0] < 0.01


def test_nms_drops_copies_and_covered_fragments_of_its_class_only() -> None:
    masks = np.zeros((5, *SIZE), bool)
    masks[0, 10:40, 10:40] = True
    masks[1, 10:40, 11:41] = True  # nearly a copy
    masks[2, 12:20, 12:20] = True  # a fragment
    masks[3, 10:40, 10:40] = True  # the same, another class
    masks[4, 45:55, 50:70] = True
    labels = np.asarray([0, 0, 0, 1, 0])
    got = nms(measure(masks), labels, np.arange(5), 0.5, 0.5)
    assert got.factor.tolist() == [1, 0, 0, 1, 1]
    assert got.by.tolist() == [-1, 0, 0, -1, -1]
    lone = nms(measure(masks), labels, np.arange(5), 0.5, 1.0)
    assert lone.factor.tolist() == [1, 0, 1, 1, 1], "a fragment is no copy"


def test_two_masks_that_cover_a_third_together_suppress_it() -> None:
    masks = np.zeros((3, *SIZE), bool)
    masks[0, 10:40, 10:25] = True
    masks[1, 10:40, 25:40] = True
    masks[2, 15:35, 15:35] = True
    got = nms(measure(masks), np.zeros(3, int), np.arange(3), 0.9, 0.8)
    assert got.factor.tolist() == [1, 1, 0]


@pytest.mark.parametrize("seed", range(4))
def test_merge_and_diffusion_are_their_formulas(seed: int) -> None:
    masks = discs(15, seed)
    rng = np.random.default_rng(seed)
    inside, _ = shares(masks)
    labels = rng.integers(0, 2, 15)
    order = rng.permutation(15)[:12]
    vectors = l2_normalize(rng.normal(size=(15, 5)).astype(np.float32))
    place = {int(row): n for n, row in enumerate(order)}
    wanted = np.ones(15)
    graph = np.zeros((15, 15))
    for i in order:
        for j in order:
            if place[int(j)] < place[int(i)] and labels[i] == labels[j]:
                wanted[i] = min(wanted[i], 1 - inside[i, j] * max(float(vectors[i] @ vectors[j]), 0))
                graph[i, j] = inside[i, j]
    got = merged(measure(masks), vectors, labels, order)
    assert np.allclose(got.factor, wanted, atol=1e-5)
    start = graph.max(1)
    decay = start
    for _ in range(30):
        decay = 0.3 * graph @ decay + 0.7 * start
    soft = diffuse(measure(masks).pairs(), labels, order, 0.3, 0.5)
    assert np.allclose(soft.factor, np.maximum(0, 1 - decay) ** 0.5, atol=3e-3)
    assert set(np.flatnonzero(got.by >= 0)) <= set(order)


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 10), st.integers(0, 1000))
def test_permuting_masks_permutes_what_is_left_of_them(count: int, seed: int) -> None:
    masks = discs(count, seed)
    rng = np.random.default_rng(seed)
    labels, values = rng.integers(0, 2, count), rng.permutation(count).astype(float)
    vectors = l2_normalize(rng.normal(size=(count, 4)).astype(np.float32))
    mixed = rng.permutation(count)

    def all_three(rows: np.ndarray) -> list[np.ndarray]:
        found, order = measure(masks[rows]), np.argsort(-values[rows])
        return [
            nms(found, labels[rows], order, 0.5, 0.5).factor,
            merged(found, vectors[rows], labels[rows], order).factor,
            diffuse(found.pairs(), labels[rows], order, 0.3, 0.5).factor,
        ]

    for straight, other in zip(all_three(np.arange(count)), all_three(mixed), strict=True):
        assert np.allclose(straight[mixed], other, atol=1e-6)
        assert ((straight >= 0) & (straight <= 1)).all()


def test_rows_that_take_no_part_are_left_alone_and_take_nothing() -> None:
    masks = np.ones((3, *SIZE), bool)
    vectors = np.ones((3, 1), np.float32)
    for got in (
        nms(measure(masks), np.zeros(3, int), np.asarray([2]), 0.5, 0.5),
        merged(measure(masks), vectors, np.zeros(3, int), np.asarray([2])),
        diffuse(measure(masks).pairs(), np.zeros(3, int), np.asarray([2]), 0.3, 0.5),
    ):
        assert got.factor.tolist() == [1, 1, 1]
        assert got.by.tolist() == [-1, -1, -1]


def test_the_order_is_total() -> None:
    boxes = np.asarray([[0, 0, 2, 2], [0, 0, 3, 2], [1, 0, 2, 2], [0, 0, 2, 2]], float)
    values = np.asarray([0.5, 0.5, 0.5, 0.7])
    got = total_order(values, np.zeros(4, int), boxes)
    assert got.tolist() == [3, 0, 1, 2]


def across(masks: np.ndarray, labels: list[int], above: list[float]) -> Suppressed:
    untouched = Suppressed(np.ones(len(masks)), np.full(len(masks), -1))
    pairs, nothing = measure(masks).pairs(), np.zeros(len(masks))
    return across_classes(pairs, untouched, np.asarray(labels), np.asarray(above), nothing)


def test_of_two_classes_on_one_object_the_one_further_over_its_threshold_stays() -> None:
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 10:40, 10:40] = masks[1, 10:40, 12:42] = True
    first = across(masks, [0, 1], [0.1, 0.2])
    assert (first.factor.tolist(), first.by.tolist()) == ([0, 1], [1, -1])
    second = across(masks, [0, 1], [0.2, 0.1])
    assert (second.factor.tolist(), second.by.tolist()) == ([1, 0], [-1, 0])
    equal = across(masks, [0, 1], [0.1, 0.1])
    assert equal.factor.tolist() == [1, 0], "the first of two that are alike"
    assert across(masks, [0, 0], [0.1, 0.2]).factor.tolist() == [1, 1], "one class is not its business"


def test_an_overlap_of_half_is_two_objects() -> None:
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 10:20, 10:40] = masks[1, 10:20, 20:50] = True  # 20 of 40 columns
    assert measure(masks).iou[0, 1] == pytest.approx(SAME_OBJECT)
    masks[1, 10:20, 20:50] = False
    masks[1, 10:20, 21:51] = True
    assert across(masks, [0, 1], [0.1, 0.2]).factor.tolist() == [1, 1]
    masks[1, 10:20, 19] = masks[1, 10:20, 20] = True
    masks[1, 10:20, 48:] = False
    assert across(masks, [0, 1], [0.1, 0.2]).factor.tolist() == [0, 1]
    inside = np.zeros((2, *SIZE), bool)
    inside[0, 10:50, 10:50], inside[1, 20:30, 20:30] = True, True
    assert across(inside, [0, 1], [0.1, 0.2]).factor.tolist() == [1, 1], "a part of another object"


def test_what_fell_takes_nothing_down_and_what_is_no_detection_takes_no_part() -> None:
    masks = np.zeros((3, *SIZE), bool)
    for i, mask in enumerate(masks):
        mask[10:40, 10 + 8 * i : 40 + 8 * i] = True
    iou = measure(masks).iou
    assert iou[0, 1] > SAME_OBJECT
    assert iou[1, 2] > SAME_OBJECT > iou[0, 2]
    got = across(masks, [0, 1, 0], [0.3, 0.2, 0.1])
    assert (got.factor.tolist(), got.by.tolist()) == ([1, 0, 1], [-1, 0, -1])
    nothing = across(masks, [0, 1, 0], [-np.inf, 0.2, -np.inf])
    assert nothing.factor.tolist() == [1, 1, 1], "what is no detection neither falls nor takes"
    assert across(masks[:0], [], []).factor.tolist() == []


def test_what_suppression_within_a_class_left_is_kept() -> None:
    masks = np.ones((3, *SIZE), bool)
    taken = Suppressed(np.asarray([0.8, 0.5, 0.0]), np.asarray([-1, 0, 1]))
    labels, above = np.asarray([0, 1, 0]), np.asarray([0.2, 0.1, -np.inf])
    got = across_classes(measure(masks).pairs(), taken, labels, above, np.asarray([0.3, 0.4, 0.5]))
    assert (got.factor.tolist(), got.by.tolist()) == ([0.8, 0.4, 0.0], [-1, 0, 1])
    more = across_classes(measure(masks).pairs(), taken, labels, above, np.full(3, 0.9))
    assert more.factor.tolist() == [0.8, 0.5, 0.0], "never more than there was"
    assert taken.factor.tolist() == [0.8, 0.5, 0.0], "what was given stays as it was"


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 10), st.integers(0, 1000))
def test_no_two_detections_of_two_classes_are_one_object(count: int, seed: int) -> None:
    masks = discs(count, seed)
    rng = np.random.default_rng(seed)
    labels, above = rng.integers(0, 3, count), rng.permutation(count) - 2.0
    above[above < 0] = -np.inf
    found = measure(masks)
    got = across(masks, labels.tolist(), above.tolist())
    left = [i for i in range(count) if above[i] > -np.inf and got.factor[i] == 1]
    for i in range(count):
        better = [
            j
            for j in left
            if labels[j] != labels[i] and found.iou[i, j] > SAME_OBJECT and above[j] > above[i]
        ]
        fell = above[i] > -np.inf and bool(better)
        assert got.factor[i] == (0 if fell else 1)
        if fell:
            assert above[got.by[i]] == max(above[j] for j in better)


@pytest.mark.parametrize("seed", range(6))
def test_nms_of_boxes_equals_torchvisions_within_classes(seed: int) -> None:
    import torch
    from torchvision.ops import batched_nms

    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 60, (50, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 40, (50, 2))], axis=1).astype(np.float32)
    labels, order = rng.integers(0, 3, 50), rng.permutation(50)
    got = box_nms(boxes, labels, order, 0.4)
    falling = np.empty(50, np.float32)
    falling[order] = np.arange(50, 0, -1)
    given = (boxes, falling, labels)
    kept = batched_nms(*(torch.from_numpy(part) for part in given), 0.4).numpy()
    assert np.flatnonzero(got.factor > 0).tolist() == sorted(kept.tolist())
    assert 0 < len(kept) < 50
    gone = got.factor == 0
    assert (got.by[~gone] == -1).all()
    assert set(got.by[gone].tolist()) <= set(kept.tolist())
    assert (labels[got.by[gone]] == labels[gone]).all()
