"""Masks to descriptors: coverage by area, masked average pooling, and the one ``l2_normalize``.

The same functions embed exemplars and proposals, so both live in one space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from .config import EmbeddingOptions
from .errors import EmbeddingError
from .masks.rle import Runs

if TYPE_CHECKING:
    from torch import Tensor

    from .backbones import Backbone, FeatureMap

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]
COLLAPSE_COSINE = 0.985
"""Above this, the least alike masks of an image still look the same to the backbone."""
_CHUNK_BYTES = 1 << 27


@dataclass(frozen=True, slots=True)
class MaskEmbeddings:
    """vectors (M, D) float32, unit length where valid, zero elsewhere; valid (M,) bool.

    Row i belongs to mask i. subcell (M,) bool: the mask is smaller than one cell of the map.
    """

    vectors: FloatArray
    valid: BoolArray
    subcell: BoolArray

    def take(self, rows: IntArray) -> MaskEmbeddings:
        """The chosen rows, in that order."""
        return MaskEmbeddings(self.vectors[rows], self.valid[rows], self.subcell[rows])


@dataclass(frozen=True, slots=True)
class Descriptors:
    """All that is compared of N masks; row i belongs to mask i.

    embedded: their vectors. contexts (N, D): unit vectors of what directly surrounds each, zero rows
    where nothing does. outlines (N, S): shapes, NaN rows where they are unknown.
    """

    embedded: MaskEmbeddings
    contexts: FloatArray
    outlines: FloatArray

    def __len__(self) -> int:
        return len(self.contexts)

    def take(self, rows: IntArray) -> Descriptors:
        """The chosen rows, in that order."""
        return Descriptors(self.embedded.take(rows), self.contexts[rows], self.outlines[rows])


def stack(parts: Sequence[Descriptors]) -> Descriptors:
    """The rows of all parts, one after another."""
    embedded = [part.embedded for part in parts]
    return Descriptors(
        MaskEmbeddings(
            np.concatenate([item.vectors for item in embedded]),
            np.concatenate([item.valid for item in embedded]),
            np.concatenate([item.subcell for item in embedded]),
        ),
        np.concatenate([part.contexts for part in parts]),
        np.concatenate([part.outlines for part in parts]),
    )


def l2_normalize(vectors: FloatArray) -> FloatArray:
    """Rows of (M, D) scaled to unit length in float64 and returned as float32; zero rows stay zero."""
    wide = np.asarray(vectors, np.float64)
    length = np.linalg.norm(wide, axis=-1, keepdims=True)
    unit = np.divide(wide, length, out=np.zeros_like(wide), where=length > 0)
    return np.asarray(unit, np.float32)


def mask_coverage(masks: BoolArray, rows: int, columns: int) -> Tensor:
    """Share of each map cell that lies under each mask: (M, H, W) bool -> (M, rows, columns) float32.

    Exact area overlap for any ratio of sizes, so a single pixel never vanishes.
    """
    import torch

    count, height, width = masks.shape
    down = torch.from_numpy(_overlap(height, rows))
    across = torch.from_numpy(_overlap(width, columns))
    out = torch.empty(count, rows, columns)
    step = max(1, _CHUNK_BYTES // (4 * height * width))
    for start in range(0, count, step):
        chunk = torch.from_numpy(masks[start : start + step].astype(np.float32))
        out[start : start + step] = down @ (chunk @ across.T)
    return out


def runs_coverage(masks: Sequence[Runs], size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """``mask_coverage`` from vertical runs, without making a mask: M masks of an image of ``size``
    (H, W) -> (M, rows, columns) float32 on ``grid``.

    The pixels of a run above an edge are a clipped difference, so a run's share of each row of cells
    is exact, and columns of pixels add up by their overlap with columns of cells.
    """
    import torch

    rows, columns = grid
    edges = np.linspace(0, size[0], rows + 1)
    across = _overlap(size[1], columns)
    out = np.zeros((len(masks), rows, columns), np.float32)
    for i, mask in enumerate(masks):
        below = np.minimum(mask.bottom, edges[:, None]) - np.minimum(mask.top, edges[:, None])
        lengths = np.diff(below, axis=0)
        out[i] = (lengths * (rows / size[0])).astype(np.float32) @ across[:, mask.column].T
    return torch.from_numpy(out)


def _overlap(pixels: int, cells: int) -> FloatArray:
    """(cells, pixels): share of cell i that pixel j makes up. Rows sum to 1."""
    edges = np.linspace(0, pixels, cells + 1)
    left = np.maximum(edges[:-1, None], np.arange(pixels)[None])
    right = np.minimum(edges[1:, None], np.arange(1, pixels + 1)[None])
    return np.asarray(np.clip(right - left, 0, None) * (cells / pixels), np.float32)


def pool(feature_map: FeatureMap, coverage: Tensor, options: EmbeddingOptions) -> MaskEmbeddings:
    """Mean feature under each mask (masked average pooling, SG-One, Zhang et al. 2018), finished, L2.

    coverage (M, h, w) on the map's grid. A mask that touches no cell gives an invalid zero row.
    ``topk`` keeps the mask's own most typical cells (largest cosine to its mean) up to topk_share of
    its area. Raises EmbeddingError on non-finite features.
    """
    import torch

    if not all(bool(torch.isfinite(layer).all()) for layer in feature_map.layers):
        raise EmbeddingError("the feature map holds NaN or infinity.")
    area = coverage.flatten(1).sum(1)
    valid = area > 0
    pooled = [_under(layer, coarser(coverage, layer), options) for layer in feature_map.layers]
    finished = feature_map.finish(torch.cat(pooled, dim=1))
    finished[~valid] = 0
    vectors = l2_normalize(finished.numpy())
    if not np.isfinite(vectors).all():
        raise EmbeddingError("a descriptor holds NaN or infinity.")
    usable = valid.numpy() & (np.abs(vectors).max(axis=1, initial=0) > 0)
    return MaskEmbeddings(vectors, usable, (valid & (area < 1)).numpy())


def _under(layer: Tensor, coverage: Tensor, options: EmbeddingOptions) -> Tensor:
    """Mean feature (M, C) of one map (C, h, w) under coverage (M, h, w)."""
    import torch

    features, weights = layer.flatten(1).T.contiguous(), coverage.flatten(1)
    if options.pooling == "topk":
        weights = _typical(features, weights, options.topk_share)
    total = weights.sum(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    return (weights / total) @ features


def coarser(coverage: Tensor, layer: Tensor) -> Tensor:
    """Coverage (M, h, w) on the grid of a map (C, h', w') whose sides divide h and w."""
    from torch.nn import functional as F

    times = coverage.shape[1] // layer.shape[1]
    return coverage if times == 1 else F.avg_pool2d(coverage[:, None], times)[:, 0]


def describe(
    feature_map: FeatureMap, coverage: Tensor, outlines: FloatArray, options: EmbeddingOptions
) -> Descriptors:
    """Vectors of M masks and of their surroundings, with their outlines (M, S).

    coverage (M, h, w) on the map's grid. Raises EmbeddingError on non-finite features.
    """
    embedded = pool(feature_map, coverage, options)
    around = pool(feature_map, surroundings(coverage), EmbeddingOptions())
    return Descriptors(embedded, around.vectors, outlines)


def surroundings(coverage: Tensor) -> Tensor:
    """The ring around each mask, (M, h, w) -> (M, h, w): a quarter of the mask's size wide, at least
    one cell, and one cell away from the mask so that its edge stays out."""
    import torch

    rings = np.zeros(tuple(coverage.shape), np.float32)
    for cover, ring in zip(coverage.numpy(), rings, strict=True):
        mask = (cover >= min(0.5, float(cover.max()))) & (cover > 0)
        cells = int(mask.sum())
        if not cells:
            continue
        reach = max(2, round(0.25 * cells**0.5))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        solid = mask.astype(np.uint8)
        near = cv2.dilate(solid, np.ones((3, 3), np.uint8))
        ring[:] = np.clip(cv2.dilate(solid, disc) - np.maximum(cover, near), 0, 1)
    return torch.from_numpy(rings)


def _typical(features: Tensor, weights: Tensor, share: float) -> Tensor:
    """Weights (M, h*w) with all but each mask's most typical cells at 0; at least one cell stays."""
    import torch
    from torch.nn import functional as F

    units = F.normalize(features, dim=1)
    means = F.normalize(weights @ features, dim=1)
    cosine = (means @ units.T).masked_fill(weights <= 0, -2.0)
    order = cosine.argsort(dim=1, descending=True, stable=True)
    ranked = weights.gather(1, order)
    before = ranked.cumsum(1) - ranked
    kept = torch.where(before < share * weights.sum(1, keepdim=True), ranked, 0.0)
    return torch.zeros_like(weights).scatter(1, order, kept)


