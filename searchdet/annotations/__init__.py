"""Readers of other tools' annotation files, for exemplars and ground truth alike."""

from __future__ import annotations

from .coco import Truth, read_truth
from .labelme import SUFFIX, read_labelme
from .shapes import Drawn, paint

__all__ = [
    "SUFFIX",
    "Drawn",
    "Truth",
    "paint",
    "read_labelme",
    "read_truth",
]
