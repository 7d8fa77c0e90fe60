"""The limits that candidates are held to: those of a run, and others in their place. Pure.

Scores and what suppression left of them stay as they were when the image was searched; only the
decision is taken again. The limits of the run itself give the detections of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config import Limits, ScoringOptions
from ..errors import UsageError, meant
from ..storage.values import Fields, JsonObject
from .rule import ACCEPTED, ClassLimits, reason_of

if TYPE_CHECKING:
    from .candidate import Candidate
    from .record import ImageRecord

_SHARES = ("recall", "false_alarms", "precision")


@dataclass(frozen=True, slots=True)
class Interval:
    """A share k of n with its 95 % Wilson interval."""

    share: float
    low: float
    high: float
    count: int

    @classmethod
    def from_json(cls, values: Fields) -> Interval:
        """Raises ValueError for another form."""
        return cls(
            values.number("share"), values.number("low"), values.number("high"), values.whole("count")
        )


@dataclass(frozen=True, slots=True)
class ClassThreshold:
    """The least score of one class and what is known about it.

    source: auto, default (too few exemplars, or not asked for), normal (what stands out on good parts;
    there are no exemplars) or given. recall: share of the left-out
    exemplars above it; false_alarms: share of the impostors above it; precision: share of positives
    among both. auc: probability that an exemplar outscores an impostor (area under the ROC curve).
    separates: None where there is too little to say.
    """

    label: str
    min_score: float
    source: str
    exemplars: int
    recall: Interval | None = None
    false_alarms: Interval | None = None
    precision: Interval | None = None
    auc: float | None = None
    separates: bool | None = None

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return {
            "label": self.label,
            "min_score": round(self.min_score, 6),
            "source": self.source,
            "exemplars": self.exemplars,
            **{name: _interval_json(getattr(self, name)) for name in _SHARES},
            "auc": None if self.auc is None else round(self.auc, 6),
            "separates": self.separates,
        }

    @classmethod
    def from_json(cls, values: Fields) -> ClassThreshold:
        """Raises ValueError for another form."""
        return cls(
            label=values.text("label"),
            min_score=values.number("min_score"),
            source=values.text("source"),
            exemplars=values.whole("exemplars"),
            recall=_interval(values, "recall"),
            false_alarms=_interval(values, "false_alarms"),
            precision=_interval(values, "precision"),
            auc=values.optional_number("auc"),
            separates=values.optional_flag("separates"),
        )


def limits_of(
    classes: Sequence[str], scoring: ScoringOptions, thresholds: Mapping[str, ClassThreshold]
) -> dict[str, ClassLimits]:
    """The limits of a run, by class."""
    margins = dict(scoring.class_min_margin)
    return {
        name: ClassLimits(
            thresholds[name].min_score, margins.get(name, scoring.min_margin), scoring.class_margin
        )
        for name in classes
    }


def limits_for(record: ImageRecord, limits: Limits) -> dict[str, ClassLimits]:
    """What holds for the classes of a record where ``limits`` go before the limits of its run. Raises
    ValueError for the record of an image that failed."""
    if record.run is None:
        raise ValueError(f"the record of {record.image!r} has no limits: the image failed")
    run = limits_of(record.classes, record.run.scoring, record.run.thresholds)
    scores, margins = dict(limits.class_min_score), dict(limits.class_min_margin)
    return {
        name: ClassLimits(
            _first(scores.get(name), limits.min_score, own.min_score),
            _first(margins.get(name), limits.min_margin, own.min_margin),
            _first(limits.class_margin, own.class_margin),
        )
        for name, own in run.items()
    }


def detections(record: ImageRecord, limits: Limits) -> list[Candidate]:
    """The candidates of a record (with the rejected ones) that are within ``limits``, best first."""
    if not limits.given or record.run is None:
        return list(record.detections)
    held = limits_for(record, limits)
    chosen = [item for item in record.candidates if _passes(item, held)]
    return sorted(chosen, key=lambda item: (-(item.score or 0.0), item.id))


def _passes(item: Candidate, held: Mapping[str, ClassLimits]) -> bool:
    standing = item.standing
    if standing is None or item.label is None:
        return False
    return reason_of(standing, held[item.label]) == ACCEPTED


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _interval(values: Fields, name: str) -> Interval | None:
    found = values.optional_child(name)
    return None if found is None else Interval.from_json(found)


def _interval_json(found: Interval | None) -> JsonObject | None:
    if found is None:
        return None
    shares = {name: round(getattr(found, name), 6) for name in ("share", "low", "high")}
    return {**shares, "count": found.count}


def require_classes(limits: Iterable[tuple[str, float]], classes: Iterable[str]) -> None:
    """Raise UsageError for a limit of a class that there is not."""
    known = sorted(classes)
    for name, _ in limits:
        if name not in known:
            hint = meant(name, known) or f"There are {', '.join(known)}."
            raise UsageError(f"there is no class {name!r}.", hint)
