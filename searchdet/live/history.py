"""What holds after a sequence of events: exemplars, verdicts, classes; with undo and redo. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ..bank import Bank
from ..bank.types import NORMAL
from ..bank.verdicts import WRONG
from ..config import Limits
from ..errors import UsageError, meant
from . import limits
from .events import (
    Action,
    AddClass,
    Draw,
    Event,
    Judge,
    Paste,
    Pick,
    Redo,
    Remove,
    RenameClass,
    SecondPass,
    Undo,
)

K = TypeVar("K")
V = TypeVar("V")
FILE, REGION, BOX, PASTE, PSEUDO = "file", "region", "box", "paste", "pseudo"
"""Where an exemplar comes from: the start, a region, a drawn box, a pasted picture, a second pass."""
PASTED = "pasted/"


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that was taken in. sha256: of its image, "" without one. drawn: digest of the file with
    the rows of its exemplar, and content: what these are of; "" for one that makes none. others: how
    many detections beside its own region came or went by it."""

    event: Event
    sha256: str = ""
    drawn: str = ""
    content: str = ""
    others: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """An exemplar that is in effect. key: its name, unique. label None: a negative. content: of its
    picture. start: its row in the start bank, positives first, -1 for others, which have ``drawn``.
    image, row: the region that it is."""

    key: str
    label: str | None
    source: str
    content: str
    start: int = -1
    drawn: str = ""
    image: str = ""
    row: int = -1

    @property
    def id(self) -> str:
        """What addresses call it."""
        return hashlib.sha256(self.key.encode("utf-8", "surrogateescape")).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was said of a region last."""

    verdict: str
    label: str | None


@dataclass(frozen=True, slots=True)
class Said:
    """All that holds. exemplars by key, verdicts by image and row, in the order in which they were
    given; named: classes that were added, whether they have exemplars or not. limits: of single
    classes, whether they are there or not."""

    exemplars: Mapping[str, Held] = field(default_factory=dict)
    verdicts: Mapping[tuple[str, int], Verdict] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    second_pass: bool = False
    limits: Limits = Limits()

    @property
    def classes(self) -> tuple[str, ...]:
        """Sorted names of all classes, those without exemplars too."""
        return tuple(sorted({*self.named, *self.labels}))

    @property
    def labels(self) -> set[str]:
        """Classes with an exemplar."""
        return {item.label for item in self.exemplars.values() if item.label is not None}

    def find(self, exemplar: str) -> Held:
        """The exemplar of a key or an id. Raises UsageError where there is none."""
        found = self.exemplars.get(exemplar)
        found = found or next((e for e in self.exemplars.values() if e.id == exemplar), None)
        if found is None:
            raise UsageError(f"there is no exemplar {exemplar!r:.80}.", "Load the page again.")
        return found


def of_start(bank: Bank | None, limits: Limits) -> Said:
    """What holds before any event: the exemplars of a bank, and limits. Of equal names all but the
    first get a number, in their keys alone."""
    if bank is None:
        return Said(limits=limits)
    labels: list[str | None] = [bank.classes[c] for c in bank.labels]
    labels += [None] * len(bank.negatives)
    made: dict[str, Held] = {}
    for i, origin in enumerate((*bank.positives.origins, *bank.negatives.origins)):
        if origin.mask_source == NORMAL:  # which is no exemplar
            continue
        key, number = origin.name, 1
        while key in made:
            number += 1
            key = f"{origin.name} ({number})"
        made[key] = Held(key, labels[i], FILE, origin.sha256, start=i)
    return Said(made, limits=limits)


def step(said: Said, entry: Entry) -> Said:
    """What holds after one more event. Raises UsageError for one that cannot be."""
    return _STEPS[entry.event.kind](said, entry.event, entry)


def region_key(image: str, row: int) -> str:
    """What the exemplar of a region is called."""
    return f"{image}#{row}"


def _judge(said: Said, event: Judge, entry: Entry) -> Said:
    label = None if event.verdict == WRONG else event.label
    made = _region(said, event.image, event.row, label, entry)
    verdicts = _without(said.verdicts, (event.image, event.row))
    verdicts[event.image, event.row] = Verdict(event.verdict, label)
    return replace(made, verdicts=verdicts)


def _pick(said: Said, event: Pick, entry: Entry) -> Said:
    made = _region(said, event.image, event.row, event.label, entry)
    return replace(made, verdicts=_without(said.verdicts, (event.image, event.row)))


def _region(said: Said, image: str, row: int, label: str | None, entry: Entry) -> Said:
    key = region_key(image, row)
    held = Held(key, label, REGION, entry.content, drawn=entry.drawn, image=image, row=row)
    return _with(said, held)


def _draw(said: Said, event: Draw, entry: Entry) -> Said:
    key = f"{event.image}#box-{entry.drawn[:8]}"
    held = Held(key, event.label, BOX, entry.content, drawn=entry.drawn, image=event.image)
    return _with(said, held)


def _paste(said: Said, event: Paste, entry: Entry) -> Said:
    key = f"{PASTED}{event.name}"
    return _with(said, Held(key, event.label, PASTE, entry.content, drawn=entry.drawn))


def _with(said: Said, held: Held) -> Said:
    """With an exemplar in the place of one of that key. Raises UsageError where that is another
    picture's."""
    old = said.exemplars.get(held.key)
    if old is not None and old.content != held.content:
        raise UsageError(
            f"there is an exemplar {held.key!r} already, of another picture.", "Take that out first."
        )
    return replace(said, exemplars={**_without(said.exemplars, held.key), held.key: held})


