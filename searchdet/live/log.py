"""The log of a session: one line an event, on disk before the event counts, and replayed on start."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ..errors import UsageError
from ..records import ModelInfo
from ..regions import Space
from ..storage import files
from ..storage.journal import Journal, cut
from ..storage.values import Fields, JsonObject
from . import events
from .history import Entry

log = logging.getLogger(__name__)
NAME = "verdicts.jsonl"
ELSEWHERE = "Name another folder with -o, or move the file away to begin anew."


@dataclass(frozen=True, slots=True)
class Basis:
    """What the numbers of regions mean something for: the space of the vectors, the models that found
    the regions, and what was normal then, "" where nothing says it (``GoodParts.source``)."""

    space: Space
    models: ModelInfo
    normal: str = ""

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        proposer = self.models.proposer
        weights = proposer.weights
        found = {
            "name": proposer.name,
            "precision": proposer.precision,
            "weights": weights.content if weights else None,
            "options": proposer.to_json()["options"],
        }
        bounds = self.models.value_range
        return {
            "schema": events.SCHEMA,
            "space": self.space.to_json(),
            "proposer": found,
            "value_range": None if bounds is None else list(bounds),
            **({"normal": self.normal} if self.normal else {}),
        }

    def require(self, line: Fields, path: Path) -> None:
        """Raise UsageError, saying what differs, unless the first line of a log says the same; one of
        ValueError's kind for no such line."""
        schema = line.text("schema")
        if schema != events.SCHEMA:
            raise ValueError(f"its schema is {schema!r:.60}, not {events.SCHEMA}")
        differs = self.space.differences(Space.from_json(line.child("space")))
        mine = json.loads(json.dumps(self.to_json()))
        for name in ("proposer", "value_range"):
            if name not in line or line.values[name] != mine[name]:
                differs.append(f"{name} is {mine[name]} here and {line.values.get(name)} there")
        if (line.values.get("normal") or "") != self.normal:
            differs.append("the good parts are others")
        if differs:
            raise UsageError(
                f"{path}: is of other models or settings ({'; '.join(differs)}).",
                "Use the same ones, or name another folder with -o.",
            )


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was read: its number in the file, from 1, and what it says."""

    number: int
    entry: Entry


class Log:
    """The open log of a session."""

    def __init__(self, folder: Path, basis: Basis) -> None:
        """Open the log of a folder, or begin one. Raises UsageError for a damaged one or one of other
        models, OutputError where it cannot be written."""
        self.path = folder / NAME
        self.lines = list(_read(self.path, basis))
        self.count = len(self.lines)
        self._journal = Journal(self.path)

    def append(self, entry: Entry) -> None:
        """Write an event; it is on disk when this returns. Raises OutputError."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        made = entry.event
        values: JsonObject = {
            "n": self.count + 1,
            "time": now,
            "event": events.to_json(made),
            "sha256": entry.sha256,
            "drawn": entry.drawn,
            "content": entry.content,
            "others": entry.others,
        }
        self._journal.append(_bytes(values))
        self.count += 1

    def close(self) -> None:
        """Close the file."""
        self._journal.close()


def _bytes(values: JsonObject) -> bytes:
    return (json.dumps(values, allow_nan=False, ensure_ascii=True) + "\n").encode()


def _read(path: Path, basis: Basis) -> Iterator[Line]:
    """The events of a log; one is begun where there is none."""
    data = _whole(path)
    if not data:
        files.write_bytes(path, _bytes(basis.to_json()))
        return
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            values = Fields.of(json.loads(line))
            if number == 1:
                basis.require(values, path)
                continue
            yield Line(number, _entry(values, number - 1))
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}, line {number}: {error}.", ELSEWHERE) from error


def _whole(path: Path) -> bytes:
    """The whole lines of a log; what a killed process left of one more is cut off, with a WARNING."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).", ELSEWHERE) from error
    end = data.rfind(b"\n") + 1
    if end < len(data):
        log.warning(
            "%s: its last line is not whole and is cut off: %d bytes of an event that never counted. "
            "Do it again.",
            path,
            len(data) - end,
        )
        cut(path, end)
    return data[:end]


def _entry(values: Fields, number: int) -> Entry:
    """Raises ValueError for another form."""
    if values.whole("n") != number:
        raise ValueError(f"its number is {values.whole('n')}, not {number}")
    values.text("time")
    texts = {name: values.text(name) for name in ("sha256", "drawn", "content")}
    event = events.from_json(values.child("event"))
    if isinstance(event, events.Judge | events.Pick | events.Draw) and not texts["sha256"]:
        raise ValueError("it names an image without its sha256")
    return Entry(event, **texts, others=values.whole("others"))
