"""The bank: exemplar vectors with their provenance, and the prototypes that stand for classes."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.models import PROMPTINGS
from ..embeddings import Descriptors, l2_normalize
from ..errors import UsageError
from ..masks import shape as outline
from ..normality import Normality
from ..regions import Space
from ..storage.values import Fields, JsonObject

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
JUDGED, POINTED, MISCUT = "record", "pointed", "miscut"
"""Where the mask of an exemplar comes from that is a region: one that a person was shown and judged;
one that a person pointed at, as nothing was found there; one that is wrong, on an object that is right.
"""
REGIONS = (JUDGED, POINTED, MISCUT)
_ORIGIN = ("name", "sha256", "mask_source", "mask")
NORMAL = "normal"
"""Where the one row of a class comes from that has no exemplar: it is what is not normal."""
DEFECT = "defect"
"""That class."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an exemplar comes from: its name, the SHA-256 of its image, how its mask was found, and a
    digest of the mask. copy_of: the name of the exemplar that this is a changed view of, made by
    ``view`` (``exemplars.augment``); both are empty for an exemplar itself."""

    name: str
    sha256: str = ""
    mask_source: str = "whole"
    mask: str = ""
    copy_of: str = ""
    view: str = ""

    def to_json(self) -> JsonObject:
        """Plain JSON values; what is empty of a copy is left out."""
        values = asdict(self)
        return values if self.copy_of else {k: values[k] for k in _ORIGIN}

    @classmethod
    def from_json(cls, values: Fields) -> Origin:
        """Raises ValueError for another form."""
        copied = [values.text(name) if name in values else "" for name in ("copy_of", "view")]
        return cls(*(values.text(name) for name in _ORIGIN), *copied)


@dataclass(frozen=True, slots=True)
class Rows:
    """Exemplars of one side, N: vectors (N, D) float32, unit length; contexts (N, D) of what surrounds
    each in its photo, zero rows where nothing does; outlines (N, S), NaN rows where the shape is not
    known; the origin of each row; crops (N, C), unit vectors of a second look at each, or None; and
    areas (N,), pixels of each, NaN where that is not known, or None for none."""

    vectors: FloatArray
    contexts: FloatArray
    outlines: FloatArray
    origins: tuple[Origin, ...]
    crops: FloatArray | None = None
    areas: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        count = len(self.origins)
        if self.vectors.ndim != 2 or self.contexts.shape != self.vectors.shape:
            raise ValueError(f"vectors {self.vectors.shape}, contexts {self.contexts.shape} differ")
        if len(self.vectors) != count or self.outlines.shape != (count, outline.DIM):
            raise ValueError(f"{count} origins, outlines {self.outlines.shape} differ")
        if self.crops is not None and (self.crops.ndim != 2 or len(self.crops) != count):
            raise ValueError(f"{count} origins, crops {self.crops.shape} differ")
        if self.areas is not None and self.areas.shape != (count,):
            raise ValueError(f"{count} origins, areas {self.areas.shape} differ")

    def __len__(self) -> int:
        return len(self.origins)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.origins)

    def take(self, rows: Sequence[int] | IntArray) -> Rows:
        """The chosen rows, in that order."""
        at = np.asarray(rows, np.int64)
        origins = tuple(self.origins[i] for i in at)
        crops = None if self.crops is None else self.crops[at]
        areas = None if self.areas is None else self.areas[at]
        return Rows(self.vectors[at], self.contexts[at], self.outlines[at], origins, crops, areas)

    @property
    def sizes(self) -> npt.NDArray[np.float64]:
        """(N,): pixels of each, NaN where that is not known."""
        return np.full(len(self), np.nan) if self.areas is None else self.areas

    @property
    def own(self) -> npt.NDArray[np.bool_]:
        """(N,): whether each is an exemplar itself, and no changed view of one."""
        return np.asarray([not item.copy_of for item in self.origins], bool)

    @property
    def whose(self) -> IntArray:
        """(N,): a number for each exemplar that the rows are, or are changed views of."""
        names = [item.copy_of or item.name for item in self.origins]
        known = {name: i for i, name in enumerate(dict.fromkeys(names))}
        return np.asarray([known[name] for name in names], np.int64)


def rows_of(described: Descriptors, origins: Sequence[Origin], crops: FloatArray | None = None) -> Rows:
    """Regions as exemplars: the inverse of ``likeness.as_regions``. crops: of a second look at them."""
    return Rows(
        np.asarray(described.embedded.vectors, np.float32),
        np.asarray(described.contexts, np.float32),
        np.asarray(described.outlines, np.float32),
        tuple(origins),
        crops,
        described.areas,
    )


def plain_rows(vectors: FloatArray, origins: Sequence[Origin]) -> Rows:
    """Rows of which only the vectors are known."""
    unknown = np.full((len(origins), outline.DIM), np.nan, np.float32)
    return Rows(vectors, np.zeros_like(vectors), unknown, tuple(origins))


def join(parts: Sequence[Rows]) -> Rows:
    """The rows of all parts, one after another. Raises ValueError where only some have crops."""
    crops = [part.crops for part in parts if part.crops is not None]
    if crops and len(crops) != len(parts):
        raise ValueError("only some of the rows have crops")
    return Rows(
        np.concatenate([part.vectors for part in parts]),
        np.concatenate([part.contexts for part in parts]),
        np.concatenate([part.outlines for part in parts]),
        tuple(item for part in parts for item in part.origins),
        np.concatenate(crops) if crops else None,
        None if all(part.areas is None for part in parts) else np.concatenate([p.sizes for p in parts]),
    )


@dataclass(frozen=True, slots=True)
class JudgedBy:
    """How images were searched where a person made a bank looking on: what ``--prompting auto`` and a
    ``--second-look`` that is not given are with it."""

    prompting: str
    second_look: int

    @classmethod
    def from_json(cls, values: Fields) -> JudgedBy:
        """Raises ValueError for another form."""
        prompting = values.text("prompting")
        if prompting not in PROMPTINGS or prompting == "auto":
            raise ValueError(f"{values.name}.prompting is {prompting!r:.60}")
        return cls(prompting, values.whole("second_look"))


@dataclass(frozen=True)
class Bank:
    """All exemplars.

    classes: sorted names; positives with labels (P,), index into classes; negatives. Every class has at
    least one row. space: where the vectors come from. judged: None where nothing is said of it.
    normality: what is normal beside these classes, None where nothing says it.
    """

    classes: tuple[str, ...]
    positives: Rows
    labels: IntArray
    negatives: Rows
    space: Space | None = None
    judged: JudgedBy | None = None
    normality: Normality | None = None

    def __post_init__(self) -> None:
        if len(self.positives) != len(self.labels):
            raise ValueError("positives and labels differ in length")
        if set(self.labels.tolist()) != set(range(len(self.classes))):
            raise ValueError("a class has no exemplar")
        if self.positives.vectors.shape[1] != self.negatives.vectors.shape[1]:
            raise ValueError("positives and negatives differ in dimension")
        if (self.positives.crops is None) != (self.negatives.crops is None):
            raise ValueError("only one side has crops")

    @property
    def dim(self) -> int:
        return int(self.positives.vectors.shape[1])

    @property
    def by_normality(self) -> bool:
        """Whether its class has no exemplar, and is what is not normal."""
        return {item.mask_source for item in self.positives.origins} == {NORMAL}

    @property
    def looks_closer(self) -> bool:
        """Whether its exemplars are there as crops too."""
        return self.positives.crops is not None

    def without_crops(self) -> Bank:
        """The same without the second look at its exemplars."""
        sides = (replace(rows, crops=None) for rows in (self.positives, self.negatives))
        positives, negatives = sides
        return replace(self, positives=positives, negatives=negatives)

    @property
    def share(self) -> float:
        """What the last part of a vector, which a second look replaces, weighs in a cosine."""
        return self.space.share if self.space else 1.0

    def prototypes(self) -> FloatArray:
        """(C, D), not to be written to: per class the unit vector of the mean of its unit vectors."""
        return self._prototypes

    @functools.cached_property
    def _prototypes(self) -> FloatArray:
        rows = self.positives.vectors
        means = [rows[self.labels == c].mean(axis=0) for c in range(len(self.classes))]
        made = l2_normalize(np.stack(means))
        made.setflags(write=False)
        return made

    def by_class(self) -> dict[str, FloatArray]:
        """The vectors of each class's exemplars, by its name."""
        rows = self.positives.vectors
        return {name: rows[self.labels == c] for c, name in enumerate(self.classes)}

    @property
    def knows_shapes(self) -> bool:
        """Whether every class has an exemplar whose outline is known: else shapes are not compared."""
        known = ~np.isnan(self.positives.outlines[:, 0])
        return set(self.labels[known].tolist()) == set(range(len(self.classes)))

    def sizes(self) -> npt.NDArray[np.float64]:
        """(P,): pixels of each positive; NaN where that is not known, and for changed views."""
        return np.where(self.positives.own, self.positives.sizes, np.nan)

    @property
    def knows_sizes(self) -> bool:
        """Whether every class has an exemplar whose size is known."""
        return set(self.labels[~np.isnan(self.sizes())].tolist()) == set(range(len(self.classes)))

    def distinct(self) -> Bank:
        """Without repeated vectors of one class or side (the first stays), so that a file that is there
        twice weighs as one."""
        first = _first(np.column_stack([self.labels, self.positives.vectors]))
        return replace(
            self,
            positives=self.positives.take(first),
            labels=self.labels[first],
            negatives=self.negatives.take(_first(self.negatives.vectors)),
        )

    def counts(self) -> dict[str, int]:
        """How many positives each class has, changed views not counted."""
        own = self.labels[self.positives.own]
        return {name: int((own == c).sum()) for c, name in enumerate(self.classes)}

    def without_views(self, kept: Collection[str] = ()) -> Bank:
        """The same without changed views of exemplars, but for the ``kept`` ones."""
        origins = self.positives.origins
        rows = [i for i, item in enumerate(origins) if not item.copy_of or item.view in kept]
        return replace(self, positives=self.positives.take(rows), labels=self.labels[rows])

    def describe(self) -> JsonObject:
        """Counts, as JSON values."""
        return {"classes": self.counts(), "negative": len(self.negatives)}


