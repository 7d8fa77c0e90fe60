"""The regions of one image against each other: scored, looked at again, suppressed, decided. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bank import Bank
from ..bank.likeness import Likeness, centred, compares_sizes, likeness
from ..bank.scene import Scene
from ..calibration import probability, usual_least
from ..config import ScoringOptions, SuppressionOptions
from ..embeddings import Descriptors
from ..masks import rle
from ..masks.coverage import Masks
from ..proposals.rendering import rendered
from ..records import ON_WRONG, TOLD, Candidate, ClassLimits, ClassThreshold, Evidence, limits_of
from ..regions import Regions
from ..scoring import Marks, Scores, Told, decide, marks_of, scene_of, scores_of, totals_of
from ..storage.stages import SCORING, SUPPRESSION, stage
from ..suppression import Overlaps, Suppressed, mutual, overlaps, total_order
from .settling import Rivals, beside

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Look = Callable[[IntArray], npt.NDArray[np.float32]]
"""Rows of the regions -> unit vectors (N, C) of a second look at them."""
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

    @property
    def usual_least(self) -> FloatArray:
        """(C,): the least scores where no more than usual are wanted."""
        return np.asarray([usual_least(item) for item in self.thresholds])


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of an image: its candidates, its scene (C,), and at how many of its regions
    a second look was taken."""

    candidates: tuple[Candidate, ...]
    scene: Scene
    looked_at: int


@dataclass(frozen=True, slots=True)
class Compared:
    """All regions of an image, and the bank, as they are compared: what they have in common, the scene
    (C,) of the image, and what was said of regions of it."""

    described: Descriptors
    bank: Bank
    alike: Likeness
    scene: Scene
    told: Told

    def marks(self, options: ScoringOptions) -> Marks:
        """What the decision rule looks at."""
        return marks_of(
            self.alike, totals_of(self.alike, options, self.scene), options.ratio, self.told
        )


@dataclass(frozen=True, slots=True)
class Contest:
    """The best N regions of an image. rows (N,): which they are; alike: what they have in common with
    the bank as it is compared; lying: how they lie on each other; scene (C,): of the image; told: of
    these rows."""

    regions: Regions
    rows: IntArray
    alike: Likeness
    lying: Overlaps
    bank: Bank
    scene: Scene
    told: Told

    @property
    def rivals(self) -> Rivals:
        """The regions as suppression sees them."""
        found, vectors = self.regions.proposals, self.regions.described.embedded.vectors
        pairs, ranked = self.lying.pairs(), (found.boxes, found.quality)
        return Rivals(*ranked, pairs, lambda: mutual(vectors, pairs), self.lying, self.told.right)


@dataclass(frozen=True, slots=True)
class Settled:
    """What is left of N regions beside each other. left (N,): final scores; chance (N,): how likely
    each is right."""

    scores: Scores
    taken: Suppressed
    left: npt.NDArray[Any]
    reasons: list[str]
    chance: FloatArray


def judge_regions(
    regions: Regions,
    bank: Bank,
    rule: Rule,
    look: Look | None = None,
    told: Told | None = None,
    also: Sequence[int] = (),
) -> Judged:
    """A candidate for each of the best regions: detections first, then by score. The id is the region's
    row. All are scored, ``max_masks`` times the views of the image stay, and with ``look`` the best of
    these are seen once more. told: what a person said of regions, which holds whatever they score.
    Those, and the rows of ``also``, are candidates beside the best.
    """
    options = rule.scoring
    with stage(SCORING):
        whole = compare(regions, bank, rule, told)
    found = regions.proposals
    room = room_of(found.details, rule.suppression)
    asked = np.union1d(whole.told.rows, np.asarray(also, np.int64))
    rows = np.union1d(best(whole.marks(options).score, AHEAD * room, every=True), asked)
    chosen = Regions(found.take(rows), whole.described.take(rows))
    with stage(SUPPRESSION):
        lying = overlaps(Masks.of(chosen.proposals.rles, found.mask_size))
    said = whole.told.among(rows)
    contest = Contest(chosen, rows, whole.alike.take(rows), lying, whole.bank, whole.scene, said)
    settled = settle(contest, rule)
    seen = np.zeros(0, np.int64)
    if look is not None and options.second_look:
        open_ones = np.array(settled.left, np.float64)
        open_ones[contest.told.rows] = np.nan  # no look changes what was said
        seen = best(open_ones, options.second_look)
        contest = _seen_again(contest, seen, look, options)
        settled = settle(contest, rule)
    kept = np.union1d(best(settled.left, room, every=True), np.flatnonzero(np.isin(rows, asked)))
    return Judged(_candidates(contest, settled, kept, set(seen.tolist())), whole.scene, len(seen))


