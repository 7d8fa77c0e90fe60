"""Which images of an index may hold the best detections, by the lists that are nearest to them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..config import LEVEL_WEIGHT
from ..decision import Judge
from ..errors import UsageError
from ..scoring import SURE
from .bounds import bounds_of, by_features, by_normality
from .file import Index
from .rows import UNUSUAL

IntArray = npt.NDArray[np.int64]
FIRST = 64
"""Images whose levels are found before others are ranked."""
_TOGETHER = 1 << 16
"""Rows that are compared at once."""


def probed(index: Index, judge: Judge, probe: float) -> Iterator[tuple[float, int]]:
    """Images that the nearest lists lead to, with what none of their regions scores above, largest
    first. probe: share (0..1) of the lists of each class.

    What the regions of those lists score by features alone is known at once. The level of an image,
    which all its regions make, is found when the image may be the next: until then it counts as the
    lowest of the first images. So what is given is exact, and what is left out may not be: regions in
    other lists, and images of a lower level still. Where it is known what is normal, the same share of
    all regions, the most unusual ones, is looked at too: no list leads to these. Raises UsageError for
    an index without lists.
    """
    if index.lists is None:
        raise UsageError(
            "--probe: the index has no lists.", "Make them: `searchdet index -o INDEX --lists`."
        )
    ends = np.cumsum([0, *(item.count for item in index.images)])
    wanted = judge.bank.prototypes()
    if judge.rule.scoring.pos_agg != "prototype":
        wanted = judge.bank.positives.vectors
    rows = index.lists.near(wanted, probe, len(index))
    if judge.bank.normality is not None:
        rows = np.union1d(rows, _most_unusual(np.asarray(index.arrays[UNUSUAL]), probe))
    images, highest = _reached(index, judge, rows, ends)
    found = dict[int, float]()
    levels = [LEVEL_WEIGHT * np.asarray(judge.rule.usual)]

    def look(i: int) -> float:
        bound, level = bounds_of(index, judge, slice(int(ends[i]), int(ends[i + 1])), [i])
        levels.append(level[0])
        found[i] = float(bound[0])
        return found[i]

    order = np.argsort(-(highest - levels[0]).max(axis=1), kind="stable")
    waiting = [(-look(i), i) for i in images[order[:FIRST]].tolist()]
    hoped = (highest - np.min(levels, axis=0)).max(axis=1)
    waiting += [(-float(hoped[at]), int(images[at])) for at in order[FIRST:].tolist()]
    heapq.heapify(waiting)
    while waiting:
        bound, i = heapq.heappop(waiting)
        if i in found:
            yield -bound, i
        else:
            heapq.heappush(waiting, (-look(i), i))


def _most_unusual(unusual: npt.NDArray[np.float32], share: float) -> IntArray:
    """The rows of the largest ``share`` (0..1) of some values (R,)."""
    count = math.ceil(share * len(unusual))
    return np.asarray(np.argpartition(-unusual, count - 1)[:count] if count else [], np.int64)


def _reached(
    index: Index, judge: Judge, rows: IntArray, ends: IntArray
) -> tuple[IntArray, npt.NDArray[np.float64]]:
    """Images (M,) of some rows, ascending, and what the best of these score for each class by features
    alone (M, C); and those of which something was said."""
    bank = judge.bank
    rows = rows[index.arrays["valid"][rows]]
    made = np.full((len(index.images), len(bank.classes)), -np.inf)
    for start in range(0, len(rows), _TOGETHER):
        part = rows[start : start + _TOGETHER]
        image = np.searchsorted(ends, part, side="right") - 1
        first = np.flatnonzero(np.diff(image, prepend=-1))
        score, more = by_features(index, judge, part), by_normality(index, judge, part)
        score = score if more is None else score + more[:, None]
        of = image[first]
        made[of] = np.maximum(made[of], np.maximum.reduceat(score, first, axis=0))
    said = judge.gathered.said
    for i, item in enumerate(index.images) if said else ():
        if item.image.content in said:
            made[i] = SURE
    images = np.flatnonzero(made.max(axis=1, initial=-np.inf) > -np.inf)
    return images, made[images]
