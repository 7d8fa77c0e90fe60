"""Masks to descriptors: coverage by area, masked average pooling, and the one ``l2_normalize``.

The same functions embed exemplars and proposals, so both live in one space.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .config import EmbeddingOptions
from .errors import EmbeddingError
from .masks.coverage import Masks, mask_coverage, pixel_shares, runs_coverage, surroundings

if TYPE_CHECKING:
    from torch import Tensor

    from .backbones import Backbone, FeatureMap

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]
COLLAPSE_COSINE = 0.985
"""Above this, the least alike masks of an image still look the same to the backbone."""
FINE = 8192
"""Cells of a map from which on masks are pooled by their runs."""
_SPREAD_ROWS = 500
_TOGETHER = 256
"""Rows that are worked on at a time, so that what is made of them stays in the cache of a core."""


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
    where nothing does. outlines (N, S): shapes, NaN rows where they are unknown. crops (N, C): unit
    vectors of a second look, which take the place of the last C columns of ``embedded``; None without.
    areas (N,): pixels of the image that each covers, NaN where unknown; None where not asked for.
    unusual (N,): how far each is from what is normal, 0..1, one half at the limit; None where nothing
    says what is normal.
    """

    embedded: MaskEmbeddings
    contexts: FloatArray
    outlines: FloatArray
    crops: FloatArray | None = None
    areas: npt.NDArray[np.float64] | None = None
    unusual: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.contexts)

    def take(self, rows: IntArray) -> Descriptors:
        """The chosen rows, in that order."""
        crops = None if self.crops is None else self.crops[rows]
        areas = None if self.areas is None else self.areas[rows]
        unusual = None if self.unusual is None else self.unusual[rows]
        embedded, contexts = self.embedded.take(rows), self.contexts[rows]
        return Descriptors(embedded, contexts, self.outlines[rows], crops, areas, unusual)


def stack(parts: Sequence[Descriptors]) -> Descriptors:
    """The rows of all parts, one after another."""
    embedded = [part.embedded for part in parts]
    unusual = [part.unusual for part in parts if part.unusual is not None]
    if unusual and len(unusual) != len(parts):
        raise ValueError("only of some regions it is known how unusual they are")
    return Descriptors(
        MaskEmbeddings(
            np.concatenate([item.vectors for item in embedded]),
            np.concatenate([item.valid for item in embedded]),
            np.concatenate([item.subcell for item in embedded]),
        ),
        np.concatenate([part.contexts for part in parts]),
        np.concatenate([part.outlines for part in parts]),
        unusual=np.concatenate(unusual) if unusual else None,
    )


def l2_normalize(vectors: npt.NDArray[np.floating[Any]]) -> FloatArray:
    """Rows of (M, D) scaled to unit length in float64 and returned as float32; zero rows stay zero."""
    unit = np.zeros(vectors.shape, np.float32)
    for start in range(0, len(vectors), _TOGETHER):
        wide = np.asarray(vectors[start : start + _TOGETHER], np.float64)
        length = np.linalg.norm(wide, axis=-1, keepdims=True)
        np.divide(
            wide, length, out=unit[start : start + _TOGETHER], where=length > 0, casting="same_kind"
        )
    return unit


def under_runs(layer: Tensor, masks: Masks) -> Tensor:
    """Mean feature (N, C) of a map (C, h, w) under masks, exact as with ``mask_coverage``, without any
    coverage: sums down the columns of pixels are differences of running sums."""
    import torch

    channels, rows, columns = layer.shape
    height, width = masks.size
    share = pixel_shares(width, columns) * np.float32(width / columns)  # of each pixel's width, by cell
    spread = layer.permute(2, 1, 0).reshape(columns, -1)
    table = torch.from_numpy(share.T.copy()) @ spread
    sums = torch.zeros(width, rows + 1, channels)
    torch.cumsum(table.reshape(width, rows, channels), 1, out=sums[:, 1:])
    runs = masks.runs
    ends = np.stack([runs.top, runs.bottom], axis=1) * (rows / height)
    cell = np.minimum(ends.astype(np.int64), rows - 1)
    part = (ends - cell).astype(np.float32)
    first = runs.column[:, None] * (rows + 1) + cell
    sign = np.asarray([-1, 1], np.float32)
    weights = np.stack([(1 - part) * sign, part * sign], axis=2).reshape(-1)
    total = torch.nn.functional.embedding_bag(
        torch.from_numpy(np.stack([first, first + 1], axis=2).reshape(-1)),
        sums.reshape(-1, channels),
        torch.from_numpy(4 * masks.starts),
        mode="sum",
        per_sample_weights=torch.from_numpy(weights),
    )
    areas = torch.from_numpy(masks.areas.astype(np.float32))[:, None] * (rows / height)
    return total / areas.clamp(min=torch.finfo(torch.float32).tiny)


