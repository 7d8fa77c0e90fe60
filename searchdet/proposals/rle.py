"""COCO run-length encoding without ever making a full-size mask. Pure.

An encoding is {"size": [H, W], "counts": text}: lengths of alternating runs of 0 and 1 down the
columns, packed into text by pycocotools' scheme.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
Rle = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Runs:
    """Vertical runs of a mask: run i covers rows top[i] to bottom[i] (exclusive) of column[i]."""

    column: IntArray
    top: IntArray
    bottom: IntArray


def encode(mask: BoolArray) -> Rle:
    """One mask (H, W) as an encoding."""
    from pycocotools import mask as coco

    rle = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def encode_window(window: BoolArray, corner: tuple[int, int], size: tuple[int, int]) -> Rle:
    """A mask (h, w) whose top left pixel lies at ``corner`` (y, x) of an image of ``size`` (H, W)."""
    small = encode(window)
    return small if window.shape == size else moved(small, corner, size)


def _pack(start: IntArray, end: IntArray, size: tuple[int, int]) -> Rle:
    """Encoding of the intervals [start, end) of the flattened columns, in order; neighbours join."""
    from pycocotools import mask as coco

    first = np.ones(len(start), bool)
    first[1:] = start[1:] != end[:-1]
    last = np.roll(first, -1)
    edges = np.stack([start[first], end[last]], axis=1).ravel()
    whole = size[0] * size[1]
    tail = [] if len(edges) and edges[-1] == whole else [whole]
    counts = np.diff(np.concatenate([[0], edges, tail]).astype(np.int64))
    rle = coco.frPyObjects({"size": list(size), "counts": counts.tolist()}, *size)
    return {"size": [int(n) for n in size], "counts": rle["counts"].decode("ascii")}


def runs(rle: Rle) -> Runs:
    """The vertical runs of an encoding, without decoding it to pixels."""
    height = int(rle["size"][0])
    edges = np.cumsum(_counts(rle["counts"]))
    start, end = edges[0:-1:2], edges[1::2]
    some = end > start
    start, end = start[some], end[some]
    first, last = start // height, (end - 1) // height
    spans = last - first + 1
    owner = np.repeat(np.arange(len(start)), spans)
    column = first[owner] + np.arange(len(owner)) - np.repeat(np.cumsum(spans) - spans, spans)
    top = np.maximum(start[owner] - column * height, 0)
    bottom = np.minimum(end[owner] - column * height, height)
    return Runs(column, top, bottom)


def _counts(text: str) -> IntArray:
    """Run lengths: five bits a character, low first, bit 5 continues; from the fourth number on the
    difference to the number before the last."""
    codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    more = (codes & 32) != 0
    begins = np.concatenate([[True], ~more[:-1]])
    number = np.cumsum(begins) - 1
    position = np.arange(len(codes)) - np.flatnonzero(begins)[number]
    values = np.add.reduceat((codes & 31) << (5 * position), np.flatnonzero(begins))
    last = np.flatnonzero(~more)
    negative = (codes[last] & 16) != 0
    values = values - np.where(negative, 1 << (5 * (position[last] + 1)), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return np.asarray(values, np.int64)


def window(rle: Rle) -> tuple[BoolArray, tuple[int, int]]:
    """(mask (h, w) cropped to its box, its corner (y, x)); (0, 0)-sized for an empty mask."""
    found = runs(rle)
    if not len(found.column):
        return np.zeros((0, 0), bool), (0, 0)
    x, y = int(found.column[0]), int(found.top.min())
    width, height = int(found.column[-1]) + 1 - x, int(found.bottom.max()) - y
    steps = np.zeros((width, height + 1), np.int8)
    np.add.at(steps, (found.column - x, found.top - y), 1)
    np.add.at(steps, (found.column - x, found.bottom - y), -1)
    return np.asarray(np.cumsum(steps, axis=1, dtype=np.int8)[:, :-1].T > 0), (y, x)


def decode(rles: Iterable[Rle], size: tuple[int, int]) -> BoolArray:
    """Encodings -> (N, H, W) bool."""
    from pycocotools import mask as coco

    masks = [coco.decode(rle) for rle in rles]
    if not masks:
        return np.zeros((0, *size), bool)
    return np.stack(masks).astype(bool)


def area(rle: Rle) -> int:
    """Pixels of one encoded mask."""
    from pycocotools import mask as coco

    return int(coco.area(rle))


def boxes(rles: Sequence[Rle]) -> npt.NDArray[np.float32]:
    """(N, 4) float32 xyxy, exclusive maximum."""
    from pycocotools import mask as coco

    found = np.asarray(coco.toBbox(list(rles)), np.float32).reshape(-1, 4)
    found[:, 2:] += found[:, :2]
    return found


def moved(rle: Rle, corner: tuple[int, int], size: tuple[int, int]) -> Rle:
    """The mask of a crop that starts at ``corner`` (y, x), in an image of ``size`` (H, W)."""
    found = runs(rle)
    base = (found.column + corner[1]) * size[0] + corner[0]
    return _pack(base + found.top, base + found.bottom, size)
