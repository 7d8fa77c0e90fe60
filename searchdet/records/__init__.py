"""The record of one image: written, read back and decided over; no model is needed."""

from __future__ import annotations

from ..config import Limits
from .candidate import ON_WRONG, TOLD, Candidate, Evidence
from .image import (
    ImageInfo,
    ProposalCounts,
    SourceInfo,
    SpreadInfo,
    ValueRange,
    content_digest,
)
from .models import (
    BackboneInfo,
    ExemplarInfo,
    ModelInfo,
    PixelStats,
    Preprocessing,
    ProposerInfo,
    RunInfo,
    WeightsInfo,
    embedding_from,
    proposal_settings,
)
from .normality import NormalityInfo
from .record import (
    SCHEMA,
    ImageRecord,
    RecordError,
    damaged,
    failed,
    parse_record,
    read_record,
    unusable,
)
from .rule import ACCEPTED, INVALID, SUPPRESSED, ClassLimits, Standing, failures, reason_of
from .thresholds import (
    ClassThreshold,
    Interval,
    detections,
    limits_for,
    limits_of,
    require_classes,
)

__all__ = [
    "ACCEPTED",
    "INVALID",
    "ON_WRONG",
    "SCHEMA",
    "SUPPRESSED",
    "TOLD",
    "BackboneInfo",
    "Candidate",
    "ClassLimits",
    "ClassThreshold",
    "Evidence",
    "ExemplarInfo",
    "ImageInfo",
    "ImageRecord",
    "Interval",
    "Limits",
    "ModelInfo",
    "NormalityInfo",
    "PixelStats",
    "Preprocessing",
    "ProposalCounts",
    "ProposerInfo",
    "RecordError",
    "RunInfo",
    "SourceInfo",
    "SpreadInfo",
    "Standing",
    "ValueRange",
    "WeightsInfo",
    "content_digest",
    "damaged",
    "detections",
    "embedding_from",
    "failed",
    "failures",
    "limits_for",
    "limits_of",
    "parse_record",
    "proposal_settings",
    "read_record",
    "reason_of",
    "require_classes",
    "unusable",
]
