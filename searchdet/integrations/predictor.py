"""What a bridge asks for: objects of pictures that lie in no folder, and exemplars that come and go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..annotations.shapes import Drawn
from ..images import LoadedImage
from ..masks.rle import Rle

Point = tuple[float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Found:
    """One object. score: how likely it is right, 0..1 (a record's ``probability``). Label and score are
    None where it lies under a mark and is of no class that is searched for. box: xyxy in pixels,
    exclusive maximum. mask: at the size of the image."""

    label: str | None
    score: float | None
    box: Box
    mask: Rle


@dataclass(frozen=True, slots=True)
class Marks:
    """What a person points at, in pixels. points: on the object; against: beside it; boxes: around
    it."""

    points: tuple[Point, ...] = ()
    against: tuple[Point, ...] = ()
    boxes: tuple[Box, ...] = ()

    @property
    def given(self) -> bool:
        """Whether there is anything to look under."""
        return bool(self.points or self.boxes)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One object that a person drew. name: unlike the others of its picture; label None: a negative."""

    name: str
    label: str | None
    drawn: Drawn


class Predictor(Protocol):
    """Finds objects and learns them. Each call is whole: several may come at once.

    All raise ImageError, EmbeddingError or ResourceError for a picture that cannot be used.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """What is searched for; empty before the first exemplar."""
        ...

    @property
    def version(self) -> str:
        """Names models, settings and exemplars: another one after each change."""
        ...

    def load(self, data: bytes, name: str) -> LoadedImage:
        """A picture that was sent."""
        ...

    def predict(self, image: LoadedImage, name: str, least: float | None = None) -> list[Found]:
        """The objects of a picture, best first. least: score (0..1) from which on they count, None: as
        the thresholds of the classes say."""
        ...

    def under(self, image: LoadedImage, name: str, marks: Marks) -> list[Found]:
        """The object in each box, and the one under all points."""
        ...

    def learn(self, key: str, image: LoadedImage, lessons: Sequence[Lesson]) -> int:
        """Take lessons as exemplars, in the place of all with that key; how many. Raises
        ExemplarError for one that cannot be used, and then nothing changes."""
        ...

    def forget(self, key: str) -> int:
        """Take back the exemplars of a key; how many there were."""
        ...
