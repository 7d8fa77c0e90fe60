"""A second pass: the clearest detections of the first stand beside the exemplars.

After the pseudo-exemplars of CountGD++: few, of different images, and none that shows
what an exemplar shows already. They are never saved.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from ..bank import Bank, Rows, join
from ..bank.types import Origin, rows_of
from ..decision import Judge
from ..storage.values import JsonObject
from .changes import Accepted
from .shelf import Shelf
from .spread import Scale
from .view import View

MOST = 5
"""Pseudo-exemplars of a class at most."""
LEAST = 1.0
"""How far above its threshold a clear detection is, in units of the scatter of its class."""
ALIKE = 0.98
"""From this cosine on a region shows what an exemplar shows already."""
TRIED = 8
"""Detections that are looked at for each that is wanted."""
PREFIX = "pseudo/"


@dataclass(frozen=True, slots=True)
class Pass:
    """Whether the second pass is on, how many pseudo-exemplars it has by class, and how many detections
    came and went by them."""

    on: bool = False
    pseudo: dict[str, str] = field(default_factory=dict)
    gained: int = 0
    lost: int = 0

    @classmethod
    def between(cls, pseudo: dict[str, str], before: Accepted, after: Accepted) -> Pass:
        """The effect of pseudo-exemplars (name to class) on what is found."""
        room = int(np.concatenate([before.row, after.row]).max(initial=0)) + 1
        old, new = (np.unique(side.image * room + side.row) for side in (before, after))
        same = len(np.intersect1d(old, new))
        return cls(True, pseudo, len(new) - same, len(old) - same)

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        counts = {"exemplars": len(self.pseudo), "gained": self.gained, "lost": self.lost}
        return {"on": self.on, **counts}


def with_pseudo(
    bank: Bank, judge: Judge, view: View, shelf: Shelf, told: Collection[tuple[str, int]]
) -> tuple[Bank, dict[str, str]]:
    """The bank with pseudo-exemplars, and the class of each by its name. told: regions that a person
    said something of, which are none."""
    rows: list[Rows] = []
    labels: list[str] = []
    scale = Scale.of(view)
    for c, label in enumerate(judge.bank.classes):
        mine = bank.positives.vectors[bank.labels == bank.classes.index(label)]
        for made in _of_class(c, mine, view, scale, shelf, told):
            rows.append(made)
            labels.append(label)
    if not rows:
        return bank, {}
    numbers = np.asarray([bank.classes.index(label) for label in labels], np.int64)
    longer = replace(
        bank,
        positives=join([bank.positives, *rows]),
        labels=np.concatenate([bank.labels, numbers]),
    )
    names = [made.names[0] for made in rows]
    return longer, dict(zip(names, labels, strict=True))


def _of_class(
    c: int,
    known: npt.NDArray[np.float32],
    view: View,
    scale: Scale,
    shelf: Shelf,
    told: Collection[tuple[str, int]],
) -> list[Rows]:
    found = view.found
    mine = np.flatnonzero(found.label == c)
    far = scale.away(c, found.score[mine])
    first = np.lexsort((found.row[mine], found.image[mine], -far))[: TRIED * MOST]
    made: list[Rows] = []
    images: set[int] = set()
    for at, away in zip(mine[first].tolist(), far[first].tolist(), strict=True):
        image, row = int(found.image[at]), int(found.row[at])
        info = shelf.images[image].image
        if away < LEAST or len(made) == MOST:
            break
        if image in images or (info.name, row) in told:
            continue
        rows = _rows(shelf, image, row)
        if (known @ rows.vectors[0]).max(initial=-1) >= ALIKE:
            continue
        known = np.concatenate([known, rows.vectors])
        images.add(image)
        made.append(rows)
    return made


def _rows(shelf: Shelf, image: int, row: int) -> Rows:
    described = shelf.regions(image, np.asarray([row])).described
    info = shelf.images[image].image
    origin = Origin(f"{PREFIX}{info.name}#{row}", info.sha256, "pseudo")
    return rows_of(described, [origin])
