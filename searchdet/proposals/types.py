"""Class-agnostic masks of one image, kept run-length encoded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..checkpoints import WeightsInfo

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]
Rle = dict[str, Any]
"""COCO run-length encoding: {"size": [H, W], "counts": str}."""


@dataclass(frozen=True, slots=True)
class Proposals:
    """N masks, best first. size (H, W) of the image in pixels.

    boxes (N, 4) float32 xyxy in image pixels, exclusive maximum. quality (N,) float32, 0..1.
    rles: N COCO encodings at image size.
    """

    size: tuple[int, int]
    boxes: FloatArray
    quality: FloatArray
    rles: tuple[Rle, ...]

    def __post_init__(self) -> None:
        count = len(self.rles)
        if self.boxes.shape != (count, 4) or self.quality.shape != (count,):
            raise ValueError(
                f"{count} masks, boxes {self.boxes.shape}, quality {self.quality.shape} do not agree"
            )

    def __len__(self) -> int:
        return len(self.rles)

    def dense(self) -> BoolArray:
        """All masks as (N, H, W) bool at image size."""
        return decode(self.rles, self.size)


class Proposer(Protocol):
    """Image -> proposals."""

    name: str
    weights: WeightsInfo | None

    def propose(self, image: UInt8Array) -> Proposals:
        """Proposals of an (H, W, 3) uint8 RGB image, best first."""
        ...


def encode(mask: BoolArray) -> Rle:
    """One mask (H, W) -> COCO encoding with ``counts`` as text."""
    from pycocotools import mask as coco

    rle = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode("ascii")}


def rle_area(rle: Rle) -> int:
    """Pixels of one encoded mask."""
    from pycocotools import mask as coco

    return int(coco.area(rle))


def decode(rles: Iterable[Rle], size: tuple[int, int]) -> BoolArray:
    """COCO encodings -> (N, H, W) bool."""
    from pycocotools import mask as coco

    masks = [coco.decode(rle) for rle in rles]
    if not masks:
        return np.zeros((0, *size), bool)
    return np.stack(masks).astype(bool)


def from_masks(
    masks: Iterable[BoolArray], quality: Iterable[float], size: tuple[int, int]
) -> Proposals:
    """Encode masks (H, W), already at image size and not empty, best quality first (ties: first in)."""
    pairs = [(encode(mask), float(value)) for mask, value in zip(masks, quality, strict=True)]
    return from_rles([rle for rle, _ in pairs], [value for _, value in pairs], size)


def from_rles(rles: list[Rle], quality: list[float], size: tuple[int, int]) -> Proposals:
    """Sort encodings by quality (stable) and derive the boxes."""
    from pycocotools import mask as coco

    order = sorted(range(len(rles)), key=lambda i: -quality[i])
    boxes = np.zeros((len(rles), 4), np.float32)
    for row, i in enumerate(order):
        x, y, w, h = coco.toBbox(rles[i])
        boxes[row] = (x, y, x + w, y + h)
    ranked = np.asarray([quality[i] for i in order], np.float32)
    return Proposals(size, boxes, ranked, tuple(rles[i] for i in order))
