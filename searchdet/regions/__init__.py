"""Regions of an image: proposals with their embeddings, remembered by content."""

from __future__ import annotations

from .cache import Packed, Remembered, unpack
from .describe import Describer, Regions
from .space import Space, options_of, space_of

__all__ = [
    "Describer",
    "Packed",
    "Regions",
    "Remembered",
    "Space",
    "options_of",
    "space_of",
    "unpack",
]
