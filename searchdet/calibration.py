"""Thresholds from the exemplars themselves, without a labelled image.

A negative takes something off every score, off that of an object too: as much as exemplars have in
common with it. So the threshold lies lower by a share of that. What any region of an image has in
common with a class is taken off each score (``scene.levels_of``). So one pair of constants holds with
many negatives and with none, in spaces where all things look alike and in spaces where nothing does
(benchmarks/README.md).

How well a threshold separates is told by scores of the exemplars: each positive against its class
without it (leave one out), and everything that is not the class (negatives, other classes, what
surrounds the exemplars) as an impostor.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .bank import SAME, Bank, Rows
from .bank.compared import alone, compared, impostors, of_class, of_others, opposing, surrounded
from .bank.likeness import Likeness, rounded, weighted
from .bank.types import JUDGED
from .config import LEVEL_WEIGHT, ScoringOptions
from .normality.suited import at_the_limit
from .records import ClassThreshold, Interval
from .scoring import scores_of

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
ENOUGH = 3
"""Scores on each side from which on folders are said to separate or not."""
FLOOR, FOLLOWED, USUAL = 0.49, 0.4, 0.15
"""The threshold is FLOOR - FOLLOWED * ``cost_of_negatives``; for ``--threshold default`` USUAL stands
for that cost. Fitted with one of seven kinds of photographs left out in turn, in four spaces at once,
with many negatives, one and none."""
TRAINING = 0.06
"""How much below lies the threshold for those who train a detector on the result, who lose more by an
object that is missed than by one that is none: where F2 is largest, chosen with each of seven sets left
out in turn (benchmarks/accuracy.py training)."""
AT_THRESHOLD, SLOPE = -1.5, 19.0
"""Logit of the probability at the threshold, and its rise by score; by how often candidates were right
(benchmarks/accuracy.py chances). At the threshold itself one in five or six is right: it is where F1 is
largest, and what lies just above it is for review."""
TOLD = 0.05
"""Standard deviation of the threshold before anything was said of regions: how far verdicts move it,
which weigh as that curve says (benchmarks/README.md, bench_loop.py)."""
REACH = np.linspace(-0.2, 0.2, 401)
"""Where, around the threshold of the exemplars, that of the verdicts is looked for."""
MOST_LEFT_OUT = 30
"""Exemplars of a class that are looked at, evenly spread, so that a large bank stays quick."""
SEPARATES = 0.75
"""Least probability that a positive outscores an impostor for the folders to count as separable."""


def calibrated(
    bank: Bank, options: ScoringOptions
) -> tuple[tuple[ClassThreshold, ...], npt.NDArray[np.float64]]:
    """The ``thresholds`` of a bank and its ``usual_levels``."""
    if bank.by_normality:
        return (at_the_limit(bank.classes[0], options),), np.zeros(1)
    found, levels = [], []
    for label in range(len(bank.classes)):
        on_map = impostors(bank.without_crops(), label, options)
        others = impostors(bank, label, options) if bank.looks_closer else on_map
        levels.append(_median([alike.plain(options)[:, 0] for alike in on_map]))
        found.append(_of_class(bank, label, options, LEVEL_WEIGHT * levels[-1], others))
    return tuple(found), np.asarray(levels, np.float64)


def thresholds(bank: Bank, options: ScoringOptions) -> tuple[ClassThreshold, ...]:
    """The least score of each class. A bank with crops is judged by a second look."""
    return calibrated(bank, options)[0]


def thresholds_of(bank: Bank) -> tuple[ClassThreshold, ...]:
    """What the thresholds of a bank are by default."""
    return thresholds(bank.distinct(), ScoringOptions())


def usual_levels(bank: Bank, options: ScoringOptions) -> FloatArray:
    """(C,): what things that are not the class score for it by their features alone, the median; 0
    where the bank holds none. What stands for the regions of an image that has few."""
    return calibrated(bank, options)[1]


def _median(parts: list[npt.NDArray[Any]]) -> float:
    every = np.concatenate(parts)
    return float(np.median(every)) if len(every) else 0.0


def probability(score: npt.NDArray[Any], least: npt.NDArray[Any]) -> FloatArray:
    """Scores with the threshold of their class -> 0..1: how likely each is right. A logistic curve
    fitted on photographs of seven kinds, not on the user's; NaN stays."""
    logit = AT_THRESHOLD + SLOPE * (np.asarray(score, np.float64) - least)
    return np.asarray(np.round(1 / (1 + np.exp(-np.clip(logit, -50, 50))), 6))


