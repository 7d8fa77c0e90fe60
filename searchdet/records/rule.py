"""The decision rule, once: whether a candidate is a detection, and if not, which rule it failed. Pure.

Detection itself, other limits over records, and the page of the report (``rule.js``) all follow it; the
cases of ``tests/records/rule_cases.json`` are run by all three.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

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


def failures(standing: Any, limits: Any) -> tuple[tuple[str, Any], ...]:
    """Each rule that can fail, in their order, and whether it does. standing, limits: as for
    ``reason_of``, or of many candidates, with arrays in place of numbers; NaN where there is none: a
    comparison with it fails no rule."""
    before, left = standing.score_before_suppression, standing.score
    lead, wanted = standing.class_margin, limits.class_margin
    return (
        ("score", before < limits.min_score),
        ("margin", standing.margin < limits.min_margin),
        ("class_margin", (wanted > 0) & (lead < wanted)),
        (SUPPRESSED, (standing.suppression_factor <= 0) | (left < limits.min_score)),
    )


def reason_of(standing: Standing, limits: ClassLimits) -> str:
    """``accepted``, or the first rule that fails: ``score``, ``margin``, ``class_margin``,
    ``suppressed``. A rule without its input (no negatives, one class) does not apply."""
    if standing.margin is None or standing.class_margin is None:
        margin = math.nan if standing.margin is None else standing.margin
        lead = math.nan if standing.class_margin is None else standing.class_margin
        standing = replace(standing, margin=margin, class_margin=lead)
    return next((reason for reason, failed in failures(standing, limits) if failed), ACCEPTED)
