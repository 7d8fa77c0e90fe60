"""A number of each row for each of some exemplars, kept by what the exemplar is."""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Measure = Callable[[int, int, FloatArray], FloatArray]
"""(first row, one behind the last, exemplars (M, D)) -> (rows, M)."""
LEAST_ROOM = 1024


class Grown:
    """A row of numbers that gets longer at its end, without being copied each time."""

    def __init__(self, kind: npt.DTypeLike) -> None:
        self._numbers: npt.NDArray[Any] = np.zeros(0, kind)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        return self._numbers.nbytes

    @property
    def values(self) -> npt.NDArray[Any]:
        """All so far; not to be written to."""
        return self._numbers[: self._count]

    def extend(self, values: npt.NDArray[Any]) -> None:
        """Append; what fits exactly at first takes no more room than it needs."""
        wanted = self._count + len(values)
        if wanted > len(self._numbers):
            room = max(wanted, 2 * self._count, LEAST_ROOM if self._count else 0)
            larger = np.empty(room, self._numbers.dtype)
            larger[: self._count] = self.values
            self._numbers = larger
        self._numbers[self._count : wanted] = values
        self._count = wanted


class Columns:
    """Columns (R,) of exemplars. What was asked for last stays, as far as ``most`` bytes go beyond what
    is asked for, so that an exemplar that comes back costs nothing."""

    def __init__(self, measure: Measure, most: int) -> None:
        self._measure, self._most = measure, most
        self._known: OrderedDict[bytes, Grown] = OrderedDict()

    def of(self, wanted: FloatArray, rows: int) -> list[FloatArray]:
        """A column (R,) of ``rows`` rows for each of the exemplars (M, D); not to be written to."""
        keys = [key_of(row) for row in wanted]
        lacking: dict[int, dict[bytes, int]] = {}
        for i, key in enumerate(keys):
            column = self._known.setdefault(key, Grown(np.float32))
            self._known.move_to_end(key)
            if len(column) < rows:
                lacking.setdefault(len(column), {})[key] = i
        for start, missing in lacking.items():
            made = self._measure(start, rows, wanted[list(missing.values())])
            for key, numbers in zip(missing, made.T, strict=True):
                self._known[key].extend(numbers)
        self._forget(set(keys))
        return [self._known[key].values[:rows] for key in keys]

    def _forget(self, asked: set[bytes]) -> None:
        room = self._most
        for key in reversed([key for key in self._known if key not in asked]):
            room -= self._known[key].nbytes
            if room < 0:
                del self._known[key]


@dataclass(slots=True)
class _Sum:
    """members: the exemplars by key, with how often each is there; numbers: the sum of their columns;
    shown: that by ``length``, as it was given out last."""

    members: dict[bytes, FloatArray]
    often: Counter[bytes]
    numbers: Grown
    shown: FloatArray | None = None


class Sums:
    """Sums of the columns of sets of exemplars. A set that differs by few from one that is known costs
    a column for each of these, whatever its size."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._known: OrderedDict[frozenset[tuple[bytes, int]], _Sum] = OrderedDict()

    def of(self, wanted: FloatArray, length: float, rows: int) -> FloatArray:
        """(R,) of ``rows`` rows for exemplars (M, D): the sum by a length, which is theirs alone; not
        to be written to."""
        members = {key_of(row): row for row in wanted}
        often = Counter(map(key_of, wanted))
        key = frozenset(often.items())
        found = self._known.get(key)
        if found is None:
            found = _Sum(members, often, Grown(np.float64))
            near = min(self._known.values(), key=lambda one: _apart(one.often, often), default=None)
            if near is not None and _apart(near.often, often) < len(wanted):
                self._grow(near, rows)
                found.numbers.extend(self._moved(near, found, rows))
            self._known[key] = found
        self._known.move_to_end(key)
        if found.shown is None or len(found.shown) < rows:
            self._grow(found, rows)
            found.shown = np.asarray(found.numbers.values / length, np.float32)
        return found.shown[:rows]

    def keep(self, count: int) -> None:
        """Forget all but so many sets that were asked for last."""
        while len(self._known) > count:
            self._known.popitem(last=False)

    def _grow(self, one: _Sum, rows: int) -> None:
        start = len(one.numbers)
        if start < rows:
            one.numbers.extend(self._total(one.members, one.often, start, rows))

    def _moved(self, near: _Sum, wanted: _Sum, rows: int) -> npt.NDArray[np.float64]:
        more, less = wanted.often - near.often, near.often - wanted.often
        made = np.array(near.numbers.values[:rows])
        if more:
            made += self._total(wanted.members, more, 0, rows)
        if less:
            made -= self._total(near.members, less, 0, rows)
        return made

    def _total(
        self, members: Mapping[bytes, FloatArray], often: Counter[bytes], start: int, rows: int
    ) -> npt.NDArray[np.float64]:
        each = self._measure(start, rows, np.stack([members[key] for key in often]))
        total = np.zeros(rows - start)
        for column, count in zip(each.T, often.values(), strict=True):
            total += column if count == 1 else count * column.astype(np.float64)
        return total


def _apart(one: Counter[bytes], other: Counter[bytes]) -> int:
    return (one - other).total() + (other - one).total()


def key_of(*rows: npt.NDArray[Any]) -> bytes:
    """Equal for equal rows."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row.dtype.str} {row.shape} ".encode())
        digest.update(np.ascontiguousarray(row).tobytes())
    return digest.digest()


def largest(columns: Sequence[FloatArray]) -> FloatArray:
    """(R,) the largest of each row of columns; NaN where one is."""
    found = np.array(columns[0], np.float32)
    for column in columns[1:]:
        np.maximum(found, column, out=found)
    return found
