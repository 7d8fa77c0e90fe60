from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from banks import bank, options, rows, units
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from searchdet.bank.likeness import centred
from searchdet.bank.types import Bank, Origin, extended
from searchdet.config import POSITIVE_AGGREGATIONS, ScoringOptions, SuppressionOptions
from searchdet.embeddings import Descriptors, MaskEmbeddings, l2_normalize
from searchdet.errors import UsageError
from searchdet.masks import shape as outline
from searchdet.records import ClassLimits
from searchdet.scoring import Scores, decide, final, score_regions


def regions_of(vectors: np.ndarray, valid: np.ndarray | None = None) -> Descriptors:
    """Regions of which only the vectors are known."""
    count = len(vectors)
    flags = np.ones(count, bool) if valid is None else valid
    unknown = np.full((count, outline.DIM), np.nan, np.float32)
    embedded = MaskEmbeddings(vectors, flags, np.zeros(count, bool))
    return Descriptors(embedded, np.zeros_like(vectors), unknown)


def score(vectors: np.ndarray, of: Bank, **changes: object) -> Scores:
    return score_regions(regions_of(vectors), of, options(**changes))


@pytest.mark.parametrize("how", POSITIVE_AGGREGATIONS)
def test_scores_equal_the_float64_formula(how: str) -> None:
    regions, known = units(9, seed=5), bank()
    got = score(regions, known, pos_agg=how, topk=2, negative_weight=0.3)
    x, p, n = (
        v.astype(np.float64) for v in (regions, known.positives.vectors, known.negatives.vectors)
    )
    expected = np.zeros((9, 2))
    for i in range(9):
        for c in range(2):
            own = p[known.labels == c]
            cosine = own @ x[i]
            if how == "prototype":
                mean = own.mean(0)
                expected[i, c] = x[i] @ mean / np.linalg.norm(mean)
            elif how == "max":
                expected[i, c] = cosine.max()
            elif how == "mean_topk":
                expected[i, c] = sorted(cosine)[-2:][0] / 2 + sorted(cosine)[-1] / 2
            elif how == "consensus":
                expected[i, c] = max(t for t in cosine if (cosine >= t).sum() >= 2)
            else:
                weights = np.exp(cosine) / np.exp(cosine).sum()
                mixed = weights @ own
                expected[i, c] = x[i] @ mixed / np.linalg.norm(mixed)
    neg = (x @ n.T).max(1)
    final = expected - 0.3 * np.maximum(neg, 0)[:, None]
    assert np.abs(got.score - final.max(1)).max() < 2e-6
    assert (got.label == final.argmax(1)).all()
    assert np.abs(got.neg - neg).max() < 2e-6
    assert np.abs(got.margin - (got.pos - neg)).max() < 2e-6
    top = np.sort(final, axis=1)
    assert np.abs(got.gap - (top[:, 1] - top[:, 0])).max() < 2e-6
    nearest = [np.where(known.labels == got.label[i], p @ x[i], -9).argmax() for i in range(9)]
    assert got.nearest_positive.tolist() == nearest
    assert got.nearest_negative.tolist() == (x @ n.T).argmax(1).tolist()


@pytest.mark.parametrize("share", [1.0, 0.95, 0.8, 0.5, 0.01])
def test_the_negative_at_a_quantile_counts(share: float) -> None:
    """By NumPy's own quantile, upwards to a negative that there is."""
    regions, known = units(9, seed=5), bank(6, 21)
    got = score(regions, known, negative_quantile=share, negative_weight=0.5)
    alike = regions.astype(np.float64) @ known.negatives.vectors.astype(np.float64).T
    wanted = np.quantile(alike, share, axis=1, method="higher")
    assert np.abs(got.neg - wanted).max() < 2e-6
    assert np.abs(alike[np.arange(9), got.nearest_negative] - wanted).max() < 2e-6
    assert np.abs(got.score - (got.pos - 0.5 * np.maximum(wanted, 0))).max() < 3e-6


