"""Records to what the page holds: a head with all that decisions need, and details of each image. Pure.

Numbers of candidates become whole millionths, which is what records hold; divided by a million in the
browser they are the same numbers again, so decisions there are those of records/rule.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..config import LEVEL_WEIGHT, SIZE_WEIGHT, Limits
from ..output import THUMBNAIL_SIDE
from ..records import TOLD, Candidate, Evidence, ImageRecord, RunInfo, limits_for
from ..storage.values import JsonObject, JsonValue
from .outlines import UNITS, fineness, scale_of, text_of
from .pyramid import TILE
from .truth import LEAST_IOU, Annotated, Overlay

NEAR = 0.25
"""A rejected candidate that is further below its least score is drawn as its box only."""
MOST_OUTLINED = 100
"""Rejected candidates of an image that are drawn with their outline; the best."""
DIGITS = 1_000_000
_NUMBERS = {
    "beforeSuppression": "score_before_suppression",
    "suppressionFactor": "suppression_factor",
    "probability": "probability",
    "positive": "positive_similarity",
    "negative": "negative_similarity",
    "shape": "shape_similarity",
    "context": "context_similarity",
    "size": "size_similarity",
    "quality": "quality",
}
"""Numbers of the details: the page's name and the candidate's."""
_SHARES = ("recall", "precision", "false_alarms")


@dataclass(slots=True)
class Contents:
    """Collects what the page holds. ``add`` the records one by one, then take ``head``.

    truth: what is in the pictures, where it is known. details: JSON values of each image, in the order
    they came.
    """

    truth: Overlay | None = None
    details: list[JsonObject] = field(default_factory=list)
    exemplars: dict[str, int] = field(default_factory=dict)
    _classes: dict[str, int] = field(default_factory=dict)
    _rules: dict[str, int] = field(default_factory=dict)
    _settings: dict[str, int] = field(default_factory=dict)
    _images: list[JsonObject] = field(default_factory=list)

    def add(self, record: ImageRecord, full: tuple[str, int] | None = None) -> None:
        """One record. full: folder and levels of its full picture."""
        image: dict[str, JsonValue] = {
            "name": record.image,
            "status": record.status,
            "size": [record.width, record.height],
            "sha256": record.sha256,
            "settings": _number(self._settings, record.settings_sha256),
            **({} if full is None else {"full": {"folder": full[0], "levels": full[1]}}),
        }
        if record.run is None:
            error = record.error
            self._images.append({**image, "error": [error.code, error.message] if error else ["", ""]})
            self.details.append({})
            return
        for name in record.classes:
            _number(self._classes, name)
        items = [item for item in record.candidates if _can_matter(item)]
        annotated = None if self.truth is None else self.truth.annotated(record, items)
        self._images.append(
            {
                **image,
                "rule": _number(self._rules, json.dumps(self._rule(record, record.run))),
                "accepted": sum(item.accepted for item in items),
                "left": len(record.candidates) - len(items),
                "id": [item.id for item in items],
                "label": [self._classes[item.label or ""] for item in items],
                "score": [_whole(item.score) for item in items],
                "margin": [_whole(item.margin) for item in items],
                "classMargin": [_whole(item.class_margin) for item in items],
                "lost": [i for i, item in enumerate(items) if item.suppression_factor <= 0],
                "fine": fineness(record.width, record.height),
                **({} if annotated is None else {"truth": self._truth(annotated)}),
            }
        )
        drawn = {} if annotated is None else _objects(record, annotated)
        self.details.append({**self._detail(record, items), **drawn})

    def head(self) -> dict[str, JsonValue]:
        """What the page needs at once."""
        return {
            "schema": "searchdet.report/3",
            "units": UNITS,
            "classes": list(self._classes),
            "rules": [json.loads(rule) for rule in self._rules],
            "exemplars": list(self.exemplars),
            "settings": list(self._settings),
            "tile": TILE,
            "thumbnail": THUMBNAIL_SIDE,
            "iou": None if self.truth is None else LEAST_IOU,
            "images": self._images,
        }

    def _truth(self, annotated: Annotated) -> JsonObject:
        """What the page pairs detections with."""
        objects = annotated.objects
        return {
            "classes": [self._classes[name] for name in annotated.labels],
            "label": [self._classes[item.label] for item in objects],
            "crowd": [k for k, item in enumerate(objects) if item.crowd],
            "pairs": [n for i, k, iou in annotated.pairs for n in (i, k, _whole(iou))],
        }

    def _rule(self, record: ImageRecord, run: RunInfo) -> JsonObject:
        """What an image was decided by: least values, and what is known about them."""
        limits, classes = limits_for(record, Limits()), {}
        for name, threshold in run.thresholds.items():
            known = threshold.to_json()
            facts = {key: known[key] for key in ("source", "exemplars", "separates", *_SHARES)}
            own: dict[str, JsonValue] = {
                "score": limits[name].min_score,
                "margin": limits[name].min_margin,
            }
            classes[str(self._classes[name])] = own | facts
        scoring = run.scoring
        return {
            "classes": classes,
            "classMargin": scoring.class_margin,
            "weights": {
                "negative": scoring.negative_weight,
                "shape": scoring.shape_weight,
                "context": scoring.context_weight,
                "size": SIZE_WEIGHT if scoring.scale != "any" else 0,
                "level": LEVEL_WEIGHT,
                "normal": _normal(run),
            },
            "facts": _facts(run),
        }

    def _detail(self, record: ImageRecord, items: Sequence[Candidate]) -> JsonObject:
        near = [item.nearest_positive for item in items]
        far = [item.nearest_negative for item in items]
        return {
            **{
                name: [_whole(getattr(item, field)) for item in items]
                for name, field in _NUMBERS.items()
            },
            "area": [item.area for item in items],
            "box": [_plain(value) for item in items for value in item.bbox],
            "reason": [item.reason for item in items],
            "flags": {str(i): list(item.flags) for i, item in enumerate(items) if item.flags},
            "by": [item.suppressed_by for item in items],
            "near": [self._exemplar(found) for found in near],
            "nearCosine": [None if found is None else _whole(found.cosine) for found in near],
            "far": [self._exemplar(found) for found in far],
            "farCosine": [None if found is None else _whole(found.cosine) for found in far],
            "outline": self._outlines(record, items),
            "levels": self._of_classes(record.levels),
            "bestSizes": self._of_classes(record.best_sizes),
        }

    def _of_classes(self, values: Mapping[str, float]) -> JsonObject:
        return {str(self._classes[name]): _whole(value) for name, value in values.items()}

    def _exemplar(self, found: Evidence | None) -> int | None:
        return None if found is None else _number(self.exemplars, found.file)

    def _outlines(self, record: ImageRecord, items: Sequence[Candidate]) -> list[str]:
        """The outline of each candidate; empty for those whose box is enough."""
        limits = limits_for(record, Limits())
        close = [
            (-(item.score or 0.0), i)
            for i, item in enumerate(items)
            if not item.accepted and (item.score or 0.0) >= limits[item.label or ""].min_score - NEAR
        ]
        drawn = {i for _, i in sorted(close)[:MOST_OUTLINED]}
        size = (record.width, record.height)
        scale, fine = scale_of(*size), fineness(*size)
        return [
            text_of(item.segmentation, scale, fine) if item.accepted or i in drawn else ""
            for i, item in enumerate(items)
        ]


def _objects(record: ImageRecord, annotated: Annotated) -> JsonObject:
    """How the objects of the truth are drawn."""
    size = (record.width, record.height)
    scale, fine = scale_of(*size), fineness(*size)
    outlines = [
        None if item.mask is None else text_of(item.mask, scale, fine) for item in annotated.objects
    ]
    return {
        "object": [text or "" for text in outlines],
        "objectBox": [_plain(round(value, 2)) for item in annotated.objects for value in item.box],
    }


def _can_matter(item: Candidate) -> bool:
    """Whether some least values would accept a candidate, or those of the run did, or a person said
    what it is."""
    if item.accepted or TOLD in item.flags:
        return True
    return item.standing is not None and item.suppression_factor > 0


def _normal(run: RunInfo) -> JsonValue:
    """The weight of what is unusual, 0 without it; ``alone`` where the score is nothing else."""
    if run.normality is None:
        return 0
    return run.scoring.normal_weight if run.exemplars.positive else "alone"


def _facts(run: RunInfo) -> JsonObject:
    """What the page says about the run."""
    return {
        "backbone": run.models.backbone.name,
        "proposals": run.models.proposer.name,
        "suppression": run.suppression.suppression,
        "positive": run.exemplars.positive,
        "negative": run.exemplars.negative,
        "ignored": len(run.exemplars.ignored_negatives),
    }


def _number(known: dict[str, int], name: str) -> int:
    """The number of a name, the next one for a new name."""
    return known.setdefault(name, len(known))


def _whole(value: float | None) -> int | None:
    """A number of a record, which has six digits, in millionths."""
    return None if value is None else round(value * DIGITS)


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value
