"""The kinds of pictures that ``--save`` names: where they lie. Drawing them is of ``output``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of pictures: the folder that it lies in, and the suffix. many: not one an image, but one a
    detection or a class."""

    folder: str
    suffix: str
    many: bool = False


KINDS = {
    "overlay": Kind("overlays", ".jpg"),
    "contours": Kind("contours", ".jpg"),
    "side-by-side": Kind("side-by-side", ".jpg"),
    "semantic": Kind("semantic", ".png"),
    "union": Kind("union", ".png"),
    "original": Kind("original", ".png"),
    "anomaly": Kind("anomaly", ".jpg"),
    "masks": Kind("masks", ".png", many=True),
    "crops": Kind("crops", ".png", many=True),
    "heatmap": Kind("heatmaps", ".jpg", many=True),
}
