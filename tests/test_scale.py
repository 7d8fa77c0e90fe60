"""Sizes as a term of the score, against formulas in float64: ``--scale``."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from banks import bank, options, units
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from searchdet.bank.likeness import likeness
from searchdet.bank.scene import Scene
from searchdet.bank.sizes import best_sizes
from searchdet.bank.types import Bank
from searchdet.config import SIZE_WEIGHT
from searchdet.embeddings import Descriptors, MaskEmbeddings
from searchdet.masks import shape as outline
from searchdet.scoring import scene_of, score_regions, scores_of


def sized(vectors: np.ndarray, areas: np.ndarray) -> Descriptors:
    """Regions of which only the vectors and the areas are known."""
    count = len(vectors)
    unknown = np.full((count, outline.DIM), np.nan, np.float32)
    embedded = MaskEmbeddings(vectors, np.ones(count, bool), np.zeros(count, bool))
    return Descriptors(embedded, np.zeros_like(vectors), unknown, areas=areas)


def known_areas(bank_: Bank, areas: list[float]) -> Bank:
    return replace(bank_, positives=replace(bank_.positives, areas=np.asarray(areas)))


def spread_of(areas: list[float]) -> tuple[float, float]:
    """The middle of some sizes, and what the next one differs by, in float64, by hand."""
    logs = np.log(areas)
    middle, count = np.median(logs), len(areas)
    variance = (((logs - middle) ** 2).sum() + 2 * np.log(1.5) ** 2) / (count + 1)
    return float(middle), float(np.sqrt(variance * (1 + 1 / count)))


def test_sizes_unlike_those_of_the_exemplars_cost_by_their_spread() -> None:
    areas = [100.0, 200.0, 400.0, 800.0]
    known = known_areas(bank(4, 2, 1), areas)
    middle, spread = spread_of(areas)
    where = np.asarray([-8.0, -4, -2.5, -1, 0, 0.7, 1, 2.5, 4, 5])
    vectors = np.repeat(units(1, seed=3), len(where), axis=0)
    tried = sized(vectors, np.exp(middle + where * spread))
    plain = score_regions(tried, known, options(scale="any"))
    got = score_regions(tried, known, options(scale="same"))
    wanted = np.clip(1 - (np.abs(where) - 1) / 3, 0, 1)
    assert np.abs(got.size - wanted).max() < 1e-6
    assert np.abs(plain.score - got.score - SIZE_WEIGHT * (1 - wanted)).max() < 3e-6
    assert np.isnan(plain.size).all()
    unknown = score_regions(sized(vectors, np.full(len(where), np.nan)), known, options(scale="same"))
    assert (unknown.score == plain.score).all()
    with pytest.raises(ValueError, match="areas"):
        score_regions(replace(tried, areas=None), known, options(scale="same"))


def test_one_exemplar_alone_leaves_room_for_other_sizes() -> None:
    known, (_, spread) = known_areas(bank(1, 0, 1), [100.0]), spread_of([100.0])
    tried = sized(np.repeat(units(1), 3, axis=0), 100 * np.exp(spread * np.asarray([0, 0.99, 4])))
    assert np.abs(score_regions(tried, known, options(scale="same")).size - [1, 1, 0]).max() < 1e-6
    assert spread > np.log(1.5)


def in_scene(tried: Descriptors, known: Bank, scale: str) -> tuple[Scene, np.ndarray]:
    """The scene of an image, and scores there of its regions."""
    how = options(scale=scale)
    alike = likeness(tried, known, how)
    scene = scene_of(alike, how, np.zeros(len(known.classes)))
    return scene, scores_of(alike, known, how, scene).score


@pytest.mark.parametrize("best", [0, 1, 2])
def test_a_region_loses_what_it_is_less_of_that_size_than_the_best_candidate_is(best: int) -> None:
    areas = [100.0, 200.0, 400.0, 800.0]
    known = known_areas(bank(4, 2, 1), areas)
    middle, spread = spread_of(areas)
    like = np.asarray([1.0, 0.6, 0.0, 0.3, np.nan])
    far = np.asarray([0.5, 2.2, 9.0, 3.1, np.nan])
    vectors = units(5, seed=7)
    vectors[best] = known.prototypes()[0]
    tried = sized(vectors, np.exp(middle + spread * far))
    bare, plain = in_scene(tried, known, "any")
    scene, got = in_scene(tried, known, "auto")
    assert bare.sizes is None
    assert scene.sizes is not None
    assert scene.sizes.tolist() == pytest.approx([like[best]])
    lost = np.nan_to_num(np.clip(like[best] - like, 0, None), nan=0.0)
    assert np.abs(plain - got - SIZE_WEIGHT * lost).max() < 3e-6
    one, _ = in_scene(tried, known, "same")
    assert one.sizes is not None
    assert one.sizes.tolist() == [1]


def test_in_no_image_auto_does_not_look_at_sizes() -> None:
    known = known_areas(bank(4, 2, 1), [100.0, 200, 400, 800])
    tried = sized(units(6, seed=3), np.asarray([1.0, 10, 100, 200, 1e4, 1e6]))
    plain = score_regions(tried, known, options(scale="any"))
    assert (score_regions(tried, known, options()).score == plain.score).all()


def test_auto_asks_for_a_size_of_every_class() -> None:
    known = bank(4, 2, 2)
    some = known_areas(known, [100.0 if c == 0 else np.nan for c in known.labels])
    assert in_scene(sized(units(6, seed=3), np.ones(6)), some, "auto")[0].sizes is None


@settings(max_examples=examples(60))
@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(0, 2**16))
def test_best_sizes_of_many_images_are_those_of_each(counts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    ends = np.cumsum([0, *counts])
    scores = rng.integers(0, 4, (ends[-1], 2)) / 4 + rng.integers(0, 3, (ends[-1], 2)) * 1e-6
    size, valid = rng.integers(0, 3, scores.shape) / 2, rng.random(ends[-1]) < 0.7
    size[rng.random(size.shape) < 0.2] = np.nan
    needed = np.where(rng.random((len(counts), 2)) < 0.5, -np.inf, 0.5)
    made, unsure = best_sizes(scores, size, valid, ends, needed)
    for i, (first, last) in enumerate(pairwise(ends.tolist())):
        doubt = False
        for c in range(2):
            rows = [r for r in range(first, last) if valid[r]]
            top = max((scores[r, c] for r in rows), default=None)
            known = {float(np.nan_to_num(size[r, c])) for r in rows if scores[r, c] == top}
            assert made[i, c] == max(known, default=0)
            close = [r for r in rows if scores[r, c] > top - 3.5e-6]
            if len({float(np.nan_to_num(size[r, c])) for r in close}) > 1:
                doubt |= top >= needed[i, c]
        assert unsure[i] == doubt
