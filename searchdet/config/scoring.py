"""Options of the score and the decision: what a region scores, what a detection must reach."""

from __future__ import annotations

from dataclasses import dataclass

from .option import (
    Need,
    Pairs,
    above_zero,
    at_least,
    between,
    check_options,
    one_of,
    option,
    usual,
)

SCORES, DECISION = "Scores and decision", "Decision"
CENTRINGS = ("none", "mean")
THRESHOLDS = ("auto", "training", "default")
SUPPRESSIONS = ("merge", "nms", "box_nms", "diffusion")
CLASS_OVERLAPS = ("best", "allow")
POSITIVE_AGGREGATIONS = ("prototype", "max", "mean_topk", "consensus", "attention")
SCALES = ("auto", "same", "any")
LEVEL_WEIGHT = 0.2
"""How much of an image's level, the median of what its regions score by their features, is taken off
each score: how alike all things look differs between images and between spaces."""
SIZE_WEIGHT = 0.1
"""What a size costs that is unlike that of the exemplars (``--scale``)."""
_WEIGHT, _SCORE, _MARGIN, _LEAD = between(0, 10), between(-2, 1), between(-2, 2), between(0, 2)
_NMS = Need("--suppression nms", lambda given: given.suppression == "nms")
_IOU = Need("--suppression nms or box_nms", lambda given: given.suppression in ("nms", "box_nms"))
_TOPK = Need(
    "--pos-agg mean_topk or consensus", lambda given: given.pos_agg in ("mean_topk", "consensus")
)


@dataclass(frozen=True, slots=True)
class ScoringOptions:
    """The score and the decision.

    score = pos - negative_weight * max(neg, 0) - shape_weight * (1 - shape)
    - context_weight * max(context, 0) - LEVEL_WEIGHT * the image's level
    - SIZE_WEIGHT * max(best_size - size, 0) + normal_weight * the logit of what is unusual, where that
    is known. best_size is of the image's best candidate, and with ``scale`` same 1; neg is the cosine
    to the negative that ``negative_quantile`` says, and the margin
    pos - neg - (ratio - 1) * max(neg, 0). ``threshold`` says where the least score comes from if
    ``min_score`` is None; ``class_min_score`` and ``class_min_margin`` are (class, value) pairs that go
    before the general ones. ``second_look`` None is the backbone's own.
    """

    pos_agg: str = option(
        "prototype",
        "prototype, max, mean_topk, consensus (so many exemplars agree) or attention.",
        SCORES,
        check=one_of(*POSITIVE_AGGREGATIONS),
    )
    topk: int = option(
        3,
        "Exemplars that mean_topk averages, or that must agree for consensus.",
        SCORES,
        check=at_least(1),
        needs=_TOPK,
    )
    negative_weight: float = option(0.3, "score = pos - weight * max(neg, 0).", SCORES, check=_WEIGHT)
    negative_quantile: float = option(
        1.0,
        "Which negative counts: 1 is the nearest, 0.95 that below the nearest twentieth.",
        SCORES,
        check=above_zero(1),
    )
    cross_negatives: bool = option(
        False, "Examples of the other classes are negatives of a class too.", SCORES
    )
    shape_weight: float = option(
        usual(0.6), "What an unlike outline costs; 0 beside good parts.", SCORES, check=_WEIGHT
    )
    context_weight: float = option(
        0.2, "What surroundings that look like the class cost.", SCORES, check=_WEIGHT
    )
    scale: str = option(
        "auto",
        "same: objects as large as the exemplars, in pixels, score more; auto: where the image's best "
        "candidate is; any: size is not looked at.",
        SCORES,
        check=one_of(*SCALES),
    )
    normal_weight: float = option(
        0.1,
        "What is unusual counts so much, in logits (--normal, --normal-self).",
        SCORES,
        check=_WEIGHT,
    )
    centring: str = option(
        "none",
        "none, or mean: take the mean off all vectors first.",
        SCORES,
        check=one_of(*CENTRINGS),
    )
    threshold: str = option(
        "auto",
        "auto: by what negatives take off the examples; training: lower, to train a detector; "
        "default: the same for all.",
        SCORES,
        check=one_of(*THRESHOLDS),
        needs=Need("that there is no --min-score", lambda given: given.min_score is None),
    )
    min_score: float | None = option(None, "Least score; overrides --threshold.", SCORES, check=_SCORE)
    min_margin: float = option(0.0, "Least pos - neg (with negatives).", SCORES, check=_MARGIN)
    ratio: float = option(
        1.0,
        "The margin is pos - ratio * neg: with 1.2, pos must be 1.2 times neg.",
        SCORES,
        check=_WEIGHT,
    )
    class_margin: float = option(0.0, "Least lead over the second class.", SCORES, check=_LEAD)
    class_min_score: Pairs = option(
        (), "Least score of one class, NAME=VALUE; repeatable.", SCORES, check=_SCORE
    )
    class_min_margin: Pairs = option(
        (), "Least margin of one class, NAME=VALUE; repeatable.", SCORES, check=_MARGIN
    )

    second_look: int | None = option(
        None,
        "Best candidates of an image that are described once more, as crops; the backbone's own.",
        SCORES,
        check=at_least(0),
        needs=Need("--centring none", lambda given: given.centring == "none"),
    )

    def __post_init__(self) -> None:
        check_options(self)

    def looks(self, own: int) -> int:
        """At how many candidates of an image a second look is taken. own: where it is not said."""
        if self.centring != "none":
            return 0
        return own if self.second_look is None else self.second_look


