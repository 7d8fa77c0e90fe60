"""Which regions a person is asked about next: those whose answer can change most."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from ..bank import Bank
from ..decision import Judge
from ..embeddings import l2_normalize
from ..storage.values import JsonObject
from .shelf import Shelf
from .spread import Scale, rows_by_class
from .view import FloatArray, IntArray, View

SIDE = 10
"""Regions of a class on each side of the line."""
NEAR, BETWEEN, UNLIKE = "near", "between", "unlike"
SAME = 0.5
"""Two regions whose boxes overlap more (IoU) are one object, which is asked for once."""
PART = 0.8
"""A region whose box lies within that of a detection by such a share of itself is a part of it, of
which nothing is learnt that the detection does not tell."""
TRIED = 12
"""How many times as many regions below the line are looked at, as most of them lie on others."""
CLOSE = 2.0
"""Within so many scatters of its class a lead over the second class is small."""
STRANGE = 30
"""Detections, those least above the line, that are compared with each exemplar."""
Told = Collection[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Offer:
    """A region to judge. doubt: how far it is from the line, or from the other class, in scatters of
    its class; the least is asked first."""

    i: int
    image: str
    row: int
    label: str
    score: float
    min_score: float
    why: str
    doubt: float

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return {k: v for k, v in asdict(self).items() if k != "doubt"}


@dataclass(frozen=True, slots=True)
class _Region:
    """A region that could be asked for: number of its image, and row in it."""

    image: int
    row: int
    label: int
    score: float
    doubt: float
    why: str


class Asking:
    """Chooses regions of one view. told: regions that were judged, or are exemplars."""

    def __init__(self, judge: Judge, view: View, shelf: Shelf, told: Told) -> None:
        self._judge, self._view, self._shelf, self._told = judge, view, shelf, told
        self._scale, self._rows = Scale.of(view), rows_by_class(view)
        self._starts = shelf.ends[:-1]
        self._rows_told: dict[str, list[int]] = {}
        for name, row in told:
            self._rows_told.setdefault(name, []).append(row)

    def offers(self) -> list[Offer]:
        """All regions to ask for, each once, the least certain first."""
        seen: set[tuple[int, int]] = set()
        made = []
        for item in sorted(self._regions(), key=lambda r: (r.doubt, r.image, r.row)):
            if (item.image, item.row) not in seen:
                seen.add((item.image, item.row))
                made.append(self._offer(item))
        return made

    def _regions(self) -> list[_Region]:
        found: list[_Region] = []
        for c in range(len(self._judge.bank.classes)):
            found += self._above(c)
            found += self._below(c)
            found += self._between(c)
        return [*found, *self._unlike(found)]

    def _offer(self, item: _Region) -> Offer:
        label = self._judge.bank.classes[item.label]
        least = self._view.limits[item.label].min_score
        name = self._name(item.image)
        score = round(item.score, 6)
        return Offer(item.image, name, item.row, label, score, least, item.why, item.doubt)

    def _above(self, c: int) -> list[_Region]:
        """The detections of a class just above the line."""
        found = self._view.found
        mine = np.flatnonzero(found.label == c)
        far = self._scale.away(c, found.score[mine])
        return self._first(mine, far, c, NEAR)

    def _between(self, c: int) -> list[_Region]:
        """Detections of a class that another class would nearly have."""
        found = self._view.found
        mine = np.flatnonzero(found.label == c)
        gap = self._view.gap[self._starts[found.image[mine]] + found.row[mine]]
        doubt = gap / self._scale.scatter[c]
        small = doubt <= CLOSE  # NaN with one class is not
        return self._first(mine[small], doubt[small], c, BETWEEN)

    def _first(self, mine: IntArray, doubt: FloatArray, c: int, why: str) -> list[_Region]:
        """The first so many of some detections of which nothing was said."""
        found, made = self._view.found, []
        for at in np.argsort(doubt, kind="stable").tolist():
            image, row = int(found.image[mine[at]]), int(found.row[mine[at]])
            if (self._name(image), row) not in self._told:
                made.append(_Region(image, row, c, float(found.score[mine[at]]), float(doubt[at]), why))
            if len(made) == SIDE:
                break
        return made

    def _below(self, c: int) -> list[_Region]:
        """The regions of a class just below the line that lie on no detection, nor on each other."""
        view = self._view
        least = view.limits[c].min_score
        mine = self._rows[c]
        mine = mine[view.score[mine] < least]
        room = min(len(mine), TRIED * SIDE + len(self._told))
        best = mine[np.argpartition(-view.score[mine], room - 1)[:room]] if room else mine
        best = best[np.lexsort((best, -view.score[best]))]
        made: list[_Region] = []
        for at in best.tolist():
            image = int(np.searchsorted(self._starts, at, side="right")) - 1
            row = at - int(self._starts[image])
            if (self._name(image), row) in self._told or self._covered(image, row, made):
                continue
            score = float(view.score[at])
            doubt = -float(self._scale.away(c, score))
            made.append(_Region(image, row, c, score, doubt, NEAR))
            if len(made) == SIDE:
                break
        return made

    def _covered(self, image: int, row: int, made: list[_Region]) -> bool:
        """Whether a region lies on a detection or is a part of one, or lies on one that was judged or
        that is asked for."""
        found = self._view.found
        low, high = np.searchsorted(found.image, [image, image + 1])
        detected = found.row[low:high]
        others = detected.tolist() + [item.row for item in made if item.image == image]
        others += self._rows_told.get(self._name(image), [])
        boxes = self._boxes_of(image)
        shared, own, areas = overlap(boxes[row], boxes[others])
        on_another = bool((shared > SAME * (own + areas - shared)).any())
        return on_another or bool((shared[: len(detected)] > PART * own).any())

    def _unlike(self, near: list[_Region]) -> list[_Region]:
        """Of the detections with little lead those that look least like any single exemplar."""
        if self._judge.bank.by_normality:
            return []
        found, known = self._view.found, {(item.image, item.row) for item in near}
        far = self._scale.away(found.label, found.score)
        order = np.argsort(far, kind="stable")[: STRANGE + len(known) + len(self._told)]
        some = [
            at
            for at in order.tolist()
            if (int(found.image[at]), int(found.row[at])) not in known
            and (self._name(int(found.image[at])), int(found.row[at])) not in self._told
        ]
        made = []
        for at in some[:STRANGE]:
            image, row, c = int(found.image[at]), int(found.row[at]), int(found.label[at])
            cosine = self._nearest(self._judge.bank, image, row, c)
            score, doubt = float(found.score[at]), float(far[at])
            made.append((cosine, _Region(image, row, c, score, doubt, UNLIKE)))
        made.sort(key=lambda pair: (pair[0], pair[1].image, pair[1].row))
        return [item for _, item in made[:SIDE]]

    def _nearest(self, bank: Bank, image: int, row: int, c: int) -> float:
        kept = self._shelf.arrays["vectors"][self._shelf.images[image].start + row]
        vector = l2_normalize(np.asarray(kept, np.float32)[None])[0]
        return float((bank.positives.vectors[bank.labels == c] @ vector).max())

    def _boxes_of(self, image: int) -> npt.NDArray[np.float32]:
        item = self._shelf.images[image]
        return np.asarray(self._shelf.arrays["boxes"][item.start : item.start + item.count])

    def _name(self, image: int) -> str:
        return self._shelf.images[image].image.name


def overlap(
    box: npt.NDArray[np.float32], others: npt.NDArray[np.float32]
) -> tuple[FloatArray, float, FloatArray]:
    """Areas: that a box (4,) has in common with each of others (N, 4), xyxy; its own; and theirs."""
    sides = np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None)
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    own = max(float((box[2] - box[0]) * (box[3] - box[1])), 1e-9)
    return sides[:, 0] * sides[:, 1], own, areas
