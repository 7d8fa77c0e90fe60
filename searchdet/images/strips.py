"""Pillow's pictures to RGB, what is transparent on white."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
GROUND = (255, 255, 255)
"""The colour under transparent pixels."""
STRIP_PIXELS = 1 << 23
"""Converted at once: a conversion needs several times the memory of what it converts."""


def to_rgb(image: Image.Image) -> tuple[UInt8Array, BoolArray | None]:
    """Pixels (H, W, 3) of an image, and which are opaque (H, W), None where all are.

    Strip by strip, so that a large image takes little more memory than its pixels."""
    width, height = image.size
    rows = max(1, STRIP_PIXELS // width)
    if rows >= height:
        return _strip(image)
    pixels = np.empty((height, width, 3), np.uint8)
    alpha = None
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        pixels[top:bottom], clear = _strip(image.crop((0, top, width, bottom)))
        if clear is not None:
            alpha = np.empty((height, width), np.bool_) if alpha is None else alpha
            alpha[top:bottom] = clear
    return pixels, alpha


def _strip(image: Image.Image) -> tuple[UInt8Array, BoolArray | None]:
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        alpha = np.asarray(rgba.getchannel("A")) >= 128
        ground = Image.new("RGBA", rgba.size, (*GROUND, 255))
        return np.array(Image.alpha_composite(ground, rgba).convert("RGB")), np.array(alpha)
    return np.array(image.convert("RGB")), None
