"""What good parts teach, kept: a loop over images learns it once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..exemplars import Exemplar
from ..normality import Normality, Teacher, learn
from ..proposals.types import ByImage
from ..records import proposal_settings
from ..regions import Space
from ..storage import kinds
from ..storage.cache import Store, key_of
from ..version import __version__


def learned(normals: Sequence[Exemplar], by: Teacher, space: Space, cache: Path | None) -> Normality:
    """``normality.learn`` of good parts; as it was, where the cache holds it of the same pictures in
    the same order, models and options. Raises ExemplarError."""
    store = Store(None if isinstance(by.proposer, ByImage) else cache, kinds.NORMALITY)
    key = _key(normals, by, space)
    known = store.recall(key, lambda arrays, facts: Normality.read(arrays, facts, space.dim))
    if known is None:
        known = learn([item.pixels for item in normals], by)
        store.write(key, known.to_arrays(), {"normality": asdict(known.info)})
    return known


def _key(normals: Sequence[Exemplar], by: Teacher, space: Space) -> str:
    computes = (by.backbone.compute, by.proposer.compute)
    weights = by.proposer.weights
    return key_of(
        {
            "form": [1, __version__],
            "images": [[item.sha256, *item.pixels.shape[:2]] for item in normals],
            "space": space.to_json(),
            "compute": [None if c is None else [c.device.split(":")[0], c.precision] for c in computes],
            "proposer": [by.proposer.name, weights.content if weights else None],
            "proposals": proposal_settings(by.proposals),
            "options": asdict(by.options),
        }
    )
