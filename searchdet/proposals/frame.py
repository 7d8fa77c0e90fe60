"""From a coarse field (SAM's logits, a segmented copy) to pixels of the image, only where needed.

segment-anything resizes logits twice (to its input size, padding cut off, then to the image), both
bilinear. Each step is linear and separable, so the whole way is one small matrix for rows and one for
columns, and any window of the result can be computed alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
_CHUNK = 1 << 22
"""Pixels of a window that are held at once while counting."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction. matrix (pixels, cells); per cell the first and last pixel that it reaches, per
    pixel the first and last cell that it takes from; share (cells,): pixels that a cell stands for."""

    matrix: FloatArray
    reach: IntArray
    taken: IntArray
    share: FloatArray


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a logits field: values (h, w) float32 whose first cell is (row, column)."""

    values: FloatArray
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Frame:
    """How the logits of one SAM pass lie on its image (H, W)."""

    size: tuple[int, int]
    rows: Axis
    columns: Axis

    @property
    def weights(self) -> tuple[FloatArray, FloatArray]:
        """Pixels that each logits row and column stands for; 0 in the padding."""
        return self.rows.share, self.columns.share

    def cells_at(self, points: npt.NDArray[np.float64]) -> tuple[IntArray, IntArray]:
        """Row and column of the logits cell nearest to image points (P, 2) xy."""
        y = np.clip(points[:, 1].astype(np.int64), 0, self.size[0] - 1)
        x = np.clip(points[:, 0].astype(np.int64), 0, self.size[1] - 1)
        return self.rows.matrix[y].argmax(1), self.columns.matrix[x].argmax(1)


def make_frame(cells: int, side: int, scaled: tuple[int, int], size: tuple[int, int]) -> Frame:
    """cells: logits a side; side: SAM's input, pixels; scaled: the image inside it; size: the image."""
    return Frame(size, _axis(cells, side, scaled[0], size[0]), _axis(cells, side, scaled[1], size[1]))


def make_stretch(cells: tuple[int, int], size: tuple[int, int]) -> Frame:
    """A field of ``cells`` (h, w) that covers an image of ``size`` (H, W), one bilinear step."""
    rows, columns = (_axis(c, c, c, pixels) for c, pixels in zip(cells, size, strict=True))
    return Frame(size, rows, columns)


def _axis(cells: int, side: int, scaled: int, pixels: int) -> Axis:
    unit = torch.eye(cells)[None, :, :, None]
    wide = F.interpolate(unit, (side, 1), mode="bilinear", align_corners=False)[:, :, :scaled]
    matrix = F.interpolate(wide, (pixels, 1), mode="bilinear", align_corners=False)[0, :, :, 0].T
    dense = np.ascontiguousarray(matrix.numpy(), np.float32)
    return Axis(dense, _ends(dense.T), _ends(dense), dense.sum(0))


def _ends(matrix: FloatArray) -> IntArray:
    """(rows, 2): first and last column that is not zero; (0, -1) where there is none."""
    some = matrix != 0
    first = some.argmax(1)
    last = matrix.shape[1] - 1 - some[:, ::-1].argmax(1)
    last[~some.any(1)] = -1
    return np.stack([first, last], axis=1)


def _product(one: FloatArray, two: FloatArray) -> FloatArray:
    """Matrix product by torch: NumPy's own threads would wait in a loop beside those of the network,
    which halves its speed on a small machine."""
    return np.asarray((torch.from_numpy(one) @ torch.from_numpy(two)).numpy())


def crop(logits: FloatArray, level: float, frame: Frame) -> Crop | None:
    """The part of a whole field (h, w) that decides where the image's logits exceed ``level``."""
    above = logits > level
    rows = np.flatnonzero(above.any(1) & (frame.rows.share > 0))
    columns = np.flatnonzero(above.any(0) & (frame.columns.share > 0))
    if not len(rows) or not len(columns):
        return None
    top, bottom = _cells(frame.rows, int(rows[0]), int(rows[-1]))
    left, right = _cells(frame.columns, int(columns[0]), int(columns[-1]))
    return Crop(logits[top:bottom, left:right].copy(), top, left)


def crop_window(window: npt.NDArray[np.bool_], corner: tuple[int, int], frame: Frame) -> Crop:
    """``crop`` of a field that is 1 on a mask and 0 elsewhere; the mask (h, w), cut to its box, lies at
    ``corner`` (y, x)."""
    (y, x), (height, width) = corner, window.shape
    top, bottom = _cells(frame.rows, y, y + height - 1)
    left, right = _cells(frame.columns, x, x + width - 1)
    values = np.zeros((bottom - top, right - left), np.float32)
    values[y - top :, x - left :][:height, :width] = window
    return Crop(values, top, left)


def _cells(axis: Axis, first: int, last: int) -> tuple[int, int]:
    """Cells [from, to) that the pixels reached by cells first..last take from."""
    low, high = int(axis.reach[first, 0]), int(axis.reach[last, 1])
    return int(axis.taken[low : high + 1, 0].min()), int(axis.taken[low : high + 1, 1].max()) + 1


def _pixels(axis: Axis, first: int, count: int) -> tuple[int, int]:
    """Pixels [from, to) that take from cells first..first+count-1 only."""
    inside = (axis.taken[:, 0] >= first) & (axis.taken[:, 1] < first + count)
    found = np.flatnonzero(inside)
    return int(found[0]), int(found[-1]) + 1


