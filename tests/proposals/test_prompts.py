from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scenes import make_scene
from segment_anything.utils.amg import build_all_layer_point_grids, build_point_grid

from searchdet.proposals import load_proposer, prompts
from searchdet.proposals.prompts import Everything, Guided, Prompts, at_points, grid, safety
from searchdet.proposals.sam import crops
from searchdet.proposals.sam.decoder import PointDecoder

pytestmark = pytest.mark.model

SIDES = (1, 2, 3, 5, 12, 32)


def promise_map(rows: int = 16, columns: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((rows, columns)).astype(np.float32)


def rounds(asked: Prompts, masks: Any = None) -> list[np.ndarray]:
    """Take until nothing is left, telling ``masks(rows)`` after each round."""
    found = []
    for _ in range(1000):
        rows = asked.take()
        if not len(rows):
            return found
        found.append(rows)
        asked.tell(np.zeros((0, len(asked.points)), bool) if masks is None else masks(rows))
    raise AssertionError("it never ends")


@pytest.mark.parametrize("side", SIDES)
def test_the_grid_is_segment_anything_s(side: int) -> None:
    assert np.allclose(grid(side), build_point_grid(side), atol=1e-12, rtol=0)
    for layer in build_all_layer_point_grids(side, 2, 1):
        assert np.allclose(grid(side), layer, atol=1e-12, rtol=0)


@pytest.mark.parametrize("side", SIDES)
def test_everything_asks_each_point_once(side: int) -> None:
    (rows,) = rounds(Everything(side))
    assert rows.tolist() == list(range(side * side))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("share", [0.01, 0.125, 0.5, 1.0])
def test_guided_asks_a_part_of_the_same_grid_once_each_and_ends(side: int, share: float) -> None:
    guided = Guided(side, promise_map(), share)
    assert (guided.points == grid(side)).all()
    asked = np.concatenate(rounds(guided))
    assert len(set(asked.tolist())) == len(asked)
    assert set(asked.tolist()) <= set(range(side * side))
    assert set(safety(side).tolist()) <= set(asked.tolist())
    assert len(asked) == max(round(share * side * side), len(safety(side)))
    if share == 1.0:
        assert len(asked) == side * side
    assert len(guided.take()) == 0


def test_the_safety_grid_covers_the_image_evenly_and_is_asked_first() -> None:
    for side in (8, 12, 32):
        points = grid(side)[safety(side)]
        gaps = np.abs(grid(side)[:, None] - points[None]).max(2).min(1)
        assert gaps.max() <= 2 / side + 1e-9
        assert len(points) == (side // 4) ** 2
    first = Guided(32, promise_map(), 0.2).take()
    assert set(safety(32).tolist()) <= set(first.tolist())
    assert all(len(safety(side)) >= 1 for side in SIDES)


def test_promising_points_come_first() -> None:
    hot = np.zeros((16, 16), np.float32)
    hot[3:7, 9:13] = 1.0
    guided = Guided(16, hot, 0.125)
    asked = np.concatenate(rounds(guided))
    chosen = np.setdiff1d(asked, safety(16))
    where = grid(16)[chosen] * 16
    assert len(chosen) >= 12
    assert (np.abs(where - [11, 5]) <= 3).all()


def test_rounds_fall_in_promise() -> None:
    promise = promise_map(32, 32, seed=2)
    guided = Guided(32, promise, 0.4)
    value = at_points(promise, grid(32))
    parts = [np.setdiff1d(rows, safety(32)) for rows in rounds(guided)]
    assert len(parts) > 5
    assert all(len(rows) <= prompts.ROUND for rows in parts)
    for before, after in pairwise(parts):
        assert value[before].min() >= value[after].max()


def striped() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Promise that falls from left to right, and the points of a half that is promising in part."""
    hot = np.zeros((32, 32), np.float32)
    hot[:, :12] = 1.0
    hot[:, 12:16], hot[:, 18:] = 0.5, 0.6
    left = grid(32)[:, 0] < 0.5
    return hot, left, left & (at_points(hot, grid(32)) == 0.5)


def test_a_point_is_at_least_as_promising_as_an_accepted_mask_that_holds_it() -> None:
    hot, left, weak = striped()
    told = Guided(32, hot, 0.6)
    first = told.take()
    told.tell(left[None])
    asked = np.concatenate([first, *rounds(told)])
    plain = np.concatenate(rounds(Guided(32, hot, 0.6)))
    assert weak[asked].sum() == weak.sum()
    assert weak[plain].sum() < weak.sum() / 2
    assert len(asked) == len(plain)


def test_a_mask_of_little_promise_takes_none_from_the_points_in_it() -> None:
    hot = np.zeros((32, 32), np.float32)
    hot[8:20, 8:20] = 1.0
    hot[24:30, 4:30] = 0.1
    everything = np.ones((1, 1024), bool)
    told = np.concatenate(rounds(Guided(32, hot, 0.6), lambda rows: everything))
    promising = np.flatnonzero(at_points(hot, grid(32)) == 1)
    assert len(promising) > 2 * prompts.ROUND
    early = told[: len(promising) + len(safety(32)) + prompts.ROUND]
    assert set(promising) <= set(early.tolist())


def settling(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is asked right after ``masks`` were accepted, and after that."""
    guided = Guided(32, striped()[0], 0.9)
    first = guided.take()
    guided.tell(masks)
    after, later = guided.take(), np.concatenate(rounds(guided))
    assert len({*first, *after, *later}) == round(0.9 * 1024), "as many as without masks"
    return after, later


def test_points_of_a_settled_object_wait_until_all_others_are_asked() -> None:
    _, left, _ = striped()
    enough = np.repeat(left[None], prompts.AGREE, 0)
    after, later = settling(enough)
    assert not left[after].any()
    others = np.flatnonzero(~left[later])
    assert left[later].any(), "they wait, they are not forgotten"
    assert others.max() < np.flatnonzero(left[later])[-1]
    assert left[later][others.max() - prompts.ROUND :].any()
    assert left[settling(enough[1:])[0]].all()


def test_masks_agree_up_to_an_iou_of_their_points() -> None:
    _, left, _ = striped()
    rows = np.flatnonzero(left)
    other = left.copy()
    other[rows[: int(len(rows) * (1 - prompts.ALIKE))]] = False
    half = prompts.AGREE // 2
    alike = np.concatenate([np.repeat(left[None], half, 0), np.repeat(other[None], half, 0)])
    assert not left[settling(alike)[0]].any()
    other[rows[: int(len(rows) * (1 - prompts.ALIKE)) + 1]] = False
    unlike = np.concatenate([np.repeat(left[None], half, 0), np.repeat(other[None], half, 0)])
    assert left[settling(unlike)[0]].all()


def test_agreement_is_counted_over_rounds() -> None:
    _, left, _ = striped()
    guided = Guided(32, striped()[0], 0.9)
    for _ in range(prompts.AGREE - 1):
        guided.tell(left[None])
    guided.take()
    guided.tell(np.zeros((2, 1024), bool))
    assert left[guided.take()].all()
    guided.tell(left[None])
    assert not left[guided.take()].any()


def test_masks_without_points_and_rounds_without_masks_change_nothing() -> None:
    plain = np.concatenate(rounds(Guided(12, promise_map(), 0.7)))
    empty = np.zeros((3, 144), bool)
    assert (np.concatenate(rounds(Guided(12, promise_map(), 0.7), lambda rows: empty)) == plain).all()


def test_promise_is_relative_to_the_least_of_the_image() -> None:
    promise = promise_map()
    left = (grid(12)[:, 0] < 0.5)[None]
    one, two = (
        np.concatenate(rounds(Guided(12, p, 0.9), lambda rows: left))
        for p in (promise, 0.1 * promise - 0.7)
    )
    assert (one == two).all()
    flat = np.full((5, 5), -0.3, np.float32)
    assert len(np.concatenate(rounds(Guided(12, flat, 0.5)))) >= 72


def test_a_point_has_the_largest_promise_of_the_cells_around_it() -> None:
    cells = np.arange(12, dtype=np.float32).reshape(3, 4)
    middle = np.array([[0.125, 1 / 6], [0.25, 1 / 3], [0.99, 0.99], [0.01, 0.01], [0.01, 0.99]])
    assert at_points(cells, middle).tolist() == [5, 5, 11, 0, 8]
    assert at_points(np.ones((1, 1), np.float32), grid(4)).tolist() == [1] * 16


@pytest.mark.parametrize("layers", [0, 1])
def test_sam_asks_only_chosen_points_of_the_same_grid(
    tiny_sam: Path, layers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[float]] = []
    real = PointDecoder.decode

    def decode(decoder: PointDecoder, side: Any, points: torch.Tensor) -> Any:
        seen.extend(points.tolist())
        return real(decoder, side, points)

    monkeypatch.setattr(PointDecoder, "decode", decode)
    options = {"points_per_side": 8, "pred_iou_thresh": 0.7, "stability_score_thresh": 0.8}
    proposer = load_proposer(
        "sam", tiny_sam, "cpu", "fp32", guided_share=0.2, crop_layers=layers, **options
    )
    image = make_scene(3).image
    everything = proposer.propose(image)
    every, seen[:] = {tuple(point) for point in seen}, []
    assert everything.details["points_asked"] == 64 * (1 + 4 * layers)
    promise = np.zeros((16, 16), np.float32)
    promise[4:8, 4:8] = 1
    guided = proposer.propose(image, promise)
    assert {tuple(point) for point in seen} <= every
    assert len(seen) == guided.details["points_asked"]
    assert 4 * (1 + 4 * layers) <= len(seen) <= 13 * (1 + 4 * layers)
    assert len(guided) <= len(everything)


def test_each_crop_looks_at_its_own_part_of_the_promise(
    tiny_sam: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promising patch at x 0.65 to 0.9, y 0.2 to 0.5 of the image, which two of the views hold."""
    passes: list[tuple[Any, list[torch.Tensor]]] = []
    real = PointDecoder.decode

    def decode(decoder: PointDecoder, side: Any, points: torch.Tensor) -> Any:
        if not passes or passes[-1][0] is not side:
            passes.append((side, []))
        passes[-1][1].append(points)
        return real(decoder, side, points)

    monkeypatch.setattr(PointDecoder, "decode", decode)
    proposer = load_proposer(
        "sam", tiny_sam, "cpu", "fp32", guided_share=0.06 + 9 / 144, crop_layers=1, points_per_side=12
    )
    promise = np.zeros((10, 20), np.float32)
    promise[2:5, 13:18] = 1.0
    size = (120, 240)
    proposer.propose(make_scene(3).image[: size[0], : size[1]], promise)
    views = crops(size, 1)
    assert len(passes) == len(views) == 5
    holding = 0
    for ((x0, y0, x1, y1), _), (_, parts) in zip(views, passes, strict=True):
        if x0 > 0.6 * size[1] or x1 < 0.95 * size[1] or y0 > 0.15 * size[0] or y1 < 0.55 * size[0]:
            continue
        holding += 1
        scale = 256 / max(x1 - x0, y1 - y0)
        at = torch.cat(parts).numpy() / scale + [x0, y0]
        rows = ((at - [x0, y0]) / [x1 - x0, y1 - y0] * 12).astype(int) @ [1, 12]
        chosen = at[~np.isin(rows, safety(12))] / [size[1], size[0]]
        assert len(chosen) >= 5
        assert (np.abs(chosen - [0.775, 0.35]) <= [0.18, 0.21]).all()
    assert holding == 2
