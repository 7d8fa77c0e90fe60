"""Similarities and the decision rule. Pure numpy; every similarity is a product ``X @ P.T``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .bank import Bank, Rows
from .config import ScoringOptions
from .embeddings import Descriptors, MaskEmbeddings, l2_normalize
from .masks.shape import similarity
from .records import INVALID, ClassLimits, Standing, reason_of

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
LEVEL_WEIGHT = 0.2
"""How much of an image's level, the median of what its regions score by their features, is taken off
each score: how alike all things look differs between images and between spaces."""
USUAL_COUNT = 20
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


@dataclass(frozen=True, slots=True)
class Likeness:
    """What N regions have in common with a bank, before any score; row i = mask i.

    valid (N,). cosines (N, P): to each positive. pos (N, C): cosine to each class. against: the nearest
    negative. shape, context (N, C): as of ``Scores``.
    """

    valid: BoolArray
    cosines: FloatArray
    pos: FloatArray
    against: Nearest
    shape: FloatArray
    context: FloatArray

    def plain(self, options: ScoringOptions) -> FloatArray:
        """(N, C): pos - negative_weight * max(neg, 0), what is told from the features alone."""
        return self.pos - _weighted(options.negative_weight, _rounded(self.against.cosine))[:, None]

    def take(self, rows: IntArray) -> Likeness:
        """The chosen rows, in that order."""
        against = Nearest(self.against.cosine[rows], self.against.row[rows])
        parts = (self.valid[rows], self.cosines[rows], self.pos[rows])
        return Likeness(*parts, against, self.shape[rows], self.context[rows])

    def replaced(self, rows: IntArray, other: Likeness) -> Likeness:
        """The same with the cosines of some rows from ``other``, whose row i is rows[i]."""
        cosines, pos = self.cosines.copy(), self.pos.copy()
        near, row = self.against.cosine.copy(), self.against.row.copy()
        cosines[rows], pos[rows] = other.cosines, other.pos
        near[rows], row[rows] = other.against.cosine, other.against.row
        return replace(self, cosines=cosines, pos=pos, against=Nearest(near, row))


def likeness(
    regions: Descriptors, bank: Bank, options: ScoringOptions, known: Nearest | None = None
) -> Likeness:
    """Compare N regions with a bank; where both have crops, these speak instead of the last part of the
    vectors. known: the nearest negatives, if these are not to be looked for in the bank."""
    vectors = regions.embedded.vectors
    if vectors.shape[1:] != (bank.dim,):
        raise ValueError(f"regions have shape {vectors.shape}, the bank has dimension {bank.dim}")
    alike = cosines(regions, bank.positives, bank.share)
    return Likeness(
        regions.embedded.valid,
        alike,
        _class_cosines(regions, alike, bank, options),
        known or nearest(cosines(regions, bank.negatives, bank.share)),
        _shapes(regions, bank, options),
        _contexts(regions, bank, options),
    )


def level_of(plain: FloatArray, valid: BoolArray, usual: FloatArray) -> FloatArray:
    """(C,): what any region of an image scores for each class by its features alone (N, C): the
    median, drawn to the ``usual`` (C,) of the bank as if that were the word of ``USUAL_COUNT`` regions,
    for an image of few regions may hold nothing but objects."""
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
    scores = alike.plain(options) - _weighted(options.shape_weight, 1 - alike.shape)
    scores = scores - _weighted(options.context_weight, alike.context)
    if level is not None:
        scores = scores - LEVEL_WEIGHT * level[None]
    label = _argmax(scores)
    own = np.where(bank.labels[None] == label[:, None], alike.cosines, -np.inf)
    nearest_own = _argmax(own)
    chosen, neg = _rounded(alike.pos[rows, label]), _rounded(alike.against.cosine)
    return Scores(
        valid=valid,
        label=np.where(valid, label, -1),
        pos=_masked(chosen, valid),
        neg=_masked(neg, valid),
        shape=_masked(_rounded(alike.shape[rows, label]), valid),
        context=_masked(_rounded(alike.context[rows, label]), valid),
        score=_masked(_rounded(scores[rows, label]), valid),
        margin=_masked(_rounded(chosen - neg), valid),
        gap=_masked(_gap(scores), valid),
        nearest_positive=np.where(valid, nearest_own, -1),
        nearest_positive_cosine=_masked(_rounded(alike.cosines[rows, nearest_own]), valid),
        nearest_negative=np.where(valid & ~np.isnan(neg), alike.against.row, -1),
    )


def score_regions(regions: Descriptors, bank: Bank, options: ScoringOptions) -> Scores:
    """``scores_of`` the ``likeness`` of N regions, whatever else is in their image."""
    return scores_of(likeness(regions, bank, options), bank, options)


def as_regions(rows: Rows) -> Descriptors:
    """Exemplars as if they were regions of an image."""
    count = len(rows)
    embedded = MaskEmbeddings(rows.vectors, np.ones(count, bool), np.zeros(count, bool))
    return Descriptors(embedded, rows.contexts, rows.outlines, rows.crops)


def cosines(regions: Descriptors, rows: Rows, share: float) -> FloatArray:
    """(N, M): cosine of each region to each row. With crops on both sides these are compared in place
    of the last columns of the vectors, and weigh ``share``."""
    vectors = regions.embedded.vectors
    if regions.crops is None or rows.crops is None:
        return np.asarray(vectors @ rows.vectors.T, np.float32)
    seen = vectors.shape[1] - rows.crops.shape[1]
    crops = regions.crops @ rows.crops.T
    return np.asarray(vectors[:, :seen] @ rows.vectors[:, :seen].T + share * crops, np.float32)


def nearest(alike: FloatArray) -> Nearest:
    """The nearest negative by cosines (N, M) to each."""
    if not alike.shape[1]:
        return Nearest(_nans(len(alike)), _argmax(alike))
    row = _argmax(alike)
    return Nearest(alike[np.arange(len(alike)), row], row)


def nearest_others(regions: Descriptors, rows: IntArray, everyone: Rows, share: float) -> Nearest:
    """For the chosen rows of ``everyone`` (as regions) the nearest of the others: all but itself,
    copies included."""
    if len(everyone) < 2:
        return nearest(np.zeros((len(rows), 0), np.float32))
    alike = cosines(regions, everyone, share)
    alike[np.arange(len(rows)), rows] = -np.inf
    return nearest(alike)


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


def _class_cosines(
    regions: Descriptors, alike: FloatArray, bank: Bank, options: ScoringOptions
) -> FloatArray:
    """(N, C): cosine of each region to each class. alike (N, P): to each exemplar. In a crop the
    nearest exemplar of a class counts, not its prototype, which would mix views of the object."""
    crops = bank.positives.crops
    if options.pos_agg != "prototype" or regions.crops is None or crops is None:
        return class_cosines(regions.embedded.vectors, alike, bank, options)
    seen = bank.dim - crops.shape[1]
    whole = regions.embedded.vectors[:, :seen] @ bank.prototypes()[:, :seen].T
    each = regions.crops @ crops.T
    classes = range(len(bank.classes))
    closest = np.stack([each[:, bank.labels == c].max(axis=1) for c in classes], axis=1)
    return np.asarray(whole + bank.share * closest, np.float32)


def class_cosines(
    vectors: FloatArray, alike: FloatArray, bank: Bank, options: ScoringOptions
) -> FloatArray:
    """Cosine of each region to each class, (N, C), on the map."""
    if options.pos_agg == "prototype":
        return np.asarray(vectors @ bank.prototypes().T, np.float32)
    columns = []
    for c in range(len(bank.classes)):
        members = bank.labels == c
        own = alike[:, members]
        if options.pos_agg == "max":
            columns.append(own.max(axis=1))
        elif options.pos_agg == "mean_topk":
            k = min(options.topk, own.shape[1])
            columns.append(np.sort(own, axis=1)[:, -k:].mean(axis=1))
        else:
            mine = bank.positives.take(np.flatnonzero(members))
            columns.append(_attention(own, cosines(as_regions(mine), mine, bank.share)))
    return np.stack(columns, axis=1).astype(np.float32)


def _attention(alike: FloatArray, gram: FloatArray) -> FloatArray:
    """Cosine to the softmax-weighted exemplar of each region (SearchDet, arXiv 2409.18733), (N,). alike
    (N, K): to each exemplar; gram (K, K): of these to each other."""
    raised = np.exp(alike - alike.max(axis=1, keepdims=True))
    weights = raised / raised.sum(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("nk,kl,nl->n", weights, gram, weights))
    return np.asarray((weights * alike).sum(axis=1) / np.maximum(length, 1e-12), np.float32)


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


def _weighted(weight: float, values: FloatArray) -> FloatArray:
    """weight * max(values, 0); 0 where a value is not known."""
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
