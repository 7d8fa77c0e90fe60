"""``filterbank``: the embedded default, a fixed map of colour, texture and oriented energy.

No weights, no training: soft colour histograms, local binary patterns (Ojala et al. 2002), and the
strength and orientation of gradients at several scales. Pooled histograms are compared through their
square roots (Hellinger), so ``finish`` takes roots after pooling, never before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from ..records import Preprocessing, WeightsInfo
from ..weights import Compute
from .types import FeatureMap, UInt8Array

if TYPE_CHECKING:
    from torch import Tensor

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
NAME = "filterbank"
STRIDE = 4
SHORT_SIDE = 384
MAX_ASPECT = 4
LBP_BINS = 10
COLOUR_BITS = 6
"""Bits of red, of green and of blue that the colour histogram tells apart."""
_LAB_SCALE = np.asarray([0.8, 1, 1], np.float32)  # lightness varies most within one object
LBP_RADII = (1, 3)
ENERGY_SCALES = (1.0, 2.0, 4.0)
ENERGY_BINS = 4
ORIENTATION_SCALES = (1.0, 2.5)
ORIENTATION_BINS = 8
BLOCK_WEIGHTS = (1.0, 1.5, 1.0, 0.6)
"""Colour, texture, energy, orientation; chosen by ranking quality on photographs of seven kinds."""


def colour_anchors() -> FloatArray:
    """(K, 3) Lab anchors of the soft colour histogram: a grey axis and rings of eight hues."""
    anchors = [(lightness, 0.0, 0.0) for lightness in (6, 22, 38, 54, 70, 86, 98)]
    for lightness, chroma in ((30, 22), (55, 22), (80, 22), (35, 50), (62, 50), (55, 80)):
        for turn in np.arange(8) * np.pi / 4:
            anchors.append((lightness, chroma * np.cos(turn), chroma * np.sin(turn)))
    return np.asarray(anchors, np.float32)


class FilterbankBackbone:
    """The weight-free backbone. Images are scaled down to ``short_side``, never up."""

    name = NAME
    stride = STRIDE
    weights: WeightsInfo | None = None
    closer = None
    second_look = 0
    share = 1.0

    def __init__(self, short_side: int | None = None) -> None:
        self.short_side = short_side or SHORT_SIDE
        self.compute = Compute("cpu", "fp32")
        self.preprocessing = Preprocessing(self.short_side, STRIDE, "downscale_only")
        self._anchors = colour_anchors()
        energy = len(ENERGY_SCALES) * ENERGY_BINS
        orientation = len(ORIENTATION_SCALES) * ORIENTATION_BINS
        self._blocks = (len(self._anchors), len(LBP_RADII) * LBP_BINS, energy, orientation)
        self.dim = sum(self._blocks)
        self.parts: tuple[int, ...] = (self.dim,)

    def feature_map(self, image: UInt8Array) -> FeatureMap:
        """Histogram maps (C, h, w) of an (H, W, 3) uint8 RGB image, one block a feature."""
        return FeatureMap(self.cells(self._resize(image)), self.finish)

    def cells(self, small: UInt8Array) -> Tensor:
        """Histograms of each cell (C, h, w) of an image (h * STRIDE, w * STRIDE, 3) as it is."""
        import torch

        grey = np.ascontiguousarray(_lab(small)[..., 0])
        grid = Grid.of(grey)
        slopes = {scale: _gradient(grey, scale) for scale in {*ENERGY_SCALES, *ORIENTATION_SCALES}}
        blocks: list[npt.NDArray[Any]] = [self._colour(small, grid), _texture(grey, grid)]
        blocks += [_energy(*slopes[scale], scale, grid) for scale in ENERGY_SCALES]
        blocks += [_orientation(*slopes[scale], grid) for scale in ORIENTATION_SCALES]
        cells = np.concatenate(blocks, axis=1, dtype=np.float32)
        shape = grey.shape[0] // STRIDE, grey.shape[1] // STRIDE
        return torch.from_numpy(np.ascontiguousarray(cells.T)).reshape(-1, *shape)

    def finish(self, pooled: Tensor) -> Tensor:
        """Pooled histograms (M, C) -> descriptors: roots, centred, weighted by block."""
        import torch

        parts = []
        for block, weight in zip(
            torch.split(pooled, list(self._blocks), 1), BLOCK_WEIGHTS, strict=True
        ):
            total = block.sum(1, keepdim=True).clamp(min=1e-12)
            root = (block / total).clamp(min=0).sqrt()
            parts.append(weight * (root - root.mean(1, keepdim=True)))
        return torch.cat(parts, dim=1)

    def _resize(self, image: UInt8Array) -> UInt8Array:
        height, width = image.shape[:2]
        scale = min(1.0, self.short_side / min(height, width))
        scale = min(scale, MAX_ASPECT * self.short_side / max(height, width))
        rows, columns = (max(2, round(size * scale / STRIDE)) for size in (height, width))
        size = (columns * STRIDE, rows * STRIDE)
        shrinks = size[0] * size[1] < height * width
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)

    def _colour(self, small: UInt8Array, grid: Grid) -> FloatArray:
        """Soft assignment of every pixel's colour to the anchors, for each cell (N, K)."""
        import torch
        from torch.nn.functional import embedding_bag

        bits = (small >> (8 - COLOUR_BITS)).astype(np.int32)
        key = (bits[..., 0] << 2 * COLOUR_BITS) | (bits[..., 1] << COLOUR_BITS) | bits[..., 2]
        seen = np.zeros(1 << 3 * COLOUR_BITS, np.int32)
        seen[key] = 1
        colours = self._assigned(np.flatnonzero(seen))
        place = (np.cumsum(seen, dtype=np.int32) - 1)[key]
        pixels = torch.from_numpy(grid.by_cell(place))
        return np.asarray(embedding_bag(pixels, torch.from_numpy(colours), mode="mean"))

    def _assigned(self, keys: IntArray) -> FloatArray:
        """Shares (N, K) of the anchors in the colours with these keys, red, green and blue in turn."""
        mask = (1 << COLOUR_BITS) - 1
        parts = np.stack([keys >> 2 * COLOUR_BITS, keys >> COLOUR_BITS, keys], axis=1) & mask
        middle = (parts << (8 - COLOUR_BITS)) + (255 >> COLOUR_BITS) / 2
        pixels = _lab(middle[None])[0] * _LAB_SCALE
        anchors = self._anchors * _LAB_SCALE
        distance = (
            (pixels**2).sum(1, keepdims=True) - 2 * pixels @ anchors.T + (anchors**2).sum(1)[None]
        )
        nearest = distance.min(axis=1, keepdims=True)
        weight = np.exp((nearest - distance) / np.float32(2 * 11.0**2))
        return np.asarray(weight / weight.sum(axis=1, keepdims=True), np.float32)