@pytest.mark.parametrize("negatives", [0, 3])
def test_examples_of_other_classes_are_negatives_where_that_is_asked_for(negatives: int) -> None:
    """As if each class had a bank of its own, with the others among its negatives."""
    regions, known = units(12, seed=8), bank(7, negatives, 3)
    got = score(regions, known, cross_negatives=True, negative_weight=0.4)
    x, every = regions.astype(np.float64), known.positives.vectors.astype(np.float64)
    columns, against = [], []
    for c in range(3):
        mine, others = every[known.labels == c], every[known.labels != c]
        prototype = mine.mean(0) / np.linalg.norm(mine.mean(0))
        neg = (x @ np.concatenate([others, known.negatives.vectors]).T).max(1)
        columns.append(x @ prototype - 0.4 * np.maximum(neg, 0))
        against.append(neg)
    assert (got.label == np.argmax(columns, axis=0)).all()
    assert np.abs(got.score - np.max(columns, axis=0)).max() < 2e-6
    wanted = np.asarray(against)[got.label, np.arange(12)]
    assert np.abs(got.neg - wanted).max() < 2e-6
    assert np.abs(got.margin - (got.pos - wanted)).max() < 2e-6
    rows_of = np.concatenate([known.negatives.vectors, known.positives.vectors])
    assert np.abs((x * rows_of[got.nearest_negative]).sum(1) - wanted).max() < 2e-6


def test_a_ratio_asks_for_so_many_times_the_negative() -> None:
    regions, known = units(40, seed=5), bank()
    plain, got = score(regions, known), score(regions, known, ratio=1.3)
    assert (plain.score == got.score).all()
    limits = [ClassLimits(-2.0)] * 2
    passes = np.asarray(decide(got, limits)) == "accepted"
    some = got.neg > 0.01
    assert (passes[some] == (got.pos[some] / got.neg[some] >= 1.3)).all()
    assert 0 < passes[some].sum() < np.sum(np.asarray(decide(plain, limits))[some] == "accepted")
    assert np.abs(got.margin - plain.margin)[got.neg <= 0].max(initial=0) == 0


def test_no_negatives_and_one_class_leave_their_rules_out() -> None:
    got = score(units(4), bank(3, 0, 1))
    assert np.isnan(got.neg).all()
    assert np.isnan(got.margin).all()
    assert np.isnan(got.gap).all()
    assert got.nearest_negative.tolist() == [-1] * 4
    assert decide(got, [ClassLimits(-2.0, 0.9, 0.9)]) == ["accepted"] * 4


def test_invalid_rows_stay_in_place_and_are_never_accepted() -> None:
    vectors = units(3)
    vectors[1] = 0
    valid = np.array([True, False, True])
    got = score_regions(regions_of(vectors, valid), bank(), options())
    assert got.label[1] == -1
    assert np.isnan(got.score[1])
    assert decide(got, [ClassLimits(-2.0, -2.0)] * 2)[1] == "invalid"


def test_each_rule_names_itself_and_each_class_has_its_threshold() -> None:
    eye = np.eye(3, dtype=np.float32)
    known = Bank(("a", "b"), rows(eye[:2], "p"), np.array([0, 1]), rows(eye[2:], "n"))
    vectors = l2_normalize(np.array([[1, 0, 0], [0.2, 0, 1], [0.7, 0, 0.69], [1, 0.98, 0]], np.float32))
    got = score_regions(regions_of(vectors), known, options())
    limits = [ClassLimits(0.45, 0.05, 0.1)] * 2
    assert decide(got, limits) == ["accepted", "score", "margin", "class_margin"]
    taken = decide(got, limits, np.asarray([0.0, 1.0, 1.0, 1.0]))
    assert taken == ["suppressed", "score", "margin", "class_margin"]
    first = [ClassLimits(1.1, 0.05, 0.1), ClassLimits(0.0, 0.05, 0.1)]
    assert decide(got, first) == ["score"] * 4


def some_outlines(count: int, rng: np.random.Generator) -> np.ndarray:
    made = np.abs(rng.normal(size=(count, outline.DIM)))
    made[:, outline.MEASURES :] /= made[:, outline.MEASURES :].sum(axis=1, keepdims=True)
    return made.astype(np.float32)


