"""The regions behind a record, from the cache alone: no model is loaded for what is known already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .. import proposals
from ..embeddings import l2_normalize
from ..records import ImageRecord, RunInfo
from ..storage import kinds
from ..storage.cache import Store, key_of
from .cache import Made, Packed, crops_key, sound_crops, unpack
from .describe import Regions
from .space import Space

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
DEVICES = ("cpu", "cuda")
"""A record does not say on which one it was made; vectors of both live in one space."""


@dataclass(frozen=True, slots=True)
class Known:
    """Regions of an image, whose rows are the ids of its candidates; seen (M,), ascending: rows that
    were looked at again, and crops (M, C): what was seen then, unit vectors."""

    regions: Regions
    seen: IntArray
    crops: FloatArray

    def crops_of(self, rows: IntArray) -> FloatArray | None:
        """Vectors of a second look at the rows; None where one of them was not looked at."""
        if not np.isin(rows, self.seen).all():
            return None
        return self.crops[np.searchsorted(self.seen, rows)]


def space_of_record(run: RunInfo, like: Space) -> Space:
    """The space of a record's regions, as far as the record tells it; the rest is that of ``like``."""
    backbone = run.models.backbone
    weights = backbone.weights.sha256 if backbone.weights else None
    return Space(
        backbone.name,
        weights,
        backbone.preprocessing,
        run.models.embedding,
        like.dim,
        like.parts,
        like.crop_side,
        like.share,
    )


def known_regions(cache: Path, record: ImageRecord, run: RunInfo, space: Space) -> Known | None:
    """The regions of a record's image in a cache folder, in that space; None where it holds none, as
    where what they depend on beyond models and image was not noted (``note_guide``)."""
    store, closeups = Store(cache, kinds.REGIONS), Store(cache, kinds.CLOSEUPS)
    dim = (space.parts or (space.dim,))[-1]
    guide = ""
    if run.models.proposer.options.prompting == "guided" or run.normality is not None:
        noted = _guides(cache).recall(_guide_key(record.settings_sha256), lambda _, f: f.text("guide"))
        if noted is None:
            return None
        guide = noted
    for device in DEVICES:
        image = (record.content, record.height, record.width)
        name = record.image if run.models.proposer.name == proposals.GIVEN else ""
        key = _made(run, space, device, guide).key(image, name)
        found = store.recall(key, lambda arrays, facts: unpack(Packed(arrays, facts)))
        if found is None:
            continue
        seen = closeups.recall(crops_key(key), lambda arrays, _: sound_crops(arrays, dim))
        rows, crops = seen or (np.zeros(0, np.int64), np.zeros((0, dim), np.float16))
        return Known(found, rows, l2_normalize(crops))
    return None


def note_guide(cache: Path | None, settings_sha256: str, guide: str) -> None:
    """Remember what guided prompting depends on in a run, whose records tell its settings alone."""
    store, key = _guides(cache), _guide_key(settings_sha256)
    if store.recall(key, lambda _, facts: facts.text("guide")) != guide:
        store.write(key, {}, {"guide": guide})


def _guides(cache: Path | None) -> Store:
    return Store(cache, kinds.GUIDES)


def _guide_key(settings_sha256: str) -> str:
    return key_of({"form": 1, "settings": settings_sha256})


def _made(run: RunInfo, space: Space, device: str, guide: str) -> Made:
    backbone, proposer = run.models.backbone, run.models.proposer
    precisions = (backbone.precision, proposer.precision)
    return Made(
        space,
        [None if one is None else [device, one] for one in precisions],
        (proposer.name, proposer.weights.content if proposer.weights else None),
        proposer.options,
        guide,
    )
