"""Filters that every proposer shares, as pure functions on run-length masks; each is an option.

A function returns keep (N,) bool. ``finish`` applies them in order, counts what each removed, and cuts
the list. Masks are judged as they are drawn, which may be on a small copy of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from ..config import ProposalOptions
from ..masks import rle
from ..masks.rle import Rle
from .types import BoolArray, FloatArray, Proposals

READS = frozenset(
    {"min_area", "max_area", "drop_border", "border_width", "drop_rectangles", "max_containment"}
    | {"scored_masks"}
)
"""The options of ``finish``."""


def finish(found: Proposals, options: ProposalOptions) -> Proposals:
    """Apply the filters of ``options`` and keep ``scored_masks``. Adds to ``found.removed``; equal keys
    add up."""
    removed = dict(found.removed)

    def keep(name: str, chosen: BoolArray, now: Proposals) -> Proposals:
        removed[name] = removed.get(name, 0) + int((~chosen).sum())
        return now if chosen.all() else now.take(np.flatnonzero(chosen))

    limits = (options.min_area, options.max_area)
    found = keep("area", area_within(found.rles, found.mask_size, limits), found)
    if options.drop_border:
        found = keep("border", off_border(found.boxes, found.size, options.border_width), found)
    if options.drop_rectangles is not None:
        found = keep("rectangle", ~is_rectangle(found.rles, options.drop_rectangles), found)
    if options.max_containment < 1:
        found = keep("contained", ~is_contained(found.rles, options.max_containment), found)
    found = keep("limit", np.arange(len(found)) < options.scored_masks, found)
    return replace(found, removed=removed)


def area_within(rles: Sequence[Rle], size: tuple[int, int], percent: tuple[float, float]) -> BoolArray:
    """Masks, not empty, whose area lies within a range in percent of the image."""
    runs = rle.all_runs(rles)
    areas = np.bincount(runs.owner, runs.bottom - runs.top, len(rles))
    low, high = (limit / 100 * size[0] * size[1] for limit in percent)
    return np.asarray((areas > 0) & (areas >= low) & (areas <= high))


def off_border(boxes: FloatArray, size: tuple[int, int], width: int) -> BoolArray:
    """Masks that stay out of the outermost ``width`` pixels of the image."""
    low = (boxes[:, :2] >= width).all(1)
    high = (boxes[:, 2:] <= np.asarray([size[1], size[0]]) - width).all(1)
    return np.asarray(low & high)


def is_rectangle(rles: Sequence[Rle], iou: float) -> BoolArray:
    """Masks whose silhouette, holes filled, overlaps with the smallest rectangle around it, at any
    angle, by ``iou`` or more: screens, sheets of paper, picture frames."""
    return np.asarray([rectangularity(code) >= iou for code in rles], bool)


def rectangularity(code: Rle) -> float:
    """IoU of the silhouette of a mask, its holes filled, with the smallest rectangle around it (it lies
    inside, so area by area). What is let into a frame from its edge is no hole."""
    runs = rle.runs(code)
    if not len(runs.column):
        return 0.0
    left, right = runs.column, runs.column + 1
    corners = [(left, runs.top), (right, runs.top), (left, runs.bottom), (right, runs.bottom)]
    points = np.concatenate([np.stack(pair, axis=1) for pair in corners]).astype(np.float32)
    _, (width, height), _ = cv2.minAreaRect(points)
    return float(_silhouette(code) / max(width * height, 1e-9))


def _silhouette(code: Rle) -> int:
    """Pixels of a mask and of its holes, from which no way along pixels side by side leads out."""
    window = rle.window(code)[0]
    around = np.zeros((window.shape[0] + 2, window.shape[1] + 2), np.uint8)
    around[1:-1, 1:-1] = window
    cv2.floodFill(around, None, (0, 0), (2,))
    return int((around != 2).sum())


def is_contained(rles: Sequence[Rle], share: float) -> BoolArray:
    """Masks of which more than ``share`` lies in one better mask that is kept. Best first."""
    from pycocotools import mask as coco

    dropped = np.zeros(len(rles), bool)
    kept: list[Rle] = []
    for i, code in enumerate(rles):
        # With the crowd flag pycocotools divides by the first mask's area alone.
        if kept and coco.iou([code], kept, [1] * len(kept)).max() > share:
            dropped[i] = True
        else:
            kept.append(code)
    return dropped


def smooth(field: npt.NDArray[np.float32], radius: int) -> npt.NDArray[np.float32]:
    """Opening, then closing of a field (h, w) with a disc of ``radius`` cells.

    On logits this is the grey-scale form, which commutes with thresholding: the mask at every
    threshold is opened and closed.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    opened = cv2.morphologyEx(field, cv2.MORPH_OPEN, disc, borderType=cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, disc, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(closed, np.float32)
