"""Regions that a person judged are what was said of them, in the image in which it was said.

An exemplar speaks for what looks like it; as one of many it would not even decide its own region. So
that region is found again, by its mask, and gets a score that no other has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..bank import Bank
from ..bank.describe import mask_key
from ..bank.said import Sayings
from ..masks import rle
from ..proposals.rendering import rendered
from ..proposals.types import Proposals
from ..regions import Regions
from ..scoring import Told

NEAR, TRIED = 0.9, 64
"""Cosine from which on, and so many regions of which at most, the masks are looked at for each that was
judged. The mask says which it is; the vector may be of half precision, or of the image as a whole where
regions are of its tiles."""
LIES_ON = 0.5
"""Share of a region from which on it lies on another."""
Digest = Callable[[int], str]


def told_of(said: Sayings | None, regions: Regions, bank: Bank) -> Told:
    """Which regions of an image were judged, and as what. said: of its picture."""
    if said is None:
        return Told.nothing()
    vectors = regions.described.embedded.vectors

    def digest(row: int) -> str:
        return digest_of(regions.proposals, row)

    rows = [place(said, i, vectors, digest) for i in range(len(said.masks))]
    found = told_at(said, rows, bank.classes)
    return around(found, regions.proposals) if bank.by_normality else found


def told_at(said: Sayings, rows: Sequence[int], classes: Sequence[str]) -> Told:
    """The same where the row of each is known, -1 for one that is not there."""
    labels = [-1 if label is None else classes.index(label) for label in said.labels]
    at, numbers = np.asarray(rows, np.int64), np.asarray(labels, np.int64)
    return Told(at[at >= 0], numbers[at >= 0])


def around(told: Told, proposals: Proposals) -> Told:
    """With the rows that lie on one that is of none, by half of themselves or more, and of which
    nothing was said. For a search without exemplars: there no negative sets back what looks like it,
    and the next outline of the same place would come in its stead."""
    from pycocotools import mask as coco

    none = [dict(proposals.rles[row]) for row in told.rows[told.labels < 0].tolist()]
    if not none:
        return told
    every = [dict(code) for code in proposals.rles]
    shares = np.asarray(coco.iou(every, none, [1] * len(none)))  # of the first of each two
    near = np.flatnonzero(shares.max(axis=1) >= LIES_ON)
    return replace(told, near=np.setdiff1d(near, told.rows))


def place(said: Sayings, i: int, vectors: npt.NDArray[np.float32], digest: Digest) -> int:
    """The row of a judged region among those of its image (N, D), unit length; -1 where no region has
    that mask. digest: of the mask of a row."""
    alike = vectors @ said.vectors[i]
    first = np.argsort(-alike, kind="stable")[:TRIED].tolist()
    near = (row for row in first if alike[row] >= NEAR)
    return next((row for row in near if digest(row) == said.masks[i]), -1)


def digest_of(proposals: Proposals, row: int) -> str:
    """What tells the mask of a region, as ``Origin.mask``."""
    mask = rle.decode(rendered(proposals, np.asarray([row])).rles, proposals.size)[0]
    return mask_key(np.asarray(mask, np.bool_))
