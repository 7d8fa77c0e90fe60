"""Which exemplars help and which hurt: outliers, duplicates, conflicts, and what each changes. Pure.

Everything is read off the cosines between the exemplars of a bank, so an audit needs no model.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..embeddings import l2_normalize
from ..storage.values import JsonObject
from .types import Bank

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
SAME = 0.9999
"""Exemplars with this cosine are taken for one picture."""
OUTLIER_DEVIATIONS = 3.0
"""An exemplar this many median deviations below its class is an outlier."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One exemplar. own: cosine to the prototype of its class without it (None: it is alone).

    nearest: the exemplar outside its class with the largest cosine (a negative's: a positive).
    effect: how much the mean lead of the other exemplars of its class over everything else changes if
    it is left out; positive means that they do better without it. flags: outlier, duplicate,
    looks_negative, looks_like_other_class, conflict.
    """

    name: str
    label: str | None
    own: float | None
    nearest: str | None
    nearest_cosine: float | None
    effect: float | None
    flags: tuple[str, ...]
    twin: str | None = None

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        values = asdict(self) | {"flags": list(self.flags)}
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}


def conflicts(bank: Bank) -> IntArray:
    """Negatives that look like a class: more like its prototype than the median exemplar is like that
    of the others, and more like one of its exemplars than like any negative that does not look so.

    Such a negative would push away what it lies among. Both sides of each comparison are of one space,
    so no constant of a space is needed. A class with one distinct exemplar conflicts only with a
    picture of itself.
    """
    bank = bank.without_views()
    rows, against = bank.positives.vectors, bank.negatives.vectors
    if not len(against):
        return np.zeros(0, np.int64)
    own = left_out(bank)
    alike, each = against @ bank.prototypes().T, against @ rows.T
    flagged = np.zeros((len(against), len(bank.classes)), bool)
    for c in range(len(bank.classes)):
        known = own[(bank.labels == c) & ~np.isnan(own)]
        flagged[:, c] = (
            alike[:, c] > np.median(known) if len(known) else each[:, bank.labels == c].max(1) >= SAME
        )
    plain = against[~flagged.any(axis=1)]
    other = (against @ plain.T).max(axis=1, initial=-1.0)
    nearest = np.stack(
        [each[:, bank.labels == c].max(axis=1) for c in range(len(bank.classes))], axis=1
    )
    return np.flatnonzero((flagged & (nearest > other[:, None])).any(axis=1))


def without(bank: Bank, negatives: IntArray) -> Bank:
    """The bank without some of its negatives."""
    left = np.setdiff1d(np.arange(len(bank.negatives)), negatives)
    return replace(bank, negatives=bank.negatives.take(left.tolist()))


def audit(bank: Bank) -> list[Finding]:
    """A finding for each exemplar, positives first, in the order of the bank; changed views of
    exemplars take no part (``views.gains`` says what they give)."""
    bank = bank.without_views()
    return _positives(bank) + _negatives(bank)


def left_out(bank: Bank) -> FloatArray:
    """(P,): cosine of each positive to the prototype of its class made of the others; NaN if alone.

    Others means other pictures: a copy of the exemplar does not vouch for it.
    """
    rows = bank.positives.vectors
    own = np.full(len(rows), np.nan)
    fellows = _fellows(bank)
    for i in np.flatnonzero(fellows.any(1)):
        prototype = l2_normalize(rows[fellows[i]].mean(axis=0)[None])[0]
        own[i] = float(rows[i] @ prototype)
    return own


def _fellows(bank: Bank) -> npt.NDArray[np.bool_]:
    """(P, P): whether j is another picture of i's class."""
    rows = bank.positives.vectors
    same = bank.labels[:, None] == bank.labels[None]
    return np.asarray(same & (rows @ rows.T < SAME) & ~np.eye(len(rows), dtype=bool))


def _positives(bank: Bank) -> list[Finding]:
    rows, names = bank.positives.vectors, bank.positives.names
    own = left_out(bank)
    outside, outside_names = _outside(bank)
    twins = _twins(rows, bank.labels)
    low, effect = _outliers(own, bank.labels), effects(bank)
    found = []
    for i, name in enumerate(names):
        cosines = rows[i] @ outside[i].T
        nearest = int(cosines.argmax()) if len(cosines) else None
        cosine = None if nearest is None else float(cosines[nearest])
        flags = ["outlier"] * bool(low[i]) + ["duplicate"] * (twins[i] is not None)
        if cosine is not None and nearest is not None and cosine > own[i]:
            of_class = nearest < len(outside_names[i]) - len(bank.negatives)
            flags.append("looks_like_other_class" if of_class else "looks_negative")
        found.append(
            Finding(
                name=name,
                label=bank.classes[bank.labels[i]],
                own=None if np.isnan(own[i]) else float(own[i]),
                nearest=None if nearest is None else outside_names[i][nearest],
                nearest_cosine=cosine,
                effect=None if np.isnan(effect[i]) else float(effect[i]),
                flags=tuple(flags),
                twin=None if (twin := twins[i]) is None else names[twin],
            )
        )
    return found


def _negatives(bank: Bank) -> list[Finding]:
    rows, names = bank.negatives.vectors, bank.negatives.names
    against = rows @ bank.positives.vectors.T
    clash = set(conflicts(bank).tolist())
    twins = _twins(rows, np.zeros(len(rows), np.int64))
    found = []
    for i, name in enumerate(names):
        nearest = int(against[i].argmax())
        flags = ["conflict"] * (i in clash) + ["duplicate"] * (twins[i] is not None)
        twin = None if (other := twins[i]) is None else names[other]
        near = bank.positives.names[nearest]
        found.append(
            Finding(name, None, None, near, float(against[i, nearest]), None, tuple(flags), twin)
        )
    return found


def _outside(bank: Bank) -> tuple[list[FloatArray], list[list[str]]]:
    """For each positive: vectors and names of the other classes' positives, then the negatives."""
    by_class = []
    for c in range(len(bank.classes)):
        rows = np.flatnonzero(bank.labels != c)
        vectors = np.concatenate([bank.positives.vectors[rows], bank.negatives.vectors])
        names = [bank.positives.names[r] for r in rows] + list(bank.negatives.names)
        by_class.append((vectors, names))
    return [by_class[c][0] for c in bank.labels], [by_class[c][1] for c in bank.labels]


def _twins(rows: FloatArray, labels: IntArray) -> list[int | None]:
    """For each row the first earlier row that is the same picture."""
    cosines = rows @ rows.T
    found: list[int | None] = []
    for i in range(len(rows)):
        earlier = np.flatnonzero((cosines[i, :i] >= SAME) & (labels[:i] == labels[i]))
        found.append(int(earlier[0]) if len(earlier) else None)
    return found


def _outliers(own: FloatArray, labels: IntArray) -> npt.NDArray[np.bool_]:
    """Rows far below the median of their class, in classes with at least four exemplars."""
    low = np.zeros(len(own), bool)
    for c in np.unique(labels):
        rows = np.flatnonzero((labels == c) & ~np.isnan(own))
        if len(rows) >= 4:
            middle = np.median(own[rows])
            deviation = max(1.4826 * float(np.median(np.abs(own[rows] - middle))), 0.01)
            low[rows] = own[rows] < middle - OUTLIER_DEVIATIONS * deviation
    return low


def effects(bank: Bank) -> FloatArray:
    """(P,): change of the mean lead of the other exemplars of its class when each is left out; NaN for
    fewer than two others. Of the lead only the cosine to the prototype of the rest changes, which is a
    sum of cosines over the length of a sum of vectors: all is read off the cosines."""
    found = np.full(len(bank.labels), np.nan)
    for c in range(len(bank.classes)):
        mine = np.flatnonzero(bank.labels == c)
        if len(mine) < 3:
            continue
        rows = bank.positives.vectors[mine].astype(np.float64)
        found[mine] = _effects(rows @ rows.T)
    return found


def _effects(gram: FloatArray) -> FloatArray:
    """(N,): ``effects`` of N exemplars of a class by their cosines to each other (N, N)."""
    own, sums = np.diag(gram), gram.sum(1)
    squared = gram.sum() - 2 * sums + own  # length of the sum without i
    rest = sums - own
    full = rest / np.sqrt(np.maximum(squared, 1e-24))
    both = squared[:, None] - 2 * sums[None] + own[None] + 2 * gram  # without i and j
    less = (rest[:, None] - gram) / np.sqrt(np.maximum(both, 1e-24))
    change = less - full[:, None]
    np.fill_diagonal(change, 0)
    return np.asarray(change.sum(0) / (len(gram) - 1))
