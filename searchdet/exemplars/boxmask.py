"""The object in an example that is a box alone: a mask from a proposer that takes boxes."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..masks import rle
from ..masks.rle import Rle
from ..proposals.types import BoxPrompted
from ..storage import kinds
from ..storage.cache import Store, key_of
from ..storage.values import Fields, JsonObject
from ..version import __version__
from .types import BoolArray, Exemplar, UInt8Array

log = logging.getLogger(__name__)
SOURCE = "boxed"
"""The source of a mask that was found in a box."""
LEAST = 0.05
"""What covers less of its box is no object of it."""
Box = tuple[float, ...]
"""x0, y0, x1, y1 in pixels of the upright photo."""


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds objects in boxes, each once. basis: what masks depend on beside photo and box; store:
    remembers them."""

    proposer: BoxPrompted
    basis: JsonObject
    store: Store

    @classmethod
    def of(cls, proposer: BoxPrompted, cache: Path | None) -> Finder:
        """With a proposer, whose weights and precision masks depend on. cache: the folder that
        remembers, or None."""
        weights, compute = proposer.weights, proposer.compute
        basis: JsonObject = {
            "by": [proposer.name, weights.content if weights else None],
            "compute": [compute.device.split(":")[0], compute.precision] if compute else [],
            "version": __version__,
        }
        return cls(proposer, basis, Store(cache, kinds.AUTOMASKS))

    def masks(self, pixels: UInt8Array, sha256: str, boxes: Sequence[Box]) -> list[Rle]:
        """The encoded mask in each box of an (H, W, 3) photo of that content, which is looked at once;
        empty where none was found."""
        size = (pixels.shape[0], pixels.shape[1])
        base: JsonObject = {"photo": sha256, "size": list(size), "basis": self.basis, "form": 1}
        keys = [key_of({**base, "box": [float(value) for value in box]}) for box in boxes]
        codes = [self.store.recall(key, lambda _, facts: _code(facts, size)) for key in keys]
        new = [i for i, code in enumerate(codes) if code is None]
        if new:
            wanted = np.asarray([boxes[i] for i in new], np.float32)
            found = self.proposer.masks_of_boxes(pixels, wanted)
            for i, code in zip(new, found, strict=True):
                codes[i] = code
                self.store.write(keys[i], {}, {"mask": rle.to_json(code)})
        return [code for code in codes if code is not None]


def apply(exemplars: list[Exemplar], finder: Finder) -> list[Exemplar]:
    """Exemplars in the same order; one whose mask is a box gets that of the object in it, with
    mask_source ``boxed``. Where none is found it stays a box, with a WARNING."""
    made, bare = list(exemplars), []
    photos: dict[str, list[int]] = defaultdict(list)
    for row, item in enumerate(exemplars):
        if item.mask_source == "box":
            photos[item.sha256].append(row)
    for rows in photos.values():
        boxes = [_box(exemplars[row].mask) for row in rows]
        first = exemplars[rows[0]]
        found = finder.masks(first.pixels, first.sha256, boxes)
        for row, code in zip(rows, found, strict=True):
            item = exemplars[row]
            mask = rle.decode([code], (item.mask.shape[0], item.mask.shape[1]))[0]
            if mask.sum() >= LEAST * item.mask.sum():
                made[row] = replace(item, mask=mask, mask_source=SOURCE)
            else:
                bare.append(item.name)
    if bare:
        log.warning(
            "In %d of %d examples that are boxes no object stands out; they stay boxes (%s). Outline "
            "their objects for a better description.",
            len(bare),
            sum(map(len, photos.values())),
            ", ".join(bare[:3]),
        )
    return made


def _box(mask: BoolArray) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _code(facts: Fields, size: tuple[int, int]) -> Rle:
    """The mask of an entry. Raises one of DAMAGE for that of another photo."""
    return rle.from_json(facts.child("mask"), size)
