"""The object in a box, without weights: a vote of what the embedded proposer finds in a crop around it.

A network that takes boxes needs none of this; see ``BoxPrompted``. The voters on each pixel are the
proposals, the more the nearer their own box is to the given one and the better they are; a cut by
colours (Rother et al. 2004, GrabCut) that begins with the box; and the ellipse in the box.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..masks import rle
from ..masks.rle import Rle
from .nms import iou
from .types import BoolArray, FloatArray, Proposals, UInt8Array

MARGIN, LEAST_MARGIN = 0.2, 4.0
"""What a crop shows around a box: this share of its sides, and so many pixels at least."""
SIDE = 128
"""Pixels that the longer side of a box has in its crop, enlarged or not."""
LARGEST = 2 * SIDE
"""Pixels of the longer side of a crop at most, so that a tiny box is not enlarged without end."""
THINNEST = 8
"""Pixels of the shorter side of a crop at least."""
AGREEING, GOOD = 32.0, 8.0
"""How fast a proposal's voice falls with the IoU of the boxes, and with its quality."""
CUT, ROUND = 1.0, 0.6
"""Voices of the cut by colours and of the ellipse, beside 1 for all proposals together; chosen, with
those above, on photographs with drawn masks, each set left out in turn: benchmarks/README.md."""
ROUNDS = 5
LEAST_COLOURS = 5
"""Pixels on each side that the cut takes its mixtures of colours from, which are five."""
Find = Callable[[UInt8Array], Proposals]


@dataclass(frozen=True, slots=True)
class View:
    """A crop of the image (pixels y0:y1, x0:x1), at another size, and the box in it."""

    pixels: UInt8Array
    where: tuple[int, int, int, int]
    box: FloatArray

    @property
    def inside(self) -> BoolArray:
        """(h, w): the pixels of the box, at least one."""
        height, width = self.pixels.shape[:2]
        made = np.zeros((height, width), bool)
        x0, y0, x1, y1 = np.round(self.box).astype(int).tolist()
        left, top = min(x0, width - 1), min(y0, height - 1)
        made[top : max(y1, top + 1), left : max(x1, left + 1)] = True
        return made


def masks_in_boxes(image: UInt8Array, boxes: FloatArray, find: Find) -> list[Rle]:
    """For each box (N, 4: x0, y0, x1, y1 in pixels of an (H, W, 3) uint8 RGB image) the encoded mask of
    the object in it, none of it outside the box; empty where the box has no pixel in the image. find:
    proposals of a picture."""
    return [
        rle.encode(_mask_in(image, box, find)) for box in np.asarray(boxes, np.float64).reshape(-1, 4)
    ]


def _mask_in(image: UInt8Array, box: npt.NDArray[np.float64], find: Find) -> BoolArray:
    height, width = image.shape[:2]
    box = np.clip(box, 0, [width, height, width, height])
    if (box[2:] <= box[:2]).any():
        return np.zeros((height, width), bool)
    view = view_of(image, box)
    votes = votes_of(view, find)
    weights = (1.0 if votes[0].any() else 0.0, CUT, ROUND)
    total = np.tensordot(np.asarray(weights, np.float32), np.stack(votes), 1)
    return placed(np.asarray(total / sum(weights), np.float32), view, box, (height, width))


def placed(
    share: FloatArray, view: View, box: npt.NDArray[np.float64], size: tuple[int, int]
) -> BoolArray:
    """Where more than half of the voices (h, w) of a view lie in the box, as a mask of the image."""
    y0, x0, y1, x1 = view.where
    how = cv2.INTER_AREA if share.shape[0] > y1 - y0 else cv2.INTER_LINEAR
    part = cv2.resize(share.astype(np.float32), (x1 - x0, y1 - y0), interpolation=how) > 0.5
    left, top = np.floor(box[:2]).astype(int)
    right, bottom = np.ceil(box[2:]).astype(int)
    made = np.zeros(size, bool)
    inner = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
    made[top:bottom, left:right] = part[inner]
    return made


def view_of(image: UInt8Array, box: npt.NDArray[np.float64]) -> View:
    """The crop around a box that has an area in the image."""
    sides = box[2:] - box[:2]
    margin = np.maximum(MARGIN * sides, LEAST_MARGIN)
    x0, y0 = (max(0, int(v)) for v in np.floor(box[:2] - margin))
    x1, y1 = np.minimum(np.ceil(box[2:] + margin), image.shape[1::-1]).astype(int).tolist()
    scale = min(SIDE / float(sides.max()), LARGEST / max(x1 - x0, y1 - y0))
    size = tuple(max(THINNEST, round(side * scale)) for side in (x1 - x0, y1 - y0))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    part = np.ascontiguousarray(image[y0:y1, x0:x1])
    pixels = np.asarray(cv2.resize(part, size, interpolation=how), np.uint8)
    times = np.asarray([size[0] / (x1 - x0), size[1] / (y1 - y0)] * 2)
    moved = (box - [x0, y0, x0, y0]) * times
    return View(pixels, (y0, x0, y1, x1), moved.astype(np.float32))


def votes_of(view: View, find: Find) -> list[FloatArray]:
    """What the proposals, the cut by colours and the ellipse say of each pixel (h, w) of a view: 0 to
    1, and 0 outside the box. Without a proposal the first is 0 everywhere."""
    inside, found = view.inside, find(view.pixels)
    proposed = _proposed(view, found) if len(found) else np.zeros(inside.shape, np.float32)
    every = (proposed, _cut(view, inside), _ellipse(view))
    return [np.asarray(vote * inside, np.float32) for vote in every]


def _proposed(view: View, found: Proposals) -> FloatArray:
    """The share of the proposals, weighted, that hold each pixel."""
    alike = iou(view.box, found.boxes)
    voice = AGREEING * (alike - alike.max()) + GOOD * (found.quality - found.quality.max())
    some = np.flatnonzero(voice > voice.max() - 20)  # the others have no voice to speak of
    weights = np.exp(voice[some] - voice.max())
    masks = found.take(some).dense()
    held = np.tensordot(weights / weights.sum(), masks.astype(np.float64), 1)
    return np.asarray(held, np.float32)


def _ellipse(view: View) -> BoolArray:
    height, width = view.pixels.shape[:2]
    x0, y0, x1, y1 = (float(v) for v in view.box)
    y, x = np.ogrid[:height, :width]
    across = (x + 0.5 - (x0 + x1) / 2) / ((x1 - x0) / 2)
    down = (y + 0.5 - (y0 + y1) / 2) / ((y1 - y0) / 2)
    return np.asarray(across**2 + down**2 <= 1)


def _cut(view: View, inside: BoolArray) -> BoolArray:
    """What differs in colour from what is around the box; where the box leaves nothing around it, from
    what is outside of the ellipse in it."""
    marks = np.full(inside.shape, cv2.GC_BGD, np.uint8)
    marks[inside] = cv2.GC_PR_FGD
    if inside.all():
        marks[~_ellipse(view)] = cv2.GC_PR_BGD
    held = int((marks == cv2.GC_PR_FGD).sum())
    if min(held, marks.size - held) < LEAST_COLOURS:
        return inside
    cv2.setRNGSeed(0)  # equal pictures give equal masks
    room = np.zeros((2, 1, 65))
    cv2.grabCut(view.pixels, marks, (0, 0, 1, 1), room[0], room[1], ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.asarray((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD))