@dataclass(frozen=True, slots=True)
class Limits:
    """Least values of a detection over records; None and classes that are not named: as in the record.

    class_min_score, class_min_margin: for single classes, before the general one. No variable sets
    them: those of `detect` hold for the records already. Raises UsageError for what `detect` would
    refuse.
    """

    min_score: float | None = option(None, "Least score.", DECISION, check=_SCORE, variable=False)
    min_margin: float | None = option(None, "Least pos - neg.", DECISION, check=_MARGIN, variable=False)
    class_margin: float | None = option(
        None, "Least lead over the second class.", DECISION, check=_LEAD, variable=False
    )
    class_min_score: Pairs = option(
        (),
        "Least score of a class, NAME=VALUE; repeatable.",
        DECISION,
        check=_SCORE,
        variable=False,
    )
    class_min_margin: Pairs = option(
        (),
        "Least margin of a class, NAME=VALUE; repeatable.",
        DECISION,
        check=_MARGIN,
        variable=False,
    )

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def given(self) -> bool:
        """Whether anything differs from what the records say."""
        return self != Limits()


@dataclass(frozen=True, slots=True)
class SuppressionOptions:
    """What becomes of fragments and duplicates. ``nms_iou`` is a mask IoU, ``max_covered`` the share of
    a mask that better detections of its class may cover; both are for ``nms``. ``nms_iou`` is one of
    boxes for ``box_nms``. ``class_overlap``: what
    becomes of a detection that lies on a better one of another class. ``max_masks``: after scoring the
    best so many proposals are candidates."""

    suppression: str = option(
        "merge",
        "merge, nms (of masks), box_nms (of boxes) or diffusion; each within classes.",
        SCORES,
        check=one_of(*SUPPRESSIONS),
    )
    nms_iou: float = option(
        0.5,
        "Overlap from which on the lower score goes.",
        SCORES,
        check=between(0, 1),
        needs=_IOU,
    )
    max_covered: float = option(
        0.5,
        "Share covered by better masks: a fragment.",
        SCORES,
        check=between(0, 1),
        needs=_NMS,
    )
    class_overlap: str = option(
        "best",
        "On one object: best keeps the best class, allow each class.",
        SCORES,
        check=one_of(*CLASS_OVERLAPS),
    )
    max_masks: int = option(
        300, "Candidates kept an image or tile after scoring.", SCORES, check=at_least(1)
    )

    def __post_init__(self) -> None:
        check_options(self)
