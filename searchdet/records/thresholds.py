"""Which candidates of a record are detections under other least values than those of its run. Pure.

Scores and what suppression left of them stay as they were when the image was searched; only the
decision is taken again. The limits of the run itself give the detections of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError, meant


@dataclass(frozen=True, slots=True)
class Limits:
    """Least values of a detection; None and classes that are not named: as in the record.

    class_min_score, class_min_margin: for single classes, before the general one.
    """

    min_score: float | None = None
    min_margin: float | None = None
    class_margin: float | None = None
    class_min_score: tuple[tuple[str, float], ...] = ()
    class_min_margin: tuple[tuple[str, float], ...] = ()

    @property
    def given(self) -> bool:
        """Whether anything differs from what the records say."""
        return self != Limits()


def detections(record: Mapping[str, Any], limits: Limits) -> list[dict[str, Any]]:
    """The candidates of a record (JSON values, with the rejected ones) that are within ``limits``,
    best first."""
    if not limits.given or record["status"] == "failed":
        return list(record["detections"])
    every = [*record["detections"], *record["rejected"]]
    least = least_values(record, limits)
    found = [item for item in every if _passes(item, least)]
    return sorted(found, key=lambda item: (-item["score"], item["id"]))


@dataclass(frozen=True, slots=True)
class Least:
    """Least score and margin of each class, and the least lead over the second class."""

    score: dict[str, float]
    margin: dict[str, float]
    class_margin: float


def least_values(record: Mapping[str, Any], limits: Limits) -> Least:
    """The least values that hold for a record."""
    own, classes = record["scoring"], record["classes"]
    score = {name: record["thresholds"][name]["score"] for name in classes}
    margin = dict.fromkeys(classes, own["min_margin"]) | dict(own["class_min_margin"])
    if limits.min_score is not None:
        score = dict.fromkeys(classes, limits.min_score)
    if limits.min_margin is not None:
        margin = dict.fromkeys(classes, limits.min_margin)
    gap = own["class_margin"] if limits.class_margin is None else limits.class_margin
    return Least(score | dict(limits.class_min_score), margin | dict(limits.class_min_margin), gap)


def _passes(item: Mapping[str, Any], least: Least) -> bool:
    if item["score"] is None or item["kept"] <= 0 or item["score"] < least.score[item["label"]]:
        return False
    if item["margin"] is not None and item["margin"] < least.margin[item["label"]]:
        return False
    return not (
        least.class_margin > 0
        and item["class_gap"] is not None
        and item["class_gap"] < least.class_margin
    )


def require_classes(limits: Iterable[tuple[str, float]], classes: Iterable[str]) -> None:
    """Raise UsageError for a limit of a class that there is not."""
    known = sorted(classes)
    for name, _ in limits:
        if name not in known:
            hint = meant(name, known) or f"There are {', '.join(known)}."
            raise UsageError(f"there is no class {name!r}.", hint)


def pairs(given: Iterable[str], flag: str) -> tuple[tuple[str, float], ...]:
    """``NAME=VALUE`` words as (name, value). Raises UsageError for another form."""
    found = []
    for text in given:
        name, equals, value = text.rpartition("=")
        try:
            found.append((name, float(value)))
        except ValueError:
            equals = ""
        if not equals or not name:
            raise UsageError(f"{flag} {text!r} is not NAME=VALUE.", f"For example {flag} bolt=0.4.")
    return tuple(found)
