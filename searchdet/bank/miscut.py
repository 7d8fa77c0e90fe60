"""Regions that are wrong by their outline: parts of an object, or several in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..masks.rle import Rle
from ..masks.shared import share_of_smaller
from .types import JUDGED, MISCUT, Bank

SHARED = 0.5
"""Of the smaller of two masks: a region that shares that much with an object is about it."""


def sources(masks: Sequence[Rle], labels: Sequence[str | None]) -> list[str]:
    """The ``mask_source`` of regions of one picture that a person judged, by what was said of the
    others. labels: the class that each is of, None for those of no class.

    A region of no class that lies on an object, or has one in it, looks like that object: as a negative
    it would set the object back in all images, though only its outline is wrong. Raises ValueError
    where the masks are of pictures of different sizes.
    """
    objects = [mask for mask, label in zip(masks, labels, strict=True) if label is not None]
    return [
        MISCUT if label is None and lies_on(mask, objects) else JUDGED
        for mask, label in zip(masks, labels, strict=True)
    ]


def lies_on(mask: Rle, objects: Sequence[Rle]) -> bool:
    """Whether a mask shares half of itself, or of an object, with that."""
    return any(share_of_smaller(mask, item) >= SHARED for item in objects)


def said_anew(bank: Bank, sources: Mapping[str, str]) -> Bank:
    """The bank with negatives that are ``MISCUT`` by ``sources`` of names, as an object that was said
    to be right later may make one a part of it. What is so stays so: an object may be said to be right
    elsewhere."""
    found = bank.negatives.origins
    cut = {name for name, source in sources.items() if source == MISCUT}
    origins = tuple(replace(o, mask_source=MISCUT) if o.name in cut else o for o in found)
    return replace(bank, negatives=replace(bank.negatives, origins=origins))


def names_of(bank: Bank) -> tuple[str, ...]:
    """The negatives that decide their own region alone."""
    return tuple(o.name for o in bank.negatives.origins if o.mask_source == MISCUT)


def plain(bank: Bank) -> Bank:
    """The bank without those."""
    rows = bank.negatives
    kept = [i for i, origin in enumerate(rows.origins) if origin.mask_source != MISCUT]
    return bank if len(kept) == len(rows) else replace(bank, negatives=rows.take(kept))
