"""A number of each row for each of some exemplars, kept by what the exemplar is."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
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
