"""Regions beside what is normal: parts of an image that are unusual, and how unusual each region is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from ..backbones import FeatureMap
from ..config import ProposalOptions
from ..embeddings import under_runs
from ..masks import rle
from ..masks.coverage import Masks
from ..proposals.copies import distinct
from ..proposals.families import runs_of_windows
from ..proposals.filters import finish
from ..proposals.thresholds import components
from ..proposals.types import Proposals, from_rles
from .cells import cells_of
from .residual import deviations
from .types import Normality
from .units import strengths, unusual

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
LEVELS = (3.0, 4.0, 6.0, 9.0, 14.0)
"""Where the map is cut, in deviations."""
LEAST = 8
"""Pixels of the smallest part."""
MOST_PARTS = 200
FINER = 4
"""Points a cell, a side, at which the map is read under a mask."""
TOP = "top_percent_millideviations"
"""What a record calls the score of its image, in thousandths of a deviation."""
QUALITY = 0.5
"""Of a part of the map: nothing is known of it beside the map."""


@dataclass(frozen=True, slots=True)
class Unusual:
    """Joins parts of the map to the proposals of an image, and says how unusual each is. stride: of the
    backbone; options: of the proposals."""

    normality: Normality
    stride: int
    options: ProposalOptions
    _last: list[tuple[FeatureMap, FloatArray]] = field(default_factory=list, repr=False, compare=False)

    def map_of(self, feature_map: FeatureMap) -> FloatArray:
        """(h, w): deviations of an image's cells; that of the last image is kept."""
        for known, made in self._last:
            if known is feature_map:
                return made
        made = deviations(cells_of(feature_map, self.stride), self.normality)
        self._last[:] = [(feature_map, made)]
        return made

    def __call__(self, feature_map: FeatureMap, found: Proposals) -> tuple[Proposals, FloatArray]:
        """More proposals, best first, and how unusual each is, (N,) 0..1; one half is the limit."""
        joined, under = self._measured(feature_map, found)
        said = unusual(joined.quality, under, self.normality.info.limit)
        return joined, said.astype(np.float32)

    def strongest(self, feature_map: FeatureMap, found: Proposals) -> float:
        """The largest strength of an image; 0 where nothing is proposed."""
        joined, under = self._measured(feature_map, found)
        return float(strengths(joined.quality, under).max(initial=0.0))

    def _measured(self, feature_map: FeatureMap, found: Proposals) -> tuple[Proposals, Float64Array]:
        unlike = self.map_of(feature_map)
        joined = joined_with(found, parts_of(unlike, found, self.options))
        details = {**joined.details, TOP: round(1000 * max(top_percent(unlike), 0.0))}
        return replace(joined, details=details), means_under(unlike, joined)


def parts_of(field: FloatArray, found: Proposals, options: ProposalOptions) -> Proposals:
    """Components of a map (h, w), drawn smoothly at the size of the proposals' masks, above each
    level. The filters of the options hold for them."""
    height, width = found.mask_size
    fine = np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    made = [part for level in LEVELS for part in components((fine > level).astype(np.uint8), LEAST)]
    windows = [window for part in made for window in part.windows()]
    none = np.zeros((0, 4), np.int64)
    boxes = np.concatenate([none, *(part.boxes for part in made)])
    areas = np.concatenate([np.zeros(0, np.int64), *(part.areas for part in made)])
    kept = distinct(boxes, areas)[0][:MOST_PARTS]
    runs = runs_of_windows([windows[i] for i in kept], boxes[kept])
    codes = rle.from_runs(runs, len(kept), found.mask_size)
    own = ProposalOptions().min_area == options.min_area  # whose default is for objects
    limits = replace(options, min_area=0.0) if own else options
    return finish(from_rles(codes, [QUALITY] * len(codes), found.size, found.drawn), limits)


def joined_with(found: Proposals, more: Proposals) -> Proposals:
    """Both, best first; what was removed of either adds up."""
    quality = [*found.quality.tolist(), *more.quality.tolist()]
    made = from_rles([*found.rles, *more.rles], quality, found.size, found.drawn)
    names = {**found.removed, **more.removed}
    removed = {name: found.removed.get(name, 0) + more.removed.get(name, 0) for name in names}
    return replace(made, removed=removed, details={**found.details, "unusual_parts": len(more)})


def top_percent(field: FloatArray) -> float:
    """The score of an image by a map (h, w): the mean of its largest hundredth, of one cell at least
    (AnomalyDINO)."""
    ranked = np.sort(field.ravel())[::-1]
    return float(ranked[: max(1, len(ranked) // 100)].mean())


def means_under(field: FloatArray, found: Proposals) -> Float64Array:
    """(N,): mean of a map (h, w) under each mask, read between its cells."""
    import torch

    if not len(found):
        return np.zeros(0)
    size = (field.shape[1] * FINER, field.shape[0] * FINER)
    fine = np.asarray(cv2.resize(field, size, interpolation=cv2.INTER_LINEAR), np.float32)
    masks = Masks.of(found.rles, found.mask_size)
    return np.asarray(under_runs(torch.from_numpy(fine)[None], masks)[:, 0].numpy(), np.float64)
