"""All options of a detector, by part, and how flat names lead to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError, meant
from .models import BackboneOptions, EmbeddingOptions, ProposalOptions
from .normality import NormalityOptions
from .option import from_values, keys, option
from .run import OUTPUT, ExemplarOptions, ReadingOptions
from .scoring import ScoringOptions, SuppressionOptions

MAX_PIXELS = 150_000_000
"""Below Pillow's own hard limit of 179 million pixels."""
MOST_PIXELS = 180_000_000
"""No image file that is read holds more, so no record, index or annotation is of a larger one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All options of a detector, by part. cache: the folder that remembers descriptions and regions by
    content; None remembers nothing."""

    backbone: BackboneOptions = BackboneOptions()
    proposals: ProposalOptions = ProposalOptions()
    embedding: EmbeddingOptions = EmbeddingOptions()
    scoring: ScoringOptions = ScoringOptions()
    suppression: SuppressionOptions = SuppressionOptions()
    normality: NormalityOptions = NormalityOptions()
    exemplars: ExemplarOptions = ExemplarOptions()
    reading: ReadingOptions = ReadingOptions()
    max_pixels: int = option(MAX_PIXELS, "Refuse larger images.", OUTPUT)
    cache: Path | None = None


def settings_from(values: Mapping[str, object]) -> Settings:
    """Settings from flat names, as on the command line. Raises UsageError for an unknown name."""
    known = set(keys(Settings))
    for name in sorted(values.keys() - known):
        raise UsageError(f"unknown option {name!r}.", meant(name, known))
    return from_values(Settings, values)
