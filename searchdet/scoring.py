"""Scores and the decision rule. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .bank import Bank
from .bank.likeness import Likeness, argmax, likeness, nans, rounded, weighted
from .bank.scene import Scene, levels_of
from .bank.sizes import best_sizes
from .config import LEVEL_WEIGHT, SIZE_WEIGHT, ScoringOptions
from .embeddings import Descriptors
from .records import ACCEPTED, INVALID, ClassLimits, Standing, failures

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
SURE, CLEAR, NEVER = 1.0, 2.0, -3.0
"""Score, and margin and lead, of a region that a person said is of a class, which reach every limit
that there can be; and the score of one that is of none, which reaches no limit."""
MOST_LOGIT = 6.0
"""So much, either way, what is unusual counts at most."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What the decision rule looks at, of N regions, row i = mask i.

    label (N,): best class. score (N,): of it, all together. margin (N,): its cosine minus ``ratio``
    times that of the negative that counts, NaN without negatives. gap (N,): score minus the second
    class's, NaN with one class. Rows that are not valid hold -1 and NaN.
    """

    valid: BoolArray
    label: IntArray
    score: FloatArray
    margin: FloatArray
    gap: FloatArray

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: IntArray) -> Marks:
        """The chosen rows, in that order."""
        scored = (self.score[rows], self.margin[rows], self.gap[rows])
        return Marks(self.valid[rows], self.label[rows], *scored)

    def parts(self) -> tuple[BoolArray, IntArray, FloatArray, FloatArray, FloatArray]:
        """The arrays, in the order of the fields."""
        return self.valid, self.label, self.score, self.margin, self.gap


@dataclass(frozen=True, slots=True)
class Scores(Marks):
    """Marks of N regions with what they are made of.

    pos (N,): cosine to the best class after aggregation. neg (N,): cosine of the negative that counts.
    shape (N,): likeness of the outline to the nearest of the class's, 0..1, context (N,): cosine of the
    surroundings to its prototype, and size (N,): likeness of the area to those of the class, 0..1; NaN
    where unknown or not used. nearest_positive, nearest_negative (N,): bank rows (-1: none), of the
    second as of ``Nearest``; their cosines.
    """

    pos: FloatArray
    neg: FloatArray
    shape: FloatArray
    context: FloatArray
    size: FloatArray
    nearest_positive: IntArray
    nearest_positive_cosine: FloatArray
    nearest_negative: IntArray


@dataclass(frozen=True, slots=True)
class Told:
    """What a person said of some of N regions, K of them: rows (K,), and labels (K,), the class that
    each is of, -1 for none. near: others that are of none with one of these (``told.around``)."""

    rows: IntArray
    labels: IntArray
    near: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def nothing(cls) -> Told:
        """Of no region."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64))

    @property
    def right(self) -> IntArray:
        """Rows that are of a class."""
        return self.rows[self.labels >= 0]

    def among(self, rows: IntArray) -> Told:
        """The same of the chosen rows (M,), each there once, in that order."""
        place = {row: i for i, row in enumerate(rows.tolist())}
        here = np.asarray([place.get(row, -1) for row in self.rows.tolist()], np.int64)
        near = np.asarray([place[row] for row in self.near.tolist() if row in place], np.int64)
        return Told(here[here >= 0], self.labels[here >= 0], near)

    def within(self, rows: slice) -> Told:
        """The same of some rows, one after another."""
        here = (self.rows >= rows.start) & (self.rows < rows.stop)
        near = self.near[(self.near >= rows.start) & (self.near < rows.stop)]
        return Told(self.rows[here] - rows.start, self.labels[here], near - rows.start)

    def totals(self, totals: FloatArray) -> FloatArray:
        """Scores (N, C) with ``SURE`` for the class that a row was said to be of, and with ``NEVER``
        and less for one of none; which of the other classes is likelier stays as it was."""
        if not len(self.rows):
            return totals
        made, every = np.array(totals), np.concatenate([self.rows, self.near])
        best = made[every].max(axis=1, keepdims=True, initial=-np.inf)
        made[every] = NEVER + np.maximum(made[every] - best, -1.0)
        known = self.labels >= 0
        made[self.rows[known], self.labels[known]] = SURE
        return made

    def clear(self, margins: FloatArray) -> FloatArray:
        """Margins or leads (N,) with ``CLEAR`` for rows that are of a class; NaN stays."""
        made = np.array(margins)
        made[self.right] = np.where(np.isnan(made[self.right]), np.nan, CLEAR)
        return made


