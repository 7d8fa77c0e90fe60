"""The parts and boxes of many fields: one by one, or on a card all at once.

On a card nothing but the parts and a few numbers of each field leaves it, in one copy; both ways give
the same numbers.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from . import frame as frames
from .frame import Axis, Crop, Frame

Box = tuple[int, int, int, int]
_CHUNK = 1 << 26
"""Pixels of strips that are held at once."""


@dataclass(frozen=True, slots=True)
class Cut:
    """part: what decides where a field is above the lower level; box: x0, y0, x1, y1 (inclusive) of the
    pixels above the upper one."""

    part: Crop
    box: Box


@dataclass(frozen=True, slots=True)
class _Side:
    """An axis of a frame on a device. used (cells,): whether a pixel takes from a cell; reach (cells,
    2): first and last pixel that one reaches, at most ``span``; around (cells, 2): the cells [from, to)
    that these pixels take from."""

    matrix: Tensor
    used: Tensor
    reach: Tensor
    around: Tensor
    span: int


class Cutter:
    """Cuts fields that lie in one frame."""

    def __init__(self, frame: Frame, device: str) -> None:
        self.frame = frame
        self._device = device

    @functools.cached_property
    def _sides(self) -> tuple[_Side, _Side]:
        return _side(self.frame.rows, self._device), _side(self.frame.columns, self._device)

    def cut(self, fields: Tensor, low: float, high: float) -> list[Cut | None]:
        """Of (N, h, w) float32 fields, None where no pixel is above ``high``. low: the least level that
        the parts are to serve."""
        if fields.is_cuda:
            return self.at_once(fields, low, high)
        return [self._cut(frames.crop(field, low, self.frame), high) for field in fields.numpy()]

    def _cut(self, part: Crop | None, high: float) -> Cut | None:
        box = None if part is None else frames.box(part, high, self.frame)
        return None if part is None or box is None else Cut(part, box)

    def at_once(self, fields: Tensor, low: float, high: float) -> list[Cut | None]:
        """``cut`` by products of all fields, on the device that holds them."""
        rows, columns = self._sides
        pixels = max(rows.span * self.frame.size[1], columns.span * self.frame.size[0])
        found: list[Cut | None] = []
        for some in torch.split(fields, max(1, _CHUNK // (2 * pixels))):
            found += self._chunk(some, low, high)
        return found

    def _chunk(self, fields: Tensor, low: float, high: float) -> list[Cut | None]:
        rows, columns = self._sides
        above = fields > low
        tall = _around(rows, above.any(2) & rows.used)
        broad = _around(columns, above.any(1) & columns.used)
        above = (fields > high) & (rows.used[:, None] & columns.used)
        some = above.flatten(1).any(1)
        down = _extent(fields, above.any(2), rows, columns.matrix, high)
        across = _extent(fields.transpose(1, 2), above.any(1), columns, rows.matrix, high)
        inside = _between(tall, fields.shape[1])[:, :, None] & _between(broad, fields.shape[2])[:, None]
        values = _on_host(fields[inside & some[:, None, None]])
        numbers = torch.cat([some[:, None], tall, broad, down, across], 1).cpu().numpy()
        return self._read(values, numbers, high)

    def _read(
        self, values: npt.NDArray[np.float32], numbers: npt.NDArray[np.int64], high: float
    ) -> list[Cut | None]:
        """What the device gave of each field: values of all parts, and (N, 9) whether there is one, its
        rows and columns [from, to), and first and last pixel of both, -1 where they are not known."""
        found: list[Cut | None] = []
        start = 0
        for some, top, bottom, left, right, y0, y1, x0, x1 in numbers.tolist():
            if not some:
                found.append(None)
                continue
            height, width = bottom - top, right - left
            part = Crop(values[start : start + height * width].reshape(height, width), top, left)
            start += height * width
            known = min(y0, y1, x0, x1) >= 0
            found.append(Cut(part, (x0, y0, x1, y1)) if known else self._cut(part, high))
        return found


def _side(axis: Axis, device: str) -> _Side:
    first, last = axis.reach.T
    around = np.stack([axis.taken[first, 0], axis.taken[last, 1] + 1], 1)
    arrays = (axis.matrix, axis.share > 0, axis.reach, around)
    matrix, used, reach, taken = (torch.from_numpy(array).to(device) for array in arrays)
    return _Side(matrix, used, reach, taken, int((last - first).max()) + 1)


def _ends(some: Tensor) -> tuple[Tensor, Tensor]:
    """First and last of (N, n) that are true, each (N,); 0 and n - 1 where none is."""
    marks = some.int()
    return marks.argmax(1), some.shape[1] - 1 - marks.flip(1).argmax(1)


def _around(side: _Side, some: Tensor) -> Tensor:
    """(N, 2): the cells [from, to) that decide about ``some`` (N, cells)."""
    first, last = _ends(some)
    return torch.stack([side.around[first, 0], side.around[last, 1]], 1)


def _between(limits: Tensor, count: int) -> Tensor:
    """(N, count): which numbers are in [from, to)."""
    every = torch.arange(count, device=limits.device)
    return (every >= limits[:, :1]) & (every < limits[:, 1:])


def _extent(fields: Tensor, positive: Tensor, side: _Side, cross: Tensor, level: float) -> Tensor:
    """(N, 2): first and last pixel along the rows of fields (N, h, w) with anything above ``level``;
    -1 where the pixels that the outermost positive cells reach do not tell."""
    reach = side.reach[torch.stack(_ends(positive), 1)]  # (N, 2, 2)
    pixels = reach[:, :, :1] + torch.arange(side.span, device=fields.device)
    real = pixels <= reach[:, :, 1:]
    strips = side.matrix[pixels.clamp(max=len(side.matrix) - 1).flatten(1)] @ fields
    hit = ((strips @ cross.T) > level).any(2).view(pixels.shape) & real
    first, last = _ends(hit[:, 0])[0], _ends(hit[:, 1])[1]
    ends = torch.stack([pixels[:, 0, 0] + first, pixels[:, 1, 0] + last], 1)
    return torch.where(hit.any(2), ends, -1)


def _on_host(values: Tensor) -> npt.NDArray[np.float32]:
    """A copy in memory that a card writes to at its full rate."""
    if not values.is_cuda:
        return np.asarray(values.numpy())
    return np.asarray(torch.empty_like(values, device="cpu", pin_memory=True).copy_(values).numpy())
