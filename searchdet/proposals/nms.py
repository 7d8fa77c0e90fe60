"""Duplicates between views of one image: crops, tiles and the whole. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .types import FloatArray

IntArray = npt.NDArray[np.int64]
NMS_IOU = 0.7


def prefer_small_views(boxes: FloatArray, view_areas: npt.NDArray[Any]) -> IntArray:
    """Rows to keep, ascending: of boxes that overlap with IoU above 0.7 the one from the smallest view
    (its picture was sharpest), of equal views the first. One view is taken as it is.

    boxes (N, 4) xyxy, exclusive maximum; rows of one view stand best first. The overlap is measured
    between pixel centres, as segment-anything does it.
    """
    areas = np.asarray(view_areas)
    if len(set(areas.tolist())) <= 1:
        return np.arange(len(boxes))
    centres = boxes - np.asarray([0, 0, 1, 1], np.float32)
    order = np.argsort(areas, kind="stable")
    return np.sort(nms(centres, order, NMS_IOU))


def iou(box: FloatArray, others: FloatArray) -> FloatArray:
    """Overlap (N,) of one box xyxy with N others, in float32 and in the order of torchvision's."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    own, areas = np.prod(box[2:] - box[:2]), np.prod(others[:, 2:] - others[:, :2], axis=1)
    with np.errstate(invalid="ignore"):  # two boxes of one pixel: no area, no overlap
        return np.asarray(shared / (own + areas - shared), np.float32)


def nms(boxes: FloatArray, order: IntArray, iou: float) -> IntArray:
    """Rows that no kept row before them, in ``order``, overlaps by more than ``iou``."""
    import torch
    from torchvision.ops import nms as suppress

    if not len(order):
        return np.zeros(0, np.int64)
    ranked = torch.from_numpy(np.ascontiguousarray(boxes[order], np.float32))
    falling = torch.arange(len(order), 0, -1, dtype=torch.float32)
    return np.asarray(order[suppress(ranked, falling, iou).numpy()], np.int64)
