"""Proposals of networks that turn points into masks: grids of points, crops, judging of masks.

network.py says what such a network must answer; generator.py turns prompts into masks of one picture by
segment-anything's rules (Kirillov et al. 2023, arXiv 2304.02643). Here the passes over an image and its
crops become proposals.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ...config import ProposalOptions, points_of_layer
from ...masks import rle
from ...records import WeightsInfo
from ...weights import Compute, Lazy
from ..filters import READS as FILTERS
from ..filters import finish
from ..nms import prefer_small_views
from ..prompts import Everything, Guided, Prompts
from ..types import FloatArray, Proposals, UInt8Array, from_rles

if TYPE_CHECKING:
    from .generator import MaskGenerator
    from .network import PointNetwork

READS = FILTERS | {
    *("points_per_side", "crop_layers", "crop_points_downscale"),
    *("pred_iou_thresh", "stability_score_thresh", "prompting", "guided_share", "smooth"),
    "sam_long_side",
}
CROP_OVERLAP = 512 / 1500
"""Of the crops of segment-anything's own generator."""
Area = tuple[int, int, int, int]


class PointProposer:
    """Masks from a grid of point prompts, on the image and, if asked, on crops of it; the network may
    be loaded with the first image. connect: what is loaded -> a network that answers points. fine:
    whether its masks have details of single cells of their logits."""

    reads = READS
    fine = False
    prompting = "everything"

    def __init__(
        self,
        name: str,
        loaded: Lazy[Any],
        connect: Callable[[Any], PointNetwork],
        options: ProposalOptions,
        compute: Compute,
    ) -> None:
        self.name = name
        self.weights: WeightsInfo | None = loaded.weights
        self.compute: Compute | None = compute
        self._compute = compute
        self._loaded = loaded
        self._connect = connect
        self._options = options

    @functools.cached_property
    def _generator(self) -> MaskGenerator:
        from .generator import FINE_SLACK, STABILITY_SLACK, MaskGenerator

        network = self._connect(self._loaded.get())
        slack = FINE_SLACK if self.fine else STABILITY_SLACK
        return MaskGenerator(network, self._options, self._compute.device, slack)

    def propose(self, image: UInt8Array, promise: FloatArray | None = None) -> Proposals:
        """Masks that pass the filters, at most ``scored_masks``, best predicted IoU first. Raises
        CheckpointError where the weight file has changed before it was loaded."""
        with self._compute.exact():
            return self._propose(image, promise)

    def _propose(self, image: UInt8Array, promise: FloatArray | None) -> Proposals:
        from ..frame import render
        from .generator import LEVEL

        whole = (image.shape[0], image.shape[1])
        if self._options.sam_long_side is not None:
            image = shrunk(image, self._options.sam_long_side)
        size = (image.shape[0], image.shape[1])
        rles, quality, views = [], [], []
        removed: Counter[str] = Counter()
        asked = oom = 0
        for (x0, y0, x1, y1), layer in crops(size, self._options.crop_layers):
            per_side = points_of_layer(
                self._options.points_per_side, self._options.crop_points_downscale, layer
            )
            prompts = self._prompts(
                per_side, None if promise is None else _part(promise, size, (x0, y0, x1, y1))
            )
            done = self._generator.run(image[y0:y1, x0:x1], prompts, (y0, x0), size)
            removed += done.removed
            asked, oom = asked + done.asked, oom + done.oom
            for mask in done.masks:
                pixels, (y, x) = render(mask.part, LEVEL, done.frame)
                rles.append(rle.encode_window(pixels, (y0 + y, x0 + x), size))
                quality.append(min(1.0, max(0.0, mask.quality)))
                views.append((x1 - x0) * (y1 - y0))
        kept = prefer_small_views(rle.boxes(rles), np.asarray(views))
        removed["duplicate"] += len(rles) - len(kept)
        found = from_rles([rles[i] for i in kept], [quality[i] for i in kept], whole, size)
        details = {"points_asked": asked, "memory_retries": oom}
        return finish(replace(found, removed=removed, details=details), self._options)

    def _prompts(self, per_side: int, promise: FloatArray | None) -> Prompts:
        """Of one crop. promise: the part of the map that lies under it."""
        if promise is None:
            return Everything(per_side)
        return Guided(per_side, promise, self._options.guided_share)


def shrunk(image: UInt8Array, long_side: int) -> UInt8Array:
    """An (H, W, 3) picture with a long side of at most so many pixels, by area; itself where it has."""
    size = max(image.shape[:2])
    if size <= long_side:
        return image
    height, width = (max(1, round(n * long_side / size)) for n in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def crops(size: tuple[int, int], layers: int) -> list[tuple[Area, int]]:
    """x0, y0, x1, y1 of the image and of ``layers`` layers of overlapping crops, each with its layer;
    the image is layer 0."""
    from segment_anything.utils.amg import generate_crop_boxes

    boxes, of_layer = generate_crop_boxes(size, layers, CROP_OVERLAP)
    return [((x0, y0, x1, y1), layer) for (x0, y0, x1, y1), layer in zip(boxes, of_layer, strict=True)]


def _part(promise: FloatArray, size: tuple[int, int], area: Area) -> FloatArray:
    """The cells of a promise map that lie under a part of the image."""
    rows, columns = promise.shape
    x0, y0, x1, y1 = area
    top, bottom = y0 * rows // size[0], -(-y1 * rows // size[0])
    left, right = x0 * columns // size[1], -(-x1 * columns // size[1])
    return promise[top:bottom, left:right]
