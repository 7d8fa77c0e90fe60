"""The regions of one image against each other: scored, looked at again, suppressed, decided. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bank import Bank
from ..bank.likeness import Likeness, centred, likeness
from ..calibration import probability, usual_least
from ..config import ScoringOptions, SuppressionOptions
from ..masks import rle
from ..masks.coverage import Masks
from ..proposals.rendering import rendered
from ..records import ACCEPTED, Candidate, ClassLimits, ClassThreshold, Evidence, limits_of
from ..regions import Regions
from ..scoring import Scores, decide, final, level_of, scores_of
from ..suppression import (
    Overlaps,
    Suppressed,
    across_classes,
    diffuse,
    merge,
    nms,
    overlaps,
    total_order,
)

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Look = Callable[[IntArray], npt.NDArray[np.float32]]
"""Rows of the regions -> unit vectors (N, C) of a second look at them."""
DIFFUSION_ALPHA, DIFFUSION_POWER = 0.3, 0.5
BELOW = 0.99
"""Of its threshold is what a detection keeps that lies on a better one of another class."""
AHEAD = 2
"""How many times as many regions as candidates are compared with each other."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How candidates are judged: options, the threshold of each class, and what is not a class scores
    for it by features alone (``calibration.usual_levels``), (C,)."""

    scoring: ScoringOptions
    suppression: SuppressionOptions
    thresholds: tuple[ClassThreshold, ...]
    usual: tuple[float, ...]

    def limits(self, classes: Sequence[str]) -> list[ClassLimits]:
        """What a candidate of each class must reach."""
        found = limits_of(classes, self.scoring, {item.label: item for item in self.thresholds})
        return [found[name] for name in classes]


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of an image: its candidates, its level for each class, and at how many of its regions
    a second look was taken."""

    candidates: tuple[Candidate, ...]
    levels: tuple[float, ...]
    looked_at: int


@dataclass(frozen=True, slots=True)
class Contest:
    """The best N regions of an image. rows (N,): which they are; alike: what they have in common with
    the bank as it is compared; lying: how they lie on each other; levels (C,): of the image."""

    regions: Regions
    rows: IntArray
    alike: Likeness
    lying: Overlaps
    bank: Bank
    levels: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Settled:
    """What is left of N regions beside each other. left (N,): final scores; chance (N,): how likely
    each is right."""

    scores: Scores
    taken: Suppressed
    left: npt.NDArray[Any]
    reasons: list[str]
    chance: FloatArray


def judge_regions(regions: Regions, bank: Bank, rule: Rule, look: Look | None = None) -> Judged:
    """A candidate for each of the best regions: detections first, then by score. The id is the region's
    row. All are scored, ``max_masks`` times the views of the image stay, and with ``look`` the best of
    these are seen once more."""
    options = rule.scoring
    described, space = centred(regions.described, bank, options)
    alike = likeness(described, space, options)
    levels = level_of(alike.plain(options), alike.valid, np.asarray(rule.usual))
    found = regions.proposals
    room = rule.suppression.max_masks * int(found.details.get("views", 1))
    rows = best(scores_of(alike, space, options, levels).score, AHEAD * room, every=True)
    chosen = Regions(found.take(rows), described.take(rows))
    lying = overlaps(Masks.of(chosen.proposals.rles, found.mask_size))
    contest = Contest(chosen, rows, alike.take(rows), lying, space, levels)
    settled = settle(contest, rule)
    seen = np.zeros(0, np.int64)
    if look is not None and options.second_look:
        seen = best(settled.left, options.second_look)
        contest = _seen_again(contest, seen, look, options)
        settled = settle(contest, rule)
    kept = best(settled.left, room, every=True)
    return Judged(
        _candidates(contest, settled, kept, set(seen.tolist())), tuple(levels.tolist()), len(seen)
    )


def best(scores: npt.NDArray[Any], count: int, every: bool = False) -> IntArray:
    """Places of the ``count`` best scores, ascending; NaN is none, or, with ``every``, the worst."""
    value = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-value, kind="stable")
    return np.sort((order if every else order[value[order] > -np.inf])[:count])


