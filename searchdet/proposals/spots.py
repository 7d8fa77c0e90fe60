"""``spots``: small things that stand out from the surface around them. No weights; recall first.

The lightness of each pixel, less the median of a window around it, in units of how much that difference
varies nearby, is cut at many levels; what lies above and what lies below a level falls into components
(a threshold tree). So a pit of a few pixels is a mask whatever the light, and a shade over half the
image is none. Masks that few levels agree on are texture: how many do is part of the quality.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ..config import ProposalOptions
from ..errors import UsageError
from ..masks import rle
from ..records import WeightsInfo
from ..weights import Compute, LoadedBefore
from .copies import distinct
from .families import runs_of_windows
from .filters import READS as FILTERS
from .filters import finish
from .thresholds import Parts, components
from .types import FloatArray, Plan, Proposals, Proposer, UInt8Array, from_rles

NAME = "spots"
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
WORKING_PIXELS = 640_000
"""About how many pixels are cut; smaller images are not enlarged."""
WINDOWS = (21, 51, 101)
"""Sides of what is around a pixel, in pixels of the working copy: a spot stands out in a window that is
twice its size."""
LEVELS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
"""Where differences are cut, in local deviations."""
LEAST = 8
"""Pixels of the smallest mask, where --min-area is not given."""
ALIKE = 0.12
"""Of masks whose boxes differ by less than about this share of their size one is kept."""
MOST_SHARE = 0.05
"""Share of the image that a spot takes at most: what is larger stands out from nothing around it."""
_SMOOTH, _FLAT = 0.8, 1.0
"""Sigma of the noise that is smoothed away; the deviation, in grey levels, of what does not vary."""
_HALF = 12.0
"""Strength of a mask whose quality is one half."""
_WORKERS = 2


@dataclass(frozen=True, slots=True)
class Cuts:
    """Components of one map at one level; the map (H, W), in deviations."""

    parts: Parts
    field: FloatArray

    def means(self, rows: IntArray) -> Float64Array:
        """Mean distance from 0 of the map under the chosen masks."""
        total = np.bincount(self.parts.labels.ravel(), np.abs(self.field).ravel())
        return np.asarray(total[self.parts.number[rows]] / self.parts.areas[rows], np.float64)


class SpotProposer:
    """Local contrast as a proposer."""

    name = NAME
    reads = FILTERS
    prompting = "everything"
    weights: WeightsInfo | None = None
    compute: Compute | None = None

    def __init__(self, options: ProposalOptions) -> None:
        self._options = options

    def propose(self, image: UInt8Array, promise: FloatArray | None = None) -> Proposals:
        """Proposals of an (H, W, 3) uint8 RGB image, best first. A promise is not looked at."""
        options, size = self._options, (image.shape[0], image.shape[1])
        grey = working_copy(image)
        total = grey.shape[0] * grey.shape[1]
        least = max(1, math.ceil(options.min_area / 100 * total)) if self._limited else LEAST
        most = min(options.max_area / 100, MOST_SHARE) * total
        cuts = cuts_of(grey, least, most)
        boxes = np.concatenate([np.zeros((0, 4), np.int64), *(cut.parts.boxes for cut in cuts)])
        areas = np.concatenate([np.zeros(0, np.int64), *(cut.parts.areas for cut in cuts)])
        kept, copies = distinct(boxes, areas, ALIKE)
        value = strength(_means(cuts, kept), areas[kept], copies)
        best = np.argsort(-value, kind="stable")[: 2 * options.scored_masks]
        removed = {"duplicate": len(areas) - len(kept), "limit": len(kept) - len(best)}
        windows, corners = _windows(cuts, kept[best])
        codes = rle.from_runs(runs_of_windows(windows, corners), len(windows), grey.shape)
        quality = value[best] / (value[best] + _HALF)
        made = replace(from_rles(codes, quality.tolist(), size, grey.shape), removed=removed)
        return finish(made, options if self._limited else replace(options, min_area=0.0))

    @property
    def _limited(self) -> bool:
        """Whether --min-area says how small a mask may be; its default is for objects."""
        return self._options.min_area != ProposalOptions().min_area


def working_copy(image: UInt8Array) -> UInt8Array:
    """The lightness (H', W') of an (H, W, 3) image that is cut."""
    height, width = image.shape[:2]
    scale = min(1.0, (WORKING_PIXELS / (height * width)) ** 0.5)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), _SMOOTH), np.uint8)


def standing_out(grey: UInt8Array, window: int) -> FloatArray:
    """(H, W): lightness less the median of a square window, in units of the deviation of that
    difference nearby."""
    apart = grey.astype(np.float32) - cv2.medianBlur(grey, window)
    spread = cv2.GaussianBlur(apart**2, (0, 0), float(window))
    return np.asarray(apart / (np.sqrt(spread) + _FLAT), np.float32)


def cuts_of(grey: UInt8Array, least: float, most: float) -> list[Cuts]:
    """Components of all maps at all levels, of ``least`` to ``most`` pixels."""
    windows = [side for side in WINDOWS if side < min(grey.shape)]
    with ThreadPoolExecutor(_WORKERS) as workers:
        found = list(workers.map(lambda side: _cut(standing_out(grey, side), least, most), windows))
    return [cut for part in found for cut in part]


def _cut(field: FloatArray, least: float, most: float) -> list[Cuts]:
    made = []
    for level in LEVELS:
        for above in (field > level, field < -level):
            for parts in components(above.astype(np.uint8), math.ceil(least)):
                rows = np.flatnonzero(parts.areas <= most)
                if len(rows):
                    made.append(Cuts(parts.take(rows), field))
    return made


def strength(means: Float64Array, areas: IntArray, copies: IntArray) -> Float64Array:
    """How plainly each mask stands out: mean deviations, more where it is large for them and where many
    levels and windows agree on it."""
    return np.asarray(means * areas**0.25 * np.log1p(copies), np.float64)


def _means(cuts: Sequence[Cuts], rows: IntArray) -> Float64Array:
    """``Cuts.means`` of rows, ascending, of all cuts one after another."""
    ends = np.cumsum([0, *(len(cut.parts.areas) for cut in cuts)])
    at = np.searchsorted(rows, ends)
    found = [
        cut.means(rows[a:b] - start)
        for cut, a, b, start in zip(cuts, at[:-1], at[1:], ends[:-1], strict=True)
    ]
    return np.concatenate([np.zeros(0), *found])


def _windows(cuts: Sequence[Cuts], rows: IntArray) -> tuple[list[npt.NDArray[np.bool_]], IntArray]:
    """Masks of rows of all cuts, holes filled, and their boxes, in the order of the rows."""
    ends = np.cumsum([0, *(len(cut.parts.areas) for cut in cuts)])
    made: list[npt.NDArray[np.bool_]] = [np.zeros((0, 0), bool)] * len(rows)
    boxes = np.zeros((len(rows), 4), np.int64)
    owner = np.searchsorted(ends, rows, side="right") - 1
    for number in np.unique(owner).tolist():
        mine = np.flatnonzero(owner == number)
        part = cuts[number].parts.take(rows[mine] - ends[number])
        boxes[mine] = part.boxes
        for place, window in zip(mine.tolist(), part.windows(), strict=True):
            made[place] = window
    return made, boxes


def _make(
    options: ProposalOptions, device: str, precision: str, before: LoadedBefore | None
) -> Proposer:
    if options.crop_layers:
        raise UsageError(f"--crop-layers is SAM's; `{NAME}` asks no points.", "Leave it out.")
    return SpotProposer(options)


PLAN = Plan(_make)
