"""Records to what the page holds: a head with all that decisions need, and details of each image. Pure.

Numbers of candidates become whole millionths, which is what records hold; divided by a million in the
browser they are the same numbers again, so decisions there are those of limits.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..records.thresholds import Limits, least_values
from .outlines import UNITS, scale_of, text_of

NEAR = 0.25
"""A rejected candidate that is further below its least score is drawn as its box only."""
MOST_OUTLINED = 100
"""Rejected candidates of an image that are drawn with their outline; the best."""
DIGITS = 1_000_000
_NUMBERS = ("raw", "kept", "probability", "pos", "neg", "shape", "context", "quality")
_SHARES = ("recall", "precision", "false_alarms")


@dataclass(slots=True)
class Contents:
    """Collects what the page holds. ``add`` the records one by one, then take ``head``.

    details: JSON values of each image, in the order they came.
    """

    details: list[dict[str, Any]] = field(default_factory=list)
    exemplars: dict[str, int] = field(default_factory=dict)
    _classes: dict[str, int] = field(default_factory=dict)
    _rules: dict[str, int] = field(default_factory=dict)
    _images: list[dict[str, Any]] = field(default_factory=list)

    def add(self, record: Mapping[str, Any]) -> None:
        """One record, as JSON values."""
        image = {
            "name": record["image"],
            "status": record["status"],
            "size": [record["width"], record["height"]],
        }
        if record["status"] == "failed":
            error = record["error"] or {}
            self._images.append({**image, "error": [error.get("code", ""), error.get("message", "")]})
            self.details.append({})
            return
        for name in record["classes"]:
            _number(self._classes, name)
        every = [*record["detections"], *record["rejected"]]
        items = [item for item in every if _can_matter(item)]
        self._images.append(
            {
                **image,
                "rule": _number(self._rules, json.dumps(self._rule(record))),
                "accepted": sum(item["accepted"] for item in items),
                "left": len(every) - len(items),
                "label": [self._classes[item["label"]] for item in items],
                **{name: [_whole(item[name]) for item in items] for name in ("score", "margin")},
                "gap": [_whole(item["class_gap"]) for item in items],
                "lost": [i for i, item in enumerate(items) if item["kept"] <= 0],
            }
        )
        self.details.append(self._detail(record, items))

    def head(self) -> dict[str, Any]:
        """What the page needs at once."""
        return {
            "schema": "searchdet.report/1",
            "units": UNITS,
            "classes": list(self._classes),
            "rules": [json.loads(rule) for rule in self._rules],
            "exemplars": list(self.exemplars),
            "images": self._images,
        }

    def _rule(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """What an image was decided by: least values, and what is known about them."""
        least, scoring = least_values(record, Limits()), record["scoring"]
        classes = {}
        for name in record["classes"]:
            known = record["thresholds"][name]
            facts = {key: known[key] for key in ("source", "exemplars", "separates", *_SHARES)}
            limits = {"score": least.score[name], "margin": least.margin[name]}
            classes[str(self._classes[name])] = limits | facts
        return {
            "classes": classes,
            "classMargin": least.class_margin,
            "weights": [scoring[f"{name}_weight"] for name in ("negative", "shape", "context")],
            "facts": _facts(record),
        }

    def _detail(self, record: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        evidence = [item["evidence"] for item in items]
        near = [found["nearest_positive"] for found in evidence]
        far = [found["nearest_negative"] for found in evidence]
        return {
            "id": [item["id"] for item in items],
            **{name: [_whole(item[name]) for item in items] for name in _NUMBERS},
            "area": [item["area"] for item in items],
            "box": [_plain(value) for item in items for value in item["bbox"]],
            "reason": [item["reason"] for item in items],
            "flags": {str(i): item["flags"] for i, item in enumerate(items) if item["flags"]},
            "by": [found["suppressed_by"] for found in evidence],
            "near": [self._exemplar(found) for found in near],
            "nearCosine": [found and _whole(found["cosine"]) for found in near],
            "far": [self._exemplar(found) for found in far],
            "farCosine": [found and _whole(found["cosine"]) for found in far],
            "outline": self._outlines(record, items),
        }

    def _exemplar(self, found: Mapping[str, Any] | None) -> int | None:
        return None if found is None else _number(self.exemplars, found["file"])

    def _outlines(self, record: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> list[str]:
        """The outline of each candidate; empty for those whose box is enough."""
        least = least_values(record, Limits()).score
        close = [
            (-item["score"], i)
            for i, item in enumerate(items)
            if not item["accepted"] and item["score"] >= least[item["label"]] - NEAR
        ]
        drawn = {i for _, i in sorted(close)[:MOST_OUTLINED]}
        scale = scale_of(record["width"], record["height"])
        return [
            text_of(item["segmentation"], scale) if item["accepted"] or i in drawn else ""
            for i, item in enumerate(items)
        ]


def _can_matter(item: Mapping[str, Any]) -> bool:
    """Whether some least values would accept a candidate, or those of the run did."""
    return bool(item["accepted"] or (item["score"] is not None and item["kept"] > 0))


def _facts(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says about the run, from a record."""
    examples = record["exemplars"]
    return {
        "backbone": record["backbone"]["name"],
        "proposals": record["proposals"]["name"],
        "suppression": record["suppression"]["suppression"],
        "positive": examples["positive"],
        "negative": examples["negative"],
        "ignored": len(examples["ignored_negatives"]),
    }


def _number(known: dict[str, int], name: str) -> int:
    """The number of a name, the next one for a new name. Raises TypeError for what is no name."""
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is no name")
    return known.setdefault(name, len(known))


def _whole(value: float | None) -> int | None:
    """A number of a record, which has six digits, in millionths. Raises TypeError for what is none: a
    text times a million would fill the memory."""
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r:.40} is no number")
    return round(value * DIGITS)


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value
