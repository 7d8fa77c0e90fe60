"""The embedded descriptor, against the same histograms written plainly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scenes import make_scene
from skimage.feature import local_binary_pattern

from searchdet.backbones import filterbank
from searchdet.backbones.filterbank import STRIDE, FilterbankBackbone, colour_anchors, patterns

SCALE = np.asarray([0.8, 1, 1], np.float32)


def cells_of(pixels: np.ndarray) -> np.ndarray:
    """(H, W, C) -> means of cells (h, w, C)."""
    height, width, channels = pixels.shape
    parts = pixels.reshape(height // STRIDE, STRIDE, width // STRIDE, STRIDE, channels)
    return np.asarray(parts.mean(axis=(1, 3)))


def slopes_of(grey: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    smooth = cv2.GaussianBlur(grey, (0, 0), scale)
    return cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8


def plain_colour(lab: np.ndarray) -> np.ndarray:
    far = ((lab[:, :, None] * SCALE - colour_anchors() * SCALE) ** 2).sum(-1)
    weight = np.exp((far.min(-1, keepdims=True) - far) / (2 * 11.0**2))
    return np.asarray(weight / weight.sum(-1, keepdims=True))


def plain_energy(grey: np.ndarray, scale: float) -> np.ndarray:
    level = np.log2(1 + np.hypot(*slopes_of(grey, scale)) * scale) / 5 * 3
    return np.asarray(np.clip(1 - np.abs(np.clip(level, 0, 3)[..., None] - np.arange(4)), 0, 1) / 3)


def plain_orientation(grey: np.ndarray, scale: float) -> np.ndarray:
    across, down = slopes_of(grey, scale)
    far = np.abs((np.arctan2(down, across) % np.pi * 8 / np.pi)[..., None] - np.arange(8))
    soft = np.clip(1 - np.minimum(far, 8 - far), 0, 1)
    return np.asarray(soft * np.hypot(across, down)[..., None] + 1e-3)


def test_cells_are_means_of_the_histograms_of_pixels() -> None:
    image = make_scene(3).image[:96, :120]
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    grey = np.ascontiguousarray(lab[..., 0])
    cells = FilterbankBackbone().cells(image).numpy().transpose(1, 2, 0)
    assert cells.dtype == np.float32
    parts = np.split(cells, np.cumsum([55, 10, 10, 4, 4, 4, 8]), axis=2)
    colour, near, wide, *rest = parts
    error = np.abs(colour - cells_of(plain_colour(lab)))
    assert error.mean() < 0.001, "colours are rounded"
    assert error.max() < 0.12
    smooth = np.round(cv2.GaussianBlur(grey, (0, 0), 0.8) * 2.55).astype(np.uint8)
    for found, radius in ((near, 1), (wide, 3)):
        wanted = np.eye(10)[patterns(smooth, radius)] / 2
        assert np.allclose(found, cells_of(wanted), atol=1e-6)
    plain = [plain_energy(grey, scale) for scale in filterbank.ENERGY_SCALES]
    plain += [plain_orientation(grey, scale) for scale in filterbank.ORIENTATION_SCALES]
    for found, pixels in zip(rest, plain, strict=True):
        assert np.allclose(found, cells_of(pixels), atol=2e-4)


@pytest.mark.parametrize("radius", [1, 3])
def test_patterns_are_those_of_scikit_image(radius: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (70, 90), np.uint8)
    wanted = local_binary_pattern(image, 8, radius, "uniform")
    assert (patterns(image, radius) != wanted).mean() < 1e-3
    flat = np.full((20, 20), 77, np.uint8)
    assert (patterns(flat, radius)[radius:-radius, radius:-radius] == 8).all()


def test_places_as_light_as_the_middle_are_not_darker() -> None:
    """Also where only the mean of four pixels is as light, which rounding must not decide."""
    rows, columns = np.mgrid[:12, :12]
    for ramp in (rows - columns + 20, rows + columns):
        assert (patterns((7 * ramp).astype(np.uint8), 1)[1:-1, 1:-1] == 5).all()


def test_cells_do_not_depend_on_where_pixels_lie_in_memory() -> None:
    image = make_scene(4).image[:64, :72]
    backbone = FilterbankBackbone()
    wanted = backbone.cells(image)
    room = np.zeros(image.size + 64, np.uint8)
    for shift in (0, 1, 3, 17, 33):
        moved = room[shift : shift + image.size].reshape(image.shape)
        moved[:] = image
        backbone.cells(np.roll(moved, 5, axis=1))
        assert backbone.cells(moved).equal(wanted)
