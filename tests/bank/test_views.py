"""Gains of changed views against plain loops, and verdicts where the answer is known beforehand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from banks import bank, rows, units

from searchdet.bank.types import Bank, Origin, join
from searchdet.bank.views import Gain, gains, leads
from searchdet.calibration import left_out_scores, thresholds
from searchdet.config import ScoringOptions
from searchdet.embeddings import l2_normalize


def with_views(known: Bank, change: np.ndarray, view: str) -> Bank:
    """With a view of each exemplar: its vector moved by a row of ``change``."""
    own = known.positives
    moved = l2_normalize(own.vectors + change)
    origins = tuple(
        Origin(f"{name}@{view}", copy_of=name, view=view) for name in own.names[: len(change)]
    )
    more = replace(rows(moved, "v"), origins=origins)
    return replace(known, positives=join([own, more]), labels=np.concatenate([known.labels] * 2))


def noisy(seed: int) -> tuple[Bank, np.ndarray]:
    known = bank(8, 4, 2, seed=seed)
    return known, 0.3 * units(8, seed=seed + 90)


def test_leads_leave_an_exemplar_out_with_its_views() -> None:
    known, change = noisy(1)
    made = with_views(known, change, "flip-x")
    vectors = made.positives.vectors.astype(np.float64)
    got = leads(made)
    assert len(got) == 8
    for i in range(8):
        fellows = [j for j in range(16) if j % 8 != i and made.labels[j] == made.labels[i]]
        mean = vectors[fellows].mean(axis=0)
        other = vectors[made.labels != made.labels[i]].mean(axis=0)
        outside = [other / np.linalg.norm(other), *made.negatives.vectors.astype(np.float64)]
        wanted = vectors[i] @ mean / np.linalg.norm(mean) - max(v @ vectors[i] for v in outside)
        assert got[i] == pytest.approx(wanted, abs=1e-6)


def test_gains_are_paired_differences_with_their_error() -> None:
    known, change = noisy(2)
    made = with_views(known, change, "turn-90")
    (got,) = gains(made)
    changes = leads(made) - leads(known)
    assert got.kinds == ("turns",)
    assert got.exemplars == 8
    assert got.lead == pytest.approx(changes.mean())
    assert got.error == pytest.approx(changes.std(ddof=1) / np.sqrt(8))


@pytest.mark.parametrize(("toward", "wanted"), [(1.0, "helps"), (-1.0, "hurts")])
def test_views_like_the_class_help_and_views_like_another_hurt(toward: float, wanted: str) -> None:
    rng = np.random.default_rng(5)
    one, two = np.eye(12)[0], np.eye(12)[1]
    labels = np.repeat([0, 1], 6)
    centres = np.where(labels[:, None] == 0, one, two)
    vectors = l2_normalize((centres + rng.normal(0, 0.45, (12, 12))).astype(np.float32))
    known = Bank(("a", "b"), rows(vectors, "p"), labels, rows(vectors[:0], "n"))
    across = np.where(labels[:, None] == 0, one - two, two - one)
    (got,) = gains(with_views(known, (toward * 1.5 * across).astype(np.float32), "flip-y"))
    assert got.verdict == wanted


def test_few_exemplars_and_no_views_say_nothing() -> None:
    known = bank(2, 0, 1)
    assert gains(known) == []
    (got,) = gains(with_views(known, 0.1 * units(2), "smaller"))
    assert (got.kinds, got.exemplars, got.verdict) == (("scale",), 2, "few")
    alone = bank(1, 0, 1)
    assert gains(with_views(alone, 0.1 * units(1), "smaller")) == [
        Gain(("scale",), 0, None, None, "few")
    ]


def test_thresholds_leave_an_exemplar_out_with_its_views_too() -> None:
    """A view, which is nearly the exemplar, must not vouch for it."""
    known = bank(6, 3, 2, seed=4)
    made = with_views(known, 0.05 * units(6, seed=1), "flip-x")
    how = ScoringOptions(pos_agg="max", shape_weight=0.0, context_weight=0.0)
    for label in range(2):
        got = left_out_scores(made, label, how)
        plain = left_out_scores(known, label, how)
        assert len(got) == len(plain)
        assert np.abs(got - plain).max() < 0.1
    assert [item.exemplars for item in thresholds(made, how)] == [3, 3]
