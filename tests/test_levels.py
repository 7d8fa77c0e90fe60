"""Likeness with a second look against float64 formulas, the level of an image, and what it is for."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from banks import bank, options, rows, units
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples
from runs import PREPROCESSING

from searchdet.bank.likeness import likeness
from searchdet.bank.scene import LEVEL_ROWS, USUAL_COUNT, Scene, levels_of
from searchdet.bank.types import Bank
from searchdet.config import LEVEL_WEIGHT, EmbeddingOptions, SuppressionOptions
from searchdet.decision import Rule, judge_regions
from searchdet.embeddings import Descriptors, MaskEmbeddings, l2_normalize
from searchdet.masks import shape as outline
from searchdet.proposals.types import from_masks
from searchdet.records import ClassThreshold
from searchdet.regions import Regions, Space
from searchdet.scoring import scores_of

WIDE, CROP = 12, 5
SPACE = Space("looking", None, PREPROCESSING, EmbeddingOptions(), WIDE, (WIDE - CROP, CROP), 32, 0.5)


def joined(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors whose parts weigh the same, and crops in the place of the second part."""
    first, second = units(count, WIDE - CROP, seed), units(count, CROP, seed + 1)
    whole = np.concatenate([first, second], axis=1) / np.float32(2**0.5)
    return whole, units(count, CROP, seed + 2)


def known(negatives: int = 4) -> Bank:
    """Two classes of three, and negatives, as a second look sees them too."""
    vectors, crops = joined(6, 1)
    positives = replace(rows(vectors, "p"), crops=crops)
    vectors, crops = joined(negatives, 11)
    against = replace(rows(vectors, "n"), crops=crops)
    return Bank(("a", "b"), positives, np.arange(6) % 2, against, SPACE)


def regions_of(vectors: np.ndarray, crops: np.ndarray | None = None) -> Descriptors:
    count = len(vectors)
    unknown = np.full((count, outline.DIM), np.nan, np.float32)
    embedded = MaskEmbeddings(vectors, np.ones(count, bool), np.zeros(count, bool))
    return Descriptors(embedded, np.zeros_like(vectors), unknown, crops)


