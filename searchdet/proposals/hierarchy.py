"""Hierarchical grouping of superpixels (selective search, Uijlings et al. 2013) in rounds.

In each round every pair of neighbours that are nearest to each other merges, all at once as arrays;
every segment ever made is a mask. Leaves are numbered so that each segment is a range of numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .families import Family

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
_BINS = 16


@dataclass(frozen=True, slots=True)
class Segments:
    """Facts of segments, row by row: pixels, sums of Lab (N, 3), histograms of L, a, b side by side
    (N, 48), boxes xyxy."""

    size: Float64Array
    lab: Float64Array
    hist: FloatArray
    box: IntArray

    def __len__(self) -> int:
        return len(self.size)

    def merged(self, pairs: IntArray, kept: IntArray) -> Segments:
        """The kept rows, then the union of each pair (P, 2)."""
        one, two = pairs.T
        low = np.minimum(self.box[one, :2], self.box[two, :2])
        high = np.maximum(self.box[one, 2:], self.box[two, 2:])
        return Segments(
            np.concatenate([self.size[kept], self.size[one] + self.size[two]]),
            np.concatenate([self.lab[kept], self.lab[one] + self.lab[two]]),
            np.concatenate([self.hist[kept], self.hist[one] + self.hist[two]]),
            np.concatenate([self.box[kept], np.concatenate([low, high], axis=1)]),
        )


@dataclass(frozen=True, slots=True)
class Borders:
    """Pairs (P, 2) of rows that touch, each once, smaller first; length and sum of the edge strength
    along what they share."""

    pairs: IntArray
    length: Float64Array
    strength: Float64Array


Distance = Callable[[Segments, Borders, float], Float64Array]
"""(segments, borders, pixels of the image) -> how far apart each pair is."""


def by_colour(segments: Segments, borders: Borders, total: float) -> Float64Array:
    """Colour, size and fill terms of selective search."""
    one, two = borders.pairs.T
    share = segments.hist / segments.size[:, None].astype(np.float32)
    colour = np.minimum(share[one], share[two]).sum(axis=1) / 3
    together = segments.size[one] + segments.size[two]
    low = np.minimum(segments.box[one, :2], segments.box[two, :2])
    high = np.maximum(segments.box[one, 2:], segments.box[two, 2:])
    fill = (np.prod(high - low, axis=1) - together) / total
    return np.asarray(together / total + fill - 2 * colour, np.float64)


def by_edge(segments: Segments, borders: Borders, total: float) -> Float64Array:
    """Mean edge strength along the common border; small segments go first."""
    one, two = borders.pairs.T
    small = np.minimum(segments.size[one], segments.size[two])
    return np.asarray((borders.strength / borders.length + 0.3) * small**0.25, np.float64)


def by_mean(segments: Segments, borders: Borders, total: float) -> Float64Array:
    """Difference of mean colours, weighted by the sizes (after Ward 1963)."""
    one, two = borders.pairs.T
    mean = segments.lab / segments.size[:, None]
    apart = ((mean[one] - mean[two]) ** 2).sum(axis=1)
    weight = segments.size[one] * segments.size[two] / (segments.size[one] + segments.size[two])
    return np.asarray(weight**0.5 * (apart + 1), np.float64)


def borders_of(labels: IntArray, edges: FloatArray) -> Borders:
    """Touching labels (4-neighbourhood)."""
    count = int(labels.max()) + 1
    keys, values = [], []
    for one, two in (
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1], np.s_[1:]),
    ):
        differs = labels[one] != labels[two]
        first, second = labels[one][differs], labels[two][differs]
        keys.append(np.minimum(first, second) * count + np.maximum(first, second))
        values.append(np.maximum(edges[one][differs], edges[two][differs]))
    key, value = np.concatenate(keys), np.concatenate(values).astype(np.float64)
    return _summed(key, np.ones(len(key)), value, count)


def _summed(key: IntArray, length: Float64Array, strength: Float64Array, count: int) -> Borders:
    """Borders from keys ``smaller * count + larger``, equal ones added up."""
    unique, inverse = np.unique(key, return_inverse=True)
    pairs = np.stack([unique // count, unique % count], axis=1)
    length, strength = (
        np.bincount(inverse, weights=value, minlength=len(unique)).astype(np.float64)
        for value in (length, strength)
    )
    return Borders(pairs, length, strength)


def boxes_and_areas(labels: IntArray) -> tuple[IntArray, IntArray]:
    """Boxes (N, 4) xyxy and areas (N,) of labels 0..N-1, each of which is somewhere."""
    from scipy.ndimage import find_objects

    found = find_objects(labels + 1)
    boxes = [(x.start, y.start, x.stop, y.stop) for y, x in found]
    return np.asarray(boxes, np.int64), np.bincount(labels.ravel()).astype(np.int64)


def segments_of(lab: FloatArray, labels: IntArray, boxes: IntArray) -> Segments:
    """Facts of labels 0..N-1 with these boxes (N, 4)."""
    flat, count = labels.ravel(), len(boxes)
    pixels = lab.reshape(-1, 3)
    low, high = np.asarray([0, -60, -60], np.float32), np.asarray([100, 60, 60], np.float32)
    bins = np.clip((pixels - low) / (high - low) * _BINS, 0, _BINS - 1).astype(np.int64)
    hist = [np.bincount(flat * _BINS + bins[:, c], minlength=count * _BINS) for c in range(3)]
    sums = [np.bincount(flat, weights=pixels[:, c], minlength=count) for c in range(3)]
    return Segments(
        np.bincount(flat, minlength=count).astype(np.float64),
        np.stack(sums, axis=1),
        np.concatenate([h.reshape(count, _BINS) for h in hist], axis=1).astype(np.float32),
        boxes,
    )


def merge_order(
    segments: Segments, borders: Borders, distance: Distance
) -> tuple[list[IntArray], Float64Array]:
    """For each round the pairs (P, 2) of nodes that merge, and for each node the mean edge strength
    around it. Rows of ``segments`` are the nodes 0..N-1; merged pairs get the next numbers in turn."""
    total = float(segments.size.sum())
    node, made = np.arange(len(segments)), len(segments)
    rounds, around = [], [_around(borders, len(segments))]
    while len(borders.pairs):
        chosen = _mutual(borders, distance(segments, borders, total), len(segments))
        pairs = borders.pairs[chosen]
        rounds.append(node[pairs])
        gone = np.zeros(len(segments), bool)
        gone[pairs] = True
        kept = np.flatnonzero(~gone)
        place = np.empty(len(segments), np.int64)
        place[kept] = np.arange(len(kept))
        place[pairs] = (len(kept) + np.arange(len(pairs)))[:, None]
        segments = segments.merged(pairs, kept)
        node = np.concatenate([node[kept], made + np.arange(len(pairs))])
        made += len(pairs)
        one, two = place[borders.pairs].T
        apart = one != two
        low, high = np.minimum(one, two)[apart], np.maximum(one, two)[apart]
        length, strength = borders.length[apart], borders.strength[apart]
        borders = _summed(low * len(segments) + high, length, strength, len(segments))
        around.append(_around(borders, len(segments))[len(kept) :])
    return rounds, np.concatenate(around)


def _around(borders: Borders, count: int) -> Float64Array:
    """Mean edge strength around each segment; 0 where nothing is."""
    ends = borders.pairs.T.ravel()
    length, strength = (
        np.bincount(ends, weights=np.tile(v, 2), minlength=count)
        for v in (borders.length, borders.strength)
    )
    return np.asarray(strength / np.maximum(length, 1))


def _mutual(borders: Borders, far: Float64Array, count: int) -> IntArray:
    """Pairs in which each is the nearest of the other; of equally near ones the first."""
    place = np.empty(len(far), np.int64)
    place[np.argsort(far, kind="stable")] = np.arange(len(far))
    best = np.full(count, len(far))
    one, two = borders.pairs.T
    np.minimum.at(best, one, place)
    np.minimum.at(best, two, place)
    return np.flatnonzero((best[one] == place) & (best[two] == place))


def family(labels: IntArray, boxes: IntArray, areas: IntArray, rounds: list[IntArray]) -> Family:
    """All nodes of a merge tree over ``labels`` (H, W), 0..N-1 with these boxes and areas, as ranges of
    its leaves, which are put in order."""
    count = len(boxes)
    below = np.ones(count, np.int64)
    for pairs in rounds:
        below = np.concatenate([below, below[pairs].sum(axis=1)])
        corners = np.minimum(*boxes[pairs.T, :2]), np.maximum(*boxes[pairs.T, 2:])
        boxes = np.concatenate([boxes, np.concatenate(corners, axis=1)])
        areas = np.concatenate([areas, areas[pairs].sum(axis=1)])
    roots = np.ones(len(below), bool)
    for pairs in rounds:
        roots[pairs] = False
    low, begin = np.zeros(len(below), np.int64), len(below)
    low[roots] = np.cumsum(below[roots]) - below[roots]
    for pairs in reversed(rounds):
        begin -= len(pairs)
        low[pairs[:, 0]] = low[begin : begin + len(pairs)]
        low[pairs[:, 1]] = low[pairs[:, 0]] + below[pairs[:, 0]]
    return Family(low[:count][labels].astype(np.int32), count, low, low + below, boxes, areas)
