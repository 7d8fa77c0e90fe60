"""A second look: single masks seen once more, each in a crop of its own, by the backbone's network.

On the map of a whole image a small object covers a few cells; in a crop it fills most of them. A crop
is a square around the box of a mask, ``ENLARGE`` times its longer side, continued at the image's frame
by its edge pixels. It is seen twice, as it is and with all that is not under the mask painted grey:
what surrounds an object helps to know it, and misleads where it is another one's, so the mean of both
ranks better than either (benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..backbones import Closer
from ..embeddings import l2_normalize, pool_under
from ..errors import EmbeddingError
from ..masks.coverage import shares
from ..masks.rle import Runs

FloatArray = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]
ENLARGE = 1.3
"""Side of a crop by the longer side of its box."""
LEAST_SIDE = 16
"""Pixels of the smallest crop: what is smaller has no more to show."""
_GREY = 127
_TOGETHER = 4
"""Masks whose crops the network sees at once."""


@dataclass(frozen=True, slots=True)
class Square:
    """Part of an image, in its pixels; it may reach beyond the frame."""

    x: int
    y: int
    side: int


def square_of(mask: Runs, scale: tuple[float, float]) -> Square:
    """The crop of a mask that is not empty. scale (down, across): pixels of the image a pixel of the
    mask."""
    x0, x1 = (float(v) * scale[1] for v in (mask.column.min(), mask.column.max() + 1))
    y0, y1 = (float(v) * scale[0] for v in (mask.top.min(), mask.bottom.max()))
    side = max(round(ENLARGE * max(x1 - x0, y1 - y0)), LEAST_SIDE)
    return Square(round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2), side)


def cut(image: UInt8Array, square: Square, side: int) -> UInt8Array:
    """The square of an (H, W, 3) image, resized to (side, side, 3)."""
    height, width = image.shape[:2]
    x1, y1 = square.x + square.side, square.y + square.side
    left, top = max(square.x, 0), max(square.y, 0)
    part = np.ascontiguousarray(image[top : min(y1, height), left : min(x1, width)])
    beyond = (top - square.y, max(y1 - height, 0), left - square.x, max(x1 - width, 0))
    whole = cv2.copyMakeBorder(part, *beyond, cv2.BORDER_REPLICATE) if any(beyond) else part
    how = cv2.INTER_AREA if square.side > side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(whole, (side, side), interpolation=how), np.uint8)


def coverage_in(mask: Runs, square: Square, scale: tuple[float, float], cells: int) -> FloatArray:
    """Share of each of (cells, cells) of the square that lies under a mask."""
    rows, columns = (
        np.linspace(start, start + square.side, cells + 1) / times
        for start, times in ((square.y, scale[0]), (square.x, scale[1]))
    )
    below = np.minimum(mask.bottom, rows[:, None]) - np.minimum(mask.top, rows[:, None])
    lengths = np.clip(np.diff(below, axis=0), 0, None) / np.diff(rows)[:, None]
    return np.asarray(lengths @ shares(columns, mask.column).T, np.float32)


def alone(crop: UInt8Array, cover: FloatArray) -> UInt8Array:
    """An (S, S, 3) crop with what is not covered, (S, S) in 0..1, painted grey."""
    share = cover[..., None]
    return np.asarray(np.rint(crop * share + _GREY * (1 - share)), np.uint8)


def look_closer(
    closer: Closer, image: UInt8Array, masks: Sequence[Runs], size: tuple[int, int]
) -> FloatArray:
    """Unit vectors (N, D) of masks of an (H, W, 3) uint8 RGB image, each pooled in its own crop (masked
    average pooling), the mean of both views. size (H', W'): of the image that the masks are drawn on.
    Raises EmbeddingError."""
    import torch

    side = closer.crop_side
    scale = (image.shape[0] / size[0], image.shape[1] / size[1])
    found = [np.zeros((0, closer.dim), np.float32)]
    for start in range(0, len(masks), _TOGETHER):
        some = masks[start : start + _TOGETHER]
        squares = [square_of(mask, scale) for mask in some]
        pairs = list(zip(some, squares, strict=True))
        crops = [cut(image, square, side) for square in squares]
        single = [
            alone(crop, coverage_in(*pair, scale, side))
            for crop, pair in zip(crops, pairs, strict=True)
        ]
        maps, finish = closer.crop_maps(np.stack(crops + single))
        cells = maps[0].shape[-1]
        cover = torch.from_numpy(np.stack([coverage_in(*pair, scale, cells) for pair in pairs] * 2))
        pooled = torch.cat([pool_under(layer, cover) for layer in maps], dim=1)
        vectors = finish(pooled).numpy()
        if not np.isfinite(vectors).all():
            raise EmbeddingError("a descriptor of a crop holds NaN or infinity.")
        found.append(l2_normalize(vectors).reshape(2, len(some), -1).mean(axis=0))
    return l2_normalize(np.concatenate(found))