def closer(one: np.ndarray, two: np.ndarray, crops: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Cosines in float64: those of the first part of both, and half those of crops."""
    seen = slice(None, WIDE - CROP)
    mapped = one[:, seen].astype(float) @ two[:, seen].astype(float).T
    return mapped + 0.5 * (crops.astype(float) @ others.astype(float).T)


@pytest.mark.parametrize("how", ["prototype", "max"])
def test_crops_speak_instead_of_the_last_part_by_the_float64_formula(how: str) -> None:
    there, (vectors, crops) = known(), joined(9, 31)
    got = likeness(regions_of(vectors, crops), there, options(pos_agg=how))
    mine, theirs = there.positives, there.negatives
    each = closer(vectors, mine.vectors, crops, mine.crops)
    wanted = np.zeros((9, 2))
    for c in range(2):
        members = there.labels == c
        if how == "max":
            wanted[:, c] = each[:, members].max(1)
            continue
        mean = mine.vectors[members].astype(float).mean(0)
        mapped = vectors[:, : WIDE - CROP] @ (mean / np.linalg.norm(mean))[: WIDE - CROP]
        wanted[:, c] = mapped + 0.5 * (crops.astype(float) @ mine.crops[members].T).max(1)
    against = closer(vectors, theirs.vectors, crops, theirs.crops)
    assert np.abs(got.cosines - each).max() < 2e-6
    assert np.abs(got.pos - wanted).max() < 2e-6
    assert np.abs(got.against.cosine[:, 0] - against.max(1)).max() < 2e-6
    assert got.against.row[:, 0].tolist() == against.argmax(1).tolist()
    plain = wanted - 0.3 * np.maximum(against.max(1), 0)[:, None]
    assert np.abs(got.plain(options()) - plain).max() < 2e-6


def test_a_crop_that_equals_the_last_part_changes_nothing() -> None:
    there, (vectors, _) = known(), joined(9, 31)
    last = np.float32(2**0.5) * vectors[:, WIDE - CROP :]
    same = [
        replace(side, crops=l2_normalize(side.vectors[:, WIDE - CROP :]))
        for side in (there.positives, there.negatives)
    ]
    twin = replace(there, positives=same[0], negatives=same[1])
    one = likeness(regions_of(vectors, last), twin, options(pos_agg="max"))
    two = likeness(regions_of(vectors), twin, options(pos_agg="max"))
    for name in ("cosines", "pos"):
        assert np.abs(getattr(one, name) - getattr(two, name)).max() < 2e-6
    assert np.abs(one.against.cosine - two.against.cosine).max() < 2e-6


@pytest.mark.parametrize("how", ["prototype", "max", "mean_topk", "attention"])
def test_without_crops_on_both_sides_the_map_speaks(how: str) -> None:
    there, (vectors, crops) = known(), joined(9, 31)
    bare = likeness(regions_of(vectors), there.without_crops(), options(pos_agg=how))
    for regions, against in (
        (regions_of(vectors), there),
        (regions_of(vectors, crops), there.without_crops()),
    ):
        got = likeness(regions, against, options(pos_agg=how))
        for name in ("cosines", "pos", "shape", "context"):
            assert np.array_equal(getattr(got, name), getattr(bare, name), equal_nan=True)
        assert np.array_equal(got.against.cosine, bare.against.cosine)
    every = vectors.astype(float) @ there.positives.vectors.T
    assert np.abs(bare.cosines - every).max() < 2e-6


def test_some_rows_are_replaced_and_the_others_stay() -> None:
    there, (vectors, crops) = known(), joined(9, 31)
    before = likeness(regions_of(vectors), there, options())
    seen = np.asarray([7, 2])
    closer_ = likeness(regions_of(vectors[seen], crops[seen]), there, options())
    after = before.replaced(seen, closer_)
    left = np.setdiff1d(np.arange(9), seen)
    for name in ("cosines", "pos"):
        assert np.array_equal(getattr(after, name)[left], getattr(before, name)[left])
        assert np.array_equal(getattr(after, name)[seen], getattr(closer_, name))
    assert np.array_equal(after.against.cosine[seen], closer_.against.cosine)
    assert np.array_equal(after.against.row[left], before.against.row[left])
    assert np.abs(before.pos[seen] - after.pos[seen]).max() > 0.01
    assert before.pos is not after.pos


@pytest.mark.parametrize("count", [0, 1, 5, 2500])
def test_the_level_is_the_median_drawn_to_the_usual_one(count: int) -> None:
    rng = np.random.default_rng(count)
    plain, usual = rng.normal(size=(count + 3, 2)), np.asarray([0.4, -0.1])
    valid = np.r_[np.ones(count, bool), np.zeros(3, bool)]
    (got,) = levels_of(plain.astype(np.float32), valid, usual, np.asarray([0, len(valid)]))
    count = min(count, LEVEL_ROWS)  # the first proposals, which are the best
    middle = np.median(plain[:count], axis=0) if count else np.full(2, 9.0)
    share = count / (count + USUAL_COUNT)
    assert got == pytest.approx(share * middle + (1 - share) * usual, abs=1e-6)
    if not count:
        assert got.tolist() == usual.tolist(), "an image without regions is a usual one"
    if count == LEVEL_ROWS:
        assert np.abs(got - middle).max() < 0.02


def test_levels_of_many_images_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    counts = [4, 0, 1, 700, 5, 0, 30]
    ends = np.cumsum([0, *counts])
    plain, usual = rng.normal(size=(ends[-1], 3)), np.asarray([0.4, -0.1, 0.0])
    valid = rng.random(ends[-1]) > 0.3
    got = levels_of(plain, valid, usual, ends)
    for i, (first, last) in enumerate(pairwise(ends.tolist())):
        rows = plain[first:last][:LEVEL_ROWS][valid[first:last][:LEVEL_ROWS]]
        middle = np.median(rows, axis=0) if len(rows) else np.zeros(3)
        wanted = (len(rows) * middle + USUAL_COUNT * usual) / (len(rows) + USUAL_COUNT)
        assert got[i].tolist() == pytest.approx(wanted.tolist(), abs=1e-12)


def test_each_score_is_lowered_by_a_share_of_the_level_of_its_class() -> None:
    there, (vectors, _) = known(), joined(9, 31)
    alike = likeness(regions_of(vectors), there, options())
    level = np.asarray([0.5, -0.5])
    got, plain = scores_of(alike, there, options(), Scene(level)), alike.plain(options())
    wanted = plain - LEVEL_WEIGHT * level
    assert np.abs(got.score - wanted.max(1)).max() < 2e-6
    assert got.label.tolist() == wanted.argmax(1).tolist()
    assert np.abs(got.gap - np.abs(wanted[:, 0] - wanted[:, 1])).max() < 3e-6
    bare = scores_of(alike, there, options())
    assert (got.label != bare.label).any(), "the class may change with it"
    assert np.abs(bare.score - plain.max(1)).max() < 2e-6
    assert np.abs(got.pos - alike.pos[np.arange(9), got.label]).max() < 1e-6, "similarities stay"


def common(vectors: np.ndarray, much: float) -> np.ndarray:
    """Unit vectors with one more component, the same for all."""
    more = np.full((len(vectors), 1), much, np.float32)
    return l2_normalize(np.concatenate([vectors, more], axis=1))


@pytest.mark.parametrize("how", ["max", "mean_topk", "prototype"])
@settings(max_examples=examples(100), deadline=None)
@given(seed=st.integers(0, 10**6), much=st.floats(0.1, 5))
def test_what_all_vectors_have_in_common_leaves_the_order_of_detections(
    seed: int, much: float, how: str
) -> None:
    """Exactly so by the nearest exemplars; by prototypes in a bank of one class without negatives, for
    a class whose exemplars differ has a shorter mean."""
    single = how == "prototype"
    there = bank(6, 0 if single else 3, 1 if single else 2, seed)
    sides = [np.abs(side.vectors) for side in (there.positives, there.negatives)]
    vectors = np.abs(units(8, seed=seed + 5))
    masks = np.zeros((8, 20, 80), bool)
    for i, mask in enumerate(masks):
        mask[5:15, 10 * i : 10 * i + 8] = True
    found = from_masks(list(masks), np.random.default_rng(seed).random(8).tolist(), (20, 80))

    def judged(change: float) -> list[tuple[int, str | None, float]]:
        made = [common(side, change) for side in sides]
        here = Bank(there.classes, rows(made[0], "p"), there.labels, rows(made[1], "n"))
        least = tuple(
            ClassThreshold(name, -2.0, "given", 3, None, None, None, None, None)
            for name in there.classes
        )
        scoring = options(pos_agg=how, topk=2, min_margin=-2.0, second_look=0)
        rule = Rule(scoring, SuppressionOptions(), least, (0.0,) * len(there.classes))
        made_of = judge_regions(Regions(found, regions_of(common(vectors, change))), here, rule)
        return [(item.id, item.label, item.score or 0.0) for item in made_of.candidates]

    before, after = judged(0.0), judged(much)
    assert len(before) == 8
    assert {row[:2] for row in before} == {row[:2] for row in after}
    place = {row[0]: i for i, row in enumerate(after)}
    for (better, _, high), (worse, _, low) in combinations(before, 2):
        # what all have in common brings scores together, and these are rounded
        assert place[better] < place[worse] or high - low < 1e-4