def totals_of(alike: Likeness, options: ScoringOptions, scene: Scene | None = None) -> FloatArray:
    """(N, C): the score of each region for each class. scene: of its image, (C,) or (N, C); None for a
    region that is in none, of which neither level nor, with ``scale`` auto, size is compared.

    score = pos - negative_weight * max(neg, 0) - shape_weight * (1 - shape)
    - context_weight * max(context, 0) - LEVEL_WEIGHT * level - SIZE_WEIGHT * max(best_size - size, 0)
    + normal_weight * logit(unusual), the last within ``MOST_LOGIT``; where there are no exemplars,
    unusual alone. The negatives' term is clamped, so a negative can only lower a score (after
    T-Rex-Omni, arXiv 2511.08997). A fragment of an object has the object around it, and so a context
    that looks like the class. Shapes count only if every class knows one, and so do sizes; best_size is
    that of the image's best candidate (``sizes.best_sizes``), and 1 with ``scale`` same.
    """
    return _in_scene(_without_scene(alike, options, alike.plain(options)), alike, options, scene)


def scenes_of(
    alike: Likeness, options: ScoringOptions, usual: FloatArray, ends: IntArray, least: float = -np.inf
) -> tuple[Scene, BoolArray, FloatArray]:
    """The scene of each of I images; whether its best candidate is too close to another to say which of
    them it is, (I,); and the score of each region in it, (N, C). usual (C,), ends (I + 1,): as for
    ``levels_of``. least: a best candidate that scores less matters to no decision."""
    plain = alike.plain(options)
    levels, unsure = levels_of(plain, alike.valid, usual, ends), np.zeros(len(ends) - 1, bool)
    scores, sizes = _without_scene(alike, options, plain), None
    if options.scale != "any" and not np.isnan(alike.size).all():
        sizes = np.ones_like(levels)
        if options.scale == "auto":
            needed = least + LEVEL_WEIGHT * levels
            sizes, unsure = best_sizes(scores, alike.size, alike.valid, ends, needed)
    scene = Scene(levels, sizes)
    image = np.repeat(np.arange(len(levels)), np.diff(ends))
    return scene, unsure, _in_scene(scores, alike, options, scene.of(image))


def scene_of(alike: Likeness, options: ScoringOptions, usual: FloatArray) -> Scene:
    """The scene (C,) of one image."""
    return scenes_of(alike, options, usual, np.asarray([0, len(alike.valid)]))[0].of(0)


def _without_scene(alike: Likeness, options: ScoringOptions, plain: FloatArray) -> FloatArray:
    if alike.alone and alike.unusual is not None:
        return np.asarray(alike.unusual[:, None], np.float64)
    scores = plain - weighted(options.shape_weight, 1 - alike.shape)
    scores = scores - weighted(options.context_weight, alike.context)
    if alike.unusual is not None:
        scores = scores + options.normal_weight * logit(alike.unusual)[:, None]
    return scores


def _in_scene(
    scores: FloatArray, alike: Likeness, options: ScoringOptions, scene: Scene | None
) -> FloatArray:
    if alike.alone and alike.unusual is not None:
        return scores
    wanted: FloatArray | None = np.ones(1) if options.scale == "same" else None
    if scene is not None:
        scores, wanted = scores - LEVEL_WEIGHT * np.atleast_2d(scene.levels), scene.sizes
    if wanted is not None:  # fmax: a size that is not known takes nothing
        scores = scores - SIZE_WEIGHT * np.fmax(np.atleast_2d(wanted) - alike.size, 0)
    return scores


def logit(unusual: FloatArray) -> FloatArray:
    """(N,): logits of 0..1, within ``MOST_LOGIT``."""
    share = np.clip(np.asarray(unusual, np.float64), 1e-6, 1 - 1e-6)
    return np.clip(np.log(share / (1 - share)), -MOST_LOGIT, MOST_LOGIT)


def marks_of(alike: Likeness, totals: FloatArray, ratio: float, told: Told | None = None) -> Marks:
    """What the decision rule looks at. totals (N, C): as of ``totals_of``. ratio: as of the options.
    told: of these rows."""
    told = told or Told.nothing()
    totals = told.totals(totals)
    rows, valid, label = np.arange(len(totals)), alike.valid, argmax(totals)
    against = rounded(alike.against.of(label)[0])
    margin = rounded(alike.pos[rows, label]) - against
    if ratio != 1:
        margin = margin - (ratio - 1) * np.maximum(against, 0)
    return Marks(
        valid=valid,
        label=np.where(valid, label, -1),
        score=_masked(rounded(totals[rows, label]), valid),
        margin=_masked(rounded(told.clear(margin)), valid),
        gap=_masked(told.clear(_gap(totals)), valid),
    )


