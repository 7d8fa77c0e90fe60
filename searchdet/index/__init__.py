"""Regions of many images in one folder, to be searched with any exemplars."""

from __future__ import annotations

from .build import Indexer, good_parts, judge_for
from .file import check

__all__ = [
    "Indexer",
    "check",
    "good_parts",
    "judge_for",
]