def pool(feature_map: FeatureMap, coverage: Tensor, options: EmbeddingOptions) -> MaskEmbeddings:
    """Mean feature under each mask (masked average pooling, SG-One, Zhang et al. 2018), finished, L2.

    coverage (M, h, w) on the map's grid. A mask that touches no cell gives an invalid zero row.
    ``topk`` keeps the mask's own most typical cells (largest cosine to its mean) up to topk_share of
    its area. Raises EmbeddingError on non-finite features.
    """
    area = coverage.flatten(1).sum(1)
    pooled = [_under(layer, cover, options) for layer, cover in _nested(feature_map.layers, coverage)]
    return _finished(feature_map, pooled, area)


def _finished(feature_map: FeatureMap, pooled: list[Tensor], area: Tensor) -> MaskEmbeddings:
    """Descriptors of what was pooled from each layer. area (M,): cells of the finest map."""
    import torch

    if not all(bool(torch.isfinite(layer).all()) for layer in feature_map.layers):
        raise EmbeddingError("the feature map holds NaN or infinity.")
    valid = area > 0
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
    return (weights @ features) / total


def _nested(layers: Sequence[Tensor], coverage: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Maps (C, h, w), the finest first, each with coverage on its own grid: a finer map is averaged to
    the grid of ``coverage`` (M, h', w'), for a coarser one coverage is, step by step."""
    from torch.nn import functional as F

    for layer in layers:
        times = layer.shape[1] // coverage.shape[1]
        fitted = F.avg_pool2d(layer[None], times)[0] if times > 1 else layer
        coverage = coarser(coverage, fitted)
        yield fitted, coverage


def pool_under(maps: Tensor, coverage: Tensor) -> Tensor:
    """Mean feature (N, C) of maps (N, C, h', w') under coverage (N, h, w), whose sides h' and w'
    divide; zero where nothing is covered."""
    import torch

    weights = coarser(coverage, maps[0])[:, None]
    total = weights.sum((2, 3)).clamp(min=torch.finfo(torch.float32).tiny)
    return (maps * weights).sum((2, 3)) / total


def coarser(coverage: Tensor, layer: Tensor) -> Tensor:
    """Coverage (M, h, w) on the grid of a map (C, h', w') whose sides divide h and w."""
    from torch.nn import functional as F

    times = coverage.shape[1] // layer.shape[1]
    return coverage if times == 1 else F.avg_pool2d(coverage[:, None], times)[:, 0]


def describe(
    feature_map: FeatureMap, masks: Masks, outlines: FloatArray, options: EmbeddingOptions
) -> Descriptors:
    """Vectors of N masks and of their surroundings, with their outlines (N, S).

    On a fine map (``FINE`` cells) coverage is taken at half its resolution for what surrounds a mask
    and for coarser maps, and the mask itself is pooled from its runs. Raises EmbeddingError on
    non-finite features.
    """

    rows, columns = feature_map.grid
    fine = rows * columns >= FINE and not (rows % 2 or columns % 2) and options.pooling == "mean"
    coverage = runs_coverage(masks, (rows // 2, columns // 2) if fine else (rows, columns))
    with ThreadPoolExecutor(1) as worker:
        around = worker.submit(lambda: pool(feature_map, surroundings(coverage), EmbeddingOptions()))
        if fine:
            embedded = _fine(feature_map, masks, coverage, options)
        else:
            embedded = pool(feature_map, coverage, options)
        return Descriptors(embedded, around.result().vectors, outlines)


def _fine(
    feature_map: FeatureMap, masks: Masks, coverage: Tensor, options: EmbeddingOptions
) -> MaskEmbeddings:
    """``pool`` with the finest map pooled from the runs. coverage: on half its grid."""
    import torch

    first, *rest = feature_map.layers
    pooled = [under_runs(first, masks)]
    pooled += [_under(layer, cover, options) for layer, cover in _nested(rest, coverage)]
    cells = first.shape[1] * first.shape[2]
    area = torch.from_numpy(masks.areas * (cells / (masks.size[0] * masks.size[1])))
    return _finished(feature_map, pooled, area)


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
    """Spread of the first valid rows, at most ``_SPREAD_ROWS``; None with fewer than five, where
    nothing can be said."""
    vectors = embeddings.vectors[embeddings.valid][:_SPREAD_ROWS]
    if len(vectors) < 5:
        return None
    cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    low, median = (float(q) for q in np.quantile(cosines, [0.05, 0.5]))
    return Spread(low, median, low > COLLAPSE_COSINE)
