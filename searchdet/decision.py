"""From described regions to a record: score, decide, suppress. No model is needed below this line."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace

import numpy as np
import numpy.typing as npt

from .bank import Bank, Gathered
from .calibration import probability, thresholds
from .config import ScoringOptions, SuppressionOptions
from .embeddings import spread
from .masks import rle
from .proposals.rendering import rendered
from .records import (
    ACCEPTED,
    SCHEMA,
    Candidate,
    ClassThreshold,
    Evidence,
    ExemplarInfo,
    ImageInfo,
    ImageRecord,
    ModelInfo,
    ProposalCounts,
    RunInfo,
    SpreadInfo,
    limits_of,
    require_classes,
)
from .regions import Regions
from .scoring import Scores, centred, decide, final, score_regions
from .storage.cache import key_of
from .storage.values import JsonObject
from .suppression import Suppressed, diffuse, merge, nms, overlaps, total_order
from .version import __version__

log = logging.getLogger(__name__)
IntArray = npt.NDArray[np.int64]
DIFFUSION_ALPHA, DIFFUSION_POWER = 0.3, 0.5


@dataclass(frozen=True, slots=True)
class RuleDefaults:
    """A backbone's own values for what the user leaves open."""

    shape_weight: float
    context_weight: float
    min_score: float


@dataclass(frozen=True, slots=True)
class Rule:
    """How candidates are judged: options with resolved weights, and the threshold of each class."""

    scoring: ScoringOptions
    suppression: SuppressionOptions
    thresholds: tuple[ClassThreshold, ...]


@dataclass(frozen=True, slots=True)
class Judge:
    """A bank with its rule: makes records of regions, whoever made these.

    models: what every record says of backbone, proposer and pooling. fingerprint: digest of all that
    decides a record beside its image. ignored: options that were given and cannot act, which is a fact
    of the run and of no record.
    """

    gathered: Gathered
    rule: Rule
    models: ModelInfo
    fingerprint: str = ""
    ignored: tuple[str, ...] = ()

    @property
    def bank(self) -> Bank:
        return self.gathered.bank

    def record(self, image: ImageInfo, regions: Regions) -> ImageRecord:
        """The record of one image."""
        made = candidates(regions, self.bank, self.rule)
        found = regions.proposals
        figures = spread(regions.described.embedded)
        return ImageRecord(
            image=image.name,
            status="ok" if any(item.accepted for item in made) else "empty",
            width=image.width,
            height=image.height,
            sha256=image.sha256,
            candidates=made,
            classes=self.bank.classes,
            run=self.run_info(),
            source=image.source,
            proposals=ProposalCounts(len(found), dict(found.removed), found.details),
            spread=None if figures is None else SpreadInfo(*astuple(figures)),
            settings_sha256=self.fingerprint,
        )

    def run_json(self) -> JsonObject:
        """What ``run.json`` says of the settings, as JSON values."""
        ignored: JsonObject = {"ignored_options": list(self.ignored)} if self.ignored else {}
        return {"settings": self.run_info().to_json(), **ignored}

    def run_info(self) -> RunInfo:
        """What every record says about models, settings and exemplars."""
        bank, rule = self.bank, self.rule
        return RunInfo(
            models=self.models,
            scoring=rule.scoring,
            suppression=rule.suppression,
            thresholds={item.label: item for item in rule.thresholds},
            exemplars=ExemplarInfo(
                positive=len(bank.positives),
                negative=len(bank.negatives),
                ignored_negatives=self.gathered.ignored,
                skipped=self.gathered.skipped,
                auto_masks=tuple(o.name for o in bank.positives.origins if o.mask_source == "auto"),
                shapes_known=bank.knows_shapes,
            ),
        )


def make_judge(
    gathered: Gathered,
    scoring: ScoringOptions,
    suppression: SuppressionOptions,
    defaults: RuleDefaults,
    models: ModelInfo,
) -> Judge:
    """Resolve weights and thresholds; warn of classes that their examples do not separate. Raises
    UsageError where the options name a class that the bank does not have."""
    bank = gathered.bank
    scoring = resolved(scoring, defaults)
    require_classes((*scoring.class_min_score, *scoring.class_min_margin), bank.classes)
    chosen = thresholds(bank, scoring, defaults.min_score)
    for item in chosen:
        if item.separates is False:
            log.warning(
                "%s: these folders do not separate: an example of it outscores what is not it in "
                "%.0f %% of the pairs. See `searchdet bank audit`.",
                item.label,
                100 * (item.auc or 0),
            )
    judge = Judge(gathered, Rule(scoring, suppression, chosen), models)
    return replace(judge, fingerprint=_fingerprint(judge))


def _fingerprint(judge: Judge) -> str:
    """By what the exemplars are, not by their vectors, whose last bits may differ on other machines."""
    bank = judge.bank
    rows = [[asdict(o) for o in side.origins] for side in (bank.positives, bank.negatives)]
    return key_of(
        {
            "form": [SCHEMA, __version__],
            "said": judge.run_info().to_json(),
            "bank": [rows, bank.labels.tolist(), list(bank.classes)],
        }
    )