def scores_of(
    alike: Likeness,
    bank: Bank,
    options: ScoringOptions,
    scene: Scene | None = None,
    told: Told | None = None,
) -> Scores:
    """Scores of N regions. scene: as for ``totals_of``; told: of these rows."""
    rows, valid = np.arange(len(alike.valid)), alike.valid
    totals = totals_of(alike, options, scene)
    marks = marks_of(alike, totals, options.ratio, told)
    label = np.maximum(marks.label, 0)
    own = np.where(bank.labels[None] == label[:, None], alike.cosines, -np.inf)
    nearest_own = argmax(own)
    against, opposing = alike.against.of(label)
    neg = rounded(against)
    return Scores(
        *marks.parts(),
        pos=_masked(rounded(alike.pos[rows, label]), valid),
        neg=_masked(neg, valid),
        shape=_masked(rounded(alike.shape[rows, label]), valid),
        context=_masked(rounded(alike.context[rows, label]), valid),
        size=_masked(rounded(alike.size[rows, label]), valid),
        nearest_positive=np.where(valid, nearest_own, -1),
        nearest_positive_cosine=_masked(rounded(alike.cosines[rows, nearest_own]), valid),
        nearest_negative=np.where(valid & ~np.isnan(neg), opposing, -1),
    )


def score_regions(regions: Descriptors, bank: Bank, options: ScoringOptions) -> Scores:
    """``scores_of`` the ``likeness`` of N regions, whatever else is in their image."""
    return scores_of(likeness(regions, bank, options), bank, options)


def decide(scores: Marks, limits: Sequence[ClassLimits], factor: FloatArray | None = None) -> list[str]:
    """The reason of each row: ``invalid``, or what the decision rule says (``records.rule``).

    limits: of each class. factor (N,): what suppression left of each; without it nothing is suppressed.
    """
    made = np.full(len(scores), ACCEPTED, object)
    for reason, failed in reversed(_failures(scores, limits, factor)):
        made[failed] = reason
    made[~scores.valid] = INVALID
    found: list[str] = made.tolist()
    return found


def accepted(
    scores: Marks, limits: Sequence[ClassLimits], factor: FloatArray | None = None
) -> BoolArray:
    """(N,): whether each row is a detection, as ``decide`` says it."""
    made = np.array(scores.valid, bool)
    for _, failed in _failures(scores, limits, factor):
        made &= ~failed
    return made


def _failures(
    scores: Marks, limits: Sequence[ClassLimits], factor: FloatArray | None
) -> tuple[tuple[str, BoolArray], ...]:
    factor = np.ones(len(scores)) if factor is None else factor
    numbers: list[Any] = [scores.score, final(scores, factor), factor, scores.margin, scores.gap]
    table = np.asarray([astuple(item) for item in limits], np.float64).reshape(-1, 3)
    wanted: list[Any] = list(table[scores.label].T)
    return failures(Standing(*numbers), ClassLimits(*wanted))


def final(scores: Marks, factor: FloatArray) -> FloatArray:
    """(N,): score after suppression: what is left of a positive score; a negative one stays."""
    return rounded(np.where(scores.score > 0, scores.score * factor, scores.score))


def promise(cells: FloatArray, bank: Bank, options: ScoringOptions) -> npt.NDArray[np.float32]:
    """How much each cell (h, w, D) of a feature map looks like anything searched for, (h, w).

    The nearest exemplar counts, not the prototype: a cell sees a part of an object only.
    """
    flat = cells.reshape(-1, cells.shape[-1])
    best = (flat @ bank.positives.vectors.T).max(axis=1)
    if len(bank.negatives):
        against = (flat @ bank.negatives.vectors.T).max(axis=1)
        best = best - options.negative_weight * np.clip(against, 0, None)
    return np.asarray(best.reshape(cells.shape[:2]), np.float32)


def _gap(scores: FloatArray) -> FloatArray:
    if scores.shape[1] < 2:
        return nans(len(scores))
    first, second = scores[:, 0], np.full(len(scores), -np.inf)
    for column in scores.T[1:]:
        second = np.maximum(second, np.minimum(first, column))
        first = np.maximum(first, column)
    return rounded(first - second)


def _masked(values: FloatArray, valid: BoolArray) -> FloatArray:
    return np.where(valid, values, np.nan)
