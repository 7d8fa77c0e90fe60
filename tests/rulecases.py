"""The cases of the decision rule (``records/rule_cases.json``), which Python and JavaScript both run.

standing: what the rule looks at. limits: what the candidate, a bolt, must reach in the end. run, given:
limits of the run that made the record, and others in their place; without them, the run's are
``limits``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import run_info

from searchdet.config import ScoringOptions
from searchdet.masks import rle
from searchdet.records import Candidate, ClassLimits, ImageRecord, Limits, Standing, reason_of

PATH = Path(__file__).parent / "records" / "rule_cases.json"
LABEL = "bolt"
Values = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    standing: Standing
    limits: ClassLimits
    reason: str
    run: Values
    given: Values

    def override(self, label: str = LABEL) -> Limits:
        """What is given; for a class of another name than the table's."""
        return Limits(**{name: _pairs(value, label) for name, value in self.given.items()})

    def record(self, label: str = LABEL) -> ImageRecord:
        """A record with the one candidate, as a run with the limits of ``run`` writes it."""
        plain = {name: self.run[name] for name in ("min_margin", "class_margin")}
        margins = _pairs(self.run.get("class_min_margin", {}), label)
        scoring = ScoringOptions(**plain, class_min_margin=margins, second_look=0)
        classes = (label, "nut")
        run = run_info(classes, self.run["min_score"], scoring)
        margin = dict(margins).get(label, plain["min_margin"])
        limits = ClassLimits(self.run["min_score"], margin, plain["class_margin"])
        item = replace(_candidate(self.standing, label), reason=reason_of(self.standing, limits))
        status = "ok" if item.accepted else "empty"
        levels = dict.fromkeys(classes, 0.0)
        return ImageRecord(
            f"{self.name}.png", status, 60, 40, "ab" * 32, (item,), classes, run, levels=levels
        )


def cases() -> list[Case]:
    """All rows."""
    return [
        Case(
            row["name"],
            Standing(**row["standing"]),
            ClassLimits(**row["limits"]),
            row["reason"],
            row.get("run", row["limits"]),
            row.get("given", {}),
        )
        for row in json.loads(PATH.read_text(encoding="utf-8"))
    ]


every_case = pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)


def _pairs(value: Any, label: str) -> Any:
    """The dictionary of a row as ``Limits`` has it; other values as they are."""
    if not isinstance(value, dict):
        return value
    return tuple((label if name == LABEL else name, number) for name, number in value.items())


def _candidate(standing: Standing, label: str) -> Candidate:
    mask = np.zeros((40, 60), bool)
    mask[:10, :10] = True
    return Candidate(
        id=0,
        label=label,
        reason="score",
        bbox=(0, 0, 10, 10),
        area=100,
        quality=0.9,
        score=standing.score,
        probability=0.5,
        score_before_suppression=standing.score_before_suppression,
        suppression_factor=standing.suppression_factor,
        positive_similarity=0.8,
        negative_similarity=None,
        shape_similarity=None,
        context_similarity=None,
        margin=standing.margin,
        class_margin=standing.class_margin,
        nearest_positive=None,
        nearest_negative=None,
        suppressed_by=None,
        segmentation=rle.encode(mask),
    )
