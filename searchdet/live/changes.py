"""Which detections came and went between two views, and how many there are by image and class. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..storage.values import JsonObject
from .view import IntArray, View

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The accepted detections of a view under the names of their classes: image (A,), row (A,) within
    it, label (A,) among classes."""

    classes: tuple[str, ...]
    image: IntArray
    row: IntArray
    label: IntArray

    @classmethod
    def of(cls, view: View | None, classes: Sequence[str]) -> Accepted:
        """None has no detection."""
        if view is None:
            nothing = np.zeros(0, np.int64)
            return cls(tuple(classes), nothing, nothing, nothing)
        found = view.found
        return cls(tuple(classes), found.image, found.row, found.label)

    def counts(self) -> dict[str, int]:
        """How many each class has."""
        return self._named(self.label)

    def of_image(self, image: int) -> dict[str, int]:
        """How many each class has in an image; classes without any are not named."""
        low, high = np.searchsorted(self.image, [image, image + 1])
        return {name: n for name, n in self._named(self.label[low:high]).items() if n}

    def _named(self, labels: IntArray) -> dict[str, int]:
        each = np.bincount(labels, minlength=len(self.classes))
        return {name: int(n) for name, n in zip(self.classes, each, strict=True)}


@dataclass(frozen=True, slots=True)
class Difference:
    """Detections that came or went: image (N,) and row (N,) of each."""

    image: IntArray
    row: IntArray

    @property
    def images(self) -> list[int]:
        """The images among them, ascending."""
        return [int(i) for i in np.unique(self.image)]

    def beside(self, image: int, row: int) -> int:
        """How many regions beside one of an image."""
        mine = (self.image == image) & (self.row == row)
        return len(np.unique(np.stack([self.image, self.row], axis=1)[~mine], axis=0))


def difference(before: Accepted, after: Accepted) -> Difference:
    """What is in one alone, by region and by the name of its class."""
    names = {name: i for i, name in enumerate(sorted({*before.classes, *after.classes}))}
    rows = np.concatenate([before.row, after.row])
    room = (int(rows.max(initial=0)) + 1, max(len(names), 1))
    one, other = (_keys(side, names, room) for side in (before, after))
    keys = np.setxor1d(one, other)
    places = keys // room[1]
    return Difference(places // room[0], places % room[0])


def _keys(side: Accepted, names: Mapping[str, int], room: tuple[int, int]) -> IntArray:
    own = np.asarray([names[name] for name in side.classes], np.int64)
    return (side.image * room[0] + side.row) * room[1] + own[side.label]


@dataclass(frozen=True, slots=True)
class ImageChange:
    """Detections of an image by class, before and after."""

    image: int
    before: Counts
    after: Counts

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return {"i": self.image, "before": dict(self.before), "after": dict(self.after)}


@dataclass(frozen=True, slots=True)
class Change:
    """What an event did. counts: of each class before and after; others: how many detections beside
    its own region came or went."""

    version: int
    changed: tuple[ImageChange, ...]
    counts: Mapping[str, tuple[int, int]]
    others: int = 0

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return {
            "version": self.version,
            "changed": [item.to_json() for item in self.changed],
            "counts": {name: list(pair) for name, pair in self.counts.items()},
        }


def change(version: int, before: Accepted, after: Accepted, diff: Difference, others: int) -> Change:
    """The change between two sides whose difference is known."""
    one, two = before.counts(), after.counts()
    names = sorted({*one, *two})
    images = [ImageChange(i, before.of_image(i), after.of_image(i)) for i in diff.images]
    counts = {name: (one.get(name, 0), two.get(name, 0)) for name in names}
    return Change(version, tuple(images), counts, others)
