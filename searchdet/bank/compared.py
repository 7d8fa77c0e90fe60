"""Exemplars of a bank compared with each other as if they were regions, before any score. Pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..config import ScoringOptions
from .likeness import Likeness, as_regions, centred, likeness, nearest_others
from .types import Bank, Rows, join

IntArray = npt.NDArray[np.int64]
BLOCK = 256
"""Rows that are compared at once, so that memory does not grow with the square of the exemplars."""


def impostors(bank: Bank, label: int, options: ScoringOptions) -> list[Likeness]:
    """What is not a class, compared with it: other classes and surroundings, then negatives."""
    negatives, count = opposing(bank, label, options), len(bank.negatives)
    against = alone(bank, label, of_class(bank, label), negatives)
    plain = alone(bank, label, of_class(bank, label), bank.negatives.take([]))
    crossed = np.arange(count, len(negatives))
    if len(crossed):
        others = _beside(negatives, crossed, plain, options)
    else:
        others = compared(bank.positives.take(of_others(bank, label)), against, options)
    around = compared(_surroundings(bank.positives.take(surrounded(bank))), against, options)
    return [*others, *around, *_beside(negatives, np.arange(count), plain, options)]


def of_others(bank: Bank, label: int) -> IntArray:
    """Rows of the exemplars of other classes, without changed views of them."""
    return np.flatnonzero((bank.labels != label) & bank.positives.own)


def surrounded(bank: Bank) -> IntArray:
    """Rows of the exemplars that something surrounds, without changed views of them."""
    some = np.abs(bank.positives.contexts).max(axis=1, initial=0) > 0
    return np.flatnonzero(some & bank.positives.own)


def opposing(bank: Bank, label: int, options: ScoringOptions) -> Rows:
    """The negatives of a class: those of the bank and, with ``cross_negatives``, behind these the
    exemplars of the other classes."""
    if not options.cross_negatives or len(bank.classes) < 2:
        return bank.negatives
    return join([bank.negatives, bank.positives.take(of_others(bank, label))])


def _surroundings(rows: Rows) -> Rows:
    """What surrounds the exemplars in the place of these; there is no second look at it."""
    unknown = np.full_like(rows.outlines, np.nan)
    return Rows(rows.contexts, np.zeros_like(rows.contexts), unknown, rows.origins)


def of_class(bank: Bank, label: int) -> Rows:
    """The exemplars of a class."""
    return bank.positives.take(np.flatnonzero(bank.labels == label))


def alone(bank: Bank, label: int, positives: Rows, negatives: Rows) -> Bank:
    """A bank of one class."""
    labels = np.zeros(len(positives), np.int64)
    return Bank((bank.classes[label],), positives, labels, negatives, bank.space)


def compared(rows: Rows, bank: Bank, options: ScoringOptions) -> list[Likeness]:
    """Rows compared as if they were regions, block by block."""
    regions, space = centred(as_regions(rows), bank, options)
    return [likeness(regions.take(part), space, options) for part in _parts(len(rows))]


def _beside(rows: Rows, chosen: IntArray, bank: Bank, options: ScoringOptions) -> list[Likeness]:
    """The chosen ones of some negatives compared with a bank without any, each beside the others of
    them all: which counts is read off one product, where comparing each with the rest would describe N
    banks of N rows. Rows and bank together are what the centre is the mean of, whichever row is left
    out."""
    regions, space = centred(as_regions(rows), bank, options)
    moved = replace(rows, vectors=regions.embedded.vectors)
    found = []
    for part in _parts(len(chosen)):
        some = regions.take(chosen[part])
        others = nearest_others(some, chosen[part], moved, bank.share, options)
        found.append(likeness(some, space, options, others))
    return found


def _parts(count: int) -> list[IntArray]:
    """Row numbers in blocks; one empty block for none."""
    return [np.arange(i, min(i + BLOCK, count)) for i in range(0, max(count, 1), BLOCK)]
