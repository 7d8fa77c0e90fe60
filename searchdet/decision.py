"""A bank with its rule: from regions to records. No model is needed, whoever made the regions."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from typing import Any

from .bank.build import Gathered
from .bank.types import Bank
from .calibration import thresholds
from .config import ScoringOptions, SuppressionOptions
from .deciding import Rule, candidates
from .embeddings import spread
from .records.record import SCHEMA, ImageRecord
from .records.thresholds import require_classes
from .regions.describe import Regions
from .storage.cache import key_of
from .version import __version__

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Own:
    """A backbone's own values for what the user leaves open."""

    shape_weight: float
    context_weight: float
    min_score: float


@dataclass(frozen=True, slots=True)
class Searched:
    """What a record says of its image beyond its regions. source: how the file was read."""

    name: str
    sha256: str
    width: int
    height: int
    source: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judge:
    """Scores, decides and records. models: what every record says of backbone, proposer and pooling.
    fingerprint: digest of all that decides a record beside its image."""

    gathered: Gathered
    rule: Rule
    models: dict[str, Any]
    fingerprint: str = ""

    @property
    def bank(self) -> Bank:
        return self.gathered.bank

    def record(self, image: Searched, regions: Regions) -> ImageRecord:
        """The record of one image."""
        made = candidates(regions, self.bank, self.rule)
        return ImageRecord(
            image=image.name,
            status="ok" if any(item.accepted for item in made) else "empty",
            width=image.width,
            height=image.height,
            sha256=image.sha256,
            candidates=made,
            classes=self.bank.classes,
            facts=self._facts(image, regions),
            settings=self.fingerprint,
        )

    def describe(self) -> dict[str, Any]:
        """What every record says about models, settings and exemplars."""
        bank, rule = self.bank, self.rule
        return {
            **self.models,
            "scoring": asdict(rule.scoring),
            "suppression": asdict(rule.suppression),
            "thresholds": {item.label: item.to_json() for item in rule.thresholds},
            "exemplars": {
                "positive": len(bank.positives),
                "negative": len(bank.negatives),
                "ignored_negatives": list(self.gathered.ignored),
                "skipped": list(self.gathered.skipped),
                "auto_masks": [o.name for o in bank.positives.origins if o.mask_source == "auto"],
                "shapes_known": bank.knows_shapes,
            },
        }

    def _facts(self, image: Searched, regions: Regions) -> dict[str, Any]:
        facts = self.describe()
        found = regions.proposals
        figures = spread(regions.described.embedded)
        counts = {"count": len(found), "removed": dict(found.removed), **found.facts}
        facts["source"] = image.source
        facts["proposals"] = facts["proposals"] | counts
        facts["embedding_spread"] = (
            None
            if figures is None
            else {"cosine_p05": round(figures.low, 6), "cosine_median": round(figures.median, 6)}
        )
        facts["embedding_collapse"] = figures is not None and figures.collapse
        return facts


def make_judge(
    gathered: Gathered,
    scoring: ScoringOptions,
    suppression: SuppressionOptions,
    own: Own,
    models: dict[str, Any],
) -> Judge:
    """Resolve weights and thresholds; warn of classes that their examples do not separate. Raises
    UsageError where the options name a class that the bank does not have."""
    bank = gathered.bank
    scoring = resolved(scoring, own)
    require_classes((*scoring.class_min_score, *scoring.class_min_margin), bank.classes)
    least = thresholds(bank, scoring, own.min_score)
    for item in least:
        if item.separates is False:
            log.warning(
                "%s: these folders do not separate: an example of it outscores what is not it in "
                "%.0f %% of the pairs. See `searchdet bank audit`.",
                item.label,
                100 * (item.ranking or 0),
            )
    judge = Judge(gathered, Rule(scoring, suppression, least), models)
    return replace(judge, fingerprint=_fingerprint(judge))


def _fingerprint(judge: Judge) -> str:
    """By what the exemplars are, not by their vectors, whose last bits may differ on other machines."""
    bank = judge.bank
    rows = [[asdict(o) for o in side.origins] for side in (bank.positives, bank.negatives)]
    return key_of(
        {
            "form": [SCHEMA, __version__],
            "said": judge.describe(),
            "bank": [rows, bank.labels.tolist(), list(bank.classes)],
        }
    )


def resolved(scoring: ScoringOptions, own: Own) -> ScoringOptions:
    """The options with the backbone's own weights where the user gave none."""
    shape, context = scoring.shape_weight, scoring.context_weight
    return replace(
        scoring,
        shape_weight=own.shape_weight if shape is None else shape,
        context_weight=own.context_weight if context is None else context,
    )
