"""Exemplars: folders and annotation files to images with masks."""

from __future__ import annotations

from .coco import find_coco
from .folders import find_file, find_negatives, find_normals, find_positives
from .read import Reading, load, load_with
from .types import Exemplar, Found

__all__ = [
    "Exemplar",
    "Found",
    "Reading",
    "find_coco",
    "find_file",
    "find_negatives",
    "find_normals",
    "find_positives",
    "load",
    "load_with",
]
