"""Changed views of exemplars, for objects that lie otherwise in the images than in the examples.

A view is a picture of the same size as its photo, or turned, with the mask changed alike, so the
function that describes exemplars describes it. Views of one photo share its changed pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from ..config.run import AUGMENTS
from .types import BoolArray, Exemplar, UInt8Array

Pixels = npt.NDArray[np.uint8]
Change = Callable[[Pixels], Pixels]
FACTOR = 1.5
"""How many times smaller, and larger, the object is in a view of another scale."""
_TURNED: dict[str, dict[str, Change]] = {
    "flips": {"flip-x": lambda p: p[:, ::-1], "flip-y": lambda p: p[::-1]},
    "turns": {f"turn-{90 * n}": lambda p, n=n: np.rot90(p, n) for n in (1, 2, 3)},  # type: ignore[misc]
}
"""By kind: changes of a picture (H, W) or (H, W, 3)."""
VIEWS = {kind: tuple(_TURNED.get(kind, ("smaller", "larger"))) for kind in AUGMENTS}
"""The views of each kind."""


def kind_of(view: str) -> str:
    """The kind that a view is of."""
    return next(kind for kind, views in VIEWS.items() if view in views)


def views(group: Sequence[Exemplar], kinds: Sequence[str]) -> Iterator[Exemplar]:
    """The views of exemplars of one photo. An object that fills its photo has no larger view."""
    for kind in kinds:
        if kind == "scale":
            for item in group:
                yield from _scaled(item)
            continue
        for name, change in _TURNED[kind].items():
            pixels = np.ascontiguousarray(change(group[0].pixels))
            for item in group:
                mask = np.ascontiguousarray(change(item.mask.astype(np.uint8))) > 0
                yield _view(item, name, pixels, mask)


def _scaled(item: Exemplar) -> Iterator[Exemplar]:
    """The photo smaller within a mirrored frame of itself, whose objects are not in the mask; and the
    part around the object enlarged, where the object leaves room for that."""
    height, width = item.mask.shape
    small = (max(1, round(width / FACTOR)), max(1, round(height / FACTOR)))
    across, down = width - small[0], height - small[1]
    frame = (down // 2, down - down // 2, across // 2, across - across // 2)
    pixels = cv2.resize(item.pixels, small, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(item.mask.astype(np.float32), small, interpolation=cv2.INTER_AREA) >= 0.5
    if mask.any():
        around = cv2.copyMakeBorder(pixels, *frame, cv2.BORDER_REFLECT)
        inside = cv2.copyMakeBorder(mask.astype(np.uint8), *frame, cv2.BORDER_CONSTANT, value=(0,))
        yield _view(item, "smaller", np.asarray(around, np.uint8), inside > 0)
    window = _window(item.mask, small)
    if window is not None:
        part = cv2.resize(item.pixels[window], (width, height), interpolation=cv2.INTER_CUBIC)
        larger = cv2.resize(item.mask[window].astype(np.float32), (width, height)) >= 0.5
        yield _view(item, "larger", np.asarray(part, np.uint8), larger)


def _window(mask: BoolArray, size: tuple[int, int]) -> tuple[slice, slice] | None:
    """Rows and columns of that size (width, height) around a mask; None where it does not fit in."""
    found = []
    for axis, room in ((1, size[1]), (0, size[0])):
        there = np.flatnonzero(mask.any(axis=axis))
        if not len(there) or there[-1] - there[0] + 1 > room:
            return None
        start = int(np.clip((there[0] + there[-1] + 1 - room) // 2, 0, mask.shape[1 - axis] - room))
        found.append(slice(start, start + room))
    return found[0], found[1]


def _view(item: Exemplar, name: str, pixels: UInt8Array, mask: BoolArray) -> Exemplar:
    digest = hashlib.sha256(f"{item.sha256} {name}".encode()).hexdigest()
    return replace(
        item,
        name=f"{item.name}@{name}",
        pixels=pixels,
        mask=mask,
        sha256=digest,
        copy_of=item.name,
        view=name,
    )
