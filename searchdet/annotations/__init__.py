"""Readers of other tools' annotation files and masks, for exemplars and ground truth alike."""

from __future__ import annotations

from .coco import Truth, read_truth
from .frames import Photo
from .labelme import SUFFIX, read_labelme
from .notes import Notes
from .shapes import Drawn, paint

__all__ = [
    "SUFFIX",
    "Drawn",
    "Notes",
    "Photo",
    "Truth",
    "paint",
    "read_labelme",
    "read_truth",
]
