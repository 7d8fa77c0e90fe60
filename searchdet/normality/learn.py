"""Images of good parts to what is normal, with the units from each of them left out in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..backbones import Backbone, FeatureMap
from ..config import NormalityOptions, ProposalOptions
from ..errors import ExemplarError
from ..proposals import Proposer
from ..proposals.tiling import views
from ..records import NormalityInfo
from .cells import cells_of
from .regions import Unusual
from .residual import Moments, residuals, robust, subspace
from .types import SUBSPACE, Normality, halved
from .units import limit_of

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
LEAST_IMAGES = 2
MOST_LEFT_OUT = 24
"""Good parts that are left out in turn, evenly spread."""
MOST_CELLS = 20_000
"""Cells that ``nearest`` keeps, evenly spread over all."""
Model = dict[str, FloatArray]


@dataclass(frozen=True, slots=True)
class Teacher:
    """What learns: a backbone, a proposer, and how."""

    backbone: Backbone
    proposer: Proposer
    options: NormalityOptions
    proposals: ProposalOptions


@dataclass(frozen=True, slots=True)
class Part:
    """A good part, or a tile of it: its pixels (H, W, 3) and its feature map."""

    pixels: UInt8Array
    feature_map: FeatureMap


@dataclass(frozen=True, slots=True)
class Good:
    """One image of a good part: the parts it is looked at in, their cells (N, D), and the cells of all
    views of it (M, D)."""

    parts: tuple[Part, ...]
    cells: FloatArray
    views: FloatArray


def learn(images: Sequence[UInt8Array], by: Teacher) -> Normality:
    """What is normal by (H, W, 3) uint8 RGB images of good parts, with the limit of what stands out on
    them to this proposer. Raises ExemplarError where they are too few to leave one out."""
    if len(images) < LEAST_IMAGES:
        raise ExemplarError(
            f"--normal: {len(images)} image is too little: each is left out in turn, to know what good "
            "parts show.",
            f"Put at least {LEAST_IMAGES} images of good parts there; ten say more.",
        )
    seen = [_seen(image, by) for image in images]
    without = _models_without(seen, by.options.method)
    chosen = np.unique(np.linspace(0, len(seen) - 1, min(len(seen), MOST_LEFT_OUT)).round().astype(int))
    left_out = [(seen[i], without(i)) for i in chosen.tolist()]
    found = [residuals(good.cells, by.options.method, model) for good, model in left_out]
    middle, spread = robust(np.concatenate(found))
    cells = sum(len(good.views) for good in seen)
    facts = (by.options.method, len(images), cells, by.options.views, middle, spread)
    info = NormalityInfo(*facts, 1.0, by.proposer.name, by.proposals.tile)
    most = [_strongest(good, Normality(info, model), by) for good, model in left_out]
    return Normality(info, halved(without(None))).limited(limit_of(most))


def alone(image: UInt8Array, by: Teacher) -> Normality:
    """What is normal by a single (H, W, 3) image of a good part. Nothing says how far good parts vary,
    so residuals are as they are (middle 0, spread 1): they rank cells and images, and the limit of 1
    decides nothing."""
    views = _seen(image, by).views
    model = _models_without([Good((), views, views)], by.options.method)(None)
    facts = (by.options.method, 1, len(views), by.options.views, 0.0, 1.0, 1.0)
    return Normality(NormalityInfo(*facts, by.proposer.name, by.proposals.tile), halved(model))


def _strongest(good: Good, normality: Normality, by: Teacher) -> float:
    """The largest strength on a good part."""
    judge = Unusual(normality, by.backbone.stride, by.proposals)
    return max(
        judge.strongest(part.feature_map, by.proposer.propose(part.pixels)) for part in good.parts
    )


def views_of(image: UInt8Array, how: str) -> Iterator[UInt8Array]:
    """The image, then turned over and round as ``how`` says: both of the papers turn theirs."""
    turned = [np.rot90(image, k) for k in ((0, 1, 2, 3) if how == "turns" else (0,))]
    if how != "none":
        turned += [view[:, ::-1] for view in turned]
    if how == "flips":
        turned += [view[::-1] for view in turned]
    yield from (np.ascontiguousarray(view) for view in turned)


def _seen(image: UInt8Array, by: Teacher) -> Good:
    parts, own, every = [], list[FloatArray](), list[FloatArray]()
    for area in views((image.shape[0], image.shape[1]), by.proposals.tile, by.proposals.tile_overlap):
        pixels = np.ascontiguousarray(image[area.y0 : area.y1, area.x0 : area.x1])
        maps = [by.backbone.feature_map(view) for view in views_of(pixels, by.options.views)]
        cells = [_flat(found, by.backbone.stride) for found in maps]
        parts.append(Part(pixels, maps[0]))
        own.append(cells[0])
        every += cells
    return Good(tuple(parts), np.concatenate(own), np.concatenate(every))


def _flat(feature_map: FeatureMap, stride: int) -> FloatArray:
    cells = cells_of(feature_map, stride)
    return cells.reshape(-1, cells.shape[-1])


def _models_without(seen: Sequence[Good], method: str) -> Callable[[int | None], Model]:
    """A function that gives the model of all good parts but one; None: of all."""
    if method == SUBSPACE:
        each = [Moments.of(good.views) for good in seen]
        every = each[0]
        for moments in each[1:]:
            every = every.plus(moments)
        return lambda i: subspace(every if i is None else every.plus(each[i], -1))
    step = max(1, -(-sum(len(good.views) for good in seen) // MOST_CELLS))
    some = [good.views[k % step :: step] for k, good in enumerate(seen)]
    return lambda i: {"cells": np.concatenate([part for k, part in enumerate(some) if k != i])}
