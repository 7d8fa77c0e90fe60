"""What no region of an image scores above, by the features of its regions alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..bank import Bank
from ..bank.likeness import class_cosines, opposed, weighted
from ..bank.scene import levels_of
from ..config import LEVEL_WEIGHT, ScoringOptions
from ..decision import Judge
from ..errors import UsageError
from ..scoring import SURE, logit
from .blocks import blocks
from .distant import HELD, Column
from .file import Index
from .rows import REMAKE, UNUSUAL

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
SLACK = 2e-3
"""What rounding of float16 vectors can add to a score."""


def image_bounds(index: Index, judge: Judge) -> FloatArray:
    """(I,): no region of an image scores higher than this. Shape and context only lower a score, and
    suppression does so too; the level of an image is known from the same pass, and how unusual a region
    is is known exactly."""
    vectors = index.arrays["vectors"]
    if not isinstance(vectors, Column) or not index.images:
        return bounds_of(index, judge, slice(0, len(index)), range(len(index.images)))[0]
    ends = np.cumsum([0, *(item.count for item in index.images)])
    part, made = ends[:-1] * vectors.width // HELD, []
    for first in np.flatnonzero(np.diff(part, prepend=-1)).tolist():  # what memory holds at once
        last = first + int((part == part[first]).sum())
        rows = slice(int(ends[first]), int(ends[last]))
        made.append(bounds_of(index, judge, rows, range(first, last))[0])
    return np.concatenate(made)


def bounds_of(
    index: Index, judge: Judge, rows: slice, images: Sequence[int]
) -> tuple[FloatArray, npt.NDArray[np.float64]]:
    """``image_bounds`` (M,) of some images, one after another, which have these rows; and what their
    levels (M, C) take off."""
    usual = np.asarray(judge.rule.usual)
    plain, more = by_features(index, judge, rows), by_normality(index, judge, rows)
    valid = index.arrays["valid"][rows]
    ends = np.cumsum([0, *(index.images[i].count for i in images)])
    levels = LEVEL_WEIGHT * levels_of(plain, valid, usual, ends)
    scored = plain if more is None else plain + more[:, None]
    if not np.isfinite(scored[valid]).all():
        row = int(np.flatnonzero(valid & ~np.isfinite(scored).all(axis=1))[0])
        name = index.images[images[int(np.searchsorted(ends, row, side="right")) - 1]].image.name
        raise UsageError(f"{name}: its part of the index is damaged (NaN or infinity).", REMAKE)
    made = np.full(len(images), -np.inf, np.float32)
    for at, i in enumerate(images):
        own = slice(ends[at], ends[at + 1])
        if valid[own].any():
            made[at] = (scored[own] - levels[at]).max()
        if index.images[i].image.content in judge.gathered.said:
            made[at] = max(made[at], SURE)
    return np.asarray(made + SLACK, np.float32), levels


def by_features(index: Index, judge: Judge, rows: slice | IntArray) -> FloatArray:
    """(R, C): ``plain_scores`` of some rows; 0 without exemplars, and no vector is read."""
    if judge.bank.by_normality:
        return np.zeros((len(index.arrays["valid"][rows]), 1), np.float32)
    return plain_scores(index.arrays["vectors"][rows], judge.bank, judge.rule.scoring)


def by_normality(index: Index, judge: Judge, rows: slice | IntArray) -> FloatArray | None:
    """(R,): what is added to that as some rows are unusual, without exemplars all there is; None where
    nothing says what is normal."""
    if judge.bank.normality is None:
        return None
    unusual = np.asarray(index.arrays[UNUSUAL][rows])
    if judge.bank.by_normality:
        return unusual
    return np.asarray(judge.rule.scoring.normal_weight * logit(unusual), np.float32)


def plain_scores(vectors: npt.NDArray[np.float16], bank: Bank, options: ScoringOptions) -> FloatArray:
    """(R, C): what rows (R, D) score for each class by their features alone, block by block, with one
    product a block."""
    import torch

    plain = options.pos_agg == "prototype"
    wanted = bank.prototypes() if plain else bank.positives.vectors
    against = [bank.negatives.vectors, *([bank.positives.vectors] if options.cross_negatives else [])]
    columns = torch.from_numpy(np.concatenate([wanted, *against])).T.contiguous()
    nearest_counts = options.negative_quantile == 1 and not options.cross_negatives
    out = np.empty((len(vectors), len(bank.classes)), np.float32)
    with torch.inference_mode():
        for where, rows in blocks(vectors):
            cosines = rows @ columns
            near, far = cosines[:, : len(wanted)], cosines[:, len(wanted) :]
            if not plain:
                near = torch.from_numpy(class_cosines(rows.numpy(), near.numpy(), bank, options))
            if nearest_counts and len(bank.negatives):
                near = near - options.negative_weight * far.amax(1, keepdim=True).clamp(min=0)
            elif not nearest_counts:
                negatives, positives = np.split(far.numpy(), [len(bank.negatives)], axis=1)
                cosine = opposed(negatives, positives, bank, options).cosine
                near = near - torch.from_numpy(weighted(options.negative_weight, cosine)).float()
            out[where] = near.numpy()
    return out
