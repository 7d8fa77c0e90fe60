"""``regions``: the embedded proposer. No weights; recall first, drawn at working size.

Two sources on a small copy of the image: merge trees over superpixels (three ideas of what is alike),
and components of maps that are cut at many levels, split where objects touch. One of these maps is of
what looks like the examples, where these are known (guided prompting). All are ranked by how
much they differ from what surrounds them, how little of their outline is faint, and how many sources
and levels agree on them.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..config import ProposalOptions
from ..errors import UsageError
from ..masks import rle
from ..masks.rle import Rle
from ..records import WeightsInfo
from ..weights import Compute, LoadedBefore
from . import hierarchy
from .copies import distinct
from .families import Family
from .filters import READS as FILTERS
from .filters import finish, smooth
from .inbox import masks_in_boxes
from .pool import Sources, gather
from .quality import look, quality
from .scene import Scene, prepare
from .superpixels import superpixels
from .thresholds import LEAST_PROMISE, LEAST_SPAN, Parts, eight_bits, fields, parts_of, promised
from .types import FloatArray, Plan, Proposals, Proposer, UInt8Array, from_rles

NAME = "regions"
IntArray = npt.NDArray[np.int64]
ALIKE = 0.18
"""Of masks whose boxes differ by less than about this share of their size the best is kept."""
_LEAST = 12
"""Pixels of the smallest mask."""
_WORKERS = 2
IN_BOX = ProposalOptions(NAME, min_area=2.0, max_area=95.0)
"""Of the crop around a box."""


class RegionProposer:
    """Classical segmentation as a proposer."""

    name = NAME
    reads = FILTERS | {"smooth", "prompting"}
    prompting = "guided"
    weights: WeightsInfo | None = None
    compute: Compute | None = None

    def __init__(self, options: ProposalOptions) -> None:
        self._options = options

    def propose(self, image: UInt8Array, promise: FloatArray | None = None) -> Proposals:
        """Proposals of an (H, W, 3) uint8 RGB image, best first. With a promise also parts of what
        looks like the examples."""
        scene, options = prepare(image), self._options
        total = scene.size[0] * scene.size[1]
        limits = (max(_LEAST, options.min_area / 100 * total), options.max_area / 100 * total)
        with ThreadPoolExecutor(_WORKERS) as workers:
            pool, removed = gather(_sources(scene, promise, limits[0], workers), limits, workers)
        size = (image.shape[0], image.shape[1])
        if not len(pool):
            return finish(replace(from_rles([], [], size), removed=removed), options)
        looks = look(scene, pool.columns, pool.rows, len(pool))
        value = quality(looks, pool.copies, pool.areas)
        order = np.argsort(-value, kind="stable")
        unique = order[distinct(pool.boxes[order], pool.areas[order], ALIKE)[0]]
        kept = unique[: _room(options)]
        removed["duplicate"] += len(pool) - len(unique)
        removed["limit"] += len(unique) - len(kept)
        codes = rle.from_runs(pool.filled(kept), len(kept), scene.size)
        found = _smoothed(codes, value[kept], scene.size, options.smooth)
        made = from_rles(*found, size, scene.size)
        return finish(replace(made, removed=removed), options)

    def masks_of_boxes(self, image: UInt8Array, boxes: FloatArray) -> list[Rle]:
        """See ``BoxPrompted``. Whatever the options say of masks of whole images does not count."""
        return masks_in_boxes(image, boxes, RegionProposer(IN_BOX).propose)


def _room(options: ProposalOptions) -> int:
    """How many to keep before the filters that follow, so that these do not empty the list."""
    active = options.drop_border or options.drop_rectangles is not None or options.max_containment < 1
    return options.scored_masks * (2 if active else 1)


def _sources(scene: Scene, promise: FloatArray | None, least: float, workers: Executor) -> Sources:
    """All masks. least: pixels of the smallest that is wanted; holes are filled later, so parts of half
    that size count."""
    labels = superpixels(scene)
    trees = workers.submit(_trees, scene, labels)
    some = math.ceil(least / 2)
    maps = [eight_bits(field, LEAST_SPAN) for field in fields(scene)]
    if promise is not None:
        maps.append(eight_bits(promised(promise, labels), LEAST_PROMISE))
    parts = list(workers.map(lambda grey: _parts(grey, some), maps))
    made = trees.result()
    return Sources(
        [part for found in parts for part in found],
        [tree for tree, _ in made],
        [edge for _, edge in made],
    )


def _trees(scene: Scene, labels: IntArray) -> list[tuple[Family, npt.NDArray[np.float64]]]:
    """Merge trees over superpixels (H, W), with the edge strength around each node."""
    boxes, areas = hierarchy.boxes_and_areas(labels)
    segments = hierarchy.segments_of(scene.lab, labels, boxes)
    borders = hierarchy.borders_of(labels, scene.edges)
    made = []
    for distance in (hierarchy.by_colour, hierarchy.by_edge, hierarchy.by_mean):
        rounds, edge = hierarchy.merge_order(segments, borders, distance)
        made.append((hierarchy.family(labels, boxes, areas, rounds), edge))
    return made


def _parts(grey: UInt8Array | None, least: int) -> list[Parts]:
    return [] if grey is None else list(parts_of(grey, least))


def _smoothed(
    codes: list[Rle], values: FloatArray, size: tuple[int, int], radius: int
) -> tuple[list[Rle], list[float]]:
    """Masks opened and closed, without those of which nothing is left."""
    if not radius:
        return codes, values.tolist()
    found: list[tuple[Rle, float]] = []
    for code, value in zip(codes, values.tolist(), strict=True):
        mask = smooth(rle.decode([code], size)[0].astype(np.float32), radius) > 0.5
        if mask.any():
            found.append((rle.encode(mask), value))
    return [code for code, _ in found], [value for _, value in found]


def _make(
    options: ProposalOptions, device: str, precision: str, before: LoadedBefore | None
) -> Proposer:
    if options.crop_layers:
        raise UsageError(
            f"--crop-layers is SAM's; `{NAME}` asks no points.",
            "Pass --sam-checkpoint FILE, or leave it out.",
        )
    return RegionProposer(options)


PLAN = Plan(_make)
