"""Similarities and the decision rule. Pure numpy; every similarity is a product ``X @ P.T``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .bank import Bank, Rows
from .config import ScoringOptions
from .embeddings import Descriptors, l2_normalize
from .masks.shape import similarity
from .records import INVALID, ClassLimits, Standing, reason_of

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
DIGITS = 6
"""Scores are rounded before any threshold, so that batch size cannot flip a decision."""


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


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest negative of N regions: cosine (N,), NaN without one, and its row (N,) in the bank."""

    cosine: FloatArray
    row: IntArray


def score_regions(
    regions: Descriptors, bank: Bank, options: ScoringOptions, known: Nearest | None = None
) -> Scores:
    """Score N regions against a bank; weights must be resolved. known: their nearest negatives, if
    these are not to be looked for in the bank.

    score = pos - negative_weight * max(neg, 0) - shape_weight * (1 - shape)
    - context_weight * max(context, 0). The negatives' term is clamped, so a negative can only lower a
    score (after T-Rex-Omni, arXiv 2511.08997). A fragment of an object has the object around it, and
    so a context that looks like the class. Shapes count only if every class knows one.
    """
    vectors, valid = regions.embedded.vectors, regions.embedded.valid
    if vectors.shape[1:] != (bank.dim,):
        raise ValueError(f"regions have shape {vectors.shape}, the bank has dimension {bank.dim}")
    rows = np.arange(len(vectors))
    cosines = vectors @ bank.positives.vectors.T
    pos = class_cosines(vectors, cosines, bank, options)
    against = known or nearest(vectors, bank.negatives.vectors)
    neg = _rounded(against.cosine)
    shape = _shapes(regions, bank, options)
    context = _contexts(regions, bank, options)
    scores = pos - _weighted(options.negative_weight, neg)[:, None]
    scores = (
        scores - _weighted(options.shape_weight, 1 - shape) - _weighted(options.context_weight, context)
    )
    label = _argmax(scores)
    own = np.where(bank.labels[None] == label[:, None], cosines, -np.inf)
    nearest_own = _argmax(own)
    chosen = _rounded(pos[rows, label])
    return Scores(
        valid=valid,
        label=np.where(valid, label, -1),
        pos=_masked(chosen, valid),
        neg=_masked(neg, valid),
        shape=_masked(_rounded(shape[rows, label]), valid),
        context=_masked(_rounded(context[rows, label]), valid),
        score=_masked(_rounded(scores[rows, label]), valid),
        margin=_masked(_rounded(chosen - neg), valid),
        gap=_masked(_gap(scores), valid),
        nearest_positive=np.where(valid, nearest_own, -1),
        nearest_positive_cosine=_masked(_rounded(cosines[rows, nearest_own]), valid),
        nearest_negative=np.where(valid & ~np.isnan(neg), against.row, -1),
    )


def nearest(vectors: FloatArray, negatives: FloatArray) -> Nearest:
    """The nearest of (M, D) negatives to each of (N, D) vectors."""
    if not len(negatives):
        return Nearest(_nans(len(vectors)), _argmax(vectors[:, :0]))
    cosines = vectors @ negatives.T
    row = _argmax(cosines)
    return Nearest(cosines[np.arange(len(vectors)), row], row)


def nearest_others(vectors: FloatArray, rows: IntArray) -> Nearest:
    """For the chosen of (N, D) vectors the nearest of the others: all but itself, copies included."""
    if len(vectors) < 2:
        return nearest(vectors[rows], vectors[:0])
    cosines = vectors[rows] @ vectors.T
    place = np.arange(len(rows))
    cosines[place, rows] = -np.inf
    row = _argmax(cosines)
    return Nearest(cosines[place, row], row)


def centred(regions: Descriptors, bank: Bank, options: ScoringOptions) -> tuple[Descriptors, Bank]:
    """Both sides as ``options.centring`` wants them: with ``mean``, the mean of all exemplars and of
    the image's regions is taken off every vector before it is made unit again."""
    if options.centring == "none":
        return regions, bank
    embedded = regions.embedded
    every = [embedded.vectors[embedded.valid], bank.positives.vectors, bank.negatives.vectors]
    middle = np.concatenate(every).mean(axis=0)

    def shift(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        some = np.abs(vectors).max(axis=1, keepdims=True, initial=0) > 0
        return l2_normalize(np.where(some, vectors - middle, 0))

    moved = replace(embedded, vectors=shift(embedded.vectors))

    def move(rows: Rows) -> Rows:
        return replace(rows, vectors=shift(rows.vectors), contexts=shift(rows.contexts))

    there = replace(bank, positives=move(bank.positives), negatives=move(bank.negatives))
    return replace(regions, embedded=moved, contexts=shift(regions.contexts)), there


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
    return _rounded(np.where(scores.score > 0, scores.score * factor, scores.score))


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


def class_cosines(
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
            columns.append(_attention(own, bank.positives.vectors[members]))
    return np.stack(columns, axis=1).astype(np.float32)


def _attention(cosines: FloatArray, exemplars: FloatArray) -> FloatArray:
    """Cosine to the softmax-weighted exemplar of each region (SearchDet, arXiv 2409.18733), (N,)."""
    raised = np.exp(cosines - cosines.max(axis=1, keepdims=True))
    weights = raised / raised.sum(axis=1, keepdims=True)
    gram = exemplars @ exemplars.T
    length = np.sqrt(np.einsum("nk,kl,nl->n", weights, gram, weights))
    return np.asarray((weights * cosines).sum(axis=1) / np.maximum(length, 1e-12), np.float32)


def _shapes(regions: Descriptors, bank: Bank, options: ScoringOptions) -> FloatArray:
    """Likeness of each region's outline to the nearest of each class, (N, C); NaN where not used."""
    alike = np.full((len(regions), len(bank.classes)), np.nan, np.float32)
    if not options.shape_weight or not bank.knows_shapes:
        return alike
    known = ~np.isnan(bank.positives.outlines[:, 0])
    for c in range(len(bank.classes)):
        outlines = bank.positives.outlines[known & (bank.labels == c)]
        alike[:, c] = similarity(regions.outlines, outlines).max(axis=1)
    return alike


def _contexts(regions: Descriptors, bank: Bank, options: ScoringOptions) -> FloatArray:
    """Cosine of each region's surroundings to each prototype, (N, C); NaN where not used."""
    if not options.context_weight:
        return np.full((len(regions), len(bank.classes)), np.nan, np.float32)
    some = np.abs(regions.contexts).max(axis=1, initial=0) > 0
    cosines = regions.contexts @ bank.prototypes().T
    return np.where(some[:, None], cosines, np.nan)


def _weighted(weight: float | None, values: FloatArray) -> FloatArray:
    """weight * max(values, 0); 0 where a value is not known."""
    if weight is None:
        raise ValueError("weights must be resolved before scoring")
    return weight * np.where(np.isnan(values), 0.0, np.clip(values, 0, None))


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
