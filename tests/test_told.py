"""Thresholds after verdicts: what was said of regions moves them, files that were brought do not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from banks import options, rows
from test_calibration import around

from searchdet import calibration
from searchdet.bank.types import JUDGED, Bank, Rows
from searchdet.calibration import AT_THRESHOLD, SLOPE, TOLD, TRAINING, thresholds
from searchdet.config import LEVEL_WEIGHT

PLAIN = options(shape_weight=0.0, context_weight=0.0)


def judged(of: Rows, which: list[int], source: str = JUDGED) -> Rows:
    """The same, some of them judged."""
    said = [replace(o, mask_source=source) if i in which else o for i, o in enumerate(of.origins)]
    return replace(of, origins=tuple(said))


def brought(noise: float = 0.25) -> Bank:
    """Two classes with six exemplars each, and five negatives that look a little like the first."""
    eye = np.eye(12)
    positives = np.concatenate([around(eye[0], 6, noise, 0), around(eye[1], 6, noise, 1)])
    negatives = around(0.8 * eye[0] + 0.6 * eye[3], 5, noise, 2)
    return Bank(("a", "b"), rows(positives, "p"), np.repeat([0, 1], 6), rows(negatives, "n"))


def test_what_was_brought_moves_nothing() -> None:
    known = brought()
    made = thresholds(replace(known, positives=judged(known.positives, [1, 8], "pseudo")), PLAIN)
    assert made == thresholds(known, PLAIN)
    assert {item.source for item in made} == {"auto"}


@pytest.mark.parametrize("label", [0, 1])
def test_the_most_likely_threshold_is_taken(label: int) -> None:
    plain = brought()
    known = replace(
        plain,
        positives=judged(plain.positives, [0, 2, 4, 7, 8]),
        negatives=judged(plain.negatives, [1, 3]),
    )
    level = LEVEL_WEIGHT * calibration.usual_levels(plain, PLAIN)[label]
    own = calibration.left_out_scores(plain, label, PLAIN)
    others = calibration.impostor_scores(plain, label, PLAIN)
    mine, theirs = ([0, 2, 4], [1, 2]) if label == 0 else ([1, 2], [0, 2, 4])
    # the other class stands first among what is not the class, the negatives last
    right = [own[i] - level for i in mine]
    wrong = [others[i] - level for i in theirs] + [others[len(others) - 5 + i] - level for i in (1, 3)]
    before = thresholds(plain, PLAIN)[label].min_score

    def likely(at: float) -> float:
        total = -(((at - before) / TOLD) ** 2) / 2
        for score, sign in [(s, 1) for s in right] + [(s, -1) for s in wrong]:
            total -= math.log(1 + math.exp(-sign * (AT_THRESHOLD + SLOPE * (score - at))))
        return total

    wanted = max((before + step / 1000 for step in range(-200, 201)), key=likely)
    made = thresholds(known, PLAIN)[label]
    assert made.source == "verdicts"
    assert made.min_score == pytest.approx(wanted, abs=1.1e-3)
    assert made.min_score != before


def test_wrong_ones_on_the_line_raise_it_and_right_ones_below_lower_it() -> None:
    plain = brought()
    before = thresholds(plain, PLAIN)[0].min_score
    wrong = replace(plain, negatives=judged(plain.negatives, [0, 1, 2, 3, 4]))
    right = replace(plain, positives=judged(plain.positives, [0, 1, 2, 3, 4, 5]))
    assert thresholds(wrong, PLAIN)[0].min_score > before
    high = options(shape_weight=0.0, context_weight=0.0, class_min_score=(("a", 0.9),))
    assert thresholds(right, high)[0].min_score == 0.9, "a given threshold is the user's word"
    assert thresholds(right, replace(PLAIN, threshold="default")) == thresholds(
        plain, replace(PLAIN, threshold="default")
    )


def test_training_is_lower_by_as_much_as_without_verdicts() -> None:
    known = replace(brought(), negatives=judged(brought().negatives, [0, 1, 2]))
    for plain, lower in zip(
        thresholds(known, PLAIN), thresholds(known, replace(PLAIN, threshold="training")), strict=True
    ):
        assert lower.source == "training"
        assert lower.min_score == pytest.approx(plain.min_score - TRAINING, abs=1e-6)