def compare(regions: Regions, bank: Bank, rule: Rule, told: Told | None = None) -> Compared:
    """All regions of an image with a bank, as the options want both."""
    described = regions.sized() if compares_sizes(bank, rule.scoring) else regions.described
    moved, space = centred(described, bank, rule.scoring)
    alike = likeness(moved, space, rule.scoring)
    scene = scene_of(alike, rule.scoring, np.asarray(rule.usual))
    return Compared(moved, space, alike, scene, told or Told.nothing())


def room_of(details: Mapping[str, int], options: SuppressionOptions) -> int:
    """How many candidates an image has at most. details: of its proposals."""
    return options.max_masks * int(details.get("views", 1))


def best(scores: npt.NDArray[Any], count: int, every: bool = False) -> IntArray:
    """Places of the ``count`` best scores, ascending; NaN is none, or, with ``every``, the worst."""
    value = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-value, kind="stable")
    return np.sort((order if every else order[value[order] > -np.inf])[:count])


def _seen_again(contest: Contest, seen: IntArray, look: Look, options: ScoringOptions) -> Contest:
    """The contest with the chosen regions compared by a second look."""
    described = replace(contest.regions.described.take(seen), crops=look(contest.rows[seen]))
    with stage(SCORING):
        closer = likeness(described, contest.bank, options)
    return replace(contest, alike=contest.alike.replaced(seen, closer))


def settle(contest: Contest, rule: Rule) -> Settled:
    """Score, suppress and decide."""
    limits = rule.limits(contest.bank.classes)
    with stage(SCORING):
        scores = scores_of(contest.alike, contest.bank, rule.scoring, contest.scene, contest.told)
    with stage(SUPPRESSION):
        taken, left = beside(scores, contest.rivals, limits, rule.usual_least, rule.suppression)
    reasons = decide(scores, limits, taken.factor)
    usual = rule.usual_least[np.maximum(scores.label, 0)]
    return Settled(scores, taken, left, reasons, probability(left, usual))


def _candidates(
    contest: Contest, settled: Settled, kept: IntArray, seen: set[int]
) -> tuple[Candidate, ...]:
    """Candidates of the kept regions, with masks at image size."""
    found = rendered(contest.regions.proposals, kept)
    place = np.where(settled.scores.valid, settled.left, -np.inf)[kept]
    order = total_order(place, settled.scores.label[kept], found.boxes)
    made, told, near = [], *(set(rows.tolist()) for rows in (contest.told.rows, contest.told.near))
    for at in order.tolist():
        i = int(kept[at])
        flags = ["subcell"] * bool(contest.regions.described.embedded.subcell[i])
        flags += ["second_look"] * (i in seen) + [TOLD] * (i in told)
        flags += [ON_WRONG] * (i in near)
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
    against = (*bank.negatives.names, *bank.positives.names)
    shown = [item.copy_of or item.name for item in bank.positives.origins]
    near = -1 if bank.by_normality else near
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
        size_similarity=_optional(scores.size[i]),
        margin=_optional(scores.margin[i]),
        class_margin=_optional(scores.gap[i]),
        nearest_positive=_evidence(shown, near, scores.nearest_positive_cosine[i]),
        nearest_negative=_evidence(against, far, scores.neg[i]),
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
