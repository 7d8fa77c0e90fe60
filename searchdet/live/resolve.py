"""Events to entries of the log: what they leave open is filled in, what they need is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ..bank.types import JUDGED, POINTED
from ..bank.verdicts import RIGHT
from ..errors import UsageError
from .events import Draw, Event, Judge, Paste, Pick, Remove, RenameClass
from .exemplars import Drawer, Hands
from .history import PASTED, Entry, History, Said
from .judging import Shown
from .log import Line, Log
from .regions import Places

_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\]+")
OTHERS = "It began with other examples: name those, or another folder with -o."
LONGEST = 100
"""Characters of the name of a picture that was pasted."""


def image_of(event: Event) -> str | None:
    """The image that an event names."""
    return event.image if isinstance(event, Judge | Pick | Draw) else None


@dataclass(frozen=True, slots=True)
class Resolver:
    """Makes entries, by what is shown now."""

    places: Places
    drawer: Drawer
    shown: Shown
    said: Said
    models: Hands | None

    @property
    def hands(self) -> Hands:
        """The models. Raises UsageError where there are none."""
        if self.models is None:
            raise UsageError("no model is there to find an object.", "Choose a region instead.")
        return self.models

    def entry(self, event: Event) -> Entry:
        """The entry of an event; rows of its exemplar are on disk when this returns. Raises UsageError
        for one that cannot be."""
        if isinstance(event, Judge):
            return self._region(self._judged(event))
        if isinstance(event, Pick):
            return self._region(event)
        if isinstance(event, Draw):
            return self._draw(event)
        if isinstance(event, Paste):
            return self._paste(event)
        if isinstance(event, Remove):
            return Entry(Remove(self.said.find(event.exemplar).key))
        if isinstance(event, RenameClass):
            self._require_known(event.label)
        return Entry(event)

    def _require_known(self, label: str) -> None:
        """Raise UsageError for what is not normal, which is no class of a person's yet."""
        saved = self.shown.saved
        if saved is not None and saved.by_normality and label in saved.classes:
            raise UsageError(
                f"{label!r} is what good parts do not show, and has no example yet.",
                "Say of one that it is right, or of which class it is.",
            )

    def _judged(self, event: Judge) -> Judge:
        """With the class that the page shows, for a verdict ``right`` that names none. Raises
        UsageError where it shows none."""
        if event.verdict == RIGHT and event.label is None:
            return replace(event, label=self._shown_label(event.image, event.row))
        return event

    def _shown_label(self, image: str, row: int) -> str:
        shown, number = self.shown, self.places.at(image)
        place = self.places.row(number, row)
        label = -1 if shown.view is None else int(shown.view.label[place])
        if label < 0 or shown.judge is None:
            raise UsageError(f"{image}: region {row} is of no class.", "Say of which it is.")
        return shown.judge.bank.classes[label]

    def _region(self, event: Judge | Pick) -> Entry:
        source = JUDGED if isinstance(event, Judge) else POINTED
        drawn = self.places.region(event.image, event.row, source)
        info = self.places.info(event.image)
        return Entry(event, info.sha256, self.drawer.keep(drawn), drawn.origin.sha256)

    def _draw(self, event: Draw) -> Entry:
        info = self.places.info(event.image)
        if not event.drawn:
            made = self.hands.draw(info, event.box)
            event = replace(event, drawn=self.drawer.keep(made))
        content = self.drawer.read(event.drawn).origin.sha256
        return Entry(event, info.sha256, event.drawn, content)

    def _paste(self, event: Paste) -> Entry:
        content = self.drawer.read(event.drawn).origin.sha256
        name = _UNSAFE.sub("-", event.name).strip()[-LONGEST:] or "picture"
        other = self.said.exemplars.get(f"{PASTED}{name}")
        if other is not None and other.drawn != event.drawn:
            name = f"{event.drawn[:8]}-{name}"
        return Entry(replace(event, name=name), "", event.drawn, content)


def replayed(log: Log, start: Said, places: Places, drawer: Drawer) -> History:
    """What holds after all events of a log. Raises UsageError that names the line which cannot be: of
    an image or region that is no longer there, or of an exemplar."""
    history = History.of(start)
    for line in log.lines:
        try:
            places.require(line.entry, drawer)
            if line.entry.drawn:
                drawer.read(line.entry.drawn)
        except UsageError as error:
            raise _at(line, log, error, error.hint) from error
        try:
            history = history.after(line.entry)
        except UsageError as error:
            raise _at(line, log, error, OTHERS) from error
    return history


def _at(line: Line, log: Log, error: UsageError, hint: str) -> UsageError:
    return UsageError(f"{log.path}, line {line.number}: {error.message}", hint)
