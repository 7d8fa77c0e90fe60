"""Several outlines as one polygon: shortest bridges of no width between them. Pure.

A bridge is walked there and back, so it bounds no area, and an outline within another one is a hole
under the even-odd rule by which polygons are filled. No corner comes twice: some readers drop points
that repeat, and with them the way back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

APART = 0.01
"""Pixels, along the longer axis, between corners that would be one."""


def joined(rings: Sequence[FloatArray]) -> FloatArray:
    """Outlines (n, 2) each, x and y of the corners, as one polygon (m, 2)."""
    if len(rings) == 1:
        return distinct(rings[0])
    points = np.concatenate(rings)
    owner = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    made = points[_walk(owner, _bridges(points, owner))]
    return distinct(made[(made != np.roll(made, 1, axis=0)).any(axis=1)])


def distinct(ring: FloatArray) -> FloatArray:
    """A polygon (n, 2) with no corner twice: one that comes again lies ``APART`` pixels further on its
    bridge, or on its outline where it is on none. Neighbours must differ."""
    again = _visits(ring)
    rows = np.flatnonzero(again)
    if not len(rows):
        return ring
    before, after = ring[rows - 1], ring[(rows + 1) % len(ring)]
    way = np.where(again[rows - 1, None] > 0, before, after) - ring[rows]
    made: FloatArray = ring.copy()
    made[rows] += APART * again[rows, None] * way / np.abs(way).max(axis=1, keepdims=True)
    return made


def _visits(ring: FloatArray) -> IntArray:
    """How often the place of each corner (n,) came before it."""
    order = np.lexsort((ring[:, 1], ring[:, 0]))  # stable: equal places stay in the order of the ring
    first = np.r_[True, (ring[order[1:]] != ring[order[:-1]]).any(axis=1)]
    place = np.arange(len(ring))
    visits = np.empty(len(ring), np.int64)
    visits[order] = place - np.maximum.accumulate(np.where(first, place, 0))
    return visits


def _bridges(points: FloatArray, owner: IntArray) -> dict[int, list[int]]:
    """Corner -> corners of other outlines it is joined with: the shortest tree over all outlines."""
    ends = np.concatenate([_same_place(points), _neighbours(points)])
    ends = ends[owner[ends[:, 0]] != owner[ends[:, 1]]]
    length = np.square(points[ends[:, 0]] - points[ends[:, 1]]).sum(axis=1)
    order = np.lexsort((ends[:, 1], ends[:, 0], length))
    root = list(range(int(owner[-1]) + 1))

    def top(ring: int) -> int:
        while root[ring] != ring:
            root[ring] = root[root[ring]]
            ring = root[ring]
        return ring

    tree: dict[int, list[int]] = defaultdict(list)
    for one, two in ends[order].tolist():
        first, second = top(int(owner[one])), top(int(owner[two]))
        if first != second:
            root[first] = second
            tree[one].append(two)
            tree[two].append(one)
    return tree


def _neighbours(points: FloatArray) -> IntArray:
    """Pairs (k, 2) of corners that are near; the shortest tree over outlines is among them, as it is
    among the edges of a Delaunay triangulation."""
    from scipy.spatial import Delaunay

    corners = Delaunay(points).simplices
    return np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])


def _same_place(points: FloatArray) -> IntArray:
    """Pairs (k, 2) of corners that lie on each other, of which a triangulation uses one."""
    order = np.lexsort((points[:, 1], points[:, 0]))
    same = (points[order[1:]] == points[order[:-1]]).all(axis=1)
    return np.stack([order[:-1][same], order[1:][same]], axis=1)


def _walk(owner: IntArray, tree: dict[int, list[int]]) -> list[int]:
    """All corners in the order of one walk round the tree of outlines, which starts at corner 0."""
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1], True]).tolist()
    owners = owner.tolist()

    def around(corner: int) -> Iterator[int]:
        """The corners of an outline from one of them on, and that one again."""
        low, high = starts[owners[corner]], starts[owners[corner] + 1]
        yield from range(corner, high)
        yield from range(low, corner + 1)

    def visit(corner: int) -> None:
        walked.append(corner)
        if tree.get(corner):
            other = tree[corner].pop()
            tree[other].remove(corner)
            left.append(corner)
            rounds.append(around(other))

    walked: list[int] = []
    left: list[int] = []
    rounds = [around(0)]
    while rounds:
        following = next(rounds[-1], None)
        if following is not None:
            visit(following)
        else:
            rounds.pop()
            if left:
                visit(left.pop())
    return walked
