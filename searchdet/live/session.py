"""The session: events in, what is found out; every event on disk before it counts."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ..bank import Bank
from ..bank import file as bankfile
from ..decision import Judge
from ..errors import UsageError
from ..records import ImageRecord
from ..storage import files
from ..storage.journal import Lock
from . import limits
from .board import Board
from .changes import Change, change, difference
from .events import Box, Draw, Event, Paste, Redo, RenameClass, Undo, said
from .events import Judge as Verdict
from .exemplars import Drawer, Drawn
from .history import Held, Said, of_start
from .judging import Court, Shown, regions_of
from .log import Basis, Log
from .regions import Places
from .resolve import Resolver, image_of, replayed
from .review import Asking, Offer
from .settings import BANK, LiveSettings, require_own
from .state import (
    Failure,
    ImageState,
    State,
    classes_of,
    exemplars_of,
    images_of,
    review_of,
)
from .view import View
from .writing import write

LOCK = "session.lock"


class Session:
    """A folder of images that is judged while a person looks on. Make it with ``open``.

    Not for several threads at once. version: rises with every event and every image; total: images that
    there are to be; failed: those that could not be described.
    """

    def __init__(
        self, out: Path, board: Board, start: Bank | None, settings: LiveSettings, lock: Lock
    ) -> None:
        """With the lock of the folder; see ``open``."""
        shelf = board.shelf
        self._out, self._board, self._settings, self._lock = out, board, settings, lock
        self._images = self.total = self.version = len(shelf.images)
        self.failed: list[Failure] = []
        self._drawer = Drawer(out, shelf.space)
        self._places = Places(shelf, settings.paths, settings.coming)
        self._court = Court(board, start, self._drawer, settings.settings)
        with ExitStack() as opened:
            self._log = Log(out, Basis(shelf.space, shelf.models, shelf.source))
            opened.callback(self._log.close)
            begun = of_start(start, limits.given(settings.settings.scoring))
            self._history = replayed(self._log, begun, self._places, self._drawer)
            self._shown = self._court.show(self._history.said)
            opened.pop_all()
        limits.tell_lost(begun.limits, self.said.limits)
        self.version += self._log.count
        self._touched = dict.fromkeys(range(self._images), self.version)
        self._stale = False
        self._offers: tuple[int, list[Offer]] = (-1, [])
        self.save()

    @classmethod
    def open(cls, out: Path, board: Board, start: Bank | None, settings: LiveSettings) -> Session:
        """Open the session of a folder, or begin one. Raises UsageError where another process has it,
        or where its log is damaged or of other images or models; ExemplarError for a bank of another
        space; OutputError."""
        if start is not None:
            bankfile.require_space(start, board.shelf.space, "the bank that the session starts with")
            start = start.without_crops()
        held = f"{out}: another process works in it."
        with ExitStack() as opened:
            lock = Lock(out / LOCK, held, "End that one, or name another folder with -o.")
            opened.callback(lock.release)
            require_own(out)
            made = cls(out, board, start, settings, lock)
            opened.pop_all()
        return made

    def close(self) -> None:
        """Give the folder free. All is on disk already."""
        self._log.close()
        self._lock.release()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- events

    def apply(self, event: Event) -> Change:
        """Take an event in: judged, written to the log, and then in effect. Raises UsageError for one
        that cannot be, which changes nothing, and OutputError where it cannot be written; where only
        the bank cannot, the event counts."""
        self._fresh()
        entry = self._resolver().entry(event)
        history = self._history.after(entry)
        shown = self._show(history.said)
        old, before, after = self._shown, self._shown.accepted, shown.accepted
        last = self._history.last()
        differs = difference(before, after)
        others = 0
        if isinstance(entry.event, Verdict):
            others = differs.beside(self._places.at(entry.event.image), entry.event.row)
            entry, history = replace(entry, others=others), history.noted(others)
        self._log.append(entry)
        limits.tell_lost(self.said.limits, history.said.limits)
        self._history, self._shown = history, shown
        self.version += 1
        if (old.view is None) is not (shown.view is None):
            self._touch(range(self._images))  # the status of each is another
        self._touch([*differs.images, *self._named(entry.event, last)])
        if shown.saved is not old.saved:
            self.save()
        return change(self.version, before, after, differs, others)

    def draw(self, image: str, box: Box, label: str | None) -> Change:
        """A box around an object, whose mask is found by the models."""
        drawn = self._resolver().hands.draw(self._places.info(image), box)
        return self.apply(Draw(image, box, label, self.hold(drawn)))

    def paste(self, name: str, data: bytes, label: str | None) -> Change:
        """A picture of an object, whose mask is found by the models."""
        drawn = self._resolver().hands.paste(name, data, label, self._shown.saved)
        return self.apply(Paste(name, label, self.hold(drawn)))

    def hold(self, drawn: Drawn) -> str:
        """Keep what the models made, for an event that names it by this digest."""
        return self._drawer.keep(drawn)

    def added(self) -> None:
        """Images were added to the shelf. Raises UsageError where one that was judged is not as it was
        then."""
        count = len(self._board.shelf.images)
        names = {self._board.shelf.images[i].image.name for i in range(self._images, count)}
        for entry in self._history.done:
            if image_of(entry.event) in names:
                self._places.require(entry, self._drawer)
        self.version += count - self._images
        self._touch(range(self._images, count))
        self._images, self.total = count, max(self.total, count)
        self._stale = True

    def expect(self, total: int) -> None:
        """Say how many images there are to be."""
        self.total, self.version = total, self.version + 1

    def fail(self, name: str, code: str, message: str) -> None:
        """Say that an image cannot be described."""
        self.failed.append(Failure(name, code, message))
        self.version += 1

    # --- what holds

    @property
    def said(self) -> Said:
        """What holds after all events."""
        return self._history.said

    @property
    def bank(self) -> Bank | None:
        """All exemplars, with the pseudo-exemplars of the second pass, which are never saved."""
        self._fresh()
        return self._shown.bank

    @property
    def saved(self) -> Bank | None:
        """All exemplars that persons gave, as ``save`` writes them."""
        self._fresh()
        return self._shown.saved

    @property
    def judge(self) -> Judge | None:
        """The rule by which the page shows what it shows."""
        self._fresh()
        return self._shown.judge

    @property
    def view(self) -> View | None:
        """All regions as they are judged; None while there is no positive exemplar."""
        self._fresh()
        return self._shown.view

    def record(self, image: int) -> ImageRecord | None:
        """The record of an image, by its number, with what is asked about among its candidates; None
        while there is no positive exemplar."""
        judge = self.judge
        asked = [item.row for item in self._asked() if item.i == image]
        return None if judge is None else self._board.record(judge, image, asked)

    def verdicts(self, image: int) -> list[tuple[int, str, str | None]]:
        """What was said of regions of an image: row, verdict and label of each, by row."""
        name = self._board.shelf.images[image].image.name
        every = self.said.verdicts.items()
        return sorted((row, v.verdict, v.label) for (own, row), v in every if own == name)

    def exemplar(self, exemplar: str) -> tuple[Held, Drawn | None]:
        """An exemplar by key or id, and what was kept of it where it came by an event. Raises
        UsageError where there is none."""
        held = self.said.find(exemplar)
        return held, self._drawer.read(held.drawn) if held.drawn else None

    def images(self, since: int | None = None) -> list[ImageState]:
        """All images, or those that differ since a version."""
        self._fresh()
        some = [i for i in range(self._images) if since is None or self._touched[i] > since]
        return images_of(some, self._board.shelf, self._shown, self.said)

    def state(self) -> State:
        """What a page shows beside images."""
        self._fresh()
        holds, shown = self.said, self._shown
        undo, redo = self._history.last()
        return State(
            self.version,
            self._images,
            self.total,
            tuple(self.failed),
            classes_of(holds, shown),
            sum(item.label is None for item in holds.exemplars.values()),
            exemplars_of(holds, shown.saved, shown.second),
            None if undo is None else said(undo),
            None if redo is None else said(redo),
            review_of(holds, self._history.done, len(self._asked())),
            replace(shown.second, on=holds.second_pass),
            self._settings.command(self._out, holds.limits, shown.saved),
        )

    def review(self, label: str | None = None, count: int | None = None) -> list[Offer]:
        """Regions to judge next, of a class or of all, the least certain first."""
        found = [item for item in self._asked() if label is None or item.label == label]
        return found[:count]

    def save(self) -> None:
        """Write the bank, which every event does too; without a positive exemplar there is none. Raises
        OutputError."""
        path, saved = self._out / BANK, self._shown.saved
        if saved is None:
            files.remove(path)
        else:
            bankfile.save(saved, path)

    def write_records(self, images: Iterable[int]) -> None:
        """Write the records of images, by number, those of all that could not be described, and what a
        run says of itself, as `detect` does. Raises UsageError while there is no positive exemplar or
        where an image is no longer as it was described, and OutputError."""
        judge = self.judge
        if judge is None:
            raise UsageError("there is nothing to search for yet.", "Give an example first.")
        shelf = self._board.shelf
        chosen = ((shelf.images[i].image, self._board.record(judge, i)) for i in images)
        write(self._out, judge, chosen, self.failed, self._settings)

    def _resolver(self) -> Resolver:
        return Resolver(self._places, self._drawer, self._shown, self.said, self._settings.hands)

    def _show(self, holds: Said) -> Shown:
        """What is shown, which stays where neither exemplars nor the second pass change."""
        old = self.said
        same = list(holds.exemplars.items()) == list(old.exemplars.items())
        same = same and holds.limits == old.limits
        if same and not (holds.second_pass or old.second_pass):
            return self._shown
        return self._court.show(holds)

    def _fresh(self) -> None:
        """Judge the images that were added."""
        if not self._stale:
            return
        before = self._shown.accepted
        self._shown = self._court.again(self._shown, self.said)
        self._stale = False
        differs = difference(before, self._shown.accepted)
        if any(self._touched[i] < self.version for i in differs.images):
            self.version += 1  # of images that were there before
        self._touch(differs.images)

    def _touch(self, images: Iterable[int]) -> None:
        self._touched.update(dict.fromkeys(images, self.version))

    def _named(self, event: Event, last: tuple[Event | None, Event | None]) -> list[int]:
        """The image that an event names, or that which it takes back or does again (``last``); all
        where the verdicts of each may be others."""
        if isinstance(event, Undo | Redo):
            event = last[isinstance(event, Redo)] or event
        if isinstance(event, RenameClass):
            return list(range(self._images))
        name = image_of(event)
        number = None if name is None else self._places.number(name)
        return [] if number is None else [number]

    def _asked(self) -> list[Offer]:
        """All that is worth asking now, found once for each version."""
        self._fresh()
        shown = self._shown
        if shown.judge is None or shown.view is None:
            return []
        if self._offers[0] != self.version:
            told = regions_of(self.said)
            self._offers = (
                self.version,
                Asking(shown.judge, shown.view, self._board.shelf, told).offers(),
            )
        return self._offers[1]
