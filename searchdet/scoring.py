"""Scores and the decision rule. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .bank import Bank
from .bank.likeness import Likeness, argmax, likeness, nans, rounded, weighted
from .config import ScoringOptions
from .embeddings import Descriptors
from .records import INVALID, ClassLimits, Standing, reason_of

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
LEVEL_WEIGHT = 0.2
"""How much of an image's level, the median of what its regions score by their features, is taken off
each score: how alike all things look differs between images and between spaces."""
LEVEL_ROWS = 600
"""Proposals that make the level, so that more of them, which are ever smaller, do not move it."""
USUAL_COUNT = 20


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of N regions, row i = mask i.

    label (N,): best class. pos (N,): its cosine after aggregation. neg, margin (N,): nearest negative's
    cosine and pos - neg, NaN without negatives. shape (N,): likeness of the outline to the nearest of
    the class's, 0..1, and context (N,): cosine of the surroundings to its prototype; NaN where unknown
    or not used. score (N,): all of these together. gap (N,): score minus the second class's, NaN with
    one class. nearest_positive, nearest_negative (N,): bank rows (-1: none); their cosines. Rows that
    are not valid hold -1 and NaN.
    """

    valid: BoolArray
    label: IntArray
    pos: FloatArray
    neg: FloatArray
    shape: FloatArray
    context: FloatArray
    score: FloatArray
    margin: FloatArray
    gap: FloatArray
    nearest_positive: IntArray
    nearest_positive_cosine: FloatArray
    nearest_negative: IntArray

    def __len__(self) -> int:
        return len(self.score)


def level_of(plain: FloatArray, valid: BoolArray, usual: FloatArray) -> FloatArray:
    """(C,): what any region of an image scores for each class by its features alone (N, C), best
    proposal first: the median of the first ones, drawn to the ``usual`` (C,) of the bank as if that
    were the word of ``USUAL_COUNT`` regions, for an image of few regions may hold nothing but objects.
    """
    valid, plain = valid[:LEVEL_ROWS], plain[:LEVEL_ROWS]
    count = int(valid.sum())
    own = np.median(plain[valid], axis=0) if count else np.zeros(plain.shape[1])
    return np.asarray((count * own + USUAL_COUNT * usual) / (count + USUAL_COUNT), np.float64)


def scores_of(
    alike: Likeness, bank: Bank, options: ScoringOptions, level: FloatArray | None = None
) -> Scores:
    """Scores of N regions. level (C,): of the image, None for 0.

    score = pos - negative_weight * max(neg, 0) - shape_weight * (1 - shape)
    - context_weight * max(context, 0) - LEVEL_WEIGHT * level. The negatives' term is clamped, so a
    negative can only lower a score (after T-Rex-Omni, arXiv 2511.08997). A fragment of an object has
    the object around it, and so a context that looks like the class. Shapes count only if every class
    knows one.
    """
    rows, valid = np.arange(len(alike.valid)), alike.valid
    scores = alike.plain(options) - weighted(options.shape_weight, 1 - alike.shape)
    scores = scores - weighted(options.context_weight, alike.context)
    if level is not None:
        scores = scores - LEVEL_WEIGHT * level[None]
    label = argmax(scores)
    own = np.where(bank.labels[None] == label[:, None], alike.cosines, -np.inf)
    nearest_own = argmax(own)
    chosen, neg = rounded(alike.pos[rows, label]), rounded(alike.against.cosine)
    return Scores(
        valid=valid,
        label=np.where(valid, label, -1),
        pos=_masked(chosen, valid),
        neg=_masked(neg, valid),
        shape=_masked(rounded(alike.shape[rows, label]), valid),
        context=_masked(rounded(alike.context[rows, label]), valid),
        score=_masked(rounded(scores[rows, label]), valid),
        margin=_masked(rounded(chosen - neg), valid),
        gap=_masked(_gap(scores), valid),
        nearest_positive=np.where(valid, nearest_own, -1),
        nearest_positive_cosine=_masked(rounded(alike.cosines[rows, nearest_own]), valid),
        nearest_negative=np.where(valid & ~np.isnan(neg), alike.against.row, -1),
    )


def score_regions(regions: Descriptors, bank: Bank, options: ScoringOptions) -> Scores:
    """``scores_of`` the ``likeness`` of N regions, whatever else is in their image."""
    return scores_of(likeness(regions, bank, options), bank, options)


def decide(
    scores: Scores, limits: Sequence[ClassLimits], factor: FloatArray | None = None
) -> list[str]:
    """The reason of each row: ``invalid``, or what the decision rule says (``records.rule``).

    limits: of each class. factor (N,): what suppression left of each; without it nothing is suppressed.
    """
    factor = np.ones(len(scores)) if factor is None else factor
    left = final(scores, factor)
    reasons = []
    for i in range(len(scores)):
        numbers = (scores.score[i], left[i], factor[i], scores.margin[i], scores.gap[i])
        standing = Standing(*(float(value) for value in numbers))
        valid = scores.valid[i]
        reasons.append(reason_of(standing, limits[scores.label[i]]) if valid else INVALID)
    return reasons


def final(scores: Scores, factor: FloatArray) -> FloatArray:
    """(N,): score after suppression: what is left of a positive score; a negative one stays."""
    return rounded(np.where(scores.score > 0, scores.score * factor, scores.score))


def promise(cells: FloatArray, bank: Bank, options: ScoringOptions) -> npt.NDArray[np.float32]:
    """How much each cell (h, w, D) of a feature map looks like anything searched for, (h, w).

    The nearest exemplar counts, not the prototype: a cell sees a part of an object only.
    """
    flat = cells.reshape(-1, cells.shape[-1])
    best = (flat @ bank.positives.vectors.T).max(axis=1)
    if len(bank.negatives):
        against = (flat @ bank.negatives.vectors.T).max(axis=1)
        best = best - options.negative_weight * np.clip(against, 0, None)
    return np.asarray(best.reshape(cells.shape[:2]), np.float32)


def _gap(scores: FloatArray) -> FloatArray:
    if scores.shape[1] < 2:
        return nans(len(scores))
    top = np.sort(scores, axis=1)[:, -2:]
    return rounded(top[:, 1] - top[:, 0])


def _masked(values: FloatArray, valid: BoolArray) -> FloatArray:
    return np.where(valid, values, np.nan)
