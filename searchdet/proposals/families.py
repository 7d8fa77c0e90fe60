"""Many masks as ranges of the numbers of one map, and their runs, with array operations.

A family is a map that numbers the pixels, and masks that are each a range of numbers: a component is
the range of its own number, a node of a merge tree that of the leaves below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..masks.rle import AllRuns

IntArray = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Family:
    """N masks on a map: mask i is where numbers (H, W) is from low[i] to high[i] (exclusive). Numbers
    go from 0 to ``count``; negative where there is none. boxes (N, 4) xyxy, exclusive maximum; areas
    (N,) pixels."""

    numbers: Numbers
    count: int
    low: IntArray
    high: IntArray
    boxes: IntArray
    areas: IntArray

    def __len__(self) -> int:
        return len(self.low)

    def take(self, rows: IntArray) -> Family:
        """The chosen masks, in that order."""
        low, high, boxes, areas = (v[rows] for v in (self.low, self.high, self.boxes, self.areas))
        return Family(self.numbers, self.count, low, high, boxes, areas)


@dataclass(frozen=True, slots=True)
class Leaves:
    """Runs of the numbers of a map, by number: those of number n are first[n] to first[n + 1] of the
    intervals [start, end) of flattened columns."""

    start: IntArray
    end: IntArray
    first: IntArray


def leaves(numbers: Numbers, count: int) -> Leaves:
    """Runs of a map (H, W) of numbers 0..count-1, negative where there is none."""
    height, width = numbers.shape
    columns = np.ascontiguousarray(numbers.T)
    fresh = np.ones((width, height), bool)
    np.not_equal(columns[:, 1:], columns[:, :-1], out=fresh[:, 1:])
    start = np.flatnonzero(fresh)
    end = np.append(start[1:], height * width)
    number = columns.ravel()[start]
    some = number >= 0
    start, end, number = start[some], end[some], number[some]
    order = np.argsort(number, kind="stable")
    first = np.searchsorted(number[order], np.arange(count + 1))
    return Leaves(start[order], end[order], first)


def runs_of(family: Family, turned: bool = False) -> AllRuns:
    """Runs of all masks of a family, those that touch joined. turned: of the transposed masks."""
    numbers = family.numbers.T if turned else family.numbers
    height = numbers.shape[0]
    found = leaves(numbers, family.count)
    begin, stop = found.first[family.low], found.first[family.high]
    spans = stop - begin
    owner = np.repeat(np.arange(len(family)), spans)
    at = np.arange(len(owner)) + np.repeat(begin - (np.cumsum(spans) - spans), spans)
    owner, start, end = _joined(owner, found.start[at], found.end[at], height)
    column = start // height
    return AllRuns(owner, column, start - column * height, end - column * height)


def _joined(
    owner: IntArray, start: IntArray, end: IntArray, height: int
) -> tuple[IntArray, IntArray, IntArray]:
    """Disjoint intervals of each owner in order, those that touch within a column joined. Starts and
    ends are sorted apart: of disjoint intervals the i-th start belongs to the i-th end."""
    if not len(owner):
        return owner, start, end
    room = (int(end.max()) // height + 1) * height
    starts, ends = owner * room + start, owner * room + end
    starts.sort()
    ends.sort()
    apart = np.ones(len(starts), bool)
    apart[1:] = (starts[1:] != ends[:-1]) | (starts[1:] % height == 0)
    heads = np.flatnonzero(apart)
    starts, ends = starts[heads], ends[np.append(heads[1:], len(ends)) - 1]
    owner = starts // room
    return owner, starts - owner * room, ends - owner * room


def runs_of_windows(
    windows: Sequence[npt.NDArray[np.bool_]], boxes: IntArray, turned: bool = False
) -> AllRuns:
    """Runs of masks (h, w) that lie at the corners of boxes (N, 4) xyxy."""
    if not windows:
        none = np.zeros(0, np.int64)
        return AllRuns(none, none, none, none)
    x, y = (boxes[:, 1], boxes[:, 0]) if turned else (boxes[:, 0], boxes[:, 1])
    framed = [_framed(window.T if turned else window) for window in windows]
    heights = np.asarray([window.shape[0 if not turned else 1] + 1 for window in windows])
    sizes = np.asarray([len(part) for part in framed])
    flat = np.concatenate([*framed, np.zeros(1, np.int8)])
    step = np.diff(flat, prepend=np.int8(0))
    start, end = np.flatnonzero(step == 1), np.flatnonzero(step == -1)
    begins = np.cumsum(sizes) - sizes
    owner = np.repeat(np.arange(len(windows)), sizes)[start]
    place = start - begins[owner]
    column, top = place // heights[owner], place % heights[owner]
    return AllRuns(owner, column + x[owner], top + y[owner], top + y[owner] + end - start)


def _framed(window: npt.NDArray[np.bool_]) -> npt.NDArray[np.int8]:
    """Flattened columns of a mask, each with a zero behind it."""
    height, width = window.shape
    found = np.zeros((width, height + 1), np.int8)
    found[:, :height] = window.T
    return found.ravel()


def stacked(parts: Sequence[AllRuns], counts: Sequence[int]) -> AllRuns:
    """Runs of several lists of masks, so many each, as those of one list."""
    bases = np.cumsum([0, *counts])[: len(parts)]
    owner = np.concatenate([part.owner + base for part, base in zip(parts, bases, strict=True)])
    rest = (np.concatenate([getattr(p, n) for p in parts]) for n in ("column", "top", "bottom"))
    return AllRuns(owner, *rest)


def chosen_runs(runs: AllRuns, rows: IntArray, count: int) -> AllRuns:
    """Runs of some of ``count`` masks, in that order."""
    first = np.searchsorted(runs.owner, np.arange(count + 1))
    spans = (first[1:] - first[:-1])[rows]
    owner = np.repeat(np.arange(len(rows)), spans)
    at = np.arange(len(owner)) + np.repeat(first[rows] - (np.cumsum(spans) - spans), spans)
    return AllRuns(owner, runs.column[at], runs.top[at], runs.bottom[at])


def windows_of(runs: AllRuns, count: int) -> list[tuple[npt.NDArray[np.bool_], tuple[int, int]]]:
    """``count`` masks (h, w) cut to their boxes, with their corners (y, x); (0, 0)-sized for an empty
    one."""
    first = np.searchsorted(runs.owner, np.arange(count + 1))
    some = np.flatnonzero(np.diff(first))
    heads, owner = first[some], np.searchsorted(some, runs.owner)
    if not len(some):
        return [(np.zeros((0, 0), bool), (0, 0))] * count
    x, y = runs.column[heads], np.minimum.reduceat(runs.top, heads)
    widths = np.maximum.reduceat(runs.column, heads) + 1 - x
    heights = np.maximum.reduceat(runs.bottom, heads) - y
    sizes = widths * (heights + 1)  # a zero behind each column
    begins = np.cumsum(sizes) - sizes
    base = begins[owner] + (runs.column - x[owner]) * (heights[owner] + 1) - y[owner]
    step = np.zeros(int(sizes.sum()), np.int8)
    np.add.at(step, base + runs.top, 1)
    np.add.at(step, base + runs.bottom, -1)
    inside = np.cumsum(step, dtype=np.int8) > 0
    found = [(np.zeros((0, 0), bool), (0, 0))] * count
    for i, at in enumerate(some.tolist()):
        part = inside[begins[i] : begins[i] + sizes[i]].reshape(widths[i], heights[i] + 1)
        found[at] = (part[:, :-1].T, (int(y[i]), int(x[i])))
    return found
