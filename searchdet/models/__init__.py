"""Which weight files there are, where they come from, and whether one is what it should be."""

from __future__ import annotations

from .catalogue import entries, entry_json, here, is_here, kind_of, published, require_carried
from .verify import Verdict, judge, look, weight_files

__all__ = [
    "Verdict",
    "entries",
    "entry_json",
    "here",
    "is_here",
    "judge",
    "kind_of",
    "look",
    "published",
    "require_carried",
    "weight_files",
]
