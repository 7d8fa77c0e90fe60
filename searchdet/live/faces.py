"""What a session needs of a board and its shelf, whoever makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ..bank import Bank
from ..decision import Judge
from ..index.rows import Indexed
from ..records import ClassLimits, ImageInfo, ImageRecord, ModelInfo
from ..regions import Regions, Space

if TYPE_CHECKING:
    from .events import Box
    from .exemplars import Drawn

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating[Any]]


class Found(Protocol):
    """Accepted detections, A of them, by image, then best first: image (A,), row (A,) within the image,
    label (A,), score (A,) after suppression."""

    @property
    def image(self) -> IntArray: ...

    @property
    def row(self) -> IntArray: ...

    @property
    def label(self) -> IntArray: ...

    @property
    def score(self) -> FloatArray: ...


class View(Protocol):
    """All R regions under one judge. label (R,), -1 where invalid; score (R,) before suppression; gap
    (R,): lead over the second class, NaN with one class; limits: of each class."""

    @property
    def label(self) -> IntArray: ...

    @property
    def score(self) -> FloatArray: ...

    @property
    def gap(self) -> FloatArray: ...

    @property
    def limits(self) -> Sequence[ClassLimits]: ...

    @property
    def found(self) -> Found: ...


class Shelf(Protocol):
    """Regions of images; these only get added at the end."""

    @property
    def space(self) -> Space: ...

    @property
    def models(self) -> ModelInfo: ...

    @property
    def images(self) -> Sequence[Indexed]: ...

    def regions(self, image: int, rows: IntArray | None = None) -> Regions:
        """Of one image; rows: only these of it, in that order."""
        ...


class Board(Protocol):
    """Judges all regions of a shelf."""

    @property
    def shelf(self) -> Shelf: ...

    def view(self, judge: Judge) -> View: ...

    def record(self, judge: Judge, image: int) -> ImageRecord: ...


class Hands(Protocol):
    """What needs models. Both raise UsageError, ImageError, ExemplarError or CheckpointError."""

    def draw(self, image: ImageInfo, box: Box) -> Drawn:
        """The object in a box of an image, which is read again."""
        ...

    def paste(self, name: str, data: bytes, label: str | None, bank: Bank | None) -> Drawn:
        """The object in a picture, given as the bytes of its file. label: the class that it is to show,
        None for a negative; bank: what is known of that class."""
        ...
