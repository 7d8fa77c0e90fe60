"""Pillow's resizing on the device that holds an image, so that a card need not wait for a processor.

Pillow weighs bytes by whole numbers of 22 bits, along one axis and then along the other, and rounds to
bytes after each; so do these few products, along rows first. The bytes are Pillow's where it begins
with rows too, which it does where both axes are scaled alike and the image is no narrow column; else
bytes between are rounded and cut off along the other axis, which is one of 255 here and there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

FloatArray = npt.NDArray[np.float64]
_BITS = 22


def bilinear(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(H, W, 3) uint8 -> (h, w, 3) uint8, as ``Image.Resampling.BILINEAR``."""
    return _resized(image, size, _linear, 1)


def bicubic(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(H, W, 3) uint8 -> (h, w, 3) uint8, as ``Image.Resampling.BICUBIC``."""
    return _resized(image, size, _cubic, 2)


def _resized(
    image: Tensor, size: tuple[int, int], kernel: Callable[[FloatArray], FloatArray], support: int
) -> Tensor:
    for axis in (1, 0):
        if image.shape[axis] != size[axis]:
            image = _along(image, axis, _taps(image.shape[axis], size[axis], kernel, support))
    return image


def _along(image: Tensor, axis: int, taps: npt.NDArray[np.int32]) -> Tensor:
    """Along one axis; taps (2, K, pixels): places and weights."""
    import torch

    places, weights = torch.from_numpy(taps).to(image.device)
    shape = [1, 1, 1]
    shape[axis] = -1
    total = torch.full((), 1 << (_BITS - 1), dtype=torch.int32, device=image.device)
    for place, weight in zip(places, weights, strict=True):
        total = image.index_select(axis, place).int().mul_(weight.view(shape)).add_(total)
    return (total >> _BITS).clamp_(0, 255).byte()


def _taps(
    pixels: int, size: int, kernel: Callable[[FloatArray], FloatArray], support: int
) -> npt.NDArray[np.int32]:
    """(2, K, size): which pixels each of the new ones takes from, and by which weight."""
    scale = pixels / size
    wide = max(scale, 1.0)
    reach = support * wide
    centre = (np.arange(size) + 0.5) * scale
    first = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    end = np.minimum((centre + reach + 0.5).astype(np.int64), pixels)
    places = first + np.arange(int(np.ceil(reach)) * 2 + 1)[:, None]
    weights = np.where(places < end, kernel(np.abs((places - centre + 0.5) / wide)), 0.0)
    whole = weights / weights.sum(0) * (1 << _BITS)
    rounded = np.trunc(whole + np.copysign(0.5, whole))
    return np.stack([np.minimum(places, pixels - 1), rounded]).astype(np.int32)


def _linear(away: FloatArray) -> FloatArray:
    return np.maximum(1 - away, 0)


def _cubic(away: FloatArray) -> FloatArray:
    """Keys' cubic with a = -0.5."""
    near = (1.5 * away - 2.5) * away**2 + 1
    far = -0.5 * (((away - 5) * away + 8) * away - 4)
    return np.where(away < 1, near, np.where(away < 2, far, 0.0))
