"""The small copy of an image that is segmented."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .types import FloatArray, UInt8Array

WORKING_PIXELS = 480 * 400
"""About how many pixels are segmented; smaller images are not enlarged. Long images so have a longer
side than square ones."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The working copy: rgb (H, W, 3), lab (H, W, 3) float32, edges (H, W) strength of its gradient."""

    rgb: UInt8Array
    lab: FloatArray
    edges: FloatArray

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.edges.shape[0], self.edges.shape[1]


def prepare(image: UInt8Array) -> Scene:
    """The working copy of an (H, W, 3) uint8 RGB image."""
    height, width = image.shape[:2]
    scale = min(1.0, (WORKING_PIXELS / (height * width)) ** 0.5)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    rgb = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    lab = np.asarray(cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    smooth = cv2.GaussianBlur(lab, (0, 0), 1.0)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8
    edges = np.sqrt((across**2 + down**2).sum(axis=2))
    return Scene(rgb, lab, edges.astype(np.float32))