def of_normality(normality: Normality, space: Space, negatives: Rows | None = None) -> Bank:
    """A bank without exemplars: of one class, what is not normal. Its one row is no vector. negatives:
    regions that a person said are of no class, which decide these alone."""
    rows = plain_rows(np.zeros((1, space.dim), np.float32), (Origin(NORMAL, mask_source=NORMAL),))
    nothing = plain_rows(np.zeros((0, space.dim), np.float32), ())
    none = nothing if negatives is None else negatives
    return Bank((DEFECT,), rows, np.zeros(1, np.int64), none, space, None, normality)


def indexed(labels: Sequence[str]) -> tuple[tuple[str, ...], IntArray]:
    """Class names, sorted, and the index (N,) of each label among them."""
    classes = tuple(sorted(set(labels)))
    return classes, np.asarray([classes.index(label) for label in labels], np.int64)


def extended(bank: Bank, rows: Rows, labels: Sequence[str | None]) -> Bank:
    """The bank with more rows; label None makes a negative. Raises UsageError for a known name."""
    known = {*bank.positives.names, *bank.negatives.names}
    twice = [name for name in rows.names if name in known]
    if twice:
        raise UsageError(f"the bank has an exemplar {twice[0]!r} already.", "Rename the file.")
    mine = [i for i, label in enumerate(labels) if label is not None]
    theirs = [i for i, label in enumerate(labels) if label is None]
    names = [bank.classes[c] for c in bank.labels] + [str(labels[i]) for i in mine]
    classes, numbers = indexed(names)
    return replace(
        bank,
        classes=classes,
        positives=join([bank.positives, rows.take(mine)]),
        labels=numbers,
        negatives=join([bank.negatives, rows.take(theirs)]),
    )


def _first(rows: npt.NDArray[Any]) -> list[int]:
    """The first of each distinct row, ascending."""
    if not len(rows):
        return []
    _, index = np.unique(rows, axis=0, return_index=True)
    return sorted(int(i) for i in index)