def render(part: Crop, level: float, frame: Frame) -> tuple[npt.NDArray[np.bool_], tuple[int, int]]:
    """(mask (h, w), corner (y, x)): pixels of the image whose logits exceed ``level``."""
    (y0, y1), (x0, x1) = _extent(part, frame)
    rows = _matrix(frame.rows, y0, y1, part.row, part.values.shape[0])
    columns = _matrix(frame.columns, x0, x1, part.column, part.values.shape[1])
    halfway = _product(part.values, columns.T)
    mask = np.empty((y1 - y0, x1 - x0), bool)
    step = max(1, _CHUNK // (x1 - x0))
    for start in range(0, y1 - y0, step):
        strip = _product(rows[start : start + step], halfway)
        np.greater(strip, level, out=mask[start : start + step])
    return mask, (y0, x0)


def _extent(part: Crop, frame: Frame) -> tuple[tuple[int, int], tuple[int, int]]:
    height, width = part.values.shape
    return _pixels(frame.rows, part.row, height), _pixels(frame.columns, part.column, width)


def _matrix(axis: Axis, low: int, high: int, first: int, count: int) -> FloatArray:
    return axis.matrix[low:high, first : first + count]


def counts(part: Crop, levels: tuple[float, ...], frame: Frame) -> list[int]:
    """How many pixels of the image exceed each level."""
    (y0, y1), (x0, x1) = _extent(part, frame)
    rows = _matrix(frame.rows, y0, y1, part.row, part.values.shape[0])
    columns = _matrix(frame.columns, x0, x1, part.column, part.values.shape[1])
    halfway = _product(part.values, columns.T)
    found = [0] * len(levels)
    step = max(1, _CHUNK // (x1 - x0))
    for start in range(0, y1 - y0, step):
        strip = _product(rows[start : start + step], halfway)
        found = [n + int(np.count_nonzero(strip > v)) for n, v in zip(found, levels, strict=True)]
    return found


def box(part: Crop, level: float, frame: Frame) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1 (inclusive) of the pixels above ``level``; None if there are none.

    Each side is looked for in the strip of pixels that the outermost positive cells reach.
    """
    above = part.values > level
    rows = np.flatnonzero(above.any(1) & _used(frame.rows, part.row, len(above)))
    columns = np.flatnonzero(above.any(0) & _used(frame.columns, part.column, above.shape[1]))
    if not len(rows) or not len(columns):
        return None
    down = _side(part.values, part.row, part.column, (frame.rows, frame.columns), level, rows)
    across = _side(part.values.T, part.column, part.row, (frame.columns, frame.rows), level, columns)
    if down is None or across is None:
        return None
    return across[0], down[0], across[1], down[1]


def _used(axis: Axis, first: int, count: int) -> npt.NDArray[np.bool_]:
    """(count,): whether a pixel takes from each of these cells; of an image smaller than its logits
    not all do."""
    return np.asarray(axis.share[first : first + count] > 0)


def _side(
    values: FloatArray,
    first: int,
    other: int,
    axes: tuple[Axis, Axis],
    level: float,
    positive: IntArray,
) -> tuple[int, int] | None:
    """First and last pixel along the first axis of ``values`` with anything above ``level``."""
    axis, cross = axes
    low, high = _pixels(axis, first, values.shape[0])
    left, right = _pixels(cross, other, values.shape[1])
    reach = axis.reach[first + positive]
    begin = _hit(
        values, (first, other), axes, level, (max(low, int(reach[0, 0])), int(reach[0, 1]) + 1)
    )
    end = _hit(
        values, (first, other), axes, level, (int(reach[-1, 0]), min(high, int(reach[-1, 1]) + 1))
    )
    if begin is not None and end is not None:
        return begin[0], end[1]
    matrix = _matrix(axis, low, high, first, values.shape[0])
    halfway = _product(values, _matrix(cross, left, right, other, values.shape[1]).T)
    hits = np.flatnonzero((_product(matrix, halfway) > level).any(1))
    return (low + int(hits[0]), low + int(hits[-1])) if len(hits) else None


def _hit(
    values: FloatArray,
    corner: tuple[int, int],
    axes: tuple[Axis, Axis],
    level: float,
    strip: tuple[int, int],
) -> tuple[int, int] | None:
    """First and last pixel of a strip with anything above ``level``."""
    axis, cross = axes
    if strip[0] >= strip[1]:
        return None
    near = _product(_matrix(axis, strip[0], strip[1], corner[0], values.shape[0]), values)
    columns = np.flatnonzero((near > level).any(0) & _used(cross, corner[1], near.shape[1]))
    if not len(columns):
        return None
    pixels = cross.reach[corner[1] + columns]
    left, right = int(pixels[:, 0].min()), int(pixels[:, 1].max()) + 1
    taken = cross.taken[left:right]
    low, high = int(taken[:, 0].min()), int(taken[:, 1].max()) + 1
    matrix = cross.matrix[left:right, low:high]
    low, high = low - corner[1], high - corner[1]
    hits = np.flatnonzero((_product(near[:, low:high], matrix.T) > level).any(1))
    return (strip[0] + int(hits[0]), strip[0] + int(hits[-1])) if len(hits) else None
