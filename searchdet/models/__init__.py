"""Which weight files there are, where they come from, and whether one is what it should be."""

from __future__ import annotations

from .catalogue import SAM, entries, published
from .verify import Judged, Verdict, judge, look, weight_files

__all__ = [
    "SAM",
    "Judged",
    "Verdict",
    "entries",
    "judge",
    "look",
    "published",
    "weight_files",
]
