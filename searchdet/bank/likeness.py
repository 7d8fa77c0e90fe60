"""What regions have in common with a bank, before any score. Every similarity is ``X @ P.T``. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import ScoringOptions
from ..embeddings import Descriptors, MaskEmbeddings, l2_normalize
from ..masks.shape import similarity
from .sizes import like_in_size
from .types import Bank, Rows

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
DIGITS = 6
"""Scores are rounded before any threshold, so that batch size cannot flip a decision."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """What speaks most against N regions: cosine (N, K), NaN without a negative, and its row (N, K), in
    the bank's negatives and, behind these, its positives. K is 1 where it is the same for all classes,
    else a column for each class."""

    cosine: FloatArray
    row: IntArray

    def of(self, label: IntArray) -> tuple[FloatArray, IntArray]:
        """Cosine and row (N,) for one class of each region."""
        at = label if self.cosine.shape[1] > 1 else np.zeros_like(label)
        rows = np.arange(len(label))
        return self.cosine[rows, at], self.row[rows, at]


@dataclass(frozen=True, slots=True)
class Likeness:
    """What N regions have in common with a bank, before any score; row i = mask i.

    valid (N,). cosines (N, P): to each positive, (N, 0) where no single one is asked for. pos (N, C):
    cosine to each class. against: the nearest negative. shape, context, size (N, C): as of ``Scores``.
    unusual (N,): as of the regions; None where it is not known. alone: it is all that is known, as the
    bank has no exemplars.
    """

    valid: BoolArray
    cosines: FloatArray
    pos: FloatArray
    against: Nearest
    shape: FloatArray
    context: FloatArray
    size: FloatArray
    unusual: FloatArray | None = None
    alone: bool = False

    def plain(self, options: ScoringOptions) -> FloatArray:
        """(N, C): pos - negative_weight * max(neg, 0), what is told from the features alone."""
        return self.pos - weighted(options.negative_weight, rounded(self.against.cosine))

    def take(self, rows: IntArray) -> Likeness:
        """The chosen rows, in that order."""
        against = Nearest(self.against.cosine[rows], self.against.row[rows])
        parts = (self.valid[rows], self.cosines[rows], self.pos[rows])
        unusual = None if self.unusual is None else self.unusual[rows]
        rest = (self.shape[rows], self.context[rows], self.size[rows])
        return Likeness(*parts, against, *rest, unusual, self.alone)

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
    vectors. known: the nearest negatives, if these are not to be looked for in the bank. Beside no
    exemplar no negative speaks against others than its own region."""
    vectors = regions.embedded.vectors
    if vectors.shape[1:] != (bank.dim,):
        raise ValueError(f"regions have shape {vectors.shape}, the bank has dimension {bank.dim}")
    alike = cosines(regions, bank.positives, bank.share)
    against = bank.negatives.take([]) if bank.by_normality else bank.negatives
    around = np.abs(regions.contexts).max(axis=1, initial=0) > 0
    return Likeness(
        regions.embedded.valid,
        alike,
        _class_cosines(regions, alike, bank, options),
        known or opposed(cosines(regions, against, bank.share), alike, bank, options),
        shapes(
            lambda known: similarity(regions.outlines, known).max(axis=1), len(regions), bank, options
        ),
        contexts(lambda: regions.contexts @ bank.prototypes().T, around, bank, options),
        sizes(regions.areas, bank, options, len(regions)),
        regions.unusual,
        bank.by_normality,
    )


def as_regions(rows: Rows) -> Descriptors:
    """Exemplars as if they were regions of an image."""
    count = len(rows)
    embedded = MaskEmbeddings(rows.vectors, np.ones(count, bool), np.zeros(count, bool))
    return Descriptors(embedded, rows.contexts, rows.outlines, rows.crops, rows.sizes)


def cosines(regions: Descriptors, rows: Rows, share: float) -> FloatArray:
    """(N, M): cosine of each region to each row. With crops on both sides these are compared in place
    of the last columns of the vectors, and weigh ``share``."""
    vectors = regions.embedded.vectors
    if regions.crops is None or rows.crops is None:
        return np.asarray(vectors @ rows.vectors.T, np.float32)
    seen = vectors.shape[1] - rows.crops.shape[1]
    crops = regions.crops @ rows.crops.T
    return np.asarray(vectors[:, :seen] @ rows.vectors[:, :seen].T + share * crops, np.float32)


def opposed(
    negatives: FloatArray, positives: FloatArray, bank: Bank, options: ScoringOptions
) -> Nearest:
    """What speaks against N regions by their cosines (N, M) to the negatives and (N, P) to the
    positives, which are negatives of the other classes with ``cross_negatives``, but for changed views
    of them."""
    if not options.cross_negatives or len(bank.classes) < 2:
        return nearest(negatives, options)
    made = []
    for c in range(len(bank.classes)):
        others = np.where((bank.labels == c) | ~bank.positives.own, -np.inf, positives)
        made.append(nearest(np.concatenate([negatives, others], axis=1), options))
    cosine, row = (np.concatenate([getattr(one, n) for one in made], axis=1) for n in ("cosine", "row"))
    return Nearest(cosine, row)


def nearest(alike: FloatArray, options: ScoringOptions) -> Nearest:
    """The negative that counts by cosines (N, M) to each: the nearest, or the one at the quantile of
    the options. -inf is none, the same columns in every row."""
    there = int((alike[:1] > -np.inf).sum())
    if not there:
        return Nearest(nans(len(alike))[:, None], np.zeros((len(alike), 1), np.int64))
    place = there - 1 - math.ceil(options.negative_quantile * (there - 1))
    row = np.argsort(-alike, axis=1, kind="stable")[:, [place]] if place else argmax(alike)[:, None]
    return Nearest(np.take_along_axis(alike, row, axis=1), row)


