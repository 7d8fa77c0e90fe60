"""COCO run-length encoding without ever making a full-size mask. Pure.

An encoding is {"size": [H, W], "counts": text}: lengths of alternating runs of 0 and 1 down the
columns, packed into text by pycocotools' scheme.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from ..storage.values import Fields, JsonObject

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_MOST_DIGITS = 12
"""Characters of one number; more do not fit in 64 bits."""
_UNFIT = "its run lengths do not fill an image of that size"


class Rle(TypedDict):
    """One mask: its size [H, W], and the lengths of its runs as text."""

    size: list[int]
    counts: str


@dataclass(frozen=True, slots=True)
class Runs:
    """Vertical runs of a mask: run i covers rows top[i] to bottom[i] (exclusive) of column[i]."""

    column: IntArray
    top: IntArray
    bottom: IntArray


@dataclass(frozen=True, slots=True)
class AllRuns:
    """Vertical runs of many masks of one size: run i is of mask owner[i] and covers rows top[i] to
    bottom[i] (exclusive) of column[i]. By mask, column and row."""

    owner: IntArray
    column: IntArray
    top: IntArray
    bottom: IntArray


def to_json(rle: Rle) -> JsonObject:
    """Plain JSON values."""
    return {"size": rle["size"], "counts": rle["counts"]}


def from_json(values: Fields, size: tuple[int, int]) -> Rle:
    """The encoding of a mask of an image of ``size``. Raises ValueError for anything else."""
    made: Rle = {"size": [int(n) for n in values.numbers("size", 2)], "counts": values.text("counts")}
    require(made, size)
    return made


def encode(mask: BoolArray) -> Rle:
    """One mask (H, W) as an encoding."""
    from pycocotools import mask as coco

    rle = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def encode_window(window: BoolArray, corner: tuple[int, int], size: tuple[int, int]) -> Rle:
    """A mask (h, w) whose top left pixel lies at ``corner`` (y, x) of an image of ``size`` (H, W)."""
    small = encode(window)
    return small if window.shape == size else moved(small, corner, size)


def runs(rle: Rle) -> Runs:
    """The vertical runs of an encoding, without decoding it to pixels. Raises ValueError where it is
    none of a mask of its size."""
    height, _ = require_size(rle["size"])
    edges = np.cumsum(_counts(rle))
    _, column, top, bottom = _by_column(edges[0:-1:2], edges[1::2], height)
    return Runs(column, top, bottom)


def all_runs(rles: Sequence[Rle]) -> AllRuns:
    """``runs`` of all encodings at once. Raises ValueError where one is none of a mask of its size, or
    where sizes differ."""
    sizes = {tuple(code["size"]) for code in rles}
    if len(sizes) > 1:
        raise ValueError(f"masks of {len(sizes)} sizes")
    height, width = require_size(next(iter(sizes), (0, 0)))
    texts = [code["counts"] for code in rles]
    text = np.frombuffer("".join(texts).encode("ascii"), np.uint8)
    ends = np.cumsum([0, *(len(part) for part in texts)], dtype=np.int64)
    lengths, place = _all_lengths(text, ends, (height, width))
    mask = np.cumsum(place == 0) - 1
    edges = np.cumsum(lengths) - mask * height * width
    ones = place % 2 == 1
    run, column, top, bottom = _by_column((edges - lengths)[ones], edges[ones], height)
    return AllRuns(mask[ones][run], column, top, bottom)


def _by_column(
    start: IntArray, end: IntArray, height: int
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Intervals [start, end) of flattened columns, cut at the ends of columns: which interval, column,
    top and bottom of each part."""
    some = np.flatnonzero(end > start)
    start, end = start[some], end[some]
    first, last = start // max(height, 1), (end - 1) // max(height, 1)
    spans = last - first + 1
    owner = np.repeat(np.arange(len(start)), spans)
    column = first[owner] + np.arange(len(owner)) - np.repeat(np.cumsum(spans) - spans, spans)
    top = np.maximum(start[owner] - column * height, 0)
    bottom = np.minimum(end[owner] - column * height, height)
    return some[owner], column, top, bottom


def from_runs(found: AllRuns, count: int, size: tuple[int, int]) -> list[Rle]:
    """``count`` encodings of masks of an image of ``size`` (H, W) from their runs, ordered by mask,
    column and row, that do not overlap."""
    whole = size[0] * size[1]
    base = found.column * size[0] + found.owner * whole  # all masks one after another
    start, end = base + found.top, base + found.bottom
    fresh = np.ones(len(start), bool)
    fresh[1:] = (start[1:] != end[:-1]) | (found.owner[1:] != found.owner[:-1])
    heads = np.flatnonzero(fresh)
    start, end = start[heads], end[np.append(heads[1:], len(end)) - 1] if len(heads) else end
    owner = found.owner[heads]
    last = np.searchsorted(owner, np.arange(1, count + 1))  # one behind the last run of each mask
    at = 2 * np.arange(len(owner)) + owner  # each mask before has a tail
    tail = 2 * last + np.arange(count)
    edges = np.empty(2 * len(owner) + count, np.int64)
    edges[at], edges[at + 1], edges[tail] = start, end, np.arange(1, count + 1) * whole
    lengths = np.diff(edges, prepend=0)
    used = np.ones(len(lengths), bool)
    used[tail] = (lengths[tail] > 0) | (np.diff(last, prepend=0) == 0)
    begins = np.append(0, np.cumsum(used)[tail])
    lengths = lengths[used]
    place = np.arange(len(lengths)) - np.repeat(begins[:-1], np.diff(begins))
    steps = lengths.copy()
    far = np.flatnonzero(place > 2)
    steps[far] -= lengths[far - 2]
    text, ends = _letters(steps)
    cuts = pairwise(ends[begins].tolist())
    return [{"size": list(size), "counts": text[a:b]} for a, b in cuts]


