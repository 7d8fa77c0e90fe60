"""``regions``: the embedded proposer. No weights; recall first, at most ``SCORED`` proposals,
drawn at working size.

Three sources on a small copy of the image: a merge tree over Felzenszwalb superpixels, components of
Otsu thresholds (with watershed for objects that touch), and MSER. All are ranked by how well their
outline follows edges and how much they differ from the ring around them, then made unique.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..config import ProposalOptions
from ..errors import UsageError
from ..masks import rle
from ..masks.rle import Rle
from ..records import WeightsInfo
from ..weights import Compute, LoadedBefore
from . import hierarchy
from .filters import READS as FILTERS
from .filters import finish, smooth
from .types import BoolArray, FloatArray, Plan, Proposals, Proposer, UInt8Array, from_rles

NAME = "regions"
SCORED = 2500
"""Masks an image that are kept, to be described and scored."""
WORKING_SIDE = 480
"""Long side of the copy that is segmented; smaller images are not enlarged."""
SUPERPIXEL_SCALES = (40.0, 160.0)
DUPLICATE_IOU = 0.85
_MIN_PIXELS = 12
_SMALL = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Patch:
    """One candidate mask, cropped to its box. mask (h, w) bool; x, y: the crop's corner."""

    mask: BoolArray
    x: int
    y: int
    area: int


@dataclass(frozen=True, slots=True)
class _Scene:
    """The working copy: lab (H, W, 3) float32, edges (H, W) gradient strength, rgb (H, W, 3)."""

    rgb: UInt8Array
    lab: FloatArray
    edges: FloatArray


class RegionProposer:
    """Classical segmentation as a proposer."""

    name = NAME
    reads = FILTERS | {"smooth"}
    weights: WeightsInfo | None = None
    compute: Compute | None = None

    def __init__(self, options: ProposalOptions) -> None:
        self._options = options

    def propose(self, image: UInt8Array, promise: FloatArray | None = None) -> Proposals:
        """Proposals of an (H, W, 3) uint8 RGB image, best ring contrast first. Takes no promise."""
        scene, options = _prepare(image), self._options
        total = scene.rgb.shape[0] * scene.rgb.shape[1]
        low = max(_MIN_PIXELS, options.min_area / 100 * total)
        high = options.max_area / 100 * total
        every = list(_candidates(scene))
        patches = [patch for patch in every if low <= patch.area <= high]
        quality = [_quality(scene, patch) for patch in patches]
        order = sorted(range(len(patches)), key=lambda i: -quality[i])
        kept = _unique([patches[i] for i in order], 2 * SCORED)
        size = (image.shape[0], image.shape[1])
        working = (scene.rgb.shape[0], scene.rgb.shape[1])
        codes = [_encode(patches[order[k]], working, options.smooth) for k in kept]
        chosen = [(c, quality[order[k]]) for c, k in zip(codes, kept, strict=True) if c is not None]
        found = from_rles([code for code, _ in chosen], [value for _, value in chosen], size, working)
        removed = {"area": len(every) - len(patches), "duplicate": len(patches) - len(kept)}
        return finish(replace(found, removed=removed), options, SCORED)


def _prepare(image: UInt8Array) -> _Scene:
    height, width = image.shape[:2]
    scale = min(1.0, WORKING_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    rgb = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    lab = np.asarray(cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    smooth = cv2.GaussianBlur(lab, (0, 0), 1.0)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) / 8
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1) / 8
    edges = np.sqrt((across**2 + down**2).sum(axis=2))
    return _Scene(rgb, lab, edges.astype(np.float32))


def _candidates(scene: _Scene) -> Iterator[Patch]:
    yield from _tree(scene)
    for field in _fields(scene.lab):
        yield from _thresholded(field)
    yield from _mser(scene)


def _tree(scene: _Scene) -> Iterator[Patch]:
    from skimage.segmentation import felzenszwalb

    for scale in SUPERPIXEL_SCALES:
        labels = felzenszwalb(scene.rgb, scale=scale, sigma=0.7, min_size=24).astype(np.int64)
        count = int(labels.max()) + 1
        for members, (x0, y0, x1, y1) in hierarchy.group(scene.lab, labels):
            chosen = np.zeros(count, bool)
            chosen[members] = True
            mask = _fill_holes(chosen[labels[y0:y1, x0:x1]])
            yield Patch(mask, x0, y0, int(mask.sum()))


