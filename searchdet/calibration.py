"""Thresholds from the exemplars themselves, without a labelled image.

Every positive is scored against its class without it (leave one out), everything that is not the class
(negatives, other classes, what surrounds the exemplars) is scored as an impostor. A few exemplars say
little, so the threshold of a class is drawn towards the backbone's own as if that were the word of
``PRIOR_COUNT`` exemplars more.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import backbones
from .bank import SAME, Bank, Rows, join
from .config import ScoringOptions
from .embeddings import Descriptors, MaskEmbeddings
from .errors import UsageError
from .records import ClassThreshold, Interval
from .scoring import centred, nearest_others, score_regions

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
LEAST_EXEMPLARS = 3
"""A class with fewer distinct exemplars keeps the backbone's threshold."""
PRIOR_COUNT = 7
BELOW_MEDIAN, DEVIATIONS = 0.06, 0.5
"""How far below the median of the left-out scores a threshold lies: that much, and so many standard
deviations. With PRIOR_COUNT chosen on photographs of seven kinds; benchmarks/README.md."""
AT_THRESHOLD, SLOPE = -1.5, 19.0
"""Logit of the probability at the threshold, and its rise by score; by how often candidates were right
(benchmarks/accuracy.py chances). At the threshold itself one in five or six is right: it is where F1 is
largest, and what lies just above it is for review."""
MOST_LEFT_OUT = 30
"""Exemplars of a class that are left out in turn, evenly spread, so that a large bank stays quick."""
BLOCK = 256
"""Rows that are scored at once, so that memory does not grow with the square of the exemplars."""
SEPARATES = 0.75
"""Least probability that a positive outscores an impostor for the folders to count as separable."""


def thresholds(bank: Bank, options: ScoringOptions, default: float) -> tuple[ClassThreshold, ...]:
    """The least score of each class. options: weights resolved; default: the backbone's own."""
    return tuple(_of_class(bank, label, options, default) for label in range(len(bank.classes)))


def thresholds_of(bank: Bank) -> tuple[ClassThreshold, ...]:
    """What the thresholds of a bank are by the rule of its own backbone. Raises UsageError for a bank
    without a space."""
    if bank.space is None:
        raise UsageError("the bank has no space.")
    shape, context, default = backbones.rule_of(bank.space.backbone)
    options = ScoringOptions(shape_weight=shape, context_weight=context)
    return thresholds(bank.distinct(), options, default)


def probability(score: npt.NDArray[Any], least: npt.NDArray[Any]) -> FloatArray:
    """Scores with the threshold of their class -> 0..1: how likely each is right. A logistic curve
    fitted on photographs of seven kinds, not on the user's; NaN stays."""
    logit = AT_THRESHOLD + SLOPE * (np.asarray(score, np.float64) - least)
    return np.asarray(np.round(1 / (1 + np.exp(-np.clip(logit, -50, 50))), 6))


def wilson(hits: int, count: int) -> Interval | None:
    """Wilson's score interval (1927) at 95 %; None for nothing."""
    if not count:
        return None
    z, share = 1.959964, hits / count
    whole = 1 + z * z / count
    middle = (share + z * z / (2 * count)) / whole
    spread = z / whole * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return Interval(share, max(0.0, middle - spread), min(1.0, middle + spread), count)


def _of_class(bank: Bank, label: int, options: ScoringOptions, default: float) -> ClassThreshold:
    own = left_out_scores(bank, label, options)
    others = impostor_scores(bank, label, options)
    count = int((bank.labels == label).sum())
    source, least = "default", default
    given = dict(options.class_min_score).get(bank.classes[label], options.min_score)
    if given is not None:
        source, least = "given", given
    elif options.threshold == "auto" and count >= LEAST_EXEMPLARS:
        found = float(np.median(own)) - BELOW_MEDIAN - DEVIATIONS * float(own.std())
        source = "auto"
        least = (len(own) * found + PRIOR_COUNT * default) / (len(own) + PRIOR_COUNT)
    least = round(least, 6)
    right, wrong = int((own >= least).sum()), int((others >= least).sum())
    auc = _auc(own, others)
    enough = len(own) >= LEAST_EXEMPLARS and len(others) >= LEAST_EXEMPLARS
    return ClassThreshold(
        label=bank.classes[label],
        min_score=least,
        source=source,
        exemplars=count,
        recall=wilson(right, len(own)),
        false_alarms=wilson(wrong, len(others)),
        precision=wilson(right, right + wrong),
        auc=auc,
        separates=None if auc is None or not enough else auc >= SEPARATES,
    )


