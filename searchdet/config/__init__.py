"""Every option and its default, once: frozen dataclasses that are validated when they are made.

A new option is one field, see ``option.py``. No torch here.
"""

from __future__ import annotations

from .models import (
    DEFAULT_BACKBONE,
    BackboneOptions,
    EmbeddingOptions,
    ProposalOptions,
    points_of_layer,
)
from .normality import NormalityOptions
from .option import Pairs, names_of
from .run import (
    CacheOptions,
    EngineOptions,
    Examples,
    ExemplarOptions,
    LogOptions,
    OutputOptions,
    ReadingOptions,
    RunOptions,
    ScanOptions,
    StartExamples,
)
from .scoring import (
    CENTRINGS,
    LEVEL_WEIGHT,
    POSITIVE_AGGREGATIONS,
    SIZE_WEIGHT,
    SUPPRESSIONS,
    Limits,
    ScoringOptions,
    SuppressionOptions,
)
from .settings import MAX_PIXELS, MOST_PIXELS, Settings, settings_from

__all__ = [
    "CENTRINGS",
    "DEFAULT_BACKBONE",
    "LEVEL_WEIGHT",
    "MAX_PIXELS",
    "MOST_PIXELS",
    "POSITIVE_AGGREGATIONS",
    "SIZE_WEIGHT",
    "SUPPRESSIONS",
    "BackboneOptions",
    "CacheOptions",
    "EmbeddingOptions",
    "EngineOptions",
    "Examples",
    "ExemplarOptions",
    "Limits",
    "LogOptions",
    "NormalityOptions",
    "OutputOptions",
    "Pairs",
    "ProposalOptions",
    "ReadingOptions",
    "RunOptions",
    "ScanOptions",
    "ScoringOptions",
    "Settings",
    "StartExamples",
    "SuppressionOptions",
    "names_of",
    "points_of_layer",
    "settings_from",
]