def usual_least(threshold: ClassThreshold) -> float:
    """The least score from which on likelihood is counted: that of ``auto`` where ``training`` asks for
    less, for a candidate is no likelier because fewer are wanted."""
    return threshold.min_score + TRAINING * (threshold.source == "training")


def score_at(chance: float, threshold: ClassThreshold) -> float:
    """The least score, -2..1, of a class at which its candidates have that ``probability`` (0..1)."""
    if not 0 < chance < 1:
        return 1.0 if chance >= 1 else -2.0
    logit = math.log(chance / (1 - chance))
    score = usual_least(threshold) + (logit - AT_THRESHOLD) / SLOPE
    return min(max(score, -2.0), 1.0)


def wilson(hits: int, count: int) -> Interval | None:
    """Wilson's score interval (1927) at 95 %; None for nothing."""
    if not count:
        return None
    z, share = 1.959964, hits / count
    whole = 1 + z * z / count
    middle = (share + z * z / (2 * count)) / whole
    spread = z / whole * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return Interval(share, max(0.0, middle - spread), min(1.0, middle + spread), count)


def _of_class(
    bank: Bank, label: int, options: ScoringOptions, level: float, impostors: list[Likeness]
) -> ClassThreshold:
    rows, own = _left_out(bank, label, options)
    own, others = own - level, _scores(bank, label, options, impostors) - level
    source, least = _least(bank, label, options)
    if options.threshold != "default":
        source, least = _moved(source, least, np.concatenate([own, others]), _told(bank, label, rows))
    given = dict(options.class_min_score).get(bank.classes[label], options.min_score)
    if given is not None:
        source, least = "given", round(given, 6)
    right, wrong = int((own >= least).sum()), int((others >= least).sum())
    auc = _auc(own, others)
    enough = len(own) >= ENOUGH and len(others) >= ENOUGH
    return ClassThreshold(
        label=bank.classes[label],
        min_score=least,
        source=source,
        exemplars=int((bank.positives.own & (bank.labels == label)).sum()),
        recall=wilson(right, len(own)),
        false_alarms=wilson(wrong, len(others)),
        precision=wilson(right, right + wrong),
        auc=auc,
        separates=None if auc is None or not enough else auc >= SEPARATES,
    )


def _least(bank: Bank, label: int, options: ScoringOptions) -> tuple[str, float]:
    """Where the least score of a class comes from, and what it is."""
    if options.threshold == "default":
        cost = USUAL if len(bank.negatives) else 0.0
    else:
        cost = cost_of_negatives(bank, label, options)
    least = FLOOR - FOLLOWED * cost
    if options.threshold == "training":
        return "training", round(least - TRAINING, 6)
    return options.threshold, round(least, 6)


def cost_of_negatives(bank: Bank, label: int, options: ScoringOptions) -> float:
    """What the nearest negative takes off the score of an exemplar of a class, the median; 0 without
    negatives."""
    mine = of_class(bank, label)
    own = np.flatnonzero(mine.own)
    some = mine.take(own[_spread(len(own))])
    found = compared(some, alone(bank, label, mine, opposing(bank, label, options)), options)
    costs = [weighted(options.negative_weight, rounded(like.against.cosine)) for like in found]
    return float(np.median(np.concatenate(costs)))


