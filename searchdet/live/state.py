"""What a page is told of a session: plain values. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from ..bank import Bank
from ..bank.audit import effects
from ..storage.values import JsonObject
from .events import Judge
from .history import PSEUDO, Entry, Held, Said
from .judging import Shown
from .secondpass import Pass
from .shelf import Shelf

STOP = 40
"""Verdicts in a row after which it is enough, if none of them changed what is found elsewhere."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that could not be described."""

    name: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ClassState:
    """A class. count: its detections; min_score, separates: None for one that is not searched for, as
    it has no exemplars and is not what good parts tell of."""

    name: str
    exemplars: int
    count: int
    min_score: float | None
    separates: bool | None


@dataclass(frozen=True, slots=True)
class ExemplarState:
    """An exemplar. help: how much the lead of the others of its class gains by it; None where that
    cannot be told."""

    id: str
    name: str
    label: str | None
    source: str
    help: float | None


@dataclass(frozen=True, slots=True)
class ReviewState:
    """How far the verdicts are: how many there are, how many regions could be asked for, how many of
    the last ones in a row changed no detection but their own, and whether that is enough."""

    judged: int
    left: int
    quiet: int
    stop: bool


@dataclass(frozen=True, slots=True)
class ImageState:
    """An image. status: ok, empty, or described while there is nothing to search for. counts: its
    detections by class; judged: verdicts on its regions."""

    i: int
    name: str
    width: int
    height: int
    status: str
    counts: Mapping[str, int]
    judged: int

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return {**asdict(self), "counts": dict(self.counts)}


@dataclass(frozen=True, slots=True)
class State:
    """All that a page shows beside images. undo, redo: in words, None where there is nothing."""

    version: int
    done: int
    total: int
    failed: tuple[Failure, ...]
    classes: tuple[ClassState, ...]
    negatives: int
    exemplars: tuple[ExemplarState, ...]
    undo: str | None
    redo: str | None
    review: ReviewState
    second_pass: Pass
    command: str

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return {
            "version": self.version,
            "done": self.done,
            "total": self.total,
            "failed": [asdict(item) for item in self.failed],
            "classes": [asdict(item) for item in self.classes],
            "negatives": self.negatives,
            "exemplars": [{**asdict(item), "picture": None} for item in self.exemplars],
            "undo": self.undo,
            "redo": self.redo,
            "review": asdict(self.review),
            "second_pass": self.second_pass.to_json(),
            "command": self.command,
        }


def review_of(said: Said, done: Sequence[Entry], left: int) -> ReviewState:
    """How far the verdicts are. done: events in effect; left: regions that could be asked for."""
    others = [entry.others for entry in done if isinstance(entry.event, Judge)]
    quiet = next((n for n, changed in enumerate(reversed(others)) if changed), len(others))
    return ReviewState(len(said.verdicts), left, quiet, quiet >= STOP)


def images_of(some: Sequence[int], shelf: Shelf, shown: Shown, said: Said) -> list[ImageState]:
    """Some images, by number."""
    accepted, judged = shown.accepted, Counter(name for name, _ in said.verdicts)
    made = []
    for i in some:
        info, counts = shelf.images[i].image, accepted.of_image(i)
        status = "described" if shown.view is None else "ok" if counts else "empty"
        size = (info.width, info.height)
        made.append(ImageState(i, info.name, *size, status, counts, judged[info.name]))
    return made


def classes_of(said: Said, shown: Shown) -> tuple[ClassState, ...]:
    """Each class, those without exemplars too, and what is not normal."""
    counts = shown.accepted.counts()
    rule = {} if shown.judge is None else {item.label: item for item in shown.judge.rule.thresholds}
    labels = [item.label for item in said.exemplars.values()]
    made = []
    for name in sorted({*said.classes, *rule}):
        known = rule.get(name)
        least = None if known is None else known.min_score
        separates = None if known is None else known.separates
        made.append(ClassState(name, labels.count(name), counts.get(name, 0), least, separates))
    return tuple(made)


def exemplars_of(said: Said, saved: Bank | None, second: Pass) -> tuple[ExemplarState, ...]:
    """Each exemplar in effect, then the pseudo-exemplars."""
    positives = [key for key, item in said.exemplars.items() if item.label is not None]
    helps: dict[str, float] = {}
    if (
        saved is not None and not saved.by_normality
    ):  # without those whose region has another word since
        names = saved.positives.names
        known = positives if len(positives) == len(names) else names
        helps = dict(zip(known, effects(saved).tolist(), strict=True))
    made = [
        ExemplarState(item.id, key, item.label, item.source, _help(helps.get(key)))
        for key, item in said.exemplars.items()
    ]
    pseudo = [Held(name, label, PSEUDO, "") for name, label in second.pseudo.items()]
    made += [ExemplarState(item.id, item.key, item.label, item.source, None) for item in pseudo]
    return tuple(made)


def _help(effect: float | None) -> float | None:
    """What an exemplar adds, by what the others gain without it."""
    return None if effect is None or math.isnan(effect) else round(-effect, 6)
