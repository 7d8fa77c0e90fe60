"""``filterbank``: the embedded default, a fixed map of colour, texture and oriented energy.

No weights, no training: soft colour histograms, local binary patterns (Ojala et al. 2002), and the
strength and orientation of gradients at several scales. Pooled histograms are compared through their
square roots (Hellinger), so ``finish`` takes roots after pooling, never before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from ..records import Preprocessing, WeightsInfo
from ..weights import Compute
from .types import FeatureMap, UInt8Array

if TYPE_CHECKING:
    from torch import Tensor

FloatArray = npt.NDArray[np.float32]
NAME = "filterbank"
STRIDE = 4
SHORT_SIDE = 384
MAX_ASPECT = 4
LBP_BINS = 10
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

        lab = np.asarray(cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
        grey = np.ascontiguousarray(lab[..., 0])
        blocks = [self._colour(lab), _texture(grey), _energy(grey), _orientation(grey)]
        cells = np.concatenate([_to_cells(block) for block in blocks], axis=2)
        return torch.from_numpy(np.ascontiguousarray(cells.transpose(2, 0, 1)))

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

    def _colour(self, lab: FloatArray) -> FloatArray:
        """Soft assignment of every pixel to the anchors, (H, W, K)."""
        pixels = lab.reshape(-1, 3) * _LAB_SCALE
        anchors = self._anchors * _LAB_SCALE
        distance = (
            (pixels**2).sum(1, keepdims=True) - 2 * pixels @ anchors.T + (anchors**2).sum(1)[None]
        )
        nearest = distance.min(axis=1, keepdims=True)
        weight = np.exp((nearest - distance) / np.float32(2 * 11.0**2))
        weight /= weight.sum(axis=1, keepdims=True)
        return np.asarray(weight.reshape(*lab.shape[:2], -1), np.float32)


def _texture(grey: FloatArray) -> FloatArray:
    """One-hot uniform local binary patterns at two radii, (H, W, 2 * 10)."""
    from skimage.feature import local_binary_pattern

    smooth = np.round(cv2.GaussianBlur(grey, (0, 0), 0.8) * 2.55).astype(np.uint8)
    eye = np.eye(LBP_BINS, dtype=np.float32) / len(LBP_RADII)
    maps = [eye[local_binary_pattern(smooth, 8, r, "uniform").astype(int)] for r in LBP_RADII]
    return np.concatenate(maps, axis=2)


def _energy(grey: FloatArray) -> FloatArray:
    """Soft histogram of gradient strength (log scale) a scale, (H, W, 3 * 4)."""
    maps = []
    for scale in ENERGY_SCALES:
        across, down = _gradient(grey, scale)
        strength = np.log2(1 + _strength(across, down) * scale)
        level = np.clip(strength / 5 * (ENERGY_BINS - 1), 0, ENERGY_BINS - 1)
        bins = np.arange(ENERGY_BINS, dtype=np.float32)
        soft = np.clip(1 - np.abs(level[..., None] - bins), 0, 1)
        maps.append(soft / len(ENERGY_SCALES))
    return np.concatenate(maps, axis=2).astype(np.float32)


def _orientation(grey: FloatArray) -> FloatArray:
    """Gradient strength by orientation (modulo half a turn) a scale, (H, W, 2 * 8)."""
    maps = []
    bins = np.arange(ORIENTATION_BINS, dtype=np.float32)
    for scale in ORIENTATION_SCALES:
        across, down = _gradient(grey, scale)
        turn = (np.arctan2(down, across) % np.pi) * (ORIENTATION_BINS / np.pi)
        distance = np.abs(turn[..., None] - bins)
        soft = np.clip(1 - np.minimum(distance, ORIENTATION_BINS - distance), 0, 1)
        # a little of everything, so that flat regions have a flat histogram and not none
        maps.append(soft * _strength(across, down)[..., None] + np.float32(1e-3))
    return np.concatenate(maps, axis=2).astype(np.float32)


def _strength(across: FloatArray, down: FloatArray) -> FloatArray:
    """Length of gradients. Not by OpenCV, whose last bit depends on where an array lies in memory, and
    with it on what ran before."""
    return np.sqrt(across * across + down * down)


def _gradient(grey: FloatArray, scale: float) -> tuple[FloatArray, FloatArray]:
    smooth = cv2.GaussianBlur(grey, (0, 0), scale)
    across = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8, np.float32)
    return across, np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8, np.float32)


def _to_cells(pixels: FloatArray) -> FloatArray:
    """(H, W, C) -> mean of every STRIDE x STRIDE cell (H / STRIDE, W / STRIDE, C)."""
    height, width, channels = pixels.shape
    rows, columns = height // STRIDE, width // STRIDE
    return np.asarray(
        pixels.reshape(rows, STRIDE, columns, STRIDE, channels).mean(axis=(1, 3)), np.float32
    )
