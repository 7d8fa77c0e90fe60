"""All rows of a shelf and a bank: what they have in common, put together from columns of exemplars.

The formulas are those of ``bank.likeness``. A class's prototype is the mean of its exemplars, made unit
again, so the cosine to it is the sum of the cosines to these by the length of the sum: a new exemplar
costs a product with its own vector, and one that goes costs none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bank import Bank
from ..bank.likeness import Likeness, Nearest, compares_sizes, known_outlines, nans
from ..bank.sizes import like_in_size
from ..config import ScoringOptions
from ..errors import UsageError
from ..index.blocks import blocks
from ..index.rows import UNUSUAL
from ..masks.shape import similarity
from .columns import Columns, Grown, Sums, key_of, largest
from .shelf import Shelf

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
Kept = dict[bytes, FloatArray]
"""Of classes, by a digest of exemplars and rows."""
UNUSED_BYTES = 1 << 24
"""Of columns of each kind that are kept though they were not asked for last."""
STEPS = 4
"""Changes whose sums are kept beside those of the classes as they are."""
SUMMED = 48
"""Exemplars of a class from which on its prototype is compared itself: so many columns at once take
more memory than they save time."""
FEW = 6
"""Columns up to which one product with a vector each takes less time than one with a matrix."""
SHORT = 0.3
"""Length of a mean of unit vectors below which the same is done: little is left of exemplars that point
all ways, and that the sum of rounded cosines would not tell to six digits."""


@dataclass(frozen=True, slots=True)
class Common:
    """What R rows have in common with a bank of C classes, in columns (R,), not to be written to: of
    each class its cosines, its shapes, its contexts and its sizes; the last three are empty where they
    are not compared. against: cosine to the nearest negative, NaN without one. around: whether
    something surrounds it. unusual: how unusual each is, None where that is not known; alone: as of
    ``Likeness``."""

    valid: npt.NDArray[np.bool_]
    pos: list[FloatArray]
    against: FloatArray
    shape: list[FloatArray]
    context: list[FloatArray]
    size: list[FloatArray]
    around: npt.NDArray[np.bool_]
    unusual: FloatArray | None = None
    alone: bool = False

    def part(self, rows: slice) -> Likeness:
        """The likeness of some rows; no single exemplar is named."""
        against = self.against[rows, None]
        near = Nearest(against, np.zeros(against.shape, np.int64))
        unknown = np.full((len(against), len(self.pos)), np.nan, np.float32)
        context = unknown if not self.context else _side_by_side(self.context, rows)
        return Likeness(
            self.valid[rows],
            unknown[:, :0],
            _side_by_side(self.pos, rows),
            near,
            unknown if not self.shape else _side_by_side(self.shape, rows),
            np.where(self.around[rows, None], context, np.nan),
            unknown if not self.size else _side_by_side(self.size, rows),
            None if self.unusual is None else self.unusual[rows],
            self.alone,
        )


def _side_by_side(columns: list[FloatArray], rows: slice) -> FloatArray:
    return np.stack([column[rows] for column in columns], axis=1)


class Side:
    """The vectors of all rows, or their contexts: their lengths, and their cosines to exemplars."""

    def __init__(self, shelf: Shelf, name: str, stays: bool = True) -> None:
        """stays: mapped rows stay in memory, as they are looked at for each exemplar."""
        self._shelf, self._name, self._stays = shelf, name, stays
        self._lengths = Grown(np.float64)
        self._columns = Columns(self._measure, UNUSED_BYTES)
        self._sums = Sums(self._measure)

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
        return self._sums.of(members, length, rows)

    def forget(self, classes: int) -> None:
        """Forget sums, but those of so many classes and of what a few steps take back."""
        self._sums.keep(classes + STEPS)

    def _measure(self, start: int, stop: int, wanted: npt.NDArray[np.float32]) -> FloatArray:
        import torch

        made = torch.empty(len(wanted), stop - start)
        rows = torch.from_numpy(np.ascontiguousarray(wanted))
        with torch.inference_mode():
            for where, wide in blocks(self._shelf.arrays[self._name][start:stop], self._stays):
                if len(rows) > FEW:
                    torch.mm(rows, wide.T, out=made[:, where])
                    continue
                for column, row in enumerate(rows):
                    torch.mv(wide, row, out=made[column, where])
        columns, length = made.numpy(), self.lengths(stop)[start:stop]
        np.divide(columns, length, out=columns, where=length > 0, casting="same_kind")
        return np.asarray(columns.T)


class Alike:
    """What all rows of a shelf have in common with one bank after another."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._vectors, self._contexts = Side(shelf, "vectors"), Side(shelf, "contexts", stays=False)
        self._outlines = Columns(self._measure, UNUSED_BYTES)
        self._outlined: Kept = {}
        self._areas = Grown(np.float64)
        self._sized: Kept = {}
        self._sound = 0

    def with_bank(self, bank: Bank, options: ScoringOptions) -> Common:
        """What all rows have in common with a bank whose classes are prototypes. Raises UsageError for
        rows that are damaged."""
        rows = self._shelf.rows
        self._require_sound(rows)
        before, self._outlined = self._outlined, {}
        wanted = bank.negatives.vectors[: 0 if bank.by_normality else None]
        against, unusual = self._vectors.cosines(wanted, rows), self._shelf.arrays.get(UNUSUAL)
        made = Common(
            np.array(self._shelf.arrays["valid"][:rows]),
            self._by_class(self._vectors, bank),
            largest(against) if against else nans(rows),
            [self._of_outlines(known, rows, before) for known in known_outlines(bank, options)],
            self._by_class(self._contexts, bank) if options.context_weight else [],
            self._sizes(bank, rows) if compares_sizes(bank, options) else [],
            self._contexts.lengths(rows) > 0,
            None if unusual is None else np.asarray(unusual[:rows]),
            bank.by_normality,
        )
        for side in (self._vectors, self._contexts):
            side.forget(len(bank.classes))
        return made

    def _by_class(self, side: Side, bank: Bank) -> list[FloatArray]:
        """Columns (R,) of cosines to each prototype."""
        each = zip(bank.by_class().values(), bank.prototypes(), strict=True)
        return [side.means(members, prototype, self._shelf.rows) for members, prototype in each]

    def _of_outlines(self, known: FloatArray, rows: int, before: Kept) -> FloatArray:
        """(R,): likeness to the nearest of some outlines; as it was ``before`` where these are the
        same."""
        key = key_of(known, np.asarray(rows))
        found = before.get(key)
        self._outlined[key] = largest(self._outlines.of(known, rows)) if found is None else found
        return self._outlined[key]

    def _sizes(self, bank: Bank, rows: int) -> list[FloatArray]:
        """Columns (R,) of likeness in size to each class; as they were before where its exemplars are
        of the same sizes."""
        first = int(np.searchsorted(self._shelf.ends[:-1], len(self._areas)))
        for image in range(first, len(self._shelf.images)):
            self._areas.extend(self._shelf.areas(image))
        before, self._sized, sizes, made = self._sized, {}, bank.sizes(), []
        for c in range(len(bank.classes)):
            known = sizes[bank.labels == c]
            key = key_of(known, np.asarray(rows))
            found = before.get(key)
            fresh = like_in_size(self._areas.values, known) if found is None else found
            made.append(self._sized.setdefault(key, fresh))
        return made

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
        if UNUSUAL in arrays:
            whole &= np.isfinite(arrays[UNUSUAL][new])
        for row in np.flatnonzero(~whole)[:1].tolist():
            image = int(np.searchsorted(self._shelf.ends, self._sound + row, side="right")) - 1
            self._shelf.regions(image)  # which says what is wrong with them
            raise UsageError(f"{self._shelf.images[image].image.name}: its regions are damaged.")
        self._sound = rows


def owners(ends: IntArray) -> IntArray:
    """(R,): of which image each row is. ends: as of ``Shelf``."""
    return np.repeat(np.arange(len(ends) - 1), np.diff(ends))
