"""Which weight files there are, where they come from, and whether one is what it should be."""

from __future__ import annotations

from .catalogue import entries, published
from .verify import Judged, Verdict, judge, look, weight_files

__all__ = [
    "Judged",
    "Verdict",
    "entries",
    "judge",
    "look",
    "published",
    "weight_files",
]
