"""Arrays of an index in a store: read by ranges of bytes, and only those that are asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.address import Remote
from ..storage import remote
from ..storage.tensors import Arrays

IntArray = npt.NDArray[np.int64]
GAP = 64 << 10
"""Bytes between rows that are read with them: in the time of one more request, as many come."""
HELD = 64 << 20
"""Bytes that are asked for at once."""


@dataclass(frozen=True)
class Column:
    """An array (R, ...) of little-endian values in an object, row after row. A slice, or rows by
    number, give an array; all of it is read where NumPy wants one. Raises RemoteError."""

    at: Remote
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def width(self) -> int:
        """Bytes of a row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])

    @property
    def nbytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape)

    def __getitem__(self, where: slice | IntArray) -> npt.NDArray[Any]:
        if isinstance(where, slice):
            start, end, step = where.indices(len(self))
            if step != 1:
                raise ValueError("rows are read one after another")
            return self._between(start, max(start, end))
        return self._rows(np.asarray(where, np.int64))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self._between(0, len(self)).astype(dtype or self.dtype, copy=False)

    def _between(self, start: int, end: int) -> npt.NDArray[Any]:
        step = max(1, remote.PART // max(self.width, 1))
        parts = [(at, min(at + step, end)) for at in range(start, end, step)]
        return self._joined(_fetched([self.span(*part) for part in parts]), end - start)

    def span(self, start: int, end: int) -> tuple[Remote, int, int]:
        """The bytes of some rows."""
        return self.at, start * self.width, end * self.width

    def _joined(self, parts: Sequence[bytes], count: int) -> npt.NDArray[Any]:
        data = np.frombuffer(bytearray().join(parts), self.dtype)  # which torch may take as its own
        return data.reshape(count, *self.shape[1:])

    def _rows(self, rows: IntArray) -> npt.NDArray[Any]:
        wanted, back = np.unique(rows, return_inverse=True)
        out = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        if len(wanted):
            breaks = np.flatnonzero(np.diff(wanted) > max(1, GAP // self.width)) + 1
            firsts = wanted[np.concatenate([[0], breaks])]
            lasts = wanted[np.concatenate([breaks, [len(wanted)]]) - 1] + 1
            for first, last in _batches(firsts, lasts, HELD // self.width):
                got = _fetched([self.span(a, b) for a, b in zip(first, last, strict=True)])
                for data, a, b in zip(got, first, last, strict=True):
                    here = slice(*np.searchsorted(wanted, (a, b)).tolist())
                    out[here] = self._joined([data], b - a)[wanted[here] - a]
        return out[back.reshape(-1)]


def _fetched(spans: Sequence[tuple[Remote, int, int]]) -> list[bytes]:
    if not spans:
        return []
    with remote.answered(spans[0][0].parent):
        return remote.ranges(spans)


def _batches(firsts: IntArray, lasts: IntArray, most: int) -> Sequence[tuple[list[int], list[int]]]:
    """Spans of rows in groups of about ``most`` rows."""
    group = np.cumsum(lasts - firsts) // max(most, 1)
    cuts = np.flatnonzero(np.diff(group)) + 1
    pairs = zip(np.split(firsts, cuts), np.split(lasts, cuts), strict=True)
    return [(first.tolist(), last.tolist()) for first, last in pairs]


def part(columns: Mapping[str, Any], names: Sequence[str], start: int, end: int) -> Arrays:
    """Rows ``start`` to ``end`` of some columns, asked for at once, and their masks: ``counts`` and
    ``offsets`` as of an index that holds these rows alone. Raises RemoteError."""
    spans = [columns[name].span(start, end) for name in names]
    spans.append(columns["offsets"].span(start, end + 1))
    got = _fetched(spans)
    made = {
        name: columns[name]._joined([data], end - start)
        for name, data in zip(names, got[:-1], strict=True)
    }
    ends = np.frombuffer(got[-1], columns["offsets"].dtype)
    made["counts"] = columns["counts"][int(ends[0]) : int(ends[-1])]
    made["offsets"] = ends - ends[0]
    return made