def _remove(said: Said, event: Remove, _: Entry) -> Said:
    return replace(said, exemplars=_without(said.exemplars, said.find(event.exemplar).key))


def _add_class(said: Said, event: AddClass, _: Entry) -> Said:
    if event.label in said.classes:
        raise UsageError(f"there is a class {event.label!r} already.", "Choose another name.")
    return replace(said, named=(*said.named, event.label))


def _rename(said: Said, event: RenameClass, _: Entry) -> Said:
    if event.label not in said.classes:
        hint = meant(event.label, said.classes) or "Load the page again."
        raise UsageError(f"there is no class {event.label!r}.", hint)
    if event.label == event.to:
        raise UsageError(f"the class is called {event.to!r} already.", "Choose another name.")

    def new(label: str | None) -> str | None:
        return event.to if label == event.label else label

    return replace(
        said,
        exemplars={key: replace(e, label=new(e.label)) for key, e in said.exemplars.items()},
        verdicts={key: replace(v, label=new(v.label)) for key, v in said.verdicts.items()},
        named=tuple(dict.fromkeys(event.to if n == event.label else n for n in said.named)),
        limits=limits.renamed(said.limits, event.label, event.to),
    )


def _second_pass(said: Said, event: SecondPass, _: Entry) -> Said:
    if event.on == said.second_pass:
        raise UsageError(f"the second pass is {'on' if event.on else 'off'} already.")
    return replace(said, second_pass=event.on)


_STEPS: dict[str, Callable[..., Said]] = {
    Judge.kind: _judge,
    Pick.kind: _pick,
    Draw.kind: _draw,
    Paste.kind: _paste,
    Remove.kind: _remove,
    AddClass.kind: _add_class,
    RenameClass.kind: _rename,
    SecondPass.kind: _second_pass,
}


def _without(values: Mapping[K, V], key: K) -> dict[K, V]:
    return {k: v for k, v in values.items() if k != key}


@dataclass(frozen=True, slots=True)
class History:
    """Events in effect and, last first, those taken back; and what holds. A new event forgets what was
    taken back."""

    start: Said
    said: Said
    done: tuple[Entry, ...] = ()
    undone: tuple[Entry, ...] = ()

    @classmethod
    def of(cls, start: Said) -> History:
        return cls(start, start)

    def after(self, entry: Entry) -> History:
        """With one more event. Raises UsageError for one that cannot be."""
        if isinstance(entry.event, Undo):
            return self._undo()
        if isinstance(entry.event, Redo):
            return self._redo()
        return History(self.start, step(self.said, entry), (*self.done, entry))

    def noted(self, others: int) -> History:
        """With how many other detections the last event changed."""
        return replace(self, done=(*self.done[:-1], replace(self.done[-1], others=others)))

    def last(self) -> tuple[Action | None, Action | None]:
        """What undo would take back, and what redo would do again."""
        return _action(self.done), _action(self.undone)

    def _undo(self) -> History:
        if not self.done:
            raise UsageError("there is nothing to undo.")
        said = self.start
        for entry in self.done[:-1]:
            said = step(said, entry)
        return History(self.start, said, self.done[:-1], (*self.undone, self.done[-1]))

    def _redo(self) -> History:
        if not self.undone:
            raise UsageError("there is nothing to redo.")
        entry = self.undone[-1]
        return History(self.start, step(self.said, entry), (*self.done, entry), self.undone[:-1])


def _action(entries: tuple[Entry, ...]) -> Action | None:
    event = entries[-1].event if entries else None
    return None if event is None or isinstance(event, Undo | Redo) else event
