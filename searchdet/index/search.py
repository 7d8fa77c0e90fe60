"""Exemplars against an index: the best detections of all its images, without touching an image.

One pass of matrix products over all regions bounds what each image can have at best; only images whose
bound can still matter are scored, decided and suppressed as ``detect`` does it.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator

import numpy as np

from ..decision import Judge
from ..errors import UsageError
from ..records import ImageRecord
from .bounds import image_bounds
from .file import Index
from .probing import probed

log = logging.getLogger(__name__)


def share_of(judge: Judge, probe: float) -> float:
    """The share of its lists that is looked at: all, with a WARNING, where nothing is searched for that
    lists are made by."""
    if probe < 1 and judge.bank.by_normality:
        log.warning("--probe is not used: lists lead to what looks alike, and there are no examples.")
        return 1.0
    return probe


def search(index: Index, judge: Judge, top: int, probe: float = 1.0) -> Iterator[ImageRecord]:
    """Records of the images that hold the ``top`` best detections, best image first; of all images with
    a detection where ``top`` is 0. probe: share (0..1) of its lists that are looked at for each class;
    1 is all regions, and exact. Raises UsageError for rules that no bound exists for, and for a share
    of an index without lists."""
    if judge.rule.scoring.centring != "none":
        raise UsageError("--centring mean depends on all regions of an image.", "Use `detect`.")
    if not len(index):
        return
    if share_of(judge, probe) < 1:
        bounds = probed(index, judge, probe)
    else:
        exact = image_bounds(index, judge)
        bounds = ((float(exact[i]), int(i)) for i in np.argsort(-exact, kind="stable"))
    least = min(item.min_score for item in judge.rule.thresholds)
    best: list[float] = []  # a heap of the ``top`` best scores
    found: list[tuple[float, int, ImageRecord | None]] = []
    for bound, i in bounds:
        if bound < least or (top and len(best) == top and best[0] > bound):
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
