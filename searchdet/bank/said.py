"""What a person said of single regions, as the exemplars of a bank hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .types import JUDGED, Bank, Rows


@dataclass(frozen=True, slots=True, eq=False)
class Sayings:
    """Regions of one picture, K of them. vectors (K, D): unit length; masks: digests of what each
    covers, as of ``Origin``; labels: the class that each is of, None for those of no class."""

    vectors: npt.NDArray[np.float32]
    masks: tuple[str, ...]
    labels: tuple[str | None, ...]


def sayings(bank: Bank) -> Mapping[str, Sayings]:
    """By the content of the picture, all exemplars that are regions which a person judged or chose."""
    made: dict[str, list[tuple[Rows, int, str | None]]] = {}
    names: list[str | None] = [bank.classes[c] for c in bank.labels]
    none: list[str | None] = [None] * len(bank.negatives)
    for rows, labels in ((bank.positives, names), (bank.negatives, none)):
        for i, origin in enumerate(rows.origins):
            if origin.mask_source == JUDGED and origin.sha256 and origin.mask:
                made.setdefault(origin.sha256, []).append((rows, i, labels[i]))
    return {content: _together(items) for content, items in made.items()}


def _together(items: list[tuple[Rows, int, str | None]]) -> Sayings:
    return Sayings(
        np.stack([rows.vectors[i] for rows, i, _ in items]),
        tuple(rows.origins[i].mask for rows, i, _ in items),
        tuple(label for _, _, label in items),
    )
