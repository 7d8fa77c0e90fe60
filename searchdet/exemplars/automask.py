"""The object in an unannotated example photo: the region that the photos of a class have in common."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..masks import rle
from ..masks.rle import Rle
from ..proposals.rendering import rendered
from ..regions import Regions
from ..storage.cache import Store, key_of
from ..storage.values import Fields, JsonObject
from . import Exemplar

log = logging.getLogger(__name__)
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
SMALLEST, LARGEST = 0.02, 0.95
"""Regions below and above these shares of a photo are not its object."""
LEAST_QUALITY = 0.2
"""A region that stands out less from its surroundings is no object: noise on a plain photo."""
MOST = 800
"""Regions of a photo that are looked at, best first."""
FRAME = 0.5
"""A region that holds more than this share of the photo's outermost pixels is its background."""
QUALITY, OFF_CENTRE, MIDDLE, EXTENT, ON_FRAME = 0.6, 1.5, 0.5, 1.0, 2.0
"""Weights of a region's place, chosen by the IoU with drawn masks; benchmarks/README.md."""
_RULE = [MOST, SMALLEST, LARGEST, LEAST_QUALITY, FRAME]
_RULE += [QUALITY, OFF_CENTRE, MIDDLE, EXTENT, ON_FRAME]


@dataclass(frozen=True, slots=True)
class Photo:
    """The regions of one example photo that could be its object: rows of its proposals, vectors (N, D),
    and place (N,): how much each lies and looks like the subject of a photo."""

    rows: IntArray
    vectors: FloatArray
    place: FloatArray


def choose(photos: Sequence[Photo], known: FloatArray | None = None) -> list[int | None]:
    """For each photo of a class the row of its object, None where there is none to choose.

    A region counts by its mean cosine to the nearest region of each other photo, plus its place as the
    tie-break; a class with one photo goes by place alone. known: objects (K, D) of further photos, each
    of which counts as a photo with that region alone.
    """
    chosen: list[int | None] = []
    for i, photo in enumerate(photos):
        others = [other for j, other in enumerate(photos) if j != i and len(other.rows)]
        if not len(photo.rows):
            chosen.append(None)
            continue
        nearest = [(photo.vectors @ other.vectors.T).max(axis=1) for other in others]
        if known is not None:
            nearest += list((photo.vectors @ known.T).T)
        common = np.mean(nearest, axis=0) if nearest else np.zeros(len(photo.rows), np.float32)
        value = common + photo.place
        chosen.append(int(photo.rows[int(value.argmax())]))
    return chosen


def candidates(regions: Regions) -> Photo:
    """The regions of a photo that could be its object."""
    best = np.arange(min(len(regions.proposals), MOST))
    found, embedded = regions.proposals.take(best), regions.described.embedded.take(best)
    shares, frames, middles = (np.zeros(len(found)) for _ in range(3))
    for row, code in enumerate(found.rles):
        mask = rle.decode([code], found.mask_size)[0]
        shares[row] = mask.mean()
        frames[row] = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean()
        middles[row] = _middle(mask)
    usable = embedded.valid & (found.quality >= LEAST_QUALITY)
    usable = usable & (shares >= SMALLEST) & (shares <= LARGEST) & (frames <= FRAME)
    height, width = found.size
    boxes = found.boxes / np.asarray([width, height, width, height], np.float32)
    off = np.hypot(*(boxes[:, :2] + boxes[:, 2:] - 1).T)
    extent = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=1)
    place = QUALITY * found.quality - OFF_CENTRE * off + MIDDLE * middles
    place = place + EXTENT * extent - ON_FRAME * frames
    rows = np.flatnonzero(usable)
    return Photo(rows, embedded.vectors[rows], np.asarray(place, np.float32)[rows])


def _middle(mask: BoolArray) -> float:
    """Share of the middle (the central half in both directions) that a mask holds."""
    height, width = mask.shape
    return float(mask[height // 4 : height - height // 4, width // 4 : width - width // 4].mean())


def apply(
    exemplars: list[Exemplar],
    regions_of: Callable[[Exemplar], Regions],
    basis: JsonObject,
    store: Store,
    known: Mapping[str, FloatArray] | None = None,
) -> list[Exemplar]:
    """Exemplars in the same order; a positive one whose mask is its whole photo gets the mask of the
    object in it, with mask_source ``auto``. Where none is found it stays whole, with a WARNING.

    regions_of: proposals and descriptors of an exemplar's photo. basis: what they depend on beside the
    photo. store: remembers the choice for the photos of a class. known: vectors (K, D) of the objects
    that are known of a class already.
    """
    made = list(exemplars)
    for label in sorted({item.label for item in exemplars if item.label is not None}):
        rows = [i for i, e in enumerate(exemplars) if e.label == label and e.mask_source == "whole"]
        objects = (known or {}).get(label)
        by = dict(basis) if objects is None else {**basis, "known": _digest(objects)}
        masks = _masks([exemplars[i] for i in rows], regions_of, by, store, objects)
        for i, mask in zip(rows, masks, strict=True):
            if mask is not None:
                made[i] = replace(exemplars[i], mask=mask, mask_source="auto")
        bare = [exemplars[i].name for i, mask in zip(rows, masks, strict=True) if mask is None]
        if bare:
            log.warning(
                "%s: in %d of %d photos without a mask no region stands out as the object; they are "
                "examples as a whole (%s).",
                label,
                len(bare),
                len(rows),
                ", ".join(bare),
            )
    return made


def _masks(
    items: list[Exemplar],
    regions_of: Callable[[Exemplar], Regions],
    basis: JsonObject,
    store: Store,
    known: FloatArray | None,
) -> list[BoolArray | None]:
    key = key_of({"photos": [e.sha256 for e in items], "basis": dict(basis), "rule": _RULE})
    sizes = [(item.pixels.shape[0], item.pixels.shape[1]) for item in items]
    codes = store.recall(key, lambda _, facts: _codes(facts, sizes))
    if codes is None:
        regions = [regions_of(item) for item in items]
        chosen = choose([candidates(found) for found in regions], known)
        codes = [
            None if row is None else rendered(found.proposals, np.asarray([row])).rles[0]
            for found, row in zip(regions, chosen, strict=True)
        ]
        store.write(key, {}, {"masks": [None if code is None else rle.to_json(code) for code in codes]})
    return [
        None if code is None else rle.decode([code], size)[0]
        for code, size in zip(codes, sizes, strict=True)
    ]


def _digest(vectors: FloatArray) -> str:
    return hashlib.sha256(np.ascontiguousarray(vectors, np.float32).tobytes()).hexdigest()


def _codes(facts: Fields, sizes: list[tuple[int, int]]) -> list[Rle | None]:
    """The masks of an entry. Raises one of DAMAGE for those of other photos."""
    codes: list[Rle | None] = []
    for item, size in zip(facts.items("masks"), sizes, strict=True):
        codes.append(None if item is None else rle.from_json(Fields.of(item), size))
    return codes
