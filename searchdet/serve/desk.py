"""What all requests share: the session, its images and their pictures, under one lock."""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path

from ..errors import ResourceError
from ..live import Board
from ..live.events import Event
from ..live.session import Session
from ..records import ImageInfo
from ..regions import Packed
from ..storage.values import JsonObject
from .crops import Crops
from .pictures import Pictures
from .stream import Broadcast

PAUSE = 1.0
"""Seconds between two words to the pages that there are more images: each makes them ask again."""


class Desk:
    """The session with its images. Whoever reads or changes these holds ``lock``; pictures need none.

    total: images there will be. run: tells pages that
    another process answers than before. folder: of all that is written.
    """

    def __init__(
        self, session: Session, board: Board, pictures: Pictures, total: int, folder: Path
    ) -> None:
        self.lock = threading.RLock()
        self.session = session
        self.shelf = board.shelf
        self.board = board
        self.pictures = pictures
        self.crops = Crops(pictures)
        self.broadcast = Broadcast()
        self.total = total
        self.folder = folder
        self.run = secrets.token_hex(4)
        self._numbers = {item.image.name: i for i, item in enumerate(self.shelf.images)}
        self._told, self._closed = 0.0, False
        session.expect(total)
        self._began = session.version

    @property
    def done(self) -> int:
        """How many images are described."""
        return len(self.shelf.images)

    @property
    def failed(self) -> int:
        """How many cannot be used."""
        return len(self.session.failed)

    def number(self, name: str) -> int | None:
        """The number of an image; None for one that is not there, or not yet."""
        return self._numbers.get(name)

    def apply(self, event: Event) -> JsonObject:
        """What a person did. Says what has changed. Raises UsageError and OutputError."""
        started = time.monotonic()
        with self.lock:
            self._require_open()
            change = self.session.apply(event)
            spent = round(1000 * (time.monotonic() - started))
            self._tell_version(change.version)
        return {**change.to_json(), "milliseconds": spent}

    def images(self, since: int | None) -> JsonObject:
        """Images that have changed after a version; all without one, or where it is none of ours."""
        with self.lock:
            known = since is not None and self._began <= since <= self.session.version
            rows = [item.to_json() for item in self.session.images(since if known else None)]
            return {"version": self.session.version, "images": rows}

    def add(self, image: ImageInfo, packed: Packed) -> None:
        """One more image is described. Raises UsageError where it was judged and is another one now,
        OutputError."""
        with self.lock:
            self._require_open()
            self._numbers[image.name] = self.shelf.add(image, packed)
            self.session.added()
            self.broadcast.tell("progress", self.progress())
            last = self.done + self.failed >= self.total
            if last or time.monotonic() - self._told >= PAUSE:
                self._told = time.monotonic()
                self._tell_version(self.session.version)

    def fail(self, name: str, code: str, message: str) -> None:
        """An image cannot be used."""
        with self.lock:
            self.session.fail(name, code, message)
            self.broadcast.tell("progress", self.progress())
            self._tell_version(self.session.version)

    def close(self) -> None:
        """Wait for who holds the lock, and let nobody change the session any more."""
        with self.lock:
            self._closed = True

    def progress(self) -> JsonObject:
        """How far the images are."""
        return {"done": self.done, "total": self.total, "run": self.run}

    def now(self) -> dict[str, JsonObject]:
        """What a page is told at once."""
        return {"state": {"version": self.session.version}, "progress": self.progress()}

    def _require_open(self) -> None:
        if self._closed:
            raise ResourceError("the program ends.", "Start `searchdet serve` again.")

    def _tell_version(self, version: int) -> None:
        self.broadcast.tell("state", {"version": version})