def _letters(values: IntArray) -> tuple[str, IntArray]:
    """Numbers as text, five bits a character, and where each starts, and the end."""
    digits = np.ones(len(values), np.int64)
    rows, rest, low = np.arange(len(values)), values, values & 31
    found = []
    while len(rows):
        found.append((rows, low))
        above = rest >> 5
        going = np.flatnonzero(above != -(low >> 4))  # what is left is not only the sign
        rows, rest = rows[going], above[going]
        low = rest & 31
        digits[rows] += 1
    ends = np.append(0, np.cumsum(digits))
    text = np.full(ends[-1], 48 + 32, np.uint8)
    text[ends[1:] - 1] = 48
    for place, (rows, low) in enumerate(found):
        text[ends[rows] + place] += low.astype(np.uint8)
    return text.tobytes().decode("ascii"), ends


def require_size(size: Sequence[int]) -> tuple[int, int]:
    """(H, W) of an encoding. Raises ValueError for the size of no image."""
    height, width = size
    if type(height) is not int or type(width) is not int or min(height, width) < 0:
        raise ValueError(f"{size} is no size of an image")
    return height, width


def require(rle: Rle | Mapping[str, Any], size: tuple[int, int]) -> None:
    """Raise ValueError, TypeError or KeyError unless ``rle`` encodes a mask of an image of ``size``."""
    if require_size(rle["size"]) != tuple(size):
        raise ValueError(f"its encoding has size {rle['size']}")
    counts = rle["counts"]
    if isinstance(counts, str):
        _run_lengths(counts, size)
    elif not all(isinstance(n, int) and n >= 0 for n in counts) or sum(counts) != size[0] * size[1]:
        raise ValueError(_UNFIT)  # plain numbers, as others write them


def require_all(text: npt.NDArray[np.uint8], ends: IntArray, size: tuple[int, int]) -> None:
    """``require`` for many masks of one size at once: mask i is encoded by ``text`` from ends[i] to
    ends[i + 1]. Raises ValueError."""
    _all_lengths(text, ends, size)


def _all_lengths(
    text: npt.NDArray[np.uint8], ends: IntArray, size: tuple[int, int]
) -> tuple[IntArray, IntArray]:
    """(lengths, places): the run lengths of many texts, checked, and how many of the same mask stand
    before each."""
    whole = size[0] * size[1]
    begins = ends[:-1][np.diff(ends) > 0]
    values, at = _differences(text, begins)
    if len(begins) < (len(ends) - 1) * (whole > 0):
        raise ValueError(_UNFIT)
    if not len(values):
        return values, values
    start = np.searchsorted(at, begins)
    counts = np.diff(start, append=len(values))
    place = np.arange(len(values)) - np.repeat(start, counts)
    odd = (place & 1).astype(bool)
    for rows, many in (
        (np.flatnonzero(odd), counts // 2),
        (np.flatnonzero(~odd & (place > 0)), (counts - 1) // 2),
    ):
        sums = np.append(0, np.cumsum(values[rows]))
        before = np.cumsum(many) - many
        values[rows] = sums[1:] - np.repeat(sums[before], many)  # from the first of its mask on
    if values.min() < 0 or values.max() > whole or (np.add.reduceat(values, start) != whole).any():
        raise ValueError(_UNFIT)
    return values, place


def _counts(rle: Rle) -> IntArray:
    """Run lengths, checked."""
    return _run_lengths(rle["counts"], rle["size"])


def _run_lengths(counts: str, size: Sequence[int]) -> IntArray:
    values = _numbers(counts)
    whole = size[0] * size[1]
    if (values < 0).any() or (values > whole).any() or values.sum() != whole:
        raise ValueError(_UNFIT)
    return values


def _numbers(text: str) -> IntArray:
    """Run lengths: from the fourth number on the text has the difference to the number before the
    last."""
    values, _ = _differences(np.frombuffer(text.encode("ascii"), np.uint8), np.zeros(1, np.int64))
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _differences(text: npt.NDArray[np.uint8], begins: IntArray) -> tuple[IntArray, IntArray]:
    """The numbers of texts that begin there, and where each starts: five bits a character, low first,
    bit 5 continues. Raises ValueError for what is none."""
    codes = text - np.uint8(48)  # of what is before "0" a large number
    if not len(codes):
        return codes.astype(np.int64), codes.astype(np.int64)
    more = (codes & 32) != 0
    if codes.max() > 63 or more[begins - 1].any():  # each text ends where one begins
        raise ValueError("its run lengths are not numbers")
    last = np.flatnonzero(~more)
    at = np.append(0, last[:-1] + 1)
    rest = last - at
    if rest.max() >= _MOST_DIGITS:
        raise ValueError("its run lengths are not numbers")
    top = codes[last].astype(np.int64)
    values = (top ^ 16) - 16  # bit 4 of the last is the sign
    rows = np.flatnonzero(rest)
    while len(rows):
        rest[rows] -= 1
        values[rows] = (values[rows] << 5) | (codes[at[rows] + rest[rows]] & 31)
        rows = rows[rest[rows] > 0]
    return values, at


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
    """Encodings -> (N, H, W) bool. Raises ValueError where one is not of a mask of that size."""
    from pycocotools import mask as coco

    rles = list(rles)
    for code in rles:
        require(code, size)
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
    column, top, bottom = found.column + corner[1], found.top + corner[0], found.bottom + corner[0]
    return from_runs(AllRuns(np.zeros_like(column), column, top, bottom), 1, size)[0]
