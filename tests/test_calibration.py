"""Thresholds, audit and conflicts against plain loops, and what they say about good and bad folders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from banks import bank, options, rows, units

from searchdet import calibration
from searchdet.bank import compared as between
from searchdet.bank.audit import SAME, audit, conflicts, effects, left_out, without
from searchdet.bank.likeness import centred, likeness
from searchdet.bank.types import Bank, Origin, Rows, extended, join
from searchdet.calibration import probability, thresholds, wilson
from searchdet.config import CENTRINGS, LEVEL_WEIGHT, POSITIVE_AGGREGATIONS, ScoringOptions
from searchdet.embeddings import Descriptors, MaskEmbeddings, l2_normalize
from searchdet.masks import shape as outline
from searchdet.scoring import score_regions


def around(centre: np.ndarray, count: int, noise: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return l2_normalize((centre + noise * rng.normal(size=(count, len(centre)))).astype(np.float32))


def folders(noise: float, overlap: float = 0.0) -> Bank:
    """Two classes and negatives around three directions, which share ``overlap`` of themselves."""
    eye = np.eye(12)
    a, b, n = (eye[i] + overlap * eye[5] for i in range(3))
    positives = np.concatenate([around(a, 6, noise, 0), around(b, 6, noise, 1)])
    return Bank(
        ("a", "b"), rows(positives, "p"), np.repeat([0, 1], 6), rows(around(n, 5, noise, 2), "n")
    )


@pytest.mark.parametrize("weights", [(0.0, 0.0), (0.6, 0.2)])
def test_left_out_scores_are_those_against_the_rest_of_the_class(weights: tuple[float, float]) -> None:
    known = described(4, 3)
    how = options(shape_weight=weights[0], context_weight=weights[1])
    mine, shapes = known.positives.vectors.astype(float), known.positives.outlines
    for label in range(2):
        scores = calibration.left_out_scores(known, label, how)
        members = np.flatnonzero(known.labels == label)
        lowered = []
        for i in members:
            rest = [m for m in members if mine[m] @ mine[i] < SAME]
            prototype = mine[rest].mean(0) / np.linalg.norm(mine[rest].mean(0))
            against = max(0.0, (known.negatives.vectors @ mine[i]).max())
            plain = mine[i] @ prototype - 0.3 * against
            shape = outline.similarity(shapes[i : i + 1], shapes[rest]).max()
            around = max(0.0, float(known.positives.contexts[i] @ prototype))
            lowered.append(plain - weights[0] * (1 - shape) - weights[1] * around)
        assert np.abs(scores - lowered).max() < 3e-6


def test_a_class_of_one_picture_leaves_nothing_out() -> None:
    known = bank(2, 3)
    assert len(calibration.left_out_scores(known, 0, options())) == 0


def test_impostors_are_other_classes_surroundings_and_negatives_without_themselves() -> None:
    known = bank(4, 2)
    contexts = np.zeros_like(known.positives.vectors)
    contexts[0] = units(1, seed=77)[0]
    known = replace(known, positives=replace(known.positives, contexts=contexts))
    got = calibration.impostor_scores(known, 0, options())
    prototype = known.prototypes()[0].astype(float)
    negatives = known.negatives.vectors.astype(float)
    wanted = []
    for vector in (known.positives.vectors[1], known.positives.vectors[3], contexts[0]):
        wanted.append(vector @ prototype - 0.3 * max(0.0, (negatives @ vector).max()))
    for i in range(2):
        other = max(0.0, float(negatives[1 - i] @ negatives[i]))
        wanted.append(negatives[i] @ prototype - 0.3 * other)
    assert np.abs(got - wanted).max() < 3e-6


def described(seed: int, negatives: int) -> Bank:
    """Two classes and negatives with surroundings and outlines, and copies among them."""
    rng = np.random.default_rng(seed)
    known = bank(9, negatives, seed=seed)

    def full(side: Rows) -> Rows:
        count = len(side)
        outlines = rng.uniform(size=(count, outline.DIM)).astype(np.float32)
        outlines[:, outline.MEASURES :] /= outlines[:, outline.MEASURES :].sum(axis=1, keepdims=True)
        contexts = l2_normalize(rng.normal(size=side.vectors.shape).astype(np.float32))
        contexts[::3] = 0
        vectors = side.vectors.copy()
        vectors[count // 2 :: 2] = vectors[: len(vectors[count // 2 :: 2])]  # ties
        return Rows(vectors, contexts, outlines, side.origins)

    return replace(known, positives=full(known.positives), negatives=full(known.negatives))


def one_by_one(known: Bank, label: int, how: ScoringOptions) -> np.ndarray:
    """Impostors as they are meant: each negative is a region before a bank that lacks it."""
    mine = known.positives.take(np.flatnonzero(known.labels == label))
    labels = np.zeros(len(mine), int)

    def scored(rows: Rows, negatives: Rows) -> np.ndarray:
        embedded = MaskEmbeddings(rows.vectors, np.ones(len(rows), bool), np.zeros(len(rows), bool))
        regions = Descriptors(embedded, rows.contexts, rows.outlines)
        return score_regions(*centred(regions, Bank(("x",), mine, labels, negatives), how), how).score

    others = known.positives.take(np.flatnonzero(known.labels != label))
    around = known.positives.take(np.flatnonzero(np.abs(known.positives.contexts).max(axis=1) > 0))
    unknown = np.full_like(around.outlines, np.nan)
    around = Rows(around.contexts, np.zeros_like(around.contexts), unknown, around.origins)
    found = [scored(others, known.negatives), scored(around, known.negatives)]
    for i in range(len(known.negatives)):
        rest = [j for j in range(len(known.negatives)) if j != i]
        found.append(scored(known.negatives.take([i]), known.negatives.take(rest)))
    return np.concatenate(found)


@pytest.mark.parametrize("negatives", [0, 1, 23])
def test_what_is_not_a_class_with_the_other_classes_among_its_negatives(
    monkeypatch: pytest.MonkeyPatch, negatives: int
) -> None:
    """Each other exemplar is a region before a bank that lacks it."""
    monkeypatch.setattr(between, "BLOCK", 5)
    known = described(negatives, negatives)
    how = ScoringOptions(cross_negatives=True, negative_quantile=0.9, negative_weight=0.7)
    others = known.positives.take(np.flatnonzero(known.labels != 0))
    union = join([known.negatives, others])
    alone = replace(
        known,
        classes=known.classes[:1],
        positives=known.positives.take(np.flatnonzero(known.labels == 0)),
        labels=np.zeros(int((known.labels == 0).sum()), int),
        negatives=union,
    )
    plain = replace(how, cross_negatives=False)
    wanted, around = one_by_one(alone, 0, plain), len(others)
    surrounded = int((np.abs(alone.positives.contexts).max(axis=1) > 0).sum())
    got = calibration.impostor_scores(known, 0, how)
    assert np.abs(got[:around] - wanted[surrounded + negatives :]).max() < 3e-6
    if negatives:
        assert np.abs(got[-negatives:] - wanted[surrounded : surrounded + negatives]).max() < 3e-6
    left = calibration.left_out_scores(known, 0, how)
    assert np.abs(left - calibration.left_out_scores(alone, 0, plain)).max() < 3e-6
    given = (
        calibration.cost_of_negatives(known, 0, how),
        calibration.cost_of_negatives(alone, 0, plain),
    )
    assert given[0] == given[1] > 0


@pytest.mark.parametrize("how", POSITIVE_AGGREGATIONS)
@pytest.mark.parametrize("centring", CENTRINGS)
@pytest.mark.parametrize("negatives", [0, 1, 2, 23])
def test_negatives_are_scored_as_if_each_were_left_out(
    monkeypatch: pytest.MonkeyPatch, how: str, centring: str, negatives: int
) -> None:
    monkeypatch.setattr(between, "BLOCK", 5)
    known = described(negatives, negatives)
    given = ScoringOptions(
        pos_agg=how, centring=centring, negative_weight=0.7, shape_weight=0.4, context_weight=0.3
    )
    for label in range(2):
        got = calibration.impostor_scores(known, label, given)
        assert got.dtype == np.float64
        assert np.allclose(got, one_by_one(known, label, given), rtol=0, atol=3e-6)


def work(monkeypatch: pytest.MonkeyPatch, known: Bank) -> tuple[int, int]:
    """Calls and rows that are compared or put into a bank for its thresholds."""
    calls = handled = 0

    def counted(regions: Descriptors, space: Bank, *rest: object) -> object:
        nonlocal calls, handled
        calls, handled = calls + 1, handled + len(regions) + len(space.negatives)
        return likeness(regions, space, *rest)

    monkeypatch.setattr(between, "likeness", counted)
    thresholds(known, options())
    return calls, handled


def test_calibration_describes_no_bank_for_each_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    (few, small), (many, large) = (work(monkeypatch, bank(4, count)) for count in (100, 200))
    assert few == many, "one block of rows each"
    assert large <= 2.1 * small
    more = work(monkeypatch, bank(4, 4 * between.BLOCK))[0]
    assert more <= few + 2 * 2 * 3, "a block more for each class, for its level and its impostors"


def test_calibration_grows_with_the_classes_and_not_with_their_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few, many = (work(monkeypatch, bank(4 * count, 3, count))[0] for count in (2, 8))
    assert many <= 4 * few


def test_the_usual_level_is_the_median_of_what_is_not_the_class() -> None:
    known = described(3, 4)
    got = calibration.usual_levels(known, options())
    for label in range(2):
        plain = one_by_one(known, label, options())  # without weights a score is what features say
        assert got[label] == pytest.approx(np.median(plain), abs=3e-6)
    alone = Bank(("a",), rows(units(3), "p"), np.zeros(3, int), rows(units(0), "n"))
    assert calibration.usual_levels(alone, options()).tolist() == [0.0]


def test_the_threshold_lies_lower_by_a_share_of_what_negatives_cost() -> None:
    known = folders(0.1, 0.6)
    how = options(context_weight=0.2, negative_weight=0.5)
    found = thresholds(known, how)
    assert [item.label for item in found] == list(known.classes)
    for label, item in enumerate(found):
        own = calibration.left_out_scores(known, label, how)
        alike = known.positives.vectors[known.labels == label] @ known.negatives.vectors.T
        cost = 0.5 * np.median(np.clip(alike.max(1), 0, None))
        assert cost > 0.05
        least = calibration.FLOOR - calibration.FOLLOWED * cost
        assert item.min_score == pytest.approx(least, abs=2e-6)
        assert item.source == "auto"
        assert item.separates is True
        level = LEVEL_WEIGHT * calibration.usual_levels(known, how)[label]
        others = calibration.impostor_scores(known, label, how)
        assert item.recall is not None
        assert item.recall.share == (own - level >= item.min_score).mean() == 1.0
        assert item.recall.low < 0.7, "six exemplars prove little, and it says so"
        assert item.false_alarms is not None
        assert item.false_alarms.share == (others - level >= item.min_score).mean()


def test_one_exemplar_tells_what_negatives_cost_and_without_these_they_cost_nothing() -> None:
    few = bank(2, 2)
    found = thresholds(few, options())
    assert [item.source for item in found] == ["auto"] * 2
    for vector, item in zip(few.positives.vectors, found, strict=True):
        cost = 0.3 * max(0.0, float((few.negatives.vectors @ vector).max()))
        assert item.min_score == pytest.approx(
            calibration.FLOOR - calibration.FOLLOWED * cost, abs=2e-6
        )
    none = replace(few, negatives=few.negatives.take([]))
    for how in ("auto", "default"):
        assert {t.min_score for t in thresholds(none, options(threshold=how))} == {calibration.FLOOR}


def test_given_scores_and_the_default_keep_their_word() -> None:
    usual = round(calibration.FLOOR - calibration.FOLLOWED * calibration.USUAL, 6)
    known = folders(0.1)
    given = thresholds(known, options(min_score=0.123))
    assert {(item.source, item.min_score) for item in given} == {("given", 0.123)}
    plain = thresholds(known, options(threshold="default"))
    assert {(item.source, item.min_score) for item in plain} == {("default", usual)}


def test_a_threshold_for_training_lies_below_that_of_the_examples() -> None:
    for known in (folders(0.1), bank(2, 2)):
        plain, lower = thresholds(known, options()), thresholds(known, options(threshold="training"))
        assert {item.source for item in plain} == {"auto"}
        assert {item.source for item in lower} == {"training"}
        for one, other in zip(plain, lower, strict=True):
            assert other.min_score == pytest.approx(one.min_score - calibration.TRAINING, abs=2e-6)
            assert calibration.usual_least(other) == pytest.approx(one.min_score, abs=2e-6)
            assert calibration.usual_least(one) == one.min_score
    given = thresholds(folders(0.1), options(threshold="training", class_min_score=(("a", 0.4),)))
    assert (given[0].source, given[0].min_score) == ("given", 0.4)
    assert given[1].source == "training"


def test_the_score_at_a_likelihood_is_where_candidates_have_it() -> None:
    for how in ("auto", "training"):
        item = thresholds(folders(0.1), options(threshold=how))[0]
        for chance in (0.001, 0.18, 0.5, 0.9):
            score = calibration.score_at(chance, item)
            usual = np.asarray([calibration.usual_least(item)])
            assert probability(np.asarray([score]), usual)[0] == pytest.approx(chance, abs=1e-6)
        assert (calibration.score_at(0, item), calibration.score_at(1, item)) == (-2.0, 1.0)
        assert -2 <= calibration.score_at(1e-300, item) < calibration.score_at(1 - 1e-16, item) <= 1


def test_folders_that_do_not_separate_are_told() -> None:
    noise = np.random.default_rng(0).normal(size=(60, 12)).astype(np.float32)
    mixed = l2_normalize(noise + 3)
    known = Bank(("a", "b"), rows(mixed[:40], "p"), np.arange(40) % 2, rows(mixed[40:], "n"))
    assert {item.separates for item in thresholds(known, options())} == {False}
    alone = Bank(
        ("a",), rows(units(1), "p"), np.zeros(1, int), rows(np.zeros((0, 12), np.float32), "n")
    )
    (only,) = thresholds(alone, options())
    assert only.separates is None
    assert only.recall is None


def test_a_copy_does_not_vouch_for_an_exemplar() -> None:
    known = bank(6, 2)
    copy = replace(known.positives.take([0]), origins=(Origin("copy"),))
    twice = extended(known, copy, ["class0"])
    assert left_out(twice)[0] == pytest.approx(left_out(known)[0], abs=1e-6)
    one, two = (calibration.left_out_scores(each, 0, options()) for each in (known, twice))
    assert two[0] == pytest.approx(one[0], abs=2e-6)


def test_probability_rises_with_the_score_from_that_at_the_threshold() -> None:
    score = np.asarray([-5.0, 0.3, 0.5, 0.7, 5.0, np.nan])
    got = probability(score, np.full(6, 0.5))
    assert (np.diff(got[:5]) >= 0).all()
    assert got[2] == pytest.approx(1 / (1 + np.exp(-calibration.AT_THRESHOLD)), abs=1e-6)
    logit = calibration.AT_THRESHOLD + 0.2 * calibration.SLOPE
    assert got[3] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    assert got[3] > 0.9
    assert ((got[:5] >= 0) & (got[:5] <= 1)).all()
    assert np.isnan(got[5])


def test_wilson_intervals_are_those_of_the_literature() -> None:
    got = wilson(8, 10)  # Newcombe 1998: 0.4902 to 0.9433
    assert got is not None
    assert (got.low, got.high) == pytest.approx((0.4902, 0.9433), abs=2e-4)
    assert wilson(0, 0) is None


def test_a_negative_among_the_positives_conflicts_and_is_left_out() -> None:
    known = folders(0.1)
    inside = l2_normalize(known.positives.vectors[0:1] + 0.02)
    worse = extended(known, rows(inside, "bad"), [None])
    assert conflicts(known).tolist() == []
    assert conflicts(worse).tolist() == [5]
    assert without(worse, conflicts(worse)).negatives.names == known.negatives.names
    single = Bank(("a",), rows(units(1), "p"), np.zeros(1, int), rows(units(2, seed=3), "n"))
    assert conflicts(single).tolist() == []
    same = extended(single, rows(units(1), "same"), [None])
    assert conflicts(same).tolist() == [2]


def test_the_audit_names_what_is_wrong_with_each_exemplar() -> None:
    known = folders(0.1)
    eye = np.eye(12, dtype=np.float32)
    odd = rows(np.stack([eye[9], known.positives.vectors[1], eye[1], eye[2]]), "odd")
    worse = extended(known, odd, ["a", "a", "a", "a"])
    found = {item.name: item for item in audit(worse)}
    assert "outlier" in found["odd0"].flags
    assert found["odd1"].flags == ("duplicate",)
    assert found["odd1"].twin == "p1"
    assert "looks_like_other_class" in found["odd2"].flags
    assert found["odd2"].nearest is not None
    assert found["odd2"].nearest.startswith("p")
    assert "looks_negative" in found["odd3"].flags
    assert found["odd3"].effect is not None
    assert found["odd3"].effect > 0, "the others do better without it"
    assert found["p2"].effect is not None
    assert found["p2"].effect < found["odd3"].effect
    assert found["p2"].flags == ()
    assert [item.label for item in audit(worse)].count(None) == 5


def test_an_audit_of_one_exemplar_says_nothing_wrong() -> None:
    alone = Bank(
        ("a",), rows(units(1), "p"), np.zeros(1, int), rows(np.zeros((0, 12), np.float32), "n")
    )
    (only,) = audit(alone)
    assert (only.own, only.nearest, only.effect, only.flags) == (None, None, None, ())


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_effects_are_those_of_plain_loops(classes: int) -> None:
    known = bank(positives=9, negatives=2, classes=classes)
    rows = known.positives.vectors.astype(float)

    def lead(judged: list[int], made_of: list[int]) -> float:
        cosines = []
        for i in judged:
            mean = rows[[j for j in made_of if j != i]].mean(0)
            cosines.append(rows[i] @ mean / np.linalg.norm(mean))
        return float(np.mean(cosines))

    for i, found in enumerate(effects(known)):
        others = [j for j in np.flatnonzero(known.labels == known.labels[i]).tolist() if j != i]
        if len(others) < 2:
            assert np.isnan(found)
        else:
            assert found == pytest.approx(lead(others, others) - lead(others, [*others, i]), abs=1e-7)