def nearest_others(
    regions: Descriptors, rows: IntArray, everyone: Rows, share: float, options: ScoringOptions
) -> Nearest:
    """For the chosen rows of ``everyone`` (as regions) what counts of the others: all but itself,
    copies included."""
    alike = cosines(regions, everyone, share)
    at = np.arange(len(everyone))
    others = at[:-1] + (at[:-1] >= rows[:, None])
    found = nearest(np.take_along_axis(alike, others, axis=1), options)
    if not others.shape[1]:
        return found
    return Nearest(found.cosine, np.take_along_axis(others, found.row, axis=1))


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


def _class_cosines(
    regions: Descriptors, alike: FloatArray, bank: Bank, options: ScoringOptions
) -> FloatArray:
    """(N, C): cosine of each region to each class. alike (N, P): to each exemplar. In a crop the
    nearest exemplar of a class counts, not its prototype, which would mix views of the object."""
    crops = bank.positives.crops
    if options.pos_agg != "prototype" or regions.crops is None or crops is None:
        seen_by = bank if regions.crops is not None else bank.without_crops()
        return class_cosines(regions.embedded.vectors, alike, seen_by, options)
    seen = bank.dim - crops.shape[1]
    whole = regions.embedded.vectors[:, :seen] @ bank.prototypes()[:, :seen].T
    each = regions.crops @ crops.T
    classes = range(len(bank.classes))
    closest = np.stack([each[:, bank.labels == c].max(axis=1) for c in classes], axis=1)
    return np.asarray(whole + bank.share * closest, np.float32)


def class_cosines(
    vectors: FloatArray, alike: FloatArray, bank: Bank, options: ScoringOptions
) -> FloatArray:
    """Cosine of each region to each class, (N, C), by its cosines to the exemplars, ``alike`` (N, P);
    on the map by its vector, where classes are prototypes."""
    if options.pos_agg == "prototype":
        return np.asarray(vectors @ bank.prototypes().T, np.float32)
    columns = []
    for c in range(len(bank.classes)):
        members = bank.labels == c
        own = alike[:, members]
        if options.pos_agg == "max":
            columns.append(own.max(axis=1))
        elif options.pos_agg in ("mean_topk", "consensus"):
            k = min(options.topk, own.shape[1])
            best = np.sort(own, axis=1)[:, -k:]
            columns.append(best.mean(axis=1) if options.pos_agg == "mean_topk" else best[:, 0])
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


def shapes(
    nearest: Callable[[FloatArray], FloatArray], count: int, bank: Bank, options: ScoringOptions
) -> FloatArray:
    """Likeness of each of ``count`` outlines to the nearest of each class, (N, C); NaN where not used.
    nearest: gives it (N,) for the outlines (K, S) of a class."""
    alike = np.full((count, len(bank.classes)), np.nan, np.float32)
    for c, known in enumerate(known_outlines(bank, options)):
        alike[:, c] = nearest(known)
    return alike


def known_outlines(bank: Bank, options: ScoringOptions) -> list[FloatArray]:
    """The outlines (K, S) of each class that are known; none of any where shapes are not compared."""
    if not options.shape_weight or not bank.knows_shapes:
        return []
    known = ~np.isnan(bank.positives.outlines[:, 0])
    return [bank.positives.outlines[known & (bank.labels == c)] for c in range(len(bank.classes))]


def contexts(
    alike: Callable[[], FloatArray], some: BoolArray, bank: Bank, options: ScoringOptions
) -> FloatArray:
    """Cosine of each region's surroundings to each prototype, (N, C); NaN where not used. alike: gives
    these cosines; some (N,): whether there are surroundings."""
    if not options.context_weight:
        return np.full((len(some), len(bank.classes)), np.nan, np.float32)
    return np.where(some[:, None], alike(), np.nan)


def sizes(
    areas: FloatArray | None, bank: Bank, options: ScoringOptions, count: int
) -> npt.NDArray[np.float32]:
    """How like each of ``count`` regions of these areas (N,), pixels, is in size to each class, (N, C),
    0..1; NaN where not used or not known. Sizes count only if every class knows one. Raises ValueError
    where regions have no areas."""
    if not compares_sizes(bank, options):
        return np.full((count, len(bank.classes)), np.nan, np.float32)
    if areas is None:
        raise ValueError("these regions say nothing of their areas")
    known = bank.sizes()
    each = [like_in_size(areas, known[bank.labels == c]) for c in range(len(bank.classes))]
    return np.stack(each, axis=1)


def compares_sizes(bank: Bank, options: ScoringOptions) -> bool:
    """Whether sizes are compared: they are asked for, and every class knows one."""
    return options.scale != "any" and bank.knows_sizes


def weighted(weight: float, values: FloatArray) -> FloatArray:
    """weight * max(values, 0); 0 where a value is not known."""
    return weight * np.where(np.isnan(values), 0.0, np.clip(values, 0, None))


def argmax(values: FloatArray) -> IntArray:
    """First row maximum, (N,); 0 for an empty second axis."""
    if values.shape[1] == 0:
        return np.zeros(len(values), np.int64)
    return np.asarray(values.argmax(axis=1), np.int64)


def nans(count: int) -> FloatArray:
    """(N,) of what is not known."""
    return np.full(count, np.nan, np.float32)


def rounded(values: FloatArray) -> FloatArray:
    """As scores are compared with thresholds."""
    return np.round(np.asarray(values, np.float64), DIGITS)
