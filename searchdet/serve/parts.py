"""What is needed of the loop below: a session over regions of images, and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..bank import Bank
from ..index.file import Indexed
from ..records import ImageInfo, ImageRecord
from ..regions import Packed, Regions
from ..storage.values import Fields, JsonObject


class Shelf(Protocol):
    """Regions of all images so far."""

    images: Sequence[Indexed]

    def add(self, image: ImageInfo, packed: Packed) -> int: ...

    def regions(self, image: int) -> Regions: ...

    def close(self) -> None: ...


class Board(Protocol):
    """All regions under one judge."""

    def under(self, image: int, x: float, y: float) -> list[int]: ...


class Session(Protocol):
    """What persons did, and what follows from it."""

    version: int

    @property
    def bank(self) -> Bank | None: ...

    @property
    def view(self) -> Any: ...

    def apply(self, event: Any) -> Any: ...

    def added(self) -> None: ...

    def expect(self, total: int) -> None: ...

    def fail(self, name: str, code: str, message: str) -> None: ...

    def record(self, image: int) -> ImageRecord | None: ...

    def state(self) -> Any: ...

    def images(self, since: int | None = None) -> Sequence[Any]: ...

    def review(self, label: str | None, count: int) -> Sequence[Any]: ...

    def verdicts(self, image: int) -> Sequence[tuple[int, str, str | None]]: ...

    def exemplar(self, exemplar: str) -> tuple[Any, Any]: ...

    def write_records(self, images: Iterable[int]) -> None: ...

    def close(self) -> None: ...


class Describes(Protocol):
    """Makes exemplars of boxes and of pictures, with the models: fields of the event."""

    def box(self, image: ImageInfo, box: tuple[float, float, float, float]) -> JsonObject: ...

    def picture(self, data: bytes) -> JsonObject: ...


class ReadsEvents(Protocol):
    """An event of the JSON that a page sends. Raises ValueError for another form."""

    def __call__(self, values: Fields) -> Any: ...


Paths = dict[str, Path]
"""Names of images, as in records, to their files."""
