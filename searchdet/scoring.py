"""Similarities and the decision rule. Pure numpy; every similarity is a product ``X @ P.T``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .bank import Bank
from .config import ScoringOptions

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
DIGITS = 6
"""Scores are rounded before any threshold, so that batch size cannot flip a decision."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of N regions, row i = mask i.

    label (N,): best class. pos, score (N,): its cosine after aggregation, and after the negative
    penalty. neg, margin (N,): nearest negative's cosine and pos - neg, NaN without negatives. gap (N,):
    score minus the second class's, NaN with one class. nearest_positive, nearest_negative (N,): bank
    rows (-1: none); their cosines. Rows that are not valid hold -1 and NaN.
    """

    valid: BoolArray
    label: IntArray
    pos: FloatArray
    neg: FloatArray
    score: FloatArray
    margin: FloatArray
    gap: FloatArray
    nearest_positive: IntArray
    nearest_positive_cosine: FloatArray
    nearest_negative: IntArray

    def __len__(self) -> int:
        return len(self.score)


def score_regions(vectors: FloatArray, valid: BoolArray, bank: Bank, options: ScoringOptions) -> Scores:
    """Score regions (N, D), unit rows where valid, against a bank.

    score = pos - negative_weight * max(neg, 0): clamped, so a negative can only lower a score (after
    T-Rex-Omni, arXiv 2511.08997).
    """
    if vectors.shape[1:] != (bank.dim,):
        raise ValueError(f"regions have shape {vectors.shape}, the bank has dimension {bank.dim}")
    count = len(vectors)
    cosines = vectors @ bank.positives.T
    positive = _aggregate(vectors, cosines, bank, options)
    against = vectors @ bank.negatives.T
    nearest_neg = _argmax(against)
    has_negatives = len(bank.negatives) > 0
    neg = against[np.arange(count), nearest_neg] if has_negatives else _nans(count)
    scores = positive
    if has_negatives:
        scores = positive - options.negative_weight * np.clip(neg, 0, None)[:, None]
    label = _argmax(scores)
    rows = np.arange(count)
    pos = _rounded(positive[rows, label])
    neg = _rounded(neg)
    own = np.where(bank.labels[None] == label[:, None], cosines, -np.inf)
    nearest = _argmax(own)
    return Scores(
        valid=valid,
        label=np.where(valid, label, -1),
        pos=_masked(pos, valid),
        neg=_masked(neg, valid),
        score=_masked(_rounded(scores[rows, label]), valid),
        margin=_masked(_rounded(pos - neg), valid),
        gap=_masked(_gap(scores), valid),
        nearest_positive=np.where(valid, nearest, -1),
        nearest_positive_cosine=_masked(_rounded(cosines[rows, nearest]), valid),
        nearest_negative=np.where(valid & has_negatives, nearest_neg, -1),
    )


def decide(scores: Scores, options: ScoringOptions) -> list[str]:
    """Why each row is kept or not: ``accepted``, ``score``, ``margin``, ``class_margin``, ``invalid``.

    A rule without its input (no negatives, one class) does not apply. Raises ValueError where
    ``min_score`` is not resolved.
    """
    if options.min_score is None:
        raise ValueError("min_score must be resolved before deciding")
    reasons = []
    for i in range(len(scores)):
        if not scores.valid[i]:
            reasons.append("invalid")
        elif scores.score[i] < options.min_score:
            reasons.append("score")
        elif scores.margin[i] < options.min_margin:
            reasons.append("margin")
        elif options.class_margin > 0 and scores.gap[i] < options.class_margin:
            reasons.append("class_margin")
        else:
            reasons.append("accepted")
    return reasons


def promise(cells: FloatArray, bank: Bank, options: ScoringOptions) -> npt.NDArray[np.float32]:
    """How much each cell (h, w, D) of a feature map looks like anything searched for, (h, w).

    The nearest exemplar counts, not the prototype: a cell sees a part of an object only.
    """
    flat = cells.reshape(-1, cells.shape[-1])
    best = (flat @ bank.positives.T).max(axis=1)
    if len(bank.negatives):
        against = (flat @ bank.negatives.T).max(axis=1)
        best = best - options.negative_weight * np.clip(against, 0, None)
    return np.asarray(best.reshape(cells.shape[:2]), np.float32)


def _aggregate(
    vectors: FloatArray, cosines: FloatArray, bank: Bank, options: ScoringOptions
) -> FloatArray:
    """Cosine of each region to each class, (N, C)."""
    if options.pos_agg == "prototype":
        return np.asarray(vectors @ bank.prototypes().T, np.float32)
    columns = []
    for c in range(len(bank.classes)):
        members = bank.labels == c
        own = cosines[:, members]
        if options.pos_agg == "max":
            columns.append(own.max(axis=1))
        elif options.pos_agg == "mean_topk":
            k = min(options.topk, own.shape[1])
            columns.append(np.sort(own, axis=1)[:, -k:].mean(axis=1))
        else:
            columns.append(_attention(own, bank.positives[members]))
    return np.stack(columns, axis=1).astype(np.float32)


def _attention(cosines: FloatArray, exemplars: FloatArray) -> FloatArray:
    """Cosine to the softmax-weighted exemplar of each region (SearchDet, arXiv 2409.18733), (N,)."""
    raised = np.exp(cosines - cosines.max(axis=1, keepdims=True))
    weights = raised / raised.sum(axis=1, keepdims=True)
    gram = exemplars @ exemplars.T
    length = np.sqrt(np.einsum("nk,kl,nl->n", weights, gram, weights))
    return np.asarray((weights * cosines).sum(axis=1) / np.maximum(length, 1e-12), np.float32)


def _gap(scores: FloatArray) -> FloatArray:
    if scores.shape[1] < 2:
        return _nans(len(scores))
    top = np.sort(scores, axis=1)[:, -2:]
    return _rounded(top[:, 1] - top[:, 0])


def _argmax(values: FloatArray) -> IntArray:
    """First row maximum, (N,); 0 for an empty second axis."""
    if values.shape[1] == 0:
        return np.zeros(len(values), np.int64)
    return np.asarray(values.argmax(axis=1), np.int64)


def _nans(count: int) -> FloatArray:
    return np.full(count, np.nan, np.float32)


def _rounded(values: FloatArray) -> FloatArray:
    return np.round(np.asarray(values, np.float64), DIGITS)


def _masked(values: FloatArray, valid: BoolArray) -> FloatArray:
    return np.where(valid, values, np.nan)
