"""What another tool's reader found, held against what was exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from clientcases import Case, Item, Mask
from exported import drawn, iou

NEAR, ALIKE = 0.5, 0.99
"""Pixels that a box may be off; the least IoU of a mask."""


@dataclass(frozen=True)
class Found:
    """One object as a reader has it; None for what its format or it does not hold. mask: as it holds
    it, polygons filled along the edges of pixels. painted: as its own filler paints its polygons."""

    label: str
    score: float | None = None
    box: Sequence[float] | npt.NDArray[np.float64] | None = None
    mask: Mask | None = None
    painted: Mask | None = None


@dataclass
class Agreement:
    """images, objects: how many. box: most pixels that a box is off. mask, painted: least IoU; thin: of
    thin masks as they are painted. scores: how many came through. wrong: what differs."""

    images: int = 0
    objects: int = 0
    box: float | None = None
    mask: float | None = None
    painted: float | None = None
    thin: float | None = None
    scores: int = 0
    wrong: list[str] = field(default_factory=list)


def filled(polygons: Sequence[npt.NDArray[np.float64]], size: tuple[int, int]) -> Mask:
    """Polygons (n, 2) each as pycocotools fills them."""
    return drawn([np.asarray(points, float).ravel() for points in polygons], size)


def compared(case: Case, found: dict[str, list[Found]], near: float = NEAR) -> Agreement:
    """All images of a case with what a reader found in them, in the order of the detections. near:
    pixels that a box may be off."""
    sums = Agreement()
    for name, items in case.items.items():
        objects = found.get(name)
        if objects is None:
            sums.wrong.append(f"{name}: is missing")
        elif len(objects) != len(items):
            sums.wrong.append(f"{name}: {len(objects)} objects of {len(items)}")
        else:
            sums.images += 1
            for number, pair in enumerate(zip(objects, items, strict=True)):
                _compare(sums, f"{name} {number}", *pair, near)
    sums.wrong += [f"{name}: was not exported" for name in found.keys() - case.items.keys()]
    return sums


def _compare(sums: Agreement, where: str, one: Found, item: Item, near: float) -> None:
    sums.objects += 1
    if one.label != item.label:
        sums.wrong.append(f"{where}: is {one.label!r}, not {item.label!r}")
    if one.score is not None:
        sums.scores += 1
        if abs(float(one.score) - item.score) > 1e-9:
            sums.wrong.append(f"{where}: scores {one.score}, not {item.score}")
    if one.box is not None:
        off = float(np.abs(np.subtract(one.box, item.box)).max())
        sums.box = max(off, sums.box or 0.0)
        if off > near:
            sums.wrong.append(f"{where}: its box is {off:.2f} px off")
    if one.mask is not None:
        same = iou(one.mask, item.mask)
        sums.mask = min(same, 1.0 if sums.mask is None else sums.mask)
        if same < ALIKE:
            sums.wrong.append(f"{where}: its mask has an IoU of {same:.3f}")
    if one.painted is not None and where.split("/")[-1].startswith("thin"):
        sums.thin = min(iou(one.painted, item.mask), 1.0 if sums.thin is None else sums.thin)
    elif one.painted is not None:
        sums.painted = min(iou(one.painted, item.mask), 1.0 if sums.painted is None else sums.painted)
