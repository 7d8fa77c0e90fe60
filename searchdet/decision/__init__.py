"""From described regions to a record: score, look again, suppress, decide."""

from __future__ import annotations

from .candidates import Judged, Look, Rule, judge_regions
from .judge import Judge, judge_of, make_judge

__all__ = ["Judge", "Judged", "Look", "Rule", "judge_of", "judge_regions", "make_judge"]
