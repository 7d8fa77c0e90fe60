"""A candidate: one region with its scores, the decision about it, and the evidence for that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..storage.values import Fields, JsonObject
from .rule import ACCEPTED, INVALID, REASONS, Standing

if TYPE_CHECKING:
    from ..masks.rle import Rle

TOLD = "told"
"""Flag of a candidate that is the very region of which a person said what it is."""
ON_WRONG = "on_wrong"
"""Flag of one that lies on a region which a person said is none, in a search by good parts alone."""
_NUMBERS = (
    "score",
    "probability",
    "score_before_suppression",
    "suppression_factor",
    "positive_similarity",
    "negative_similarity",
    "shape_similarity",
    "context_similarity",
    "margin",
    "class_margin",
)
_SIZE = "size_similarity"
"""Is in records where sizes are compared, and only there."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Nearest exemplar of one side: its file and cosine."""

    file: str
    cosine: float

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return {"file": self.file, "cosine": rounded(self.cosine)}

    @classmethod
    def from_json(cls, values: Fields) -> Evidence:
        """Raises ValueError for another form."""
        return cls(values.text("file"), values.number("cosine"))


@dataclass(frozen=True, slots=True)
class Candidate:
    """One region with its scores and the decision about it.

    id: row of the proposal. reason: accepted, or the rule that it failed (``rule.REASONS``). bbox: xyxy
    in image pixels, exclusive maximum. segmentation: COCO run-length encoding. score: after
    suppression, which left ``suppression_factor`` of ``score_before_suppression``; suppressed_by: the
    id of the row that took most. Similarities are cosines: to the class, to the negative that counts,
    of the outline, and of the surroundings to the class; and of the size, 0..1, where that is compared.
    margin: positive less ``ratio`` times the negative similarity;
    class_margin: lead over the second class. Numbers that do not exist (no negatives, one class,
    invalid) are None.
    """

    id: int
    label: str | None
    reason: str
    bbox: tuple[float, float, float, float]
    area: int
    quality: float
    score: float | None
    probability: float | None
    score_before_suppression: float | None
    suppression_factor: float
    positive_similarity: float | None
    negative_similarity: float | None
    shape_similarity: float | None
    context_similarity: float | None
    margin: float | None
    class_margin: float | None
    nearest_positive: Evidence | None
    nearest_negative: Evidence | None
    suppressed_by: int | None
    segmentation: Rle
    flags: tuple[str, ...] = ()
    size_similarity: float | None = None

    @property
    def accepted(self) -> bool:
        return self.reason == ACCEPTED

    @property
    def standing(self) -> Standing | None:
        """What the decision rule looks at; None for a region that cannot be scored."""
        if self.score is None or self.score_before_suppression is None or self.label is None:
            return None
        return Standing(
            self.score_before_suppression,
            self.score,
            self.suppression_factor,
            self.margin,
            self.class_margin,
        )

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        near, far = self.nearest_positive, self.nearest_negative
        return {
            "id": self.id,
            "label": self.label,
            "accepted": self.accepted,
            "reason": self.reason,
            **{name: _optional(getattr(self, name)) for name in _NUMBERS},
            **({_SIZE: _optional(self.size_similarity)} if self.size_similarity is not None else {}),
            "bbox": [rounded(v) for v in self.bbox],
            "area": self.area,
            "quality": rounded(self.quality),
            "evidence": {
                "nearest_positive": near.to_json() if near else None,
                "nearest_negative": far.to_json() if far else None,
                "suppressed_by": self.suppressed_by,
            },
            "flags": list(self.flags),
            "segmentation": {
                "size": self.segmentation["size"],
                "counts": self.segmentation["counts"],
            },
        }

    @classmethod
    def from_json(cls, values: Fields, size: tuple[int, int], classes: tuple[str, ...]) -> Candidate:
        """size (H, W) and classes: of its image. Raises ValueError for another form."""
        evidence = values.child("evidence")
        near, far = (evidence.optional_child(f"nearest_{side}") for side in ("positive", "negative"))
        x0, y0, x1, y1 = values.numbers("bbox", 4)
        known = (*_NUMBERS, _SIZE) if _SIZE in values else _NUMBERS
        numbers = {name: values.optional_number(name) for name in known}
        factor = numbers.pop("suppression_factor")
        made = cls(
            id=values.whole("id"),
            label=values.optional_text("label"),
            reason=values.text("reason"),
            bbox=(x0, y0, x1, y1),
            area=values.whole("area"),
            quality=values.number("quality"),
            nearest_positive=None if near is None else Evidence.from_json(near),
            nearest_negative=None if far is None else Evidence.from_json(far),
            suppressed_by=evidence.optional_whole("suppressed_by"),
            segmentation=_segmentation(values.child("segmentation"), size),
            flags=values.texts("flags"),
            suppression_factor=1.0 if factor is None else factor,
            **numbers,
        )
        made.require_sound(classes)
        if values.flag("accepted") != made.accepted or factor is None:
            raise ValueError(f"candidate {made.id} is accepted and rejected at once")
        return made

    def require_sound(self, classes: tuple[str, ...]) -> None:
        """Raise ValueError unless its parts belong together."""
        if self.reason not in REASONS:
            raise ValueError(f"candidate {self.id} has the reason {self.reason!r}")
        if self.label is not None and self.label not in classes:
            raise ValueError(f"there is no class {self.label!r}")
        if self.reason != INVALID and self.standing is None:
            raise ValueError(f"candidate {self.id} has no class or score")


def _segmentation(values: Fields, size: tuple[int, int]) -> Rle:
    counts = values.text("counts")
    if tuple(values.items("size")) != size or not counts.isascii():
        raise ValueError(f"{values.name} is of another image")
    return {"size": list(size), "counts": counts}


def _optional(value: float | None) -> float | None:
    return None if value is None else rounded(value)


def rounded(value: float) -> float:
    """A number as records hold it. Raises ValueError for NaN and infinity."""
    if not math.isfinite(value):
        raise ValueError("a record cannot hold NaN or infinity")
    return round(float(value), 6)