def test_shape_and_context_only_lower_a_score_by_their_formula() -> None:
    rng = np.random.default_rng(3)
    known = bank()
    shapes = some_outlines(6, rng)
    shapes[0] = np.nan
    known = replace(known, positives=replace(known.positives, outlines=shapes))
    vectors, contexts = units(5, seed=8), units(5, seed=9)
    mine = some_outlines(5, rng)
    regions = replace(regions_of(vectors), contexts=contexts, outlines=mine)
    got = score_regions(regions, known, options(shape_weight=0.5, context_weight=0.2))
    prototypes = known.prototypes()
    wanted = np.zeros((5, 2))
    for i in range(5):
        neg = max(0.0, float((known.negatives.vectors @ vectors[i]).max()))
        for c in range(2):
            members = [r for r in range(6) if known.labels[r] == c and r != 0]
            alike = outline.similarity(mine[i : i + 1], shapes[members]).max()
            around = max(0.0, float(contexts[i] @ prototypes[c]))
            wanted[i, c] = vectors[i] @ prototypes[c] - 0.3 * neg - 0.5 * (1 - alike) - 0.2 * around
    assert np.abs(got.score - wanted.max(1)).max() < 3e-6
    assert (got.label == wanted.argmax(1)).all()
    assert ((got.shape >= 0) & (got.shape <= 1)).all()


def test_shapes_count_only_if_every_class_knows_one() -> None:
    known = bank()
    shapes = np.full((6, outline.DIM), np.nan, np.float32)
    shapes[::2] = 1.0
    half = replace(known, positives=replace(known.positives, outlines=shapes))
    regions = replace(regions_of(units(4)), outlines=np.ones((4, outline.DIM), np.float32))
    with_weight = score_regions(regions, half, options(shape_weight=0.9))
    assert np.isnan(with_weight.shape).all()
    assert (with_weight.score == score_regions(regions, known, options()).score).all()


def test_what_suppression_leaves_of_a_score() -> None:
    got = replace(score(units(3), bank()), score=np.asarray([0.5, -0.2, np.nan]))
    left = final(got, np.asarray([0.5, 0.5, 1.0]))
    assert left[:2].tolist() == [0.25, -0.2]
    assert np.isnan(left[2])


def test_centring_takes_the_mean_of_bank_and_regions_off_both() -> None:
    known, regions = bank(), regions_of(units(5, seed=4))
    there, moved = centred(regions, known, options(centring="mean"))
    every = [regions.embedded.vectors, known.positives.vectors, known.negatives.vectors]
    middle = np.concatenate(every).mean(0)
    for before, after in zip(
        every, (there.embedded.vectors, moved.positives.vectors, moved.negatives.vectors), strict=True
    ):
        assert np.allclose(after, l2_normalize(before - middle), atol=1e-6)
    assert (there.contexts == 0).all(), "what is not there stays not there"
    assert centred(regions, known, options()) == (regions, known)


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from(POSITIVE_AGGREGATIONS))
def test_adding_a_negative_never_raises_a_score(seed: int, count: int, how: str) -> None:
    regions, known = units(7, seed=seed), bank(seed=seed)
    more = extended(known, rows(units(count, seed=seed + 9), "x"), [None] * count)
    assert (
        score(regions, more, pos_agg=how).score <= score(regions, known, pos_agg=how).score + 1e-6
    ).all()


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 10**6))
def test_permuting_regions_permutes_scores(seed: int) -> None:
    regions = units(8, seed=seed)
    order = np.random.default_rng(seed).permutation(8)
    straight, mixed = score(regions, bank()), score(regions[order], bank())
    assert np.abs(straight.score[order] - mixed.score).max() < 2e-6
    assert (straight.label[order] == mixed.label).all()


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(POSITIVE_AGGREGATIONS))
def test_a_copy_of_an_exemplar_changes_nothing(seed: int, how: str) -> None:
    regions, known = units(7, seed=seed), bank(seed=seed)
    copy = replace(known.positives.take([seed % 6]), origins=(Origin("copy"),))
    label = known.classes[known.labels[seed % 6]]
    twice = extended(known, copy, [label]).distinct()
    one, two = score(regions, known, pos_agg=how), score(regions, twice, pos_agg=how)
    assert (one.score == two.score).all()
    assert (one.label == two.label).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"pos_agg": "median"},
        {"topk": 0},
        {"negative_weight": -1},
        {"shape_weight": -1},
        {"centring": "median"},
        {"threshold": "best"},
    ],
)
def test_options_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ScoringOptions(**wrong)


def test_suppression_options_are_checked() -> None:
    for wrong in ({"nms_iou": 1.5}, {"suppression": "soft"}, {"max_covered": -1}):
        with pytest.raises(UsageError):
            SuppressionOptions(**wrong)
