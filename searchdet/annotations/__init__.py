"""Readers of other tools' annotation files and masks, for exemplars and ground truth alike."""

from __future__ import annotations

from .coco import Truth, read_truth
from .frames import Photo
from .labelme import SUFFIX, read_labelme, read_objects
from .notes import Notes
from .shapes import Drawn, paint, paint_upright

__all__ = [
    "SUFFIX",
    "Drawn",
    "Notes",
    "Photo",
    "Truth",
    "paint",
    "paint_upright",
    "read_labelme",
    "read_objects",
    "read_truth",
]