def _fields(lab: FloatArray) -> Iterator[FloatArray]:
    """Scalar maps in which objects may stand out: lightness, colour against the picture's frame, and
    lightness against its surroundings."""
    border = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    yield lab[..., 0]
    yield np.linalg.norm(lab - np.median(border, axis=0), axis=2).astype(np.float32)
    yield np.linalg.norm(lab[..., 1:], axis=2).astype(np.float32)
    sigma = max(lab.shape[:2]) / 12
    yield lab[..., 0] - cv2.GaussianBlur(lab[..., 0], (0, 0), sigma)


def _thresholded(field: FloatArray) -> Iterator[Patch]:
    span = float(field.max() - field.min())
    if span < 4.0:  # a flat map holds no objects
        return
    scaled = np.asarray((field - field.min()) * (255 / span), np.uint8)
    scaled = np.asarray(cv2.GaussianBlur(scaled, (0, 0), 1.0), np.uint8)
    level, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    for shifted in (0.75 * level, level, 1.25 * level):
        above = scaled > shifted
        for mask in (above, ~above):
            clean = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
            yield from _components(clean > 0)
            yield from _watershed(clean > 0)


def _components(mask: BoolArray) -> Iterator[Patch]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    yield from _label_patches(labels, stats, range(1, count))


def _label_patches(
    labels: npt.NDArray[Any], stats: npt.NDArray[Any], indices: range
) -> Iterator[Patch]:
    for i in indices:
        x, y, w, h, area = (int(n) for n in stats[i])
        if area < _MIN_PIXELS:
            continue
        part = _fill_holes(labels[y : y + h, x : x + w] == i)
        yield Patch(part, x, y, int(part.sum()))


def _watershed(mask: BoolArray) -> Iterator[Patch]:
    """Parts of touching objects: watershed of the distance to the outside (filled first)."""
    from skimage.segmentation import watershed

    filled = _fill_holes(mask)
    distance = cv2.distanceTransform(filled.astype(np.uint8), cv2.DIST_L2, 5)
    distance = cv2.GaussianBlur(distance, (0, 0), 1.5)
    top = cv2.dilate(distance, np.ones((9, 9), np.uint8))
    peaks = (distance >= top - 1e-4) & (distance > 2.0)
    count, seeds = cv2.connectedComponents(peaks.astype(np.uint8))
    if not 2 <= count <= 400:
        return
    parts = watershed(-distance, seeds, mask=filled).astype(np.int32)
    for i, (rows, columns) in enumerate(_boxes(parts, count), start=1):
        part = parts[rows, columns] == i
        area = int(part.sum())
        if area >= _MIN_PIXELS:
            yield Patch(part, columns.start, rows.start, area)


def _boxes(labels: npt.NDArray[np.int32], count: int) -> list[tuple[slice, slice]]:
    from scipy.ndimage import find_objects

    found = find_objects(labels, max_label=count - 1)
    return [box if box is not None else (slice(0, 0), slice(0, 0)) for box in found]


def _mser(scene: _Scene) -> Iterator[Patch]:
    """Maximally stable extremal regions (Matas et al. 2002) of the lightness."""
    if min(scene.lab.shape[:2]) < 3:  # OpenCV's least size
        return
    grey = np.ascontiguousarray(np.clip(scene.lab[..., 0] * 2.55, 0, 255).astype(np.uint8))
    detector = cv2.MSER.create(delta=6, min_area=_MIN_PIXELS)
    points, boxes = detector.detectRegions(grey)
    for found, (x, y, w, h) in zip(points, boxes, strict=True):
        pixels = np.asarray(found, np.int64)
        mask = np.zeros((h, w), bool)
        mask[pixels[:, 1] - y, pixels[:, 0] - x] = True
        filled = _fill_holes(mask)
        yield Patch(filled, int(x), int(y), int(filled.sum()))


