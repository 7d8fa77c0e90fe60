"""One image to regions: proposals and their descriptors, on the whole image or on tiles of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..backbones import Backbone, FeatureMap
from ..config import EmbeddingOptions, ProposalOptions
from ..embeddings import Descriptors, describe, stack
from ..masks.coverage import Masks
from ..masks.shape import outlines_of
from ..proposals import Proposals, Proposer
from ..proposals.tiling import join, uncut, views
from ..proposals.types import ByImage, ImageId
from ..storage.stages import EMBEDDING, PROPOSALS, stage

FloatArray = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]
Promise = Callable[[FeatureMap], FloatArray]
"""Feature map -> (h, w): how much each cell looks like what is searched for."""

Unusual = Callable[[FeatureMap, Proposals], tuple[Proposals, FloatArray]]
"""Feature map and proposals of an image -> more proposals, and how unusual each is, (N,) 0..1."""
Seen = Callable[[FeatureMap], object]
READS = frozenset({"tile", "tile_overlap"})
"""The options of the proposals that are looked at here, whatever the proposer."""


@dataclass(frozen=True, slots=True)
class Regions:
    """N proposals of one image with their descriptors; row i is the same object in both."""

    proposals: Proposals
    described: Descriptors

    def sized(self) -> Descriptors:
        """The descriptors with the area of each region, pixels of the image."""
        return replace(self.described, areas=self.proposals.areas())


@dataclass(frozen=True, slots=True)
class Describer:
    """A proposer and a backbone with their options. promise: for guided prompting, else None. unusual:
    where it is known what is normal, else None."""

    backbone: Backbone
    proposer: Proposer
    proposals: ProposalOptions
    embedding: EmbeddingOptions
    promise: Promise | None = None
    unusual: Unusual | None = None

    def of(self, image: ImageId) -> Describer:
        """The describer of one image, where its proposer must know which it is."""
        if not isinstance(self.proposer, ByImage):
            return self
        return replace(self, proposer=self.proposer.of(image))

    def regions(self, image: UInt8Array, seen: Seen | None = None) -> Regions:
        """Regions of an (H, W, 3) uint8 RGB image, best proposal first. seen: is given the feature map
        of the image, unless it is described in tiles.

        With tiles each one has a feature map of its own, so a small target is described at the
        resolution at which it was found.
        """
        size = (image.shape[0], image.shape[1])
        areas = views(size, self.proposals.tile, self.proposals.tile_overlap)
        if len(areas) == 1:
            return self._one(image, seen)
        parts, described = [], []
        for area in areas:
            part = self._one(np.ascontiguousarray(image[area.y0 : area.y1, area.x0 : area.x1]))
            rows = uncut(part.proposals, area, size)
            removed = dict(part.proposals.removed)
            removed["tile_edge"] = len(part.proposals) - len(rows)
            parts.append((area, replace(part.proposals.take(rows), removed=removed)))
            described.append(part.described.take(rows))
        found, rows = join(parts, size)
        return Regions(found, stack(described).take(rows))

    def _one(self, image: UInt8Array, seen: Seen | None = None) -> Regions:
        feature_map, found = self._seen(image)
        if seen is not None:
            seen(feature_map)
        unusual = None
        if self.unusual is not None:
            found, unusual = self.unusual(feature_map, found)
        with stage(EMBEDDING):
            masks = Masks.of(found.rles, found.mask_size)
            shapes = outlines_of(masks.runs, masks.count)
            described = describe(feature_map, masks, shapes, self.embedding)
        return Regions(found, replace(described, unusual=unusual))

    def _seen(self, image: UInt8Array) -> tuple[FeatureMap, Proposals]:
        """Map and proposals of an image: side by side where only one of the two is a network and
        neither needs the other."""
        if self.promise is not None:
            feature_map = self._map(image)
            return feature_map, self._propose(image, self.promise(feature_map))
        if self.proposer.compute is not None:
            return self._map(image), self._propose(image)
        with ThreadPoolExecutor(1) as worker:
            described = worker.submit(copy_context().run, self._map, image)
            found = self._propose(image)
            return described.result(), found

    def _map(self, image: UInt8Array) -> FeatureMap:
        with stage(EMBEDDING):
            return self.backbone.feature_map(image)

    def _propose(self, image: UInt8Array, promise: FloatArray | None = None) -> Proposals:
        with stage(PROPOSALS):
            return self.proposer.propose(image, promise)
