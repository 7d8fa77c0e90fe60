"""The decision rule, once: whether a candidate is a detection, and if not, which rule it failed. Pure.

Detection itself, other limits over records, and the page of the report (``rule.js``) all follow it; the
cases of ``tests/records/rule_cases.json`` are run by all three.
"""

from __future__ import annotations

from dataclasses import dataclass

ACCEPTED, SUPPRESSED, INVALID = "accepted", "suppressed", "invalid"
REASONS = (ACCEPTED, "score", "margin", "class_margin", SUPPRESSED, INVALID)


@dataclass(frozen=True, slots=True)
class ClassLimits:
    """What a candidate of one class must reach. class_margin: lead over the second class, 0: none."""

    min_score: float
    min_margin: float = 0.0
    class_margin: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What the rule looks at. Scores before and after suppression, what suppression left (0..1), margin
    to the nearest negative, and lead over the second class; None or NaN where there is none of it."""

    score_before_suppression: float
    score: float
    suppression_factor: float
    margin: float | None
    class_margin: float | None


def reason_of(standing: Standing, limits: ClassLimits) -> str:
    """``accepted``, or the first rule that fails: ``score``, ``margin``, ``class_margin``,
    ``suppressed``. A rule without its input (no negatives, one class) does not apply."""
    if standing.score_before_suppression < limits.min_score:
        return "score"
    if standing.margin is not None and standing.margin < limits.min_margin:
        return "margin"
    lead = standing.class_margin
    if limits.class_margin > 0 and lead is not None and lead < limits.class_margin:
        return "class_margin"
    if standing.suppression_factor <= 0 or standing.score < limits.min_score:
        return SUPPRESSED
    return ACCEPTED
