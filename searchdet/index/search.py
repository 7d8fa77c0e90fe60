"""Exemplars against an index: the best detections of all its images, without touching an image.

One pass of matrix products over all regions bounds what each image can have at best; only images whose
bound can still matter are scored, decided and suppressed as ``detect`` does it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..bank import Bank
from ..bank.likeness import class_cosines
from ..config import LEVEL_WEIGHT, ScoringOptions
from ..decision import Judge
from ..errors import UsageError
from ..records import ImageRecord
from ..scoring import SURE, levels_of
from .blocks import blocks
from .file import Index

FloatArray = npt.NDArray[np.float32]
SLACK = 2e-3
"""What rounding of float16 vectors can add to a score."""


def search(index: Index, judge: Judge, top: int) -> Iterator[ImageRecord]:
    """Records of the images that hold the ``top`` best detections, best image first; of all images with
    a detection where ``top`` is 0. Raises UsageError for rules that no bound exists for."""
    if judge.rule.scoring.centring != "none":
        raise UsageError("--centring mean depends on all regions of an image.", "Use `detect`.")
    if not len(index):
        return
    bounds = image_bounds(index, judge)
    least = min(item.min_score for item in judge.rule.thresholds)
    best: list[float] = []  # a heap of the ``top`` best scores
    found: list[tuple[float, int, ImageRecord | None]] = []
    for i in np.argsort(-bounds, kind="stable").tolist():
        if bounds[i] < least or (top and len(best) == top and best[0] > bounds[i]):
            break
        record = _record(index, judge, i)
        scores = [item.score or 0.0 for item in record.detections]
        for score in scores if top else ():
            heapq.heappush(best, score) if len(best) < top else heapq.heappushpop(best, score)
        if scores:  # without a limit there may be too many records to hold
            found.append((max(scores), i, record if top else None))
        if top and len(best) == top:
            found = [item for item in found if item[0] >= best[0]]
    for _, i, kept in sorted(found, key=lambda item: (-item[0], index.images[item[1]].image.name)):
        yield kept or _record(index, judge, i)


def _record(index: Index, judge: Judge, row: int) -> ImageRecord:
    item = index.images[row]
    return judge.record(item.image, index.regions(item))


def image_bounds(index: Index, judge: Judge) -> FloatArray:
    """(I,): no region of an image scores higher than this. Shape and context only lower a score, and
    suppression does so too; the level of an image is known from the same pass."""
    options, usual = judge.rule.scoring, np.asarray(judge.rule.usual)
    plain = plain_scores(index.arrays["vectors"], judge.bank, options)
    valid = index.arrays["valid"]
    ends = np.cumsum([0, *(item.count for item in index.images)])
    levels = LEVEL_WEIGHT * levels_of(plain, valid, usual, ends)
    made = np.full(len(index.images), -np.inf, np.float32)
    for i, item in enumerate(index.images):
        rows = slice(item.start, item.start + item.count)
        if valid[rows].any():
            made[i] = (plain[rows] - levels[i]).max()
        if item.image.content in judge.gathered.said:
            made[i] = max(made[i], SURE)
    return np.asarray(made + SLACK, np.float32)


def plain_scores(vectors: npt.NDArray[np.float16], bank: Bank, options: ScoringOptions) -> FloatArray:
    """(R, C): what rows (R, D) score for each class by their features alone, block by block, with one
    product a block."""
    import torch

    plain = options.pos_agg == "prototype"
    wanted = bank.prototypes() if plain else bank.positives.vectors
    columns = torch.from_numpy(np.concatenate([wanted, bank.negatives.vectors])).T.contiguous()
    out = np.empty((len(vectors), len(bank.classes)), np.float32)
    with torch.inference_mode():
        for where, rows in blocks(vectors):
            cosines = rows @ columns
            near, against = cosines[:, : len(wanted)], cosines[:, len(wanted) :]
            if not plain:
                near = torch.from_numpy(class_cosines(rows.numpy(), near.numpy(), bank, options))
            if len(bank.negatives):
                near = near - options.negative_weight * against.amax(1, keepdim=True).clamp(min=0)
            out[where] = near.numpy()
    return out