def _seen_again(contest: Contest, seen: IntArray, look: Look, options: ScoringOptions) -> Contest:
    """The contest with the chosen regions compared by a second look."""
    described = replace(contest.regions.described.take(seen), crops=look(contest.rows[seen]))
    closer = likeness(described, contest.bank, options)
    return replace(contest, alike=contest.alike.replaced(seen, closer))


def settle(contest: Contest, rule: Rule) -> Settled:
    """Score, suppress and decide."""
    limits = rule.limits(contest.bank.classes)
    scores = scores_of(contest.alike, contest.bank, rule.scoring, contest.levels)
    order = ranking(contest.regions, scores, decide(scores, limits), rule.suppression)
    taken = suppress(contest, scores, order, rule.suppression)
    least = np.asarray([item.min_score for item in limits])[np.maximum(scores.label, 0)]
    if rule.suppression.class_overlap == "best":
        left = final(scores, taken.factor)
        found = np.asarray(
            [reason == ACCEPTED for reason in decide(scores, limits, taken.factor)], bool
        )
        above = np.where(found, left - least, -np.inf)
        # just below the threshold: no detection, and still before what is unlike the class
        rest = np.clip(BELOW * least / np.maximum(np.maximum(scores.score, least), 1e-9), 0, BELOW)
        taken = across_classes(contest.lying, taken, scores.label, above, rest)
    left = final(scores, taken.factor)
    reasons = decide(scores, limits, taken.factor)
    usual = np.asarray([usual_least(item) for item in rule.thresholds])[np.maximum(scores.label, 0)]
    return Settled(scores, taken, left, reasons, probability(left, usual))


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
    contest: Contest, scores: Scores, order: IntArray, options: SuppressionOptions
) -> Suppressed:
    """What is left of each row beside the others."""
    lying = contest.lying
    if options.suppression == "nms":
        return nms(lying, scores.label, order, options.nms_iou, options.max_covered)
    if options.suppression == "merge":
        return merge(lying, contest.regions.described.embedded.vectors, scores.label, order)
    return diffuse(lying, scores.label, order, DIFFUSION_ALPHA, DIFFUSION_POWER)


def _candidates(
    contest: Contest, settled: Settled, kept: IntArray, seen: set[int]
) -> tuple[Candidate, ...]:
    """Candidates of the kept regions, with masks at image size."""
    found = rendered(contest.regions.proposals, kept)
    place = np.where(settled.scores.valid, settled.left, -np.inf)[kept]
    order = total_order(place, settled.scores.label[kept], found.boxes)
    made = []
    for at in order.tolist():
        i = int(kept[at])
        flags = ["subcell"] * bool(contest.regions.described.embedded.subcell[i])
        flags += ["second_look"] * (i in seen)
        mask = (_box(found.boxes[at]), rle.area(found.rles[at]), found.rles[at])
        made.append(_candidate(contest, settled, i, mask, tuple(flags)))
    return tuple(sorted(made, key=lambda item: not item.accepted))


def _candidate(
    contest: Contest,
    settled: Settled,
    i: int,
    mask: tuple[tuple[float, float, float, float], int, rle.Rle],
    flags: tuple[str, ...],
) -> Candidate:
    bank, scores, taken = contest.bank, settled.scores, settled.taken
    label, by = int(scores.label[i]), int(taken.by[i])
    near, far = int(scores.nearest_positive[i]), int(scores.nearest_negative[i])
    return Candidate(
        id=int(contest.rows[i]),
        label=bank.classes[label] if label >= 0 else None,
        reason=settled.reasons[i],
        bbox=mask[0],
        area=mask[1],
        quality=float(contest.regions.proposals.quality[i]),
        score=_optional(settled.left[i]),
        probability=_optional(settled.chance[i]),
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
        suppressed_by=int(contest.rows[by]) if by >= 0 else None,
        segmentation=mask[2],
        flags=flags,
    )


def _evidence(names: Sequence[str], row: int, cosine: float) -> Evidence | None:
    return Evidence(names[row], float(cosine)) if row >= 0 else None


def _box(box: npt.NDArray[np.float32]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(v) for v in box)
    return x0, y0, x1, y1


def _optional(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
