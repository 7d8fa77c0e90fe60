"""What the writers take: one image with its detections, checked, and the numbers of the classes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from ..config import Limits
from ..errors import UsageError
from ..records import Candidate, ImageRecord, detections

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..masks.polygons import Part
    from ..masks.rle import Rle

    BoolArray = npt.NDArray[np.bool_]
    FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Detection:
    """One detection. id: row of the proposal. box: xyxy in pixels, exclusive maximum. area: pixels.
    segmentation: COCO run-length encoding with text counts."""

    id: int
    label: str
    score: float
    probability: float | None
    box: tuple[float, float, float, float]
    area: int
    segmentation: Rle

    @property
    def xywh(self) -> tuple[float, float, float, float]:
        x0, y0, x1, y1 = self.box
        return x0, y0, x1 - x0, y1 - y0

    @property
    def window(self) -> tuple[BoolArray, tuple[int, int]]:
        """(mask (h, w) cropped to its box, its corner (y, x)). Raises ValueError for a broken one."""
        from ..masks import rle

        found = rle.window(self.segmentation)
        if not found[0].size:
            raise ValueError(f"the mask of candidate {self.id} is empty")
        return found

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Polygons of the mask, in pixels of the image. Raises ValueError for a broken mask."""
        from ..masks.polygons import parts

        return parts(*self.window)

    @cached_property
    def ring(self) -> FloatArray:
        """The mask as one polygon (n, 2): parts and holes are joined by bridges of no width, and no
        corner comes twice. Raises ValueError for a broken mask."""
        from ..masks.polygons import outline

        return outline(*self.window)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One image. name: relative path with ``/`` that stays below any folder it is put in. model: what
    described and proposed. classes: all that were searched for. detections: best first. orientation: by
    EXIF, which led to this frame (1: none)."""

    name: str
    width: int
    height: int
    sha256: str
    model: str
    classes: tuple[str, ...]
    detections: tuple[Detection, ...]
    orientation: int = 1


class Classes:
    """Classes by number, 0 first, in the order in which records name them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def note(self, names: Iterable[str]) -> None:
        for name in names:
            self._numbers.setdefault(name, len(self._numbers))

    def number(self, name: str) -> int:
        return self._numbers[name]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._numbers)


def labelled(record: ImageRecord, limits: Limits) -> Labelled | None:
    """A record for the writers; None for a failed image. Raises UsageError for one whose name could
    leave a folder."""
    if record.run is None:
        return None
    models = record.run.models
    return Labelled(
        name=_safe_name(record.image),
        width=record.width,
        height=record.height,
        sha256=record.sha256,
        model=f"searchdet-{models.backbone.name}-{models.proposer.name}",
        classes=record.classes,
        detections=tuple(_detection(item) for item in detections(record, limits)),
        orientation=1 if record.source is None else record.source.orientation,
    )


def _detection(item: Candidate) -> Detection:
    if item.label is None or item.score is None or item.area < 1:
        raise ValueError(f"candidate {item.id} has no class, score or pixel")
    return Detection(
        id=item.id,
        label=item.label,
        score=item.score,
        probability=item.probability,
        box=item.bbox,
        area=item.area,
        segmentation=item.segmentation,
    )


def _safe_name(name: str) -> str:
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        if not name or "\0" in name or path.anchor or not path.parts or ".." in path.parts:
            raise UsageError(
                f"the record of {name!r} has a name that could leave the folder.",
                "Run `detect` again with --root, so that names are relative.",
            )
    return PurePosixPath(name).as_posix()
