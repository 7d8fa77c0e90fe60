"""What all requests share: the session, its images and their pictures, under one lock."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..images import Query
from ..records import ImageInfo
from ..regions import Packed
from ..storage.values import Fields, JsonObject, JsonValue
from .crops import Crops
from .parts import Board, Session, Shelf
from .pictures import Pictures
from .stream import Broadcast

Counts = dict[int, dict[str, int]]
"""Of each image with detections: how many of each class."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An image that cannot be used."""

    name: str
    code: str
    message: str


class Desk:
    """The session with its images. Whoever reads or changes it holds ``lock``; pictures need none.

    total: images there will be. failed: those that cannot be used.
    """

    def __init__(self, session: Session, shelf: Shelf, board: Board, pictures: Pictures) -> None:
        self.lock = threading.RLock()
        self.session = session
        self.shelf = shelf
        self.board = board
        self.pictures = pictures
        self.crops = Crops(pictures)
        self.broadcast = Broadcast()
        self.total = len(shelf.images)
        self.failed: list[Failed] = []
        self._numbers = {item.image.name: i for i, item in enumerate(shelf.images)}
        self.run = secrets.token_hex(4)
        self._touched: dict[int, int] = {}
        self._began = session.version
        self._rows: tuple[int, list[JsonObject]] = (-1, [])

    @property
    def done(self) -> int:
        return len(self.shelf.images)

    def number(self, name: str) -> int | None:
        """The number of an image."""
        return self._numbers.get(name)

    def rows(self) -> list[JsonObject]:
        """What is said of each image, of the session as it is."""
        version, known = self._rows
        if version != self.session.version:
            counts = counts_of(self.session)
            known = [self._row(i, counts.get(i, {})) for i in range(self.done)]
            self._rows = (self.session.version, known)
        return known

    def apply(self, event: Any) -> JsonObject:
        """What a person did. Says what has changed."""
        started = time.monotonic()
        with self.lock:
            before = self.rows()
            self.session.apply(event)
            after = self.rows()
            differ = [i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
            self._touch(differ)
            changed = [
                {"i": i, "before": before[i]["counts"], "after": after[i]["counts"]}
                for i in differ
                if before[i]["counts"] != after[i]["counts"]
            ]
            made: JsonObject = {
                "version": self.session.version,
                "changed": changed,
                "counts": _totals(before, after),
                "milliseconds": round(1000 * (time.monotonic() - started)),
            }
        self.broadcast.tell("state", {"version": made["version"]})
        return made

    def add(self, image: ImageInfo, packed: Packed) -> None:
        """One more image is described."""
        with self.lock:
            number = self.shelf.add(image, packed)
            self._numbers[image.name] = number
            self.session.added()
            self._touch([number])
            version = self.session.version
        self.tell_progress()
        self.broadcast.tell("state", {"version": version})

    def fail(self, query: Query, code: str, message: str) -> None:
        """An image cannot be used."""
        with self.lock:
            self.failed.append(Failed(query.name, code, message))
        self.tell_progress()

    def tell_progress(self) -> None:
        self.broadcast.tell("progress", self.progress())

    def progress(self) -> JsonObject:
        """``run`` tells a page that another process answers than before."""
        return {"done": self.done, "total": self.total, "run": self.run}

    def now(self) -> dict[str, JsonObject]:
        """What a page is told at once."""
        return {"state": {"version": self.session.version}, "progress": self.progress()}

    def images(self, since: int | None) -> JsonValue:
        """Images that have changed after a version; all without one, or where it is not ours."""
        with self.lock:
            version, rows = self.session.version, self.rows()
            every = since is None or not self._began <= since <= version
            least = -1 if every or since is None else since
            wanted = [i for i in range(self.done) if self._touched.get(i, self._began) > least]
            return {"version": version, "images": [rows[i] for i in wanted]}

    def _row(self, i: int, counts: dict[str, int]) -> JsonObject:
        image = self.shelf.images[i].image
        return {
            "i": i,
            "name": image.name,
            "width": image.width,
            "height": image.height,
            "status": "ok" if counts else "empty" if self.session.bank is not None else "unjudged",
            "counts": counts,
            "judged": len(self.session.verdicts(image.name)),
        }

    def _touch(self, images: Sequence[int]) -> None:
        for i in images:
            self._touched[i] = self.session.version


def counts_of(session: Session) -> Counts:
    """Accepted detections by image and class."""
    view, bank = session.view, session.bank
    if view is None or bank is None:
        return {}
    made: Counts = {}
    pairs = np.stack([np.asarray(view.found.image), np.asarray(view.found.label)], axis=1)
    for (image, label), count in Counter(map(tuple, pairs.tolist())).items():
        made.setdefault(image, {})[bank.classes[label]] = count
    return made


def _totals(before: list[JsonObject], after: list[JsonObject]) -> JsonObject:
    """[before, after] of each class."""
    sums: list[Counter[str]] = []
    for rows in (before, after):
        total: Counter[str] = Counter()
        for row in rows:
            total.update(Fields(row).counts("counts"))
        sums.append(total)
    old, new = sums
    return {name: [old[name], new[name]] for name in sorted(old.keys() | new.keys())}
