"""The object in an example that is a box alone: a mask from a proposer that takes boxes."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import replace

import numpy as np

from ..masks import rle
from ..proposals.types import BoxPrompted
from ..storage.cache import Store, key_of
from ..storage.values import Fields, JsonObject
from .types import BoolArray, Exemplar

log = logging.getLogger(__name__)
SOURCE = "boxed"
"""The source of a mask that was found in a box."""
LEAST = 0.05
"""What covers less of its box is no object of it."""
Box = tuple[int, int, int, int]


def apply(
    exemplars: list[Exemplar], proposer: BoxPrompted, basis: JsonObject, store: Store
) -> list[Exemplar]:
    """Exemplars in the same order; one whose mask is a box gets that of the object in it, with
    mask_source ``boxed``. Where none is found it stays a box, with a WARNING.

    basis: what masks depend on beside photo and box. store: remembers them, by photo and box.
    """
    made, bare = list(exemplars), []
    photos: dict[str, list[int]] = defaultdict(list)
    for row, item in enumerate(exemplars):
        if item.mask_source == "box":
            photos[item.sha256].append(row)
    for rows in photos.values():
        found = _masks([exemplars[row] for row in rows], proposer, basis, store)
        for row, mask in zip(rows, found, strict=True):
            item = exemplars[row]
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


def _masks(
    items: list[Exemplar], proposer: BoxPrompted, basis: JsonObject, store: Store
) -> list[BoolArray]:
    """The mask in the box of each exemplar of one photo, which is looked at once."""
    size = (items[0].mask.shape[0], items[0].mask.shape[1])
    boxes = [_box(item.mask) for item in items]
    keys = [
        key_of({"photo": item.sha256, "box": list(box), "basis": dict(basis), "form": 1})
        for item, box in zip(items, boxes, strict=True)
    ]
    codes = [store.recall(key, lambda _, facts: _code(facts, size)) for key in keys]
    new = [i for i, code in enumerate(codes) if code is None]
    if new:
        wanted = np.asarray([boxes[i] for i in new], np.float32)
        for i, mask in zip(new, proposer.masks_of_boxes(items[0].pixels, wanted), strict=True):
            codes[i] = rle.encode(mask)
            store.write(keys[i], {}, {"mask": rle.to_json(rle.encode(mask))})
    return [rle.decode([code], size)[0] for code in codes if code is not None]


def _box(mask: BoolArray) -> Box:
    """x0, y0, x1, y1 of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _code(facts: Fields, size: tuple[int, int]) -> rle.Rle:
    """The mask of an entry. Raises one of DAMAGE for that of another photo."""
    return rle.from_json(facts.child("mask"), size)
