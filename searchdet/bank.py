"""The bank: exemplar vectors with their provenance, and the prototypes that stand for classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .config import EmbeddingOptions
from .embeddings import MapSource, embed_masks, l2_normalize
from .errors import ExemplarError
from .exemplars import Exemplar

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bank:
    """All exemplars as unit vectors.

    positives (P, D), classes: sorted names, labels (P,) index into classes, negatives (Q, D); the
    names give row i's file. Q may be 0. Every class has at least one row.
    """

    classes: tuple[str, ...]
    positives: FloatArray
    labels: IntArray
    positive_names: tuple[str, ...]
    negatives: FloatArray
    negative_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not (len(self.positives) == len(self.labels) == len(self.positive_names)):
            raise ValueError("positives, labels and names differ in length")
        if len(self.negatives) != len(self.negative_names):
            raise ValueError("negatives and their names differ in length")
        if set(self.labels.tolist()) != set(range(len(self.classes))):
            raise ValueError("a class has no exemplar")

    @property
    def dim(self) -> int:
        return int(self.positives.shape[1])

    def prototypes(self) -> FloatArray:
        """(C, D): per class the unit vector of the mean of its unit vectors."""
        means = [self.positives[self.labels == c].mean(axis=0) for c in range(len(self.classes))]
        return l2_normalize(np.stack(means))


def build_bank(backbone: MapSource, exemplars: list[Exemplar], options: EmbeddingOptions) -> Bank:
    """Embed exemplars with the function that embeds proposals. Raises ExemplarError without positives
    or where an exemplar has no descriptor."""
    positives = [item for item in exemplars if item.label is not None]
    negatives = [item for item in exemplars if item.label is None]
    if not positives:
        raise ExemplarError("no positive exemplar.", "Put at least one image into --positive.")
    classes = tuple(sorted({item.label for item in positives if item.label is not None}))
    vectors = [_embed(backbone, item, options) for item in positives]
    dim = len(vectors[0])
    against = [_embed(backbone, item, options) for item in negatives]
    return Bank(
        classes=classes,
        positives=np.stack(vectors),
        labels=np.asarray([classes.index(str(item.label)) for item in positives], np.int64),
        positive_names=tuple(item.name for item in positives),
        negatives=np.stack(against) if against else np.zeros((0, dim), np.float32),
        negative_names=tuple(item.name for item in negatives),
    )


def _embed(backbone: MapSource, item: Exemplar, options: EmbeddingOptions) -> FloatArray:
    embedded = embed_masks(backbone, item.pixels, item.mask[None], options)
    if not embedded.valid[0]:
        raise ExemplarError(
            f"{item.name}: the backbone gives it no descriptor.", "Replace the file or remove it."
        )
    return np.asarray(embedded.vectors[0], np.float32)
