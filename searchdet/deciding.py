"""From described regions to candidates: score, decide, suppress. No model below this line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .bank.types import Bank
from .calibration import ClassThreshold, probability
from .config import ScoringOptions, SuppressionOptions
from .masks import rle
from .records.record import Candidate, Evidence
from .regions.describe import Regions
from .scoring import Scores, centred, decide, final, score_regions
from .suppression import Suppressed, diffuse, merge, nms, overlaps, total_order

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.floating]
DIFFUSION_ALPHA, DIFFUSION_POWER = 0.3, 0.5


@dataclass(frozen=True, slots=True)
class Rule:
    """How candidates are judged: options with resolved weights, and the least score of each class."""

    scoring: ScoringOptions
    suppression: SuppressionOptions
    thresholds: tuple[ClassThreshold, ...]


def candidates(regions: Regions, bank: Bank, rule: Rule) -> tuple[Candidate, ...]:
    """A candidate for each region: detections first, then by score. The id is the region's row."""
    described, space = centred(regions.described, bank, rule.scoring)
    scores = score_regions(described, space, rule.scoring)
    least = np.asarray([item.score for item in rule.thresholds])
    reasons = decide(scores, least, least_margins(bank.classes, rule.scoring), rule.scoring)
    order = ranking(regions, scores, reasons, rule.suppression)
    taken = suppress(regions, described.embedded.vectors, scores, order, rule.suppression)
    left = final(scores, taken.factor)
    for i in np.flatnonzero([reason == "accepted" for reason in reasons]):
        if taken.factor[i] == 0 or left[i] < least[scores.label[i]]:
            reasons[i] = "suppressed"
    chance = probability(left, least[np.maximum(scores.label, 0)])
    place = np.where(scores.valid, left, -np.inf)
    made = [
        _candidate(int(i), regions, bank, scores, (reasons[i], float(left[i]), float(chance[i])), taken)
        for i in total_order(place, scores.label, regions.proposals.boxes)
    ]
    return tuple(sorted(made, key=lambda item: not item.accepted))


def least_margins(classes: Sequence[str], options: ScoringOptions) -> FloatArray:
    """(C,): the least margin of each class."""
    own = dict(options.class_min_margin)
    return np.asarray([own.get(name, options.min_margin) for name in classes], np.float64)


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
    failed = np.asarray([reasons[i] != "accepted" for i in order], bool)
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
        raw=_optional(scores.score[i]),
        kept=float(taken.factor[i]),
        pos=_optional(scores.pos[i]),
        neg=_optional(scores.neg[i]),
        shape=_optional(scores.shape[i]),
        context=_optional(scores.context[i]),
        margin=_optional(scores.margin[i]),
        class_gap=_optional(scores.gap[i]),
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
