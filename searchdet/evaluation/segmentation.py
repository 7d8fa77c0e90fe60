"""Overlap of one predicted mask an image with the true one: IoU, and IoU of the boundaries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
BOUNDARY = 0.02
"""Width of a boundary as a share of the image's diagonal (Boundary IoU, Cheng et al. 2021)."""


@dataclass(slots=True)
class Overlap:
    """Intersections and unions of masks of one class, summed over its images, as PerSAM sums them
    (Zhang et al. 2023). A mean over classes is mIoU."""

    both: int = 0
    either: int = 0
    edge_both: int = 0
    edge_either: int = 0

    def add(self, found: BoolArray, truth: BoolArray) -> None:
        """Masks (H, W) of one image. Raises ValueError for different sizes."""
        if found.shape != truth.shape:
            raise ValueError(f"masks of {found.shape} and {truth.shape} pixels")
        self.both += int((found & truth).sum())
        self.either += int((found | truth).sum())
        ours, theirs = boundary(found), boundary(truth)
        self.edge_both += int((ours & theirs).sum())
        self.edge_either += int((ours | theirs).sum())

    @property
    def iou(self) -> float | None:
        """None where there is nothing at all."""
        return self.both / self.either if self.either else None

    @property
    def boundary_iou(self) -> float | None:
        """None where there is nothing at all."""
        return self.edge_both / self.edge_either if self.edge_either else None


def boundary(mask: BoolArray, share: float = BOUNDARY) -> BoolArray:
    """(H, W): the pixels of a mask within that share of the diagonal, at least one pixel, of its
    outline. What lies outside the image counts as background."""
    import cv2

    height, width = mask.shape
    steps = max(1, round(share * float(np.hypot(height, width))))
    padded = np.pad(mask.astype(np.uint8), 1)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=steps)[1:-1, 1:-1]
    return np.asarray(mask & (inner == 0))
