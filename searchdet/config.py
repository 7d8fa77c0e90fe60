"""Every default, once. Frozen dataclasses that are validated when they are made; no torch here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
PROMPTINGS = ("everything", "guided")
POOLINGS = ("mean", "topk")
EXEMPLAR_MASKS = ("auto", "whole")
CENTRINGS = ("none", "mean")
THRESHOLDS = ("auto", "default")
SUPPRESSIONS = ("merge", "nms", "diffusion")
POSITIVE_AGGREGATIONS = ("prototype", "max", "mean_topk", "attention")
DEFAULT_BACKBONE = "filterbank"
MAX_PIXELS = 150_000_000
"""Below Pillow's own hard limit of 179 million pixels."""
MOST_PIXELS = 180_000_000
"""No image file that is read holds more, so no record, index or annotation is of a larger one."""


def require(condition: bool, message: str) -> None:
    """Raise UsageError unless ``condition``."""
    if not condition:
        raise UsageError(message)


def require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise UsageError that lists the legal values."""
    require(value in choices, f"{name} is {value!r}; choose one of {', '.join(choices)}.")


def names_of(text: str) -> tuple[str, ...]:
    """``a,b`` as names, each once; ``none`` is none."""
    names = [name.strip().lower() for name in text.split(",")]
    return () if names == ["none"] else tuple(dict.fromkeys(names))


def require_share(name: str, value: float) -> None:
    """Raise UsageError unless 0 <= value <= 1."""
    require(0.0 <= value <= 1.0, f"{name} is {value}; it must lie between 0 and 1.")


LIMITS = {"min_score": (-2, 1), "min_margin": (-2, 2), "class_margin": (0, 2)}
"""Between which values a least score, margin and lead over the second class (0: none) make sense."""


def require_limits(
    general: Mapping[str, float | None], of_classes: Mapping[str, Iterable[tuple[str, float]]]
) -> None:
    """Raise UsageError for a limit out of its range, NaN included. Keys as in LIMITS; None is no limit.

    of_classes: (class, value) pairs that go before the general limit.
    """
    for name, value in general.items():
        if value is not None:
            _require_limit(f"--{name.replace('_', '-')}", value, LIMITS[name])
    for name, pairs in of_classes.items():
        for label, value in pairs:
            _require_limit(f"--class-{name.replace('_', '-')} of {label}", value, LIMITS[name])


def _require_limit(what: str, value: float, limits: tuple[int, int]) -> None:
    low, high = limits
    require(low <= value <= high, f"{what} is {value:g}; it must lie between {low} and {high}.")


@dataclass(frozen=True, slots=True)
class BackboneOptions:
    """How a backbone is loaded and fed. ``feat_short_side`` None means the backbone's own default."""

    name: str = DEFAULT_BACKBONE
    checkpoint: str | None = None
    device: str = "auto"
    precision: str = "auto"
    feat_short_side: int | None = None
    allow_unverified: bool = False

    def __post_init__(self) -> None:
        require_choice("--precision", self.precision, PRECISIONS)
        if self.feat_short_side is not None:
            require(
                32 <= self.feat_short_side <= 4096,
                f"--feat-short-side is {self.feat_short_side}; it must lie between 32 and 4096.",
            )


@dataclass(frozen=True, slots=True)
class ProposalOptions:
    """Proposer settings. Areas are percent of the image (or tile), widths and tiles pixels of the
    image; ``smooth`` is a radius in cells of the proposer's own resolution. ``tile`` 0: no tiles."""

    name: str = "auto"
    checkpoint: str | None = None
    points_per_side: int = 32
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    crop_layers: int = 0
    prompting: str = "everything"
    guided_share: float = 0.27
    tile: int = 0
    tile_overlap: float = 0.2
    min_area: float = 0.02
    max_area: float = 80.0
    drop_border: bool = False
    border_width: int = 2
    drop_rectangles: float | None = None
    max_containment: float = 1.0
    smooth: int = 0
    max_masks: int = 300
    allow_unverified: bool = False

    def __post_init__(self) -> None:
        require(1 <= self.points_per_side <= 256, "--points-per-side must lie between 1 and 256.")
        require_share("--pred-iou-thresh", self.pred_iou_thresh)
        require_share("--stability-score-thresh", self.stability_score_thresh)
        require(0 <= self.crop_layers <= 3, "--crop-layers must lie between 0 and 3.")
        require_choice("--prompting", self.prompting, PROMPTINGS)
        require(0.0 < self.guided_share <= 1.0, "--guided-share must lie in (0, 1].")
        require(self.tile == 0 or self.tile >= 64, "--tile must be 0 (off) or at least 64 pixels.")
        require(0.0 <= self.tile_overlap <= 0.75, "--tile-overlap must lie between 0 and 0.75.")
        require(0.0 <= self.min_area <= 100.0, "--min-area is a percentage, 0 to 100.")
        require(0.0 <= self.max_area <= 100.0, "--max-area is a percentage, 0 to 100.")
        require(self.min_area < self.max_area, "--min-area must be smaller than --max-area.")
        require(self.border_width >= 1, "--border-width must be at least 1 pixel.")
        if self.drop_rectangles is not None:
            require(0.5 <= self.drop_rectangles <= 1.0, "--drop-rectangles is an IoU, 0.5 to 1.")
        require(0.0 < self.max_containment <= 1.0, "--max-containment must lie in (0, 1].")
        require(0 <= self.smooth <= 8, "--smooth must lie between 0 and 8.")
        require(self.max_masks >= 1, "--max-masks must be at least 1.")


