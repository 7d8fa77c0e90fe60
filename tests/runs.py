"""What records say of the run that made them, made up for tests."""

from __future__ import annotations

from collections.abc import Sequence

from searchdet.config import EmbeddingOptions, ProposalOptions, ScoringOptions, SuppressionOptions
from searchdet.records.image import SourceInfo
from searchdet.records.models import (
    BackboneInfo,
    ExemplarInfo,
    ModelInfo,
    Preprocessing,
    ProposerInfo,
    RunInfo,
)
from searchdet.records.thresholds import ClassThreshold, Interval

PREPROCESSING = Preprocessing(512, 8, "bicubic")
SOURCE = SourceInfo(1, 1, (60, 40))


def models(backbone: str = "filterbank", proposer: str = "regions") -> ModelInfo:
    """Two models without weights."""
    return ModelInfo(
        BackboneInfo(backbone, PREPROCESSING, "fp32", None),
        ProposerInfo(proposer, False, None, None, ProposalOptions(proposer)),
        EmbeddingOptions(),
    )


def run_info(
    classes: Sequence[str],
    min_score: float = 0.5,
    scoring: ScoringOptions | None = None,
    made_by: ModelInfo | None = None,
) -> RunInfo:
    """A run with the same threshold for all classes."""
    share = Interval(0.8, 0.4, 0.96, 5)
    plain = ScoringOptions(second_look=0)
    return RunInfo(
        made_by or models(),
        scoring or plain,
        SuppressionOptions(),
        {
            name: ClassThreshold(name, min_score, "auto", 5, share, None, share, 0.9, True)
            for name in classes
        },
        ExemplarInfo(5, 2),
    )
