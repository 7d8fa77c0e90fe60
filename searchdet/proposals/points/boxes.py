"""Boxes as prompts of a network that takes them: a mask for each, on the whole image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...errors import ResourceError
from ...masks import rle
from ...masks.rle import Rle
from .. import frame as frames
from ..types import BoolArray, FloatArray, UInt8Array
from .generator import LEVEL
from .network import Answer, PointArray

if TYPE_CHECKING:
    from torch import Tensor

    from ..frame import Frame


class BoxNetwork(Protocol):
    """What a ``PointNetwork`` must answer beside points to take boxes."""

    batch: int

    def frame(self, size: tuple[int, int]) -> Frame: ...

    def encode(self, image: UInt8Array) -> Any: ...

    def decode_boxes(self, state: Any, boxes: PointArray, size: tuple[int, int]) -> Answer:
        """One box a prompt: (B, 4) xyxy in pixels of a picture of ``size`` (H, W). Of the masks of its
        answer the one of best quality counts."""
        ...

    def logits(self, state: Any, answer: Any, masks: dict[int, list[int]]) -> Tensor: ...


def masks_of_boxes(network: BoxNetwork, image: UInt8Array, boxes: FloatArray) -> list[Rle]:
    """For each box (N, 4) xyxy the encoded mask of an (H, W, 3) uint8 RGB image, cut at the box; empty
    where nothing of it lies in the image. Raises ResourceError where memory runs out."""
    import torch

    size = (image.shape[0], image.shape[1])
    limit = np.asarray([size[1], size[0], size[1], size[0]], np.float64)
    corners = np.clip(np.asarray(boxes, np.float64).reshape(-1, 4), 0, limit)
    masks = [rle.encode(np.zeros(size, bool))] * len(corners)
    some = np.flatnonzero((corners[:, 2:] > corners[:, :2]).all(1))
    if not len(some):
        return masks
    frame = network.frame(size)
    try:
        with torch.inference_mode():
            state = network.encode(np.ascontiguousarray(image))
            for start in range(0, len(some), network.batch):
                rows = some[start : start + network.batch]
                answer = network.decode_boxes(state, corners[rows], size)
                best = answer.quality.float().argmax(1).tolist()
                logits = network.logits(state, answer, {i: [mask] for i, mask in enumerate(best)})
                for row, field in zip(rows, logits.float().cpu().numpy(), strict=True):
                    masks[row] = rle.encode(_inside(field, frame, corners[row]))
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ResourceError(
            f"out of memory with {network.batch} boxes at once.", "Use a smaller model or --device cpu."
        ) from error
    return masks


def _inside(field: FloatArray, frame: Frame, box: PointArray) -> BoolArray:
    """The mask of a field of logits, without what is outside the box."""
    made = np.zeros(frame.size, bool)
    part = frames.crop(field, LEVEL, frame)
    if part is None:
        return made
    window, (y, x) = frames.render(part, LEVEL, frame)
    made[y : y + window.shape[0], x : x + window.shape[1]] = window
    clipped = np.zeros_like(made)
    (left, top), (right, bottom) = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
    clipped[top:bottom, left:right] = made[top:bottom, left:right]
    return clipped