def embed_masks(
    backbone: Backbone,
    image: UInt8Array,
    masks: BoolArray,
    options: EmbeddingOptions | None = None,
) -> MaskEmbeddings:
    """Descriptors of masks (M, H, W) bool of one (H, W, 3) uint8 RGB image, one forward pass.

    Raises EmbeddingError where the sizes differ or features are not finite.
    """
    masks = np.asarray(masks, dtype=bool)
    if masks.ndim != 3 or masks.shape[1:] != image.shape[:2]:
        raise EmbeddingError(
            f"masks have shape {masks.shape}, the image is {image.shape[0]}x{image.shape[1]}.",
            "Masks must be (M, H, W) at image size.",
        )
    feature_map = backbone.feature_map(image)
    return pool(feature_map, mask_coverage(masks, *feature_map.grid), options or EmbeddingOptions())


def cell_vectors(feature_map: FeatureMap) -> FloatArray:
    """Descriptor of every cell alone, (h, w, D) float32, unit length: a mask of exactly that cell."""
    import torch

    rows, columns = feature_map.grid
    repeated = []
    for layer in feature_map.layers:
        times = rows // layer.shape[1]
        repeated.append(layer.repeat_interleave(times, 1).repeat_interleave(times, 2).flatten(1))
    cells = feature_map.finish(torch.cat(repeated).T.contiguous())
    return l2_normalize(cells.numpy()).reshape(rows, columns, -1)


@dataclass(frozen=True, slots=True)
class Spread:
    """How far apart the descriptors of one image lie: quantiles of the pairwise cosine.

    collapse: even the least alike pairs are nearly identical, so no threshold can separate anything.
    """

    low: float
    median: float
    collapse: bool


def spread(embeddings: MaskEmbeddings) -> Spread | None:
    """Spread of the valid rows; None with fewer than five, where nothing can be said."""
    vectors = embeddings.vectors[embeddings.valid]
    if len(vectors) < 5:
        return None
    cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    low, median = (float(q) for q in np.quantile(cosines, [0.05, 0.5]))
    return Spread(low, median, low > COLLAPSE_COSINE)