@dataclass(frozen=True, slots=True)
class Grid:
    """Which cell each pixel of an image lies in: cell (H, W), numbers below ``count``."""

    cell: IntArray
    count: int

    @classmethod
    def of(cls, image: FloatArray) -> Grid:
        rows, columns = (np.arange(size) // STRIDE for size in image.shape)
        wide = image.shape[1] // STRIDE
        return cls(rows[:, None] * wide + columns, len(rows) // STRIDE * wide)

    def by_cell(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values of pixels (H, W), those of each cell in a row."""
        height, width = values.shape
        parts = values.reshape(height // STRIDE, STRIDE, width // STRIDE, STRIDE)
        return np.ascontiguousarray(parts.transpose(0, 2, 1, 3)).reshape(self.count, -1)

    def histogram(
        self, number: npt.NDArray[Any], bins: int, weight: FloatArray | None = None
    ) -> Float64Array:
        """(N, bins): mean in each cell of the weights (None: 1) of the pixels with each number."""
        at = (self.cell * bins + number).ravel()
        found = np.bincount(at, None if weight is None else weight.ravel(), self.count * bins)
        return np.asarray(found.reshape(-1, bins) / STRIDE**2, np.float64)


def _texture(grey: FloatArray, grid: Grid) -> Float64Array:
    """Uniform local binary patterns at two radii, for each cell (N, 2 * 10)."""
    smooth = np.round(cv2.GaussianBlur(grey, (0, 0), 0.8) * 2.55).astype(np.uint8)
    maps = [grid.histogram(patterns(smooth, radius), LBP_BINS) for radius in LBP_RADII]
    return np.concatenate(maps, axis=1) / len(LBP_RADII)


def patterns(grey: UInt8Array, radius: int) -> UInt8Array:
    """Uniform local binary pattern of each pixel: which of eight places around it are not darker (0
    outside); how many if they stand side by side, else 9."""
    code = np.zeros(grey.shape, np.uint8)
    for i in range(8):
        apart = cv2.filter2D(grey, cv2.CV_32F, _towards(i, radius), borderType=cv2.BORDER_CONSTANT)
        code |= (apart >= 0).astype(np.uint8) << np.uint8(i)
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    return np.where(changes <= 2, bits.sum(axis=1), 9).astype(np.uint8)[code]


def _towards(eighth: int, radius: int) -> FloatArray:
    """Kernel of the difference between a place on a circle, bilinear, and its middle. Of fractions so
    coarse that sums of bytes are exact."""
    turn = eighth * np.pi / 4
    y, x = radius - radius * np.sin(turn), radius + radius * np.cos(turn)
    size = np.arange(2 * radius + 1)
    kernel = np.outer(np.clip(1 - np.abs(size - y), 0, 1), np.clip(1 - np.abs(size - x), 0, 1))
    kernel = np.round(kernel * 2**14) / 2**14
    kernel[radius, radius] -= kernel.sum()
    return np.asarray(kernel, np.float32)


def _energy(across: FloatArray, down: FloatArray, scale: float, grid: Grid) -> Float64Array:
    """Soft histogram of gradient strength (log scale), for each cell (N, 4)."""
    strength = np.log2(1 + _strength(across, down) * np.float32(scale))
    level = np.minimum(strength * np.float32((ENERGY_BINS - 1) / 5), ENERGY_BINS - 1)
    low = level.astype(np.int64)
    part = level - low.astype(np.float32)
    lower = grid.histogram(low, ENERGY_BINS, 1 - part)
    upper = grid.histogram(np.minimum(low + 1, ENERGY_BINS - 1), ENERGY_BINS, part)
    return (lower + upper) / len(ENERGY_SCALES)


def _orientation(across: FloatArray, down: FloatArray, grid: Grid) -> Float64Array:
    """Gradient strength by orientation (modulo half a turn), for each cell (N, 8)."""
    turn = np.arctan2(down, across) * np.float32(ORIENTATION_BINS / np.pi) + ORIENTATION_BINS
    low = turn.astype(np.int64)
    strength = _strength(across, down)
    upper = (turn - low.astype(np.float32)) * strength
    low %= ORIENTATION_BINS
    found = grid.histogram(low, ORIENTATION_BINS, strength - upper)
    found += np.roll(grid.histogram(low, ORIENTATION_BINS, upper), 1, axis=1)
    # a little of everything, so that flat regions have a flat histogram and not none
    return found + 1e-3


def _strength(across: FloatArray, down: FloatArray) -> FloatArray:
    """Length of gradients. Not by OpenCV, whose last bit depends on where an array lies in memory, and
    with it on what ran before."""
    return np.sqrt(across * across + down * down)


def _lab(rgb: npt.NDArray[Any]) -> FloatArray:
    """Lab of an RGB image (H, W, 3) of 0..255."""
    return np.asarray(cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def _gradient(grey: FloatArray, scale: float) -> tuple[FloatArray, FloatArray]:
    smooth = cv2.GaussianBlur(grey, (0, 0), scale)
    across = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8, np.float32)
    return across, np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8, np.float32)
