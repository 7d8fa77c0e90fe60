"""Components of thresholded maps, and parts of those that touch.

Each map in which objects may stand out is cut at many levels; what lies above and what lies below a
level falls into components. Those of Otsu's level are also split where they are narrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .scene import Scene
from .types import BoolArray, FloatArray, UInt8Array

Labels = npt.NDArray[np.int32]
IntArray = npt.NDArray[np.int64]
LEVELS = 6
SPLIT = (0.75, 1.0, 1.25)
"""At these shares of Otsu's level what touches is parted."""
NEAR = 1 / 40
"""Sigma of what is near, in sides of the picture."""
LEAST_SPAN, LEAST_PROMISE = 4.0, 0.02
"""A map that varies less holds no objects: in units of Lab; in cosines."""
MOST_PARTS = 600
_SMALL = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Parts:
    """Masks as numbers of a map: mask i is where labels (H, W) has the value number[i]. boxes (N, 4)
    xyxy, exclusive maximum; areas (N,) pixels."""

    labels: Labels
    number: IntArray
    boxes: IntArray
    areas: IntArray

    def take(self, rows: IntArray) -> Parts:
        """The chosen masks, in that order."""
        return Parts(self.labels, self.number[rows], self.boxes[rows], self.areas[rows])

    def windows(self) -> list[BoolArray]:
        """Each mask cut to its box, holes filled."""
        framed = np.pad(self.labels, 1)
        corners = zip(self.number.tolist(), self.boxes.tolist(), strict=True)
        return [
            _reached((framed[y0 : y1 + 2, x0 : x1 + 2] != n).view(np.uint8))
            for n, (x0, y0, x1, y1) in corners
        ]


def fields(scene: Scene) -> list[FloatArray]:
    """Maps in which objects may stand out: lightness, red to green, yellow to blue, and lightness
    against what is near."""
    lab = scene.lab
    near = NEAR * float(np.sqrt(lab.shape[0] * lab.shape[1]))
    contrast = lab[..., 0] - cv2.GaussianBlur(lab[..., 0], (0, 0), near)
    return [lab[..., 0], lab[..., 1], lab[..., 2], contrast]


def promised(promise: FloatArray, labels: IntArray) -> FloatArray:
    """A promise (h, w) on superpixels (H, W), whose outlines follow edges: the mean of each."""
    height, width = labels.shape
    fine = np.asarray(cv2.resize(promise, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    total = np.bincount(labels.ravel(), fine.ravel())
    return np.asarray((total / np.bincount(labels.ravel()))[labels], np.float32)


def eight_bits(field: FloatArray, least: float) -> UInt8Array | None:
    """A map stretched to 0..255, a little smoothed; None where it varies less than ``least``."""
    low, high = np.percentile(field, (0.1, 99.9))
    if high - low < least:
        return None
    scaled = np.clip((field - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(scaled, (0, 0), 0.8), np.uint8)


def parts_of(grey: UInt8Array, least: int) -> Iterator[Parts]:
    """Masks of one map of at least ``least`` pixels."""
    for level in np.round(255 * np.arange(1, LEVELS + 1) / (LEVELS + 1)):
        above = (grey > level).astype(np.uint8)
        yield from components(above, least)
        yield from components(1 - above, least)
    otsu, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    for share in SPLIT:
        above = (grey > share * otsu).astype(np.uint8)
        for mask in (above, 1 - above):
            opened = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, _SMALL), np.uint8)
            yield from touching(opened, least)


def components(mask: UInt8Array, least: int) -> Iterator[Parts]:
    """Connected parts (4-neighbourhood) of a mask."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    number = 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= least)
    if len(number):
        found = stats[number].astype(np.int64)
        boxes = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], axis=1)
        yield Parts(np.asarray(labels, np.int32), number, boxes, found[:, 4])


def touching(mask: UInt8Array, least: int) -> Iterator[Parts]:
    """A mask cut between the centres of its wide places: each pixel goes to the nearest disc, of those
    drawn around the peaks of the distance to the outside."""
    from scipy.ndimage import find_objects

    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    distance = cv2.GaussianBlur(distance, (0, 0), 1.5)
    top = cv2.dilate(distance, np.ones((9, 9), np.uint8))
    peaks = ((distance >= top - 1e-4) & (distance > 2.0)).astype(np.uint8)
    count, group = cv2.connectedComponents(peaks)
    if not 2 < count <= MOST_PARTS:
        return
    ground = np.ones(mask.shape, np.uint8)
    for x, y in _middles(np.asarray(group, np.int32), count):
        at = (round(x), round(y))
        cv2.circle(ground, at, max(0, int(0.6 * distance[at[1], at[0]])), 0, -1)
    _, nearest = cv2.distanceTransformWithLabels(ground, cv2.DIST_L2, 5)
    labels = np.asarray(nearest, np.int32)
    labels[mask == 0] = 0
    areas = np.bincount(labels.ravel())
    number = 1 + np.flatnonzero(areas[1:] >= least)
    if len(number):
        found = find_objects(labels)
        corners = [(x.start, y.start, x.stop, y.stop) for y, x in (found[n - 1] for n in number)]
        yield Parts(labels, number, np.asarray(corners, np.int64), areas[number])


def _middles(group: Labels, count: int) -> npt.NDArray[np.float64]:
    """(count - 1, 2): mean x and y of the pixels with each number from 1 on."""
    at = np.flatnonzero(group)
    number = group.ravel()[at]
    places = [np.bincount(number, place, count) for place in divmod(at, group.shape[1])[::-1]]
    return np.stack(places, axis=1)[1:] / np.bincount(number, minlength=count)[1:, None]


def painted(part: BoolArray) -> BoolArray:
    """Fill what cannot be reached from outside the crop."""
    outside = cv2.copyMakeBorder((~part).view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    return _reached(np.asarray(outside, np.uint8))


def _reached(outside: UInt8Array) -> BoolArray:
    """A mask without its frame of one pixel: what the frame does not reach. outside: 1 off the mask, as
    on all of the frame; it is painted."""
    cv2.floodFill(outside, None, (0, 0), 2)
    return np.asarray(outside[1:-1, 1:-1] != 2)