@dataclass(frozen=True, slots=True)
class EmbeddingOptions:
    """Pooling of features under a mask. ``topk_share`` is used by ``topk`` only."""

    pooling: str = "mean"
    topk_share: float = 0.5

    def __post_init__(self) -> None:
        require_choice("--pooling", self.pooling, POOLINGS)
        require(0.0 < self.topk_share <= 1.0, "topk_share must lie in (0, 1].")


@dataclass(frozen=True, slots=True)
class ExemplarOptions:
    """How examples are read. ``exemplar_mask`` is for photos without a mask: auto looks for the object
    that the photos of a class share, whole takes the photo as it is. An example that cannot be read is
    an error unless ``skip_bad_exemplars``."""

    exemplar_mask: str = "auto"
    keep_conflicts: bool = False
    skip_bad_exemplars: bool = False

    def __post_init__(self) -> None:
        require_choice("--exemplar-mask", self.exemplar_mask, EXEMPLAR_MASKS)


@dataclass(frozen=True, slots=True)
class ScoringOptions:
    """The score and the decision.

    score = pos - negative_weight * max(neg, 0) - shape_weight * (1 - shape)
    - context_weight * max(context, 0). Weights that are None are the backbone's own. ``threshold``
    says where the least score comes from if ``min_score`` is None; ``class_min_score`` and
    ``class_min_margin`` are (class, value) pairs that go before the general ones.
    """

    pos_agg: str = "prototype"
    topk: int = 3
    negative_weight: float = 0.3
    shape_weight: float | None = None
    context_weight: float | None = None
    centring: str = "none"
    threshold: str = "auto"
    min_score: float | None = None
    min_margin: float = 0.0
    class_margin: float = 0.0
    class_min_score: tuple[tuple[str, float], ...] = ()
    class_min_margin: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        require_choice("--pos-agg", self.pos_agg, POSITIVE_AGGREGATIONS)
        require_choice("--centring", self.centring, CENTRINGS)
        require_choice("--threshold", self.threshold, THRESHOLDS)
        require(self.topk >= 1, "--topk must be at least 1.")
        for name in ("negative_weight", "shape_weight", "context_weight"):
            value = getattr(self, name)
            flag = "--" + name.replace("_", "-")
            require(value is None or 0.0 <= value <= 10.0, f"{flag} must lie between 0 and 10.")
        require_limits(
            {name: getattr(self, name) for name in LIMITS},
            {"min_score": self.class_min_score, "min_margin": self.class_min_margin},
        )


@dataclass(frozen=True, slots=True)
class SuppressionOptions:
    """What becomes of fragments and duplicates. ``nms_iou`` is a mask IoU, ``max_covered`` the share of
    a mask that better detections of its class may cover; both are for ``nms``."""

    suppression: str = "merge"
    nms_iou: float = 0.5
    max_covered: float = 0.5

    def __post_init__(self) -> None:
        require_choice("--suppression", self.suppression, SUPPRESSIONS)
        require_share("--nms-iou", self.nms_iou)
        require_share("--max-covered", self.max_covered)


@dataclass(frozen=True, slots=True)
class Settings:
    """All options of a detector, by part. cache: the folder that remembers descriptions and regions by
    content; None remembers nothing."""

    backbone: BackboneOptions = BackboneOptions()
    proposals: ProposalOptions = ProposalOptions()
    embedding: EmbeddingOptions = EmbeddingOptions()
    scoring: ScoringOptions = ScoringOptions()
    suppression: SuppressionOptions = SuppressionOptions()
    exemplars: ExemplarOptions = ExemplarOptions()
    max_pixels: int = MAX_PIXELS
    cache: Path | None = None
