"""Class-agnostic masks of one image, kept run-length encoded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ..config import ProposalOptions
from ..masks import rle
from ..masks.areas import areas
from ..masks.rle import Rle
from ..records import WeightsInfo
from ..weights import (
    Compute,
    LoadedBefore,
    Published,
    StateDict,
    all_published,
    find_published,
    models_folder,
)

if TYPE_CHECKING:
    from torch import Tensor

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Proposals:
    """N masks, best first. size (H, W) of the image in pixels.

    boxes (N, 4) float32 xyxy in image pixels, exclusive maximum. quality (N,) float32, 0..1.
    rles: N COCO encodings. removed: how many masks each filter took away. details: what else the record
    should say about this image's proposals. drawn (H', W'): the size that the encodings are drawn at,
    where that is smaller than the image; ``rendering.rendered`` makes image-size masks of them, and
    until then the boxes are scaled ones, within one pixel of the drawn mask.
    """

    size: tuple[int, int]
    boxes: FloatArray
    quality: FloatArray
    rles: tuple[Rle, ...]
    removed: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, int] = field(default_factory=dict)
    drawn: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        count = len(self.rles)
        if self.boxes.shape != (count, 4) or self.quality.shape != (count,):
            raise ValueError(
                f"{count} masks, boxes {self.boxes.shape}, quality {self.quality.shape} do not agree"
            )

    def __len__(self) -> int:
        return len(self.rles)

    @property
    def mask_size(self) -> tuple[int, int]:
        """(H, W) that the encodings are drawn at."""
        return self.size if self.drawn is None else self.drawn

    def dense(self) -> BoolArray:
        """All masks as (N, H, W) bool at image size; large for large images."""
        from .rendering import rendered

        return rle.decode(rendered(self).rles, self.size)

    def areas(self) -> npt.NDArray[np.float64]:
        """Pixels of the image that each mask covers (N,); of a mask that is drawn smaller, about so
        many."""
        return areas(self.rles, self.size)

    def take(self, rows: npt.NDArray[np.int64]) -> Proposals:
        """The chosen rows, in that order."""
        chosen = tuple(self.rles[int(i)] for i in rows)
        return replace(self, boxes=self.boxes[rows], quality=self.quality[rows], rles=chosen)


class Proposer(Protocol):
    """Image -> proposals. compute: None without a network. reads: the fields of ProposalOptions that it
    looks at. prompting: what --prompting auto is."""

    name: str
    weights: WeightsInfo | None
    compute: Compute | None
    reads: frozenset[str]
    prompting: str

    def propose(self, image: UInt8Array, promise: FloatArray | None = None) -> Proposals:
        """Proposals of an (H, W, 3) uint8 RGB image, best first.

        promise (h, w): how much each cell of a grid over the image looks like what is searched for.
        Given only where prompting is guided.
        """
        ...


@dataclass(frozen=True, slots=True)
class ImageId:
    """Which image it is: its name in records, and the EXIF orientation that its pixels were turned by
    (1: none)."""

    name: str = ""
    orientation: int = 1


@runtime_checkable
class ByImage(Protocol):
    """A proposer that must know which image it is, as it looks its masks up by name."""

    def of(self, image: ImageId) -> Proposer:
        """The proposer of that one image."""
        ...


@runtime_checkable
class BoxPrompted(Protocol):
    """A proposer that can also say which object a box is around."""

    name: str
    weights: WeightsInfo | None
    compute: Compute | None

    def masks_of_boxes(self, image: UInt8Array, boxes: FloatArray) -> list[Rle]:
        """For each box (N, 4: x0, y0, x1, y1 in pixels of an (H, W, 3) uint8 RGB image) the mask of the
        object in it, encoded; empty where nothing of the box lies in the image."""
        ...


class Fill(Protocol):
    """Loads a network from a file whose identity is known. Raises CheckpointError."""

    def __call__(self, path: Path, compute: Compute, state: StateDict | None = None) -> Any: ...


@dataclass(frozen=True, slots=True)
class OwnWeights:
    """The weight files of a proposer, and how the network in one is tried out.

    what: a file of this kind, in words. recognises(names of tensors). side(network): pixels a side of
    what it sees. embed(network, batch (1, 3, side, side) float32, 0..255): features (1, C, h, w).
    """

    what: str
    published: tuple[Published, ...]
    recognises: Callable[[Collection[str]], bool]
    fill: Fill
    side: Callable[[Any], int]
    embed: Callable[[Any, Tensor], Tensor]

    def find(self) -> Path | None:
        """A published file in the models folder, or None."""
        return find_published(self.published)

    def found(self) -> tuple[Path, ...]:
        """All published files in the models folder, the one of ``find`` first."""
        return all_published(self.published)

    def remedy(self) -> str:
        """How to get them, in one sentence."""
        return (
            f"Pass --sam-checkpoint FILE, or put {self.published[0].filename} "
            f"(from {self.published[0].source}) in {models_folder()}/."
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """How a proposer is made: make(options, device, precision, before). weights: None where it needs
    none. licence: of a proposer without weights."""

    make: Callable[[ProposalOptions, str, str, LoadedBefore | None], Proposer]
    weights: OwnWeights | None = None
    licence: str = "Apache-2.0"


def from_masks(
    masks: Iterable[BoolArray], quality: Iterable[float], size: tuple[int, int]
) -> Proposals:
    """Encode masks (H, W), already at image size and not empty, best quality first (ties: first in)."""
    pairs = [(rle.encode(mask), float(value)) for mask, value in zip(masks, quality, strict=True)]
    return from_rles([code for code, _ in pairs], [value for _, value in pairs], size)


def from_rles(
    rles: Sequence[Rle],
    quality: Sequence[float],
    size: tuple[int, int],
    drawn: tuple[int, int] | None = None,
) -> Proposals:
    """Sort encodings by quality (stable) and derive the boxes. drawn: the size of the encodings, where
    it is not that of the image."""
    order = sorted(range(len(rles)), key=lambda i: -quality[i])
    chosen = tuple(rles[i] for i in order)
    ranked = np.asarray([quality[i] for i in order], np.float32)
    boxes = rle.boxes(chosen)
    if drawn is None or drawn == size:
        return Proposals(size, boxes, ranked, chosen)
    (height, width), (rows, columns) = size, drawn
    wide = boxes.astype(np.float64) * [width, height, width, height] / [columns, rows, columns, rows]
    return Proposals(size, wide.astype(np.float32), ranked, chosen, drawn=drawn)