def resolved(scoring: ScoringOptions, defaults: RuleDefaults) -> ScoringOptions:
    """The options with the backbone's own weights where the user gave none."""
    shape, context = scoring.shape_weight, scoring.context_weight
    return replace(
        scoring,
        shape_weight=defaults.shape_weight if shape is None else shape,
        context_weight=defaults.context_weight if context is None else context,
    )


def candidates(regions: Regions, bank: Bank, rule: Rule) -> tuple[Candidate, ...]:
    """A candidate for each region: detections first, then by score. The id is the region's row."""
    regions = replace(regions, proposals=rendered(regions.proposals))
    described, space = centred(regions.described, bank, rule.scoring)
    scores = score_regions(described, space, rule.scoring)
    by_class = limits_of(bank.classes, rule.scoring, {item.label: item for item in rule.thresholds})
    limits = [by_class[name] for name in bank.classes]
    order = ranking(regions, scores, decide(scores, limits), rule.suppression)
    taken = suppress(regions, described.embedded.vectors, scores, order, rule.suppression)
    left = final(scores, taken.factor)
    reasons = decide(scores, limits, taken.factor)
    min_scores = np.asarray([item.min_score for item in limits])
    chance = probability(left, min_scores[np.maximum(scores.label, 0)])
    place = np.where(scores.valid, left, -np.inf)
    made = [
        _candidate(int(i), regions, bank, scores, (reasons[i], float(left[i]), float(chance[i])), taken)
        for i in total_order(place, scores.label, regions.proposals.boxes)
    ]
    return tuple(sorted(made, key=lambda item: not item.accepted))


def ranking(
    regions: Regions, scores: Scores, reasons: Sequence[str], options: SuppressionOptions
) -> IntArray:
    """Valid rows, best first: what passes the rules before what does not, so that nothing falls to a
    region that is not accepted itself; then by score and quality, for diffusion by quality alone."""
    found = regions.proposals
    value = np.asarray(found.quality, np.float64)
    if options.suppression != "diffusion":
        score = np.where(scores.valid, scores.score, -np.inf)
        value = np.where(score > 0, score * value, score)
    order = total_order(value, scores.label, found.boxes)
    order = order[scores.valid[order]]
    failed = np.asarray([reasons[i] != ACCEPTED for i in order], bool)
    return order[np.argsort(failed, kind="stable")]


def suppress(
    regions: Regions,
    vectors: npt.NDArray[np.float32],
    scores: Scores,
    order: IntArray,
    options: SuppressionOptions,
) -> Suppressed:
    """What is left of each row beside the others."""
    found = regions.proposals
    lying = overlaps([rle.runs(code) for code in found.rles], found.size)
    if options.suppression == "nms":
        return nms(lying, scores.label, order, options.nms_iou, options.max_covered)
    if options.suppression == "merge":
        return merge(lying, vectors, scores.label, order)
    return diffuse(lying, scores.label, order, DIFFUSION_ALPHA, DIFFUSION_POWER)


def _candidate(
    i: int,
    regions: Regions,
    bank: Bank,
    scores: Scores,
    verdict: tuple[str, float, float],
    taken: Suppressed,
) -> Candidate:
    found = regions.proposals
    reason, left, chance = verdict
    label = int(scores.label[i])
    near, far = int(scores.nearest_positive[i]), int(scores.nearest_negative[i])
    by = int(taken.by[i])
    return Candidate(
        id=i,
        label=bank.classes[label] if label >= 0 else None,
        reason=reason,
        bbox=_box(found.boxes[i]),
        area=rle.area(found.rles[i]),
        quality=float(found.quality[i]),
        score=_optional(left),
        probability=_optional(chance),
        score_before_suppression=_optional(scores.score[i]),
        suppression_factor=float(taken.factor[i]),
        positive_similarity=_optional(scores.pos[i]),
        negative_similarity=_optional(scores.neg[i]),
        shape_similarity=_optional(scores.shape[i]),
        context_similarity=_optional(scores.context[i]),
        margin=_optional(scores.margin[i]),
        class_margin=_optional(scores.gap[i]),
        nearest_positive=_evidence(bank.positives.names, near, scores.nearest_positive_cosine[i]),
        nearest_negative=_evidence(bank.negatives.names, far, scores.neg[i]),
        suppressed_by=by if by >= 0 else None,
        segmentation=found.rles[i],
        flags=("subcell",) if regions.described.embedded.subcell[i] else (),
    )


def _evidence(names: Sequence[str], row: int, cosine: float) -> Evidence | None:
    return Evidence(names[row], float(cosine)) if row >= 0 else None


def _box(box: npt.NDArray[np.float32]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(v) for v in box)
    return x0, y0, x1, y1


def _optional(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
