"""Hierarchical grouping of superpixels (selective search, Uijlings et al. 2013), pure numpy.

Neighbouring segments merge in the order of their similarity; every segment ever made is a region.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
_BINS = 16


def neighbours(labels: IntArray) -> IntArray:
    """Pairs (P, 2) of labels that touch (4-neighbourhood), each once, smaller first."""
    pairs = []
    for first, second in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        differs = first != second
        pairs.append(np.stack([first[differs], second[differs]], axis=1))
    both = np.sort(np.concatenate(pairs), axis=1)
    return np.asarray(np.unique(both, axis=0))


def colour_histograms(lab: FloatArray, labels: IntArray, count: int) -> FloatArray:
    """Per segment: histogram of L, a, b side by side, (count, 3 * bins), counts of pixels."""
    low = np.asarray([0, -60, -60], np.float32)
    high = np.asarray([100, 60, 60], np.float32)
    bins = np.clip((lab - low) / (high - low) * _BINS, 0, _BINS - 1).astype(np.int64)
    index = (labels[..., None] * 3 + np.arange(3)) * _BINS + bins
    flat = np.bincount(index.ravel(), minlength=count * 3 * _BINS)
    return flat.reshape(count, 3 * _BINS).astype(np.float32)


class _Segments:
    """Growing arrays of segment facts; segment ids are row numbers."""

    def __init__(self, lab: FloatArray, labels: IntArray, count: int) -> None:
        rows, columns = np.indices(labels.shape)
        room = 2 * count
        self.hist = np.zeros((room, 3 * _BINS), np.float32)
        self.hist[:count] = colour_histograms(lab, labels, count)
        self.size = np.zeros(room, np.float64)
        self.size[:count] = np.bincount(labels.ravel(), minlength=count)
        self.box = np.zeros((room, 4), np.int64)
        self.box[:, :2] = max(labels.shape)
        np.minimum.at(self.box[:, 0], labels.ravel(), columns.ravel())
        np.minimum.at(self.box[:, 1], labels.ravel(), rows.ravel())
        np.maximum.at(self.box[:, 2], labels.ravel(), columns.ravel() + 1)
        np.maximum.at(self.box[:, 3], labels.ravel(), rows.ravel() + 1)
        self.total = float(labels.size)

    def similarity(self, one: int, others: IntArray) -> npt.NDArray[np.float64]:
        """Colour, size and fill terms of selective search between ``one`` and each of ``others``."""
        first = self.hist[one] / self.size[one]
        rest = self.hist[others] / self.size[others, None]
        colour = np.minimum(first, rest).sum(axis=1) / 3
        together = self.size[one] + self.size[others]
        low = np.minimum(self.box[one, :2], self.box[others, :2])
        high = np.maximum(self.box[one, 2:], self.box[others, 2:])
        fill = 1 - (np.prod(high - low, axis=1) - together) / self.total
        return np.asarray(2 * colour + (1 - together / self.total) + fill)

    def merge(self, one: int, two: int, new: int) -> None:
        """Row ``new`` becomes the union of two rows."""
        self.hist[new] = self.hist[one] + self.hist[two]
        self.size[new] = self.size[one] + self.size[two]
        self.box[new, :2] = np.minimum(self.box[one, :2], self.box[two, :2])
        self.box[new, 2:] = np.maximum(self.box[one, 2:], self.box[two, 2:])


def group(lab: FloatArray, labels: IntArray) -> Iterator[tuple[IntArray, tuple[int, int, int, int]]]:
    """All segments of the merge tree but the whole image.

    lab (H, W, 3), labels (H, W) from 0. Yields (original labels in the segment, box xyxy), small first.
    """
    count = int(labels.max()) + 1
    segments = _Segments(lab, labels, count)
    adjacent: dict[int, set[int]] = {i: set() for i in range(count)}
    for one, two in neighbours(labels):
        adjacent[int(one)].add(int(two))
        adjacent[int(two)].add(int(one))
    heap: list[tuple[float, int, int]] = []
    for one in range(count):
        _push(heap, segments, one, {n for n in adjacent[one] if n > one})
    members: dict[int, IntArray] = {i: np.asarray([i]) for i in range(count)}
    for i in range(count):
        yield members[i], _box(segments, i)
    new = count
    while heap:
        _, one, two = heapq.heappop(heap)
        if one not in adjacent or two not in adjacent:
            continue
        around = (adjacent.pop(one) | adjacent.pop(two)) - {one, two}
        segments.merge(one, two, new)
        members[new] = np.concatenate([members.pop(one), members.pop(two)])
        for other in around:
            adjacent[other] -= {one, two}
            adjacent[other].add(new)
        adjacent[new] = around
        if len(adjacent) > 1:
            yield members[new], _box(segments, new)
        _push(heap, segments, new, around)
        new += 1


def _push(heap: list[tuple[float, int, int]], segments: _Segments, one: int, others: set[int]) -> None:
    if not others:
        return
    ordered = np.asarray(sorted(others))
    for value, other in zip(segments.similarity(one, ordered), ordered, strict=True):
        heapq.heappush(heap, (-float(value), one, int(other)))


def _box(segments: _Segments, i: int) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (int(n) for n in segments.box[i])
    return x0, y0, x1, y1
