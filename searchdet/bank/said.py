"""What a person said of single regions, as the exemplars of a bank hold it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .types import REGIONS, Bank, Rows

log = logging.getLogger(__name__)
Said = tuple[Rows, int, str | None]
"""Exemplars, which of them, and the class that it is of, None for none."""


@dataclass(frozen=True, slots=True, eq=False)
class Sayings:
    """Regions of one picture, K of them. vectors (K, D): unit length; masks: digests of what each
    covers, as of ``Origin``; labels: the class that each is of, None for those of no class."""

    vectors: npt.NDArray[np.float32]
    masks: tuple[str, ...]
    labels: tuple[str | None, ...]


def sayings(bank: Bank) -> Mapping[str, Sayings]:
    """By the content of the picture, all exemplars that are regions which a person judged or chose. Of
    one of which different things were said none holds, with a WARNING."""
    made: dict[str, dict[str, list[Said]]] = {}
    names: list[str | None] = [bank.classes[c] for c in bank.labels]
    none: list[str | None] = [None] * len(bank.negatives)
    for rows, labels in ((bank.positives, names), (bank.negatives, none)):
        for i, origin in enumerate(rows.origins):
            if origin.mask_source in REGIONS and origin.sha256 and origin.mask:
                of = made.setdefault(origin.sha256, {})
                of.setdefault(origin.mask, []).append((rows, i, labels[i]))
    agreed = {content: _agreed(of) for content, of in made.items()}
    return {content: _together(items) for content, items in agreed.items() if items}


def _agreed(of: Mapping[str, list[Said]]) -> list[Said]:
    """One saying for each mask."""
    made = []
    for items in of.values():
        if len({label for _, _, label in items}) == 1:
            made.append(items[0])
            continue
        names = " and ".join(rows.origins[i].name for rows, i, _ in items)
        log.warning(
            "%s: are one region, of which different things were said, so none of them decides it. "
            "Remove one of them (`searchdet bank remove`).",
            names,
        )
    return made


def _together(items: list[Said]) -> Sayings:
    return Sayings(
        np.stack([rows.vectors[i] for rows, i, _ in items]),
        tuple(rows.origins[i].mask for rows, i, _ in items),
        tuple(label for _, _, label in items),
    )
