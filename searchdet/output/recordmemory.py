"""What dataset files need of the records of a folder, kept in the cache by path, size, times and inode.

Dataset files are written from all records, which are long for what is rejected: without this a shell
loop over n images would read n squared of them. A line a record, each with a digest of its own; what is
broken or of another version is read from the record again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..config import Limits
from ..config.address import Place
from ..errors import DAMAGE, OutputError, RemoteError
from ..exports.labelled import Detection, Labelled, labelled
from ..images.inputs import natural_text
from ..masks.rle import Rle
from ..records import ImageRecord, RecordError, damaged, parse_record, unusable
from ..storage import kinds, places
from ..storage.files import Listed, Stamp, Stream
from ..storage.remote import TOGETHER, Unreachable
from ..storage.values import JsonValue
from ..version import __version__

log = logging.getLogger(__name__)
FORM = 2


def listing(folder: Place) -> list[Listed]:
    """The record files of an output folder in natural order, relative to ``records/``."""
    return sorted(places.found(folder / "records", ".json"), key=lambda item: natural_text(item[0]))


def records(
    folder: Place, cache: Path | None, listed: Sequence[Listed]
) -> Generator[Labelled | None, None, None]:
    """The records of a folder for ``exports.write``, one by one, None for a failed image.

    Only files that are new or changed are read. What is no record is left out with a WARNING. cache:
    None remembers nothing. Raises UsageError for a damaged record.
    """
    path = None if cache is None else _entry(folder, cache)
    known = _Known(path)
    with _Notes(path) as notes:
        for at in range(0, len(listed), TOGETHER):
            part = listed[at : at + TOGETHER]
            texts = [known.text(*item) for item in part]
            new = [item for item, text in zip(part, texts, strict=True) if text is None]
            read = places.read_each(folder / "records", new)
            for (name, stamp), text in zip(part, texts, strict=True):
                if text is None:
                    record = record_of(folder / "records" / name, next(read)[1], rejected=False)
                    if record is None:
                        continue
                    text = _text(record)
                notes.add(name, stamp, text)
                yield _unpacked(json.loads(text))


def _entry(folder: Place, cache: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(places.same(folder))).hexdigest()
    return cache / kinds.RECORDS / f"{digest}.json"


def record_of(path: Place, data: bytes | OSError, rejected: bool = True) -> ImageRecord | None:
    """The record that was read of a file; None for what is no record, with a WARNING. rejected: as for
    ``read_record``. Raises UsageError for one that cannot be used, RemoteError where a store did not
    give it."""
    if isinstance(data, FileNotFoundError):  # replaced this moment
        return None
    if isinstance(data, Unreachable):
        raise RemoteError(f"{path}: cannot be read ({data.strerror}).") from data
    try:
        if isinstance(data, OSError):
            raise data
        return parse_record(data, path, rejected)
    except RecordError as error:
        raise unusable(error) from error
    except (ValueError, OSError) as error:
        log.warning("%s is left out: %s", path, error)
        return None


def _text(record: ImageRecord) -> str:
    try:
        return json.dumps(_packed(labelled(record, Limits())))
    except DAMAGE as error:
        raise damaged(record.image, error) from error


def _packed(image: Labelled | None) -> JsonValue:
    """As JSON values; None for a failed image."""
    if image is None:
        return None
    place = (image.name, image.width, image.height, image.orientation)
    head = (*place, image.sha256, image.model, image.classes)
    rows = [
        (it.id, it.label, it.score, it.probability, it.box, it.area, it.segmentation["counts"])
        for it in image.detections
    ]
    return [*head, rows]


def _unpacked(value: Any) -> Labelled | None:
    """What ``_packed`` took; its line has a digest, so its form is known."""
    if value is None:
        return None
    name, width, height, orientation, sha256, model, classes, rows = value
    found = tuple(
        Detection(number, label, score, chance, tuple(box), area, _mask(height, width, counts))
        for number, label, score, chance, box, area, counts in rows
    )
    return Labelled(name, width, height, sha256, model, tuple(classes), found, orientation)


def _mask(height: int, width: int, counts: str) -> Rle:
    return {"size": [height, width], "counts": counts}


def _digest(text: str) -> str:
    return hashlib.sha256(f"{FORM} {__version__} {text}".encode()).hexdigest()[:16]


class _Known:
    """The lines that an earlier run left, asked for in the order in which they were written."""

    def __init__(self, path: Path | None) -> None:
        self._lines = iter(()) if path is None else _lines(path)
        self._next = next(self._lines, None)

    def text(self, name: str, stamp: Stamp) -> str | None:
        """What was noted of a record file, if it is still the file that was read then."""
        if self._next is not None and self._next[0] != name:
            key = natural_text(name)
            while self._next is not None and natural_text(self._next[0]) < key:
                self._next = next(self._lines, None)
        if self._next is None or self._next[0] != name:
            return None
        _, then, text = self._next
        self._next = next(self._lines, None)
        return text if then == stamp else None


def _lines(path: Path) -> Iterator[tuple[str, Stamp, str]]:
    """(name, stamp, JSON text) of each sound line."""
    try:
        with path.open(encoding="ascii") as stream:
            for line in stream:
                digest, _, text = line.rstrip("\n").partition(" ")
                if digest == _digest(text):
                    head, _, value = text.partition("\t")
                    name, stamp = json.loads(head)
                    yield name, tuple(stamp), value
    except FileNotFoundError:
        return
    except (OSError, *DAMAGE) as error:
        log.warning("%s: what is remembered of records cannot be read (%s).", path, error)


class _Notes:
    """The lines for the next run. A cache that cannot be written costs a WARNING."""

    def __init__(self, path: Path | None) -> None:
        self._stream = None if path is None else Stream(path)

    def __enter__(self) -> _Notes:
        self._try(lambda stream: stream.__enter__())
        return self

    def add(self, name: str, stamp: Stamp, value: str) -> None:
        text = f"{json.dumps([name, stamp])}\t{value}"
        self._try(lambda stream: stream.write(f"{_digest(text)} {text}\n"))

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        self._try(lambda stream: stream.__exit__(kind, *error))

    def _try(self, act: Callable[[Stream], object]) -> None:
        stream = self._stream
        if stream is None:
            return
        try:
            act(stream)
        except OutputError as error:
            self._stream = None
            stream.__exit__(OutputError, error, None)
            log.warning("Records are not remembered: %s", error.message)
