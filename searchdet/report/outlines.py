"""Masks as short texts that the page draws: closed outlines at the resolution of a thumbnail. Pure."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..masks import rle

IntArray = npt.NDArray[np.int64]

UNITS = 1024
"""Units along the long side of an image: half pixels of the largest thumbnail."""
FINEST = 16
"""Steps in a unit, at most: a step is no more than a pixel of a picture of 16,000."""
TOLERANCE, DETAIL = 1.2, 25
"""Units that an outline may be off; and of a small mask this part of its longer side at most."""
MOST_RINGS, LEAST_AREA = 12, 6.0
"""Outlines of one mask: so many, and all but the largest of at least that many square steps."""
LARGE = 250_000
"""Pixels of a mask beyond which half a pixel at its edges does not show."""
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
"""Five bits a character and one that says whether more follow; safe in JSON and in HTML."""


def fineness(width: int, height: int) -> int:
    """Steps in a unit: a power of two, so that a step is no longer than a pixel of the image."""
    fine = 1
    while fine < FINEST and fine * UNITS < max(width, height):
        fine *= 2
    return fine


def scale_of(width: int, height: int) -> float:
    """Steps per pixel of an image."""
    return fineness(width, height) * UNITS / max(width, height, 1)


def text_of(segmentation: rle.Rle, scale: float, fine: int = 1) -> str:
    """The outlines of one encoded mask; empty for an empty mask.

    Each ring is its number of corners, its first corner, then the way to each next one, as in
    ``packed``. Corners are in steps from the top left of the image. Outer rings and holes run in
    opposite directions, so that filling by winding number leaves holes open.
    """
    mask, (y, x) = rle.window(segmentation)
    if not mask.size:
        return ""
    # contours run through pixel centres: of a picture larger than life they lose less at the edges
    zoom = 1 if scale < 0.5 or mask.size > LARGE else 3
    large = mask.astype(np.uint8).repeat(zoom, axis=0).repeat(zoom, axis=1)
    found, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings = [_placed(ring, zoom, (x, y), scale) for ring in found]
    rings.sort(key=_area, reverse=True)
    chosen = [ring for i, ring in enumerate(rings[:MOST_RINGS]) if not i or _area(ring) >= LEAST_AREA]
    detail = max(mask.shape) * scale / DETAIL
    tolerance = max(0.5, min(TOLERANCE * fine**0.5, detail))
    return "".join(_text(_simpler(ring, tolerance)) for ring in chosen)


def packed(numbers: IntArray) -> str:
    """Whole numbers, negative ones too, as text: the sign goes to the lowest bit, then five bits a
    character, low first."""
    out = []
    for value in numbers.tolist():
        left = value << 1 if value >= 0 else (-value << 1) - 1
        while left >= 32:
            out.append(ALPHABET[32 | (left & 31)])
            left >>= 5
        out.append(ALPHABET[left])
    return "".join(out)


def _placed(
    ring: npt.NDArray[Any], zoom: int, corner: tuple[int, int], scale: float
) -> npt.NDArray[np.float32]:
    """Contour points of a window as positions in steps, (n, 1, 2)."""
    return np.asarray(((ring + 0.5) / zoom + np.asarray(corner)) * scale, np.float32)


def _area(ring: npt.NDArray[np.float32]) -> float:
    return abs(float(cv2.contourArea(ring)))


def _simpler(ring: npt.NDArray[np.float32], tolerance: float) -> IntArray:
    """Corners (n, 2) in whole steps, without repeats."""
    corners = np.rint(cv2.approxPolyDP(ring, tolerance, True)[:, 0]).astype(np.int64)
    kept = np.any(corners != np.roll(corners, 1, axis=0), axis=1)
    return np.asarray(corners[kept] if kept.any() else corners[:1], np.int64)


def _text(corners: IntArray) -> str:
    ways = np.concatenate([corners[:1], np.diff(corners, axis=0)])
    return packed(np.concatenate([[len(corners)], ways.ravel()]))
