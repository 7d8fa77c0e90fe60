"""All masks that the sources of one picture give: chosen by their boxes, then drawn as runs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..masks.rle import AllRuns
from .copies import distinct
from .families import Family, chosen_runs, runs_of, runs_of_windows, stacked, windows_of
from .thresholds import Parts, painted

IntArray = npt.NDArray[np.int64]
FROM_TREES = 2500
"""Segments of merge trees that are looked at closely: those with the strongest edges around them."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Masks as their sources give them. edges: for each tree the edge strength around its nodes."""

    parts: Sequence[Parts]
    trees: Sequence[Family]
    edges: Sequence[npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Pool:
    """N masks of one picture: their runs along columns, and along rows (those of the transposed masks);
    boxes (N, 4) xyxy, areas (N,); copies (N,): for how many near copies each stands; solid: so many,
    the first, have no holes."""

    columns: AllRuns
    rows: AllRuns
    boxes: IntArray
    areas: IntArray
    copies: IntArray
    solid: int

    def __len__(self) -> int:
        return len(self.areas)

    def filled(self, rows: IntArray) -> AllRuns:
        """Runs along columns of the chosen masks, in that order, with their holes filled. A mask with a
        hole has a column and a row with more than one run."""
        runs = chosen_runs(self.columns, rows, len(self))
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        across, down = (np.bincount(r.owner, minlength=len(self)) for r in (self.columns, self.rows))
        torn = (across > sides[:, 0]) & (down > sides[:, 1])
        maybe = np.flatnonzero(torn[rows] & (rows >= self.solid))
        windows = windows_of(chosen_runs(runs, maybe, len(rows)), len(maybe))
        whole = runs_of_windows([painted(part) for part, _ in windows], self.boxes[rows[maybe]])
        plain = np.setdiff1d(np.arange(len(rows)), maybe)
        both = stacked([chosen_runs(runs, plain, len(rows)), whole], [len(plain), len(maybe)])
        return chosen_runs(both, np.argsort(np.concatenate([plain, maybe])), len(rows))


def gather(
    sources: Sources, limits: tuple[float, float], workers: Executor
) -> tuple[Pool, dict[str, int]]:
    """Masks with areas within the limits, near copies once, and what was removed why."""
    every: list[Parts | Family] = [*sources.parts, *sources.trees]
    boxes = np.concatenate([item.boxes for item in every])
    areas = np.concatenate([item.areas for item in every])
    fit = np.flatnonzero((areas >= limits[0]) & (areas <= limits[1]))
    first, copies = distinct(boxes[fit], areas[fit])
    kept = fit[first]
    best = _strongest(sources, kept)
    removed = {
        "area": len(areas) - len(fit),
        "duplicate": len(fit) - len(kept),
        "limit": len(kept) - len(best),
    }
    kept, copies = kept[best], copies[best]
    ends = np.cumsum([0, *(len(item.areas) for item in every)])
    rows = [kept[(kept >= a) & (kept < b)] - a for a, b in pairwise(ends)]
    parts = [
        part.take(mine) for part, mine in zip(sources.parts, rows[: len(sources.parts)], strict=True)
    ]
    trees = [tree.take(mine) for tree, mine in zip(sources.trees, rows[len(parts) :], strict=True)]
    return _drawn(parts, trees, copies, workers), removed


def _strongest(sources: Sources, kept: IntArray) -> IntArray:
    """Places in ``kept``, ascending, of all parts and of the best nodes of trees."""
    count = sum(len(part.areas) for part in sources.parts)
    edge = np.concatenate([np.full(count, np.inf), *sources.edges])[kept]
    room = int((kept < count).sum()) + FROM_TREES
    return np.sort(np.argsort(-edge, kind="stable")[:room])


def _drawn(
    parts: Sequence[Parts], trees: Sequence[Family], copies: IntArray, workers: Executor
) -> Pool:
    """All masks; those of parts with their holes filled."""
    windows = [window for part in parts for window in part.windows()]
    corners = np.concatenate([np.zeros((0, 4), np.int64), *(part.boxes for part in parts)])
    counts = [len(windows), *(len(tree) for tree in trees)]

    def runs(turned: bool) -> AllRuns:
        every = [runs_of_windows(windows, corners, turned), *(runs_of(t, turned) for t in trees)]
        return stacked(every, counts)

    columns, rows = workers.map(runs, (False, True))
    boxes = np.concatenate([corners, *(tree.boxes for tree in trees)])
    areas = np.bincount(columns.owner, columns.bottom - columns.top, len(boxes)).astype(np.int64)
    return Pool(columns, rows, boxes, areas, copies, len(windows))