def _moved(source: str, least: float, scores: FloatArray, told: IntArray) -> tuple[str, float]:
    """Source and threshold after verdicts: the most likely threshold, by the curve of ``probability``,
    where it was about ``least`` before. told (N,): of each score 1 if its region was said to be of the
    class, -1 if not, 0 where nothing was said, and where that is all the threshold stays."""
    some = told != 0
    if not some.any():
        return source, least
    less = TRAINING if source == "training" else 0.0
    at = least + less + REACH
    logits = AT_THRESHOLD + SLOPE * (scores[some, None] - at)
    likely = -np.logaddexp(0, -told[some, None] * logits).sum(axis=0) - (REACH / TOLD) ** 2 / 2
    moved = round(float(at[likely.argmax()]) - less, 6)
    return (source if less else "verdicts"), moved


def _told(bank: Bank, label: int, rows: IntArray) -> IntArray:
    """What was said of the exemplars ``rows`` (N,) of a class, which are left out, and of all that is
    not the class, in the order of ``impostor_scores``; as for ``_moved``. What lies on the line is what
    people are asked, so it tells where the line is. Files that they bring do not, nor what they point
    at because it was not found, which alone would draw the line down."""
    others, around = of_others(bank, label), np.zeros(len(surrounded(bank)), np.int64)
    parts = (_judged(bank.positives.take(rows)), -_judged(bank.positives.take(others)))
    return np.concatenate([*parts, around, -_judged(bank.negatives)])


def _judged(rows: Rows) -> IntArray:
    """(N,): 1 for a region that a person was shown and judged."""
    return np.asarray([item.mask_source == JUDGED for item in rows.origins], np.int64)


def left_out_scores(bank: Bank, label: int, options: ScoringOptions) -> FloatArray:
    """(N,): what each exemplar of a class scores against the class without it, its copies and its
    changed views; none for a class with one distinct exemplar."""
    return _left_out(bank, label, options)[1]


def _left_out(bank: Bank, label: int, options: ScoringOptions) -> tuple[IntArray, FloatArray]:
    """``left_out_scores`` and the rows (N,) of the positives that they are of, before them."""
    rows, against = np.flatnonzero(bank.labels == label), opposing(bank, label, options)
    own, whose = rows[bank.positives.own[rows]], bank.positives.whose
    chosen = own[_spread(len(own))]
    alike = bank.positives.vectors[chosen] @ bank.positives.vectors[rows].T
    used, scores = [], []
    for i, close in zip(chosen, alike, strict=True):
        copied = np.isin(whose[rows], whose[rows[close >= SAME]])
        fellows = rows[~copied]
        if len(fellows):
            rest = alone(bank, label, bank.positives.take(fellows), against)
            for like in compared(bank.positives.take([int(i)]), rest, options):
                scores.append(scores_of(like, rest, options).score[0])
                used.append(i)
    return np.asarray(used, np.int64), np.asarray(scores, np.float64)


def _spread(count: int) -> IntArray:
    """At most MOST_LEFT_OUT of so many rows, evenly spread."""
    places = np.linspace(0, count - 1, min(count, MOST_LEFT_OUT)).round()
    return np.unique(places).astype(np.int64)


def impostor_scores(bank: Bank, label: int, options: ScoringOptions) -> FloatArray:
    """Score for a class of everything in the bank that is not it."""
    return _scores(bank, label, options, impostors(bank, label, options))


def _scores(
    bank: Bank, label: int, options: ScoringOptions, found: list[Likeness]
) -> npt.NDArray[np.float64]:
    against = alone(bank, label, of_class(bank, label), opposing(bank, label, options))
    scores = [scores_of(like, against, options).score for like in found]
    return np.concatenate(scores).astype(np.float64)


def _auc(own: FloatArray, others: FloatArray) -> float | None:
    if not len(own) or not len(others):
        return None
    more = (own[:, None] > others[None]).mean() + 0.5 * (own[:, None] == others[None]).mean()
    return float(more)
