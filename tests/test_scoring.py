from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchdet.bank import Bank
from searchdet.config import POSITIVE_AGGREGATIONS, ScoringOptions
from searchdet.embeddings import l2_normalize
from searchdet.errors import UsageError
from searchdet.scoring import decide, score_regions
from searchdet.suppression import nms, rank, total_order

RNG = np.random.default_rng(0)


def units(count: int, dim: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return l2_normalize(rng.normal(size=(count, dim)).astype(np.float32))


def bank(positives: int = 6, negatives: int = 3, classes: int = 2, seed: int = 1) -> Bank:
    return Bank(
        classes=tuple(f"class{i}" for i in range(classes)),
        positives=units(positives, seed=seed),
        labels=np.arange(positives) % classes,
        positive_names=tuple(f"p{i}" for i in range(positives)),
        negatives=units(negatives, seed=seed + 1) if negatives else np.zeros((0, 12), np.float32),
        negative_names=tuple(f"n{i}" for i in range(negatives)),
    )


def score(vectors: np.ndarray, of: Bank, **options: object) -> object:
    flags = np.ones(len(vectors), bool)
    return score_regions(vectors, flags, of, ScoringOptions(**options))


def test_an_unresolved_threshold_is_an_error() -> None:
    with pytest.raises(ValueError, match="min_score"):
        decide(score(units(2), bank()), ScoringOptions())


@pytest.mark.parametrize("how", POSITIVE_AGGREGATIONS)
def test_scores_equal_the_float64_formula(how: str) -> None:
    regions, known = units(9, seed=5), bank()
    got = score(regions, known, pos_agg=how, topk=2, negative_weight=0.3)
    x, p, n = (v.astype(np.float64) for v in (regions, known.positives, known.negatives))
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


def test_no_negatives_and_one_class_leave_their_rules_out() -> None:
    got = score(units(4), bank(3, 0, 1), class_margin=0.9, min_margin=0.9, min_score=-2)
    assert np.isnan(got.neg).all()
    assert np.isnan(got.margin).all()
    assert np.isnan(got.gap).all()
    assert got.nearest_negative.tolist() == [-1] * 4
    options = ScoringOptions(class_margin=0.9, min_margin=0.9, min_score=-2)
    assert decide(got, options) == ["accepted"] * 4


def test_invalid_rows_stay_in_place_and_are_never_accepted() -> None:
    vectors = units(3)
    vectors[1] = 0
    valid = np.array([True, False, True])
    got = score_regions(vectors, valid, bank(), ScoringOptions(min_score=-2, min_margin=-2))
    assert got.label[1] == -1
    assert np.isnan(got.score[1])
    assert decide(got, ScoringOptions(min_score=-2, min_margin=-2))[1] == "invalid"


def test_each_rule_names_itself() -> None:
    known = Bank(
        ("a", "b"),
        np.eye(3, dtype=np.float32)[:2],
        np.array([0, 1]),
        ("pa", "pb"),
        np.eye(3, dtype=np.float32)[2:],
        ("n",),
    )
    regions = l2_normalize(np.array([[1, 0, 0], [0.2, 0, 1], [0.7, 0, 0.69], [1, 0.98, 0]], np.float32))
    options = ScoringOptions(min_score=0.45, min_margin=0.05, class_margin=0.1)
    assert decide(score_regions(regions, np.ones(4, bool), known, options), options) == [
        "accepted",
        "score",
        "margin",
        "class_margin",
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from(POSITIVE_AGGREGATIONS))
def test_adding_a_negative_never_raises_a_score(seed: int, count: int, how: str) -> None:
    regions, known = units(7, seed=seed), bank(seed=seed)
    more = Bank(
        known.classes,
        known.positives,
        known.labels,
        known.positive_names,
        np.concatenate([known.negatives, units(count, seed=seed + 9)]),
        known.negative_names + ("x",) * count,
    )
    assert (
        score(regions, more, pos_agg=how).score <= score(regions, known, pos_agg=how).score + 1e-6
    ).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_permuting_regions_permutes_scores(seed: int) -> None:
    regions = units(8, seed=seed)
    order = np.random.default_rng(seed).permutation(8)
    straight, mixed = score(regions, bank()), score(regions[order], bank())
    assert np.abs(straight.score[order] - mixed.score).max() < 2e-6
    assert (straight.label[order] == mixed.label).all()


def test_options_are_checked() -> None:
    for wrong in ({"pos_agg": "median"}, {"topk": 0}, {"nms_iou": 1.5}, {"negative_weight": -1}):
        with pytest.raises(UsageError):
            ScoringOptions(**wrong)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> dict[str, object]:
    from searchdet.proposals.rle import encode

    mask = np.zeros((40, 60), bool)
    mask[y0:y1, x0:x1] = True
    return encode(mask)


def test_nms_drops_duplicates_and_fragments_of_the_same_class_only() -> None:
    rles = [
        rectangle(0, 0, 20, 20),
        rectangle(1, 0, 20, 20),  # nearly the first
        rectangle(5, 5, 10, 10),  # a fragment of the first
        rectangle(5, 5, 11, 11),  # the same place, another class
        rectangle(30, 0, 50, 20),
        rectangle(10, 0, 40, 20),  # half in the first, half in the fifth: covered together
    ]
    labels = np.array([0, 0, 0, 1, 0, 0])
    by = nms(rles, labels, np.array([0, 1, 2, 3, 4, 5]), 0.5, 0.5)
    assert by.tolist()[:5] == [-1, 0, 0, -1, -1]
    assert by[5] in (0, 4)
    assert (nms(rles, labels, np.zeros(0, np.int64), 0.5, 0.5) == -1).all()
    assert nms(rles, labels, np.array([2, 0]), 0.5, 0.5).tolist()[:3] == [-1, -1, -1]


def test_the_order_is_total_and_quality_counts() -> None:
    boxes = np.array([[5, 1, 9, 9], [4, 1, 9, 9], [4, 0, 9, 9], [4, 0, 8, 9]], float)
    scores, labels = np.array([0.5, 0.5, 0.5, 0.5]), np.array([1, 1, 1, 0])
    assert total_order(scores, labels, boxes).tolist() == [3, 2, 1, 0]
    assert rank(np.array([0.8, 0.9, -np.inf]), np.array([1.0, 0.5, 1.0])).tolist() == [
        0.8,
        0.225,
        -np.inf,
    ]
