"""Regions of an image: proposals with their embeddings, remembered by content."""

from __future__ import annotations

from .cache import Packed, Remembered, areas_of, first, unpack
from .closeup import look_closer
from .describe import Describer, Regions
from .known import Known, known_regions, note_guide
from .models import WITHOUT_NORMALS, Models, load_models
from .space import Space, settings_in, space_of

__all__ = [
    "WITHOUT_NORMALS",
    "Describer",
    "Known",
    "Models",
    "Packed",
    "Regions",
    "Remembered",
    "Space",
    "areas_of",
    "first",
    "known_regions",
    "load_models",
    "look_closer",
    "note_guide",
    "settings_in",
    "space_of",
    "unpack",
]
