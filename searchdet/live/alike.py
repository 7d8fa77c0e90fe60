"""All rows of a shelf and a bank: what they have in common, put together from columns of exemplars.

The formulas are those of ``bank.likeness``. A class's prototype is the mean of its exemplars, made unit
again, so the cosine to it is the sum of the cosines to these by the length of the sum: a new exemplar
costs a product with its own vector, and one that goes costs none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bank import Bank
from ..bank.likeness import Likeness, Nearest, contexts, nans, shapes
from ..config import ScoringOptions
from ..errors import UsageError
from ..index.blocks import blocks
from ..masks.shape import similarity
from .columns import Columns, Grown, key_of, largest
from .shelf import Shelf

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
Kept = dict[tuple[str, bytes], FloatArray]
"""Of classes: by what it is, and a digest of exemplars and rows."""
UNUSED_BYTES, UNUSED_VECTORS = 1 << 24, 1 << 26
"""Of columns of each kind that are kept though they were not asked for last: more of vectors, whose
negatives and classes are asked for in turn."""
SUMMED = 48
"""Exemplars of a class from which on its prototype is compared itself: so many columns of one class
take more memory than they save time."""
SHORT = 0.3
"""Length of a mean of unit vectors below which the same is done: little is left of exemplars that point
all ways, and that the sum of rounded cosines would not tell to six digits."""


class Side:
    """The vectors of all rows, or their contexts: their lengths, and their cosines to exemplars."""

    def __init__(self, shelf: Shelf, name: str, stays: bool = True) -> None:
        """stays: mapped rows stay in memory, as they are looked at for each exemplar."""
        self._shelf, self._name, self._stays = shelf, name, stays
        self._lengths = Grown(np.float64)
        self._columns = Columns(self._measure, UNUSED_VECTORS if stays else UNUSED_BYTES)

    def lengths(self, rows: int) -> npt.NDArray[np.float64]:
        """(R,): of the vectors as they are kept, which are of half precision."""
        import torch

        start = len(self._lengths)
        with torch.inference_mode():
            for _, wide in blocks(self._shelf.arrays[self._name][start:rows], self._stays):
                self._lengths.extend(wide.double().norm(dim=1).numpy())
        return self._lengths.values[:rows]

    def cosines(self, wanted: npt.NDArray[np.float32], rows: int) -> list[npt.NDArray[np.float32]]:
        """A column (R,) for each of some unit vectors (M, D); 0 for a row without a vector."""
        return self._columns.of(wanted, rows)

    def means(self, members: npt.NDArray[np.float32], prototype: FloatArray, rows: int) -> FloatArray:
        """(R,): cosines to the prototype of a class. members (K, D): its exemplars."""
        whole = members.sum(axis=0, dtype=np.float64)
        length = float(np.linalg.norm(whole))
        if len(members) >= SUMMED or length < SHORT * len(members):
            (column,) = self.cosines(np.asarray(prototype, np.float32)[None], rows)
            return column
        total = np.zeros(rows)
        for column in self.cosines(members, rows):
            total += column
        return np.asarray(total / length, np.float32)

    def _measure(self, start: int, stop: int, wanted: npt.NDArray[np.float32]) -> FloatArray:
        import torch

        made = np.empty((stop - start, len(wanted)), np.float32)
        columns = torch.from_numpy(np.ascontiguousarray(wanted.T))
        with torch.inference_mode():
            for where, wide in blocks(self._shelf.arrays[self._name][start:stop], self._stays):
                made[where] = (wide @ columns).numpy()
        length = self.lengths(stop)[start:stop, None]
        return np.divide(made, length, out=made, where=length > 0, casting="same_kind")


class Alike:
    """What all rows of a shelf have in common with one bank after another."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._vectors, self._contexts = Side(shelf, "vectors"), Side(shelf, "contexts", stays=False)
        self._outlines = Columns(self._measure, UNUSED_BYTES)
        self._classes: Kept = {}
        self._sound = 0

    def with_bank(self, bank: Bank, options: ScoringOptions) -> Likeness:
        """The likeness of all rows, whose classes are prototypes; no single exemplar is named. Raises
        UsageError for rows that are damaged."""
        rows = self._shelf.rows
        self._require_sound(rows)
        before, self._classes = self._classes, {}

        def side(of: Side, name: str) -> FloatArray:
            return self._by_class(of, name, bank, before)

        def outlined(members: FloatArray) -> FloatArray:
            return self._kept(
                "outlines", members, before, lambda: largest(self._outlines.of(members, rows))
            )

        around = self._contexts.lengths(rows) > 0
        against = self._vectors.cosines(bank.negatives.vectors, rows)
        near = Nearest(largest(against) if against else nans(rows), np.zeros(rows, np.int64))
        return Likeness(
            np.array(self._shelf.arrays["valid"][:rows]),
            np.zeros((rows, 0), np.float32),
            side(self._vectors, "vectors"),
            near,
            shapes(outlined, rows, bank, options),
            contexts(lambda: side(self._contexts, "contexts"), around, bank, options),
        )

    def _by_class(self, side: Side, name: str, bank: Bank, before: Kept) -> FloatArray:
        """(R, C): cosines to the prototypes; those of a class that stays as it was are kept."""
        rows = self._shelf.rows
        made = [
            self._kept(name, members, before, partial(side.means, members, prototype, rows))
            for prototype, members in zip(bank.prototypes(), bank.by_class().values(), strict=True)
        ]
        return np.stack(made, axis=1)

    def _kept(
        self, name: str, members: FloatArray, before: Kept, make: Callable[[], FloatArray]
    ) -> FloatArray:
        """(R,) of a class by its exemplars, as it was ``before`` where these are the same."""
        key = (name, key_of(members, np.asarray(self._shelf.rows)))
        known = before.get(key)
        self._classes[key] = make() if known is None else known
        return self._classes[key]

    def _measure(self, start: int, stop: int, wanted: npt.NDArray[np.float32]) -> FloatArray:
        made = np.empty((stop - start, len(wanted)), np.float32)
        for where, wide in blocks(self._shelf.arrays["outlines"][start:stop]):
            made[where] = similarity(wide.numpy(), wanted)
        return made

    def _require_sound(self, rows: int) -> None:
        """Raise UsageError where a number of the rows that came since is none."""
        new = slice(self._sound, rows)
        arrays = self._shelf.arrays
        whole = np.isfinite(self._vectors.lengths(rows)[new])
        whole &= np.isfinite(self._contexts.lengths(rows)[new])
        whole &= np.isfinite(arrays["boxes"][new]).all(axis=1) & np.isfinite(arrays["quality"][new])
        whole &= ~np.isinf(arrays["outlines"][new]).any(axis=1)
        for row in np.flatnonzero(~whole)[:1].tolist():
            image = int(np.searchsorted(self._shelf.ends, self._sound + row, side="right")) - 1
            self._shelf.regions(image)  # which says what is wrong with them
            raise UsageError(f"{self._shelf.images[image].image.name}: its regions are damaged.")
        self._sound = rows


def owners(ends: IntArray) -> IntArray:
    """(R,): of which image each row is. ends: as of ``Shelf``."""
    return np.repeat(np.arange(len(ends) - 1), np.diff(ends))
