"""What the writers take: one image with its detections, checked, and the numbers of the classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from ..config import MOST_PIXELS
from ..errors import DAMAGE, UsageError
from ..records.record import damaged
from ..records.thresholds import Limits, detections

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..masks.polygons import Part

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
    segmentation: dict[str, Any]

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
        """The mask as one polygon (n, 2): parts and holes are joined by bridges of no width."""
        from ..masks.bridges import joined

        return joined([ring for part in self.parts for ring in (part.outer, *part.holes)])


@dataclass(frozen=True, slots=True)
class Labelled:
    """One image. name: relative path with ``/`` that stays below any folder it is put in. model: what
    described and proposed. classes: all that were searched for. detections: best first."""

    name: str
    width: int
    height: int
    sha256: str
    model: str
    classes: tuple[str, ...]
    detections: tuple[Detection, ...]


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


def labelled(record: Mapping[str, Any], limits: Limits) -> Labelled | None:
    """A record (JSON values) for the writers; None for a failed image. Raises UsageError for one that
    is damaged, or whose name could leave a folder."""
    name = record.get("image")
    try:
        if record["status"] == "failed":
            return None
        return _labelled(record, limits)
    except DAMAGE as error:
        raise damaged(str(name), error) from error


def _labelled(record: Mapping[str, Any], limits: Limits) -> Labelled:
    height, width = _count(record["height"]), _count(record["width"])
    if height * width > MOST_PIXELS:
        raise ValueError(f"no image is of {width}x{height}")
    classes = tuple(_text(name) for name in record["classes"])
    found = tuple(_detection(item, classes, (height, width)) for item in detections(record, limits))
    used = [record.get(part, {}).get("name") for part in ("backbone", "proposals")]
    return Labelled(
        name=_safe_name(record["image"]),
        width=width,
        height=height,
        sha256=_text(record["sha256"]),
        model="-".join(["searchdet", *(_text(name) for name in used if name)]),
        classes=classes,
        detections=found,
    )


def _detection(item: Mapping[str, Any], classes: tuple[str, ...], size: tuple[int, int]) -> Detection:
    label, code = _text(item["label"]), item["segmentation"]
    if label not in classes:
        raise ValueError(f"there is no class {label!r}")
    if list(code["size"]) != list(size) or not _text(code["counts"]).isascii():
        raise ValueError(f"the mask of candidate {item['id']} is of another image")
    x0, y0, x1, y1 = (_number(value) for value in item["bbox"])
    chance = item["probability"]
    return Detection(
        id=int(item["id"]),
        label=label,
        score=_number(item["score"]),
        probability=None if chance is None else _number(chance),
        box=(x0, y0, x1, y1),
        area=_count(item["area"]),
        segmentation={"size": list(size), "counts": code["counts"]},
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is no count")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    value.encode("utf-8", "surrogateescape")  # what no file name can hold cannot be written either
    return value


def _safe_name(value: Any) -> str:
    name = _text(value)
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        if not name or "\0" in name or path.anchor or not path.parts or ".." in path.parts:
            raise UsageError(
                f"the record of {name!r} has a name that could leave the folder.",
                "Run `detect` again with --root, so that names are relative.",
            )
    return PurePosixPath(name).as_posix()
