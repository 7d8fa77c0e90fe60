"""Detections in the frame in which a photo with an EXIF rotation is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .labelled import Detection, Labelled

if TYPE_CHECKING:
    from ..annotations import Photo


def photo_of(image: Labelled) -> Photo:
    """What annotations of an image must fit."""
    from ..annotations import Photo

    return Photo((image.height, image.width), image.orientation)


def as_stored(image: Labelled) -> Labelled:
    """An image in its stored frame, with its detections, by what turns annotations the other way."""
    photo = photo_of(image)
    height, width = photo.stored
    found = tuple(_turned(item, photo.back) for item in image.detections)
    return replace(image, width=width, height=height, orientation=1, detections=found)


def _turned(item: Detection, back: Photo) -> Detection:
    from ..annotations.upright import turned

    made = turned({"bbox": item.xywh, "segmentation": item.segmentation}, back)
    x, y, width, height = made["bbox"]
    return replace(item, box=(x, y, x + width, y + height), segmentation=made["segmentation"])
