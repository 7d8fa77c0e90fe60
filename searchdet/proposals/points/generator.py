"""Point prompts to masks of one picture: decode, judge at low resolution, remove duplicates.

The rules and their order are segment-anything's SamAutomaticMaskGenerator's; what differs is that no
mask is made at image size before it is accepted. Decisions near a threshold are taken on the exact
pixels, so the result is the same.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...config import ProposalOptions
from ...errors import ResourceError
from .. import frame as frames
from ..cutting import Cut, Cutter
from ..filters import smooth
from ..frame import Crop, Frame
from ..nms import NMS_IOU, iou
from ..prompts import Prompts

if TYPE_CHECKING:
    from .network import Answer, PointNetwork

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]
LEVEL, OFFSET = 0.0, 1.0
"""Mask threshold of the logits, and the shift of the stability score."""
EDGE = 20
"""A mask this near to an inner edge of a crop, in pixels, is cut by it."""
STABILITY_SLACK = 0.05
"""Stability this near to its threshold is counted on the pixels of the image."""
FEW_CELLS = 32
"""The stability of a mask of fewer cells is counted on the pixels of the image too."""
FINE_SLACK = 0.25
"""The same where masks have details of single cells, which a count of cells tells less of."""
LEAST_BATCH = 8
FRAMES = 8
"""Frames that are kept for further pictures of the same size."""


@dataclass(frozen=True, slots=True)
class Mask:
    """One mask of one picture. box: x0, y0, x1, y1, inclusive pixels. part: its logits. sure: whether
    its stability is far enough above the threshold to need no exact count."""

    quality: float
    box: tuple[int, int, int, int]
    part: Crop
    sure: bool


@dataclass(frozen=True, slots=True)
class Pass:
    """What one picture gave. removed: per rule; asked: points; oom: batches halved for memory."""

    frame: Frame
    masks: list[Mask]
    removed: Counter[str]
    asked: int
    oom: int


class MaskGenerator:
    """One network and the thresholds of its masks. device: where its logits are. slack: how far a
    count of cells may be from the stability of the pixels."""

    def __init__(
        self,
        network: PointNetwork,
        options: ProposalOptions,
        device: str,
        slack: float = STABILITY_SLACK,
    ) -> None:
        self.network = network
        self._options = options
        self._device = device
        self._slack = slack
        self._batch = network.batch
        self._cutter = functools.lru_cache(FRAMES)(lambda size: Cutter(network.frame(size), device))

    @torch.inference_mode()
    def run(
        self,
        image: UInt8Array,
        prompts: Prompts,
        origin: tuple[int, int] = (0, 0),
        whole: tuple[int, int] | None = None,
    ) -> Pass:
        """Masks of an (H, W, 3) picture, best first. origin (y, x) and whole (H, W): where the picture
        lies in a larger image; masks that its edge cuts are dropped."""
        size = (image.shape[0], image.shape[1])
        state = self.network.encode(np.ascontiguousarray(image))
        cutter = self._cutter(size)
        frame, judge = cutter.frame, _Judge(cutter, self._options, self._device, self._slack)
        coords = np.asarray(prompts.points, np.float64) * [[size[1], size[0]]]
        where = frame.cells_at(coords)
        asked = oom = 0
        while len(rows := prompts.take()):
            known = len(judge.masks)
            oom += self._ask(state, self.network.points(coords[rows], size), judge)
            asked += len(rows)
            if prompts.listens:
                prompts.tell(_holding(judge.masks[known:], where))
        uncut = [m for m in judge.masks if not _is_cut(m.box, size, origin, whole or size)]
        judge.removed["crop_edge"] += len(judge.masks) - len(uncut)
        kept = judge.best(uncut)
        return Pass(frame, kept, judge.removed, asked, oom)

    def _ask(self, state: Any, points: Tensor, judge: _Judge) -> int:
        """Decode all points; on a lack of memory with half the batch. Returns how often that was."""
        start = halved = 0
        batch = self._batch
        while start < len(points):
            try:
                answer = self.network.decode(state, points[start : start + batch])
                judge.see(self.network, state, answer)
            except (torch.OutOfMemoryError, MemoryError) as error:
                if batch <= LEAST_BATCH:
                    raise ResourceError(
                        f"out of memory with {batch} point prompts at once.",
                        "Use a smaller model or --device cpu.",
                    ) from error
                batch, halved = max(LEAST_BATCH, batch // 2), halved + 1
                continue
            start += batch
        self._batch = batch
        return halved


class _Judge:
    """Collects the masks of one picture that pass the thresholds."""

    def __init__(self, cutter: Cutter, options: ProposalOptions, device: str, slack: float) -> None:
        self.masks: list[Mask] = []
        self.removed: Counter[str] = Counter(quality=0, stability=0, empty=0)
        self._cutter, self._frame = cutter, cutter.frame
        self._options = options
        self._slack = slack
        rows, columns = cutter.frame.weights
        self._weights = (torch.from_numpy(rows).to(device), torch.from_numpy(columns).to(device))

    def see(self, network: PointNetwork, state: Any, answer: Answer) -> None:
        """Judge a batch; only what passes is upscaled, and only what is stable leaves the device."""
        quality = answer.quality.float().cpu().numpy()
        good = (
            quality > self._options.pred_iou_thresh
            if self._options.pred_iou_thresh > 0
            else (np.ones_like(quality, bool))
        )
        if not good.any():
            self.removed["quality"] += good.size
            return
        masks = {int(i): np.flatnonzero(good[i]).tolist() for i in np.flatnonzero(good.any(1))}
        logits, values = network.logits(state, answer, masks), quality[good].tolist()
        if self._options.smooth:
            smoothed = [smooth(f, self._options.smooth) for f in logits.float().cpu().numpy()]
            logits = torch.from_numpy(np.stack(smoothed)).to(logits.device)
        near, few = self._stability(logits)
        least = self._options.stability_score_thresh - self._slack
        hopeful = np.flatnonzero((near >= least) | few)
        chosen = logits[torch.from_numpy(hopeful).to(logits.device)].float()
        cut = self._cutter.cut(chosen, LEVEL - OFFSET, LEVEL)
        # from here on memory cannot run out, after which a batch is judged once more
        self.removed["quality"] += int((~good).sum())
        self.removed["stability"] += len(near) - len(hopeful)
        for found, i in zip(cut, hopeful, strict=True):
            self._accept(found, values[i], -1.0 if few[i] else float(near[i]))

    def _stability(self, logits: Tensor) -> tuple[npt.NDArray[np.float64], BoolArray]:
        """Stability (M,) with every cell counted as the pixels that it stands for; -1 without any. And
        (M,): whether a mask has so few cells that this says nothing."""
        rows, columns = self._weights
        inner, outer = (
            ((logits > level).float() @ columns) @ rows for level in (LEVEL + OFFSET, LEVEL - OFFSET)
        )
        ratio = torch.where(outer > 0, inner / outer, -torch.ones_like(outer))
        cells = (logits > LEVEL - OFFSET).sum((1, 2))
        few = (cells < FEW_CELLS) & (outer > 0)
        return ratio.double().cpu().numpy(), few.cpu().numpy()

    def _accept(self, found: Cut | None, quality: float, near: float) -> None:
        if found is None:
            self.removed["empty"] += 1
            return
        threshold = self._options.stability_score_thresh
        sure = threshold <= 0 or near >= threshold + self._slack
        self.masks.append(Mask(quality, found.box, found.part, sure))

    def best(self, masks: list[Mask]) -> list[Mask]:
        """Stable masks, best first, without those whose box overlaps a better one's.

        Whether a mask is stable is counted on the pixels of the image, which is only worth it for one
        that no stable mask suppresses anyway; the result is that of filtering first.
        """
        boxes = np.asarray([mask.box for mask in masks], np.float32).reshape(-1, 4)
        kept: list[int] = []
        for i in np.argsort([-mask.quality for mask in masks], kind="stable"):
            if kept and (iou(boxes[i], boxes[kept]) > NMS_IOU).any():
                self.removed["duplicate"] += 1
            elif not masks[i].sure and not self._stable(masks[i].part):
                self.removed["stability"] += 1
            else:
                kept.append(int(i))
        return [masks[i] for i in kept]

    def _stable(self, part: Crop) -> bool:
        inner, outer = frames.counts(part, (LEVEL + OFFSET, LEVEL - OFFSET), self._frame)
        return outer > 0 and inner / outer >= self._options.stability_score_thresh


def _holding(masks: list[Mask], where: tuple[Any, Any]) -> BoolArray:
    """(M, P): whether each point, given by its logits cell, lies in each mask."""
    rows, columns = where
    held = np.zeros((len(masks), len(rows)), bool)
    for i, mask in enumerate(masks):
        row, column = rows - mask.part.row, columns - mask.part.column
        height, width = mask.part.values.shape
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        held[i, inside] = mask.part.values[row[inside], column[inside]] > LEVEL
    return held


def _is_cut(
    box: tuple[int, int, int, int],
    size: tuple[int, int],
    origin: tuple[int, int],
    whole: tuple[int, int],
) -> bool:
    """Whether a side of the box lies near the crop's edge and not near the image's."""
    y, x = origin
    edges = ((x, 0), (y, 0), (x + size[1], whole[1]), (y + size[0], whole[0]))
    sides = zip(box, (x, y, x, y), edges, strict=True)
    return any(
        abs(value + shift - crop) <= EDGE < abs(value + shift - image)
        for value, shift, (crop, image) in sides
    )