def _fill_holes(mask: BoolArray) -> BoolArray:
    """Fill what cannot be reached from outside the crop."""
    padded = cv2.copyMakeBorder(mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(padded, None, (0, 0), 2)
    return np.asarray(padded[1:-1, 1:-1] != 2)


def _quality(scene: _Scene, patch: Patch) -> float:
    """0..1: edge strength under the outline and colour difference between rim and ring."""
    height, width = patch.mask.shape
    reach = 2 + min(height, width) // 16
    x0, y0 = max(0, patch.x - reach), max(0, patch.y - reach)
    x1 = min(scene.lab.shape[1], patch.x + width + reach)
    y1 = min(scene.lab.shape[0], patch.y + height + reach)
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    mask[patch.y - y0 :, patch.x - x0 :][:height, :width] = patch.mask
    outline = cv2.dilate(mask, _SMALL) - cv2.erode(mask, _SMALL, borderValue=1)
    ring = cv2.dilate(mask, np.ones((2 * reach + 1,) * 2, np.uint8)) - mask
    if not cv2.hasNonZero(ring) or not cv2.hasNonZero(outline):
        return 0.0
    lab, edges = scene.lab[y0:y1, x0:x1], scene.edges[y0:y1, x0:x1]
    contrast = math.dist(cv2.mean(lab, mask)[:3], cv2.mean(lab, ring)[:3])
    edge = cv2.mean(edges, outline)[0]
    return 0.5 * (1 - math.exp(-contrast / 18)) + 0.5 * (1 - math.exp(-edge / 2.5))


def _unique(patches: list[Patch], limit: int) -> list[int]:
    """Rows of the first ``limit`` patches that are no near copy of an earlier one."""
    boxes = np.asarray(
        [(p.x, p.y, p.x + p.mask.shape[1], p.y + p.mask.shape[0]) for p in patches], np.int64
    ).reshape(-1, 4)
    areas = np.asarray([p.area for p in patches], np.int64)
    kept: list[int] = []
    for i, patch in enumerate(patches):
        if len(kept) == limit:
            break
        near = _overlapping(boxes[i], int(areas[i]), boxes[kept], areas[kept])
        if not any(_iou(patch, patches[kept[k]]) > DUPLICATE_IOU for k in near):
            kept.append(i)
    return kept


def _overlapping(
    box: npt.NDArray[np.int64],
    area: int,
    boxes: npt.NDArray[np.int64],
    areas: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Rows of ``boxes`` whose masks could reach the duplicate IoU at all."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    ratio = np.minimum(areas, area) / np.maximum(np.maximum(areas, area), 1)
    possible = np.minimum(shared, np.minimum(areas, area)) / np.maximum(areas, area)
    return np.asarray(np.flatnonzero((ratio > DUPLICATE_IOU) & (possible > DUPLICATE_IOU)))


def _iou(one: Patch, two: Patch) -> float:
    x0, y0 = max(one.x, two.x), max(one.y, two.y)
    x1 = min(one.x + one.mask.shape[1], two.x + two.mask.shape[1])
    y1 = min(one.y + one.mask.shape[0], two.y + two.mask.shape[0])
    first = one.mask[y0 - one.y : y1 - one.y, x0 - one.x : x1 - one.x]
    second = two.mask[y0 - two.y : y1 - two.y, x0 - two.x : x1 - two.x]
    shared = int(np.count_nonzero(first & second))
    return shared / (one.area + two.area - shared)


def _encode(patch: Patch, working: tuple[int, int], radius: int) -> Rle | None:
    """The patch as an encoding at working size; None where smoothing leaves nothing of it."""
    if not radius:
        return rle.encode_window(patch.mask, (patch.y, patch.x), working)
    small = np.zeros(working, np.float32)
    small[patch.y :, patch.x :][: patch.mask.shape[0], : patch.mask.shape[1]] = patch.mask
    mask = smooth(small, radius) > 0.5
    return rle.encode(mask) if mask.any() else None


def _make(
    options: ProposalOptions, device: str, precision: str, before: LoadedBefore | None
) -> Proposer:
    if options.prompting == "guided" or options.crop_layers:
        raise UsageError(
            f"--prompting guided and --crop-layers are SAM's; `{NAME}` asks no points.",
            "Pass --sam-checkpoint FILE, or leave them out.",
        )
    return RegionProposer(options)


PLAN = Plan(_make)