def left_out_scores(bank: Bank, label: int, options: ScoringOptions) -> FloatArray:
    """Score of each exemplar of a class against the class without it and its copies; none for a class
    with one distinct exemplar."""
    rows = np.flatnonzero(bank.labels == label)
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_LEFT_OUT)).round().astype(int))
    cosines = bank.positives.vectors[rows[chosen]] @ bank.positives.vectors[rows].T
    scores = []
    for i, alike in zip(rows[chosen], cosines, strict=True):
        fellows = rows[alike < SAME]
        if len(fellows):
            rest = _alone(bank, label, bank.positives.take(fellows), bank.negatives)
            scores.append(_score(bank.positives.take([int(i)]), rest, options)[0])
    return np.asarray(scores, np.float64)


def impostor_scores(bank: Bank, label: int, options: ScoringOptions) -> FloatArray:
    """Score for a class of everything in the bank that is not it."""
    mine = bank.positives.take(np.flatnonzero(bank.labels == label))
    others = bank.positives.take(np.flatnonzero(bank.labels != label))
    around = np.flatnonzero(np.abs(bank.positives.contexts).max(axis=1, initial=0) > 0)
    surroundings = bank.positives.take(around)
    surroundings = replace(
        surroundings,
        vectors=surroundings.contexts,
        contexts=np.zeros_like(surroundings.contexts),
        outlines=np.full_like(surroundings.outlines, np.nan),
    )
    against = _alone(bank, label, mine, bank.negatives)
    return np.concatenate(
        [
            _score(join([others, surroundings]), against, options),
            _score_negatives(
                bank.negatives, _alone(bank, label, mine, bank.negatives.take([])), options
            ),
        ]
    )


def _alone(bank: Bank, label: int, positives: Rows, negatives: Rows) -> Bank:
    """A bank of one class."""
    return Bank((bank.classes[label],), positives, np.zeros(len(positives), np.int64), negatives)


def _score(rows: Rows, bank: Bank, options: ScoringOptions) -> FloatArray:
    """Rows scored as if they were regions."""
    regions, space = centred(_regions(rows), bank, options)
    found = [score_regions(regions.take(part), space, options).score for part in _parts(len(rows))]
    return np.concatenate(found).astype(np.float64)


def _score_negatives(rows: Rows, bank: Bank, options: ScoringOptions) -> FloatArray:
    """Negatives scored against a bank without any, each beside the other negatives: the nearest of them
    is read off one product, where scoring each against the rest would describe N banks of N rows. Rows
    and bank together are what the centre is the mean of, whichever row is left out."""
    regions, space = centred(_regions(rows), bank, options)
    found = []
    for part in _parts(len(rows)):
        others = nearest_others(regions.embedded.vectors, part)
        found.append(score_regions(regions.take(part), space, options, others).score)
    return np.concatenate(found).astype(np.float64)


def _regions(rows: Rows) -> Descriptors:
    count = len(rows)
    embedded = MaskEmbeddings(rows.vectors, np.ones(count, bool), np.zeros(count, bool))
    return Descriptors(embedded, rows.contexts, rows.outlines)


def _parts(count: int) -> list[IntArray]:
    """Row numbers in blocks; one empty block for none."""
    return [np.arange(i, min(i + BLOCK, count)) for i in range(0, max(count, 1), BLOCK)]


def _auc(own: FloatArray, others: FloatArray) -> float | None:
    if not len(own) or not len(others):
        return None
    more = (own[:, None] > others[None]).mean() + 0.5 * (own[:, None] == others[None]).mean()
    return float(more)
