"""The JSON record of one image, versioned. Equal inputs give equal bytes: no time, no full path."""

from __future__ import annotations

import base64
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import MOST_PIXELS
from ..errors import SearchdetError, UsageError

SCHEMA = "searchdet.record/2"
_TEXTS = ("image", "status", "sha256", "settings_sha256")
_REJECTED = b',\n "rejected": [\n'
"""Cannot lie within a JSON string, which holds no line feed."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Nearest exemplar of one side: its file and cosine."""

    file: str
    cosine: float

    def to_json(self) -> dict[str, Any]:
        return {"file": self.file, "cosine": _number(self.cosine)}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One region with its scores and the decision about it.

    id: row of the proposal. reason: accepted, score, margin, class_margin, suppressed or invalid.
    bbox: xyxy in image pixels, exclusive maximum. segmentation: COCO run-length encoding. raw: the
    score before suppression, kept: what suppression left of it, suppressed_by: the id of the row that
    took most. Numbers that do not exist (no negatives, one class, invalid) are None.
    """

    id: int
    label: str | None
    reason: str
    bbox: tuple[float, float, float, float]
    area: int
    quality: float
    score: float | None
    probability: float | None
    raw: float | None
    kept: float
    pos: float | None
    neg: float | None
    shape: float | None
    context: float | None
    margin: float | None
    class_gap: float | None
    nearest_positive: Evidence | None
    nearest_negative: Evidence | None
    suppressed_by: int | None
    segmentation: dict[str, Any]
    flags: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        return self.reason == "accepted"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        near, far = self.nearest_positive, self.nearest_negative
        return {
            "id": self.id,
            "label": self.label,
            "accepted": self.accepted,
            "reason": self.reason,
            "score": _number(self.score),
            "probability": _number(self.probability),
            "raw": _number(self.raw),
            "kept": _number(self.kept),
            "pos": _number(self.pos),
            "neg": _number(self.neg),
            "shape": _number(self.shape),
            "context": _number(self.context),
            "margin": _number(self.margin),
            "class_gap": _number(self.class_gap),
            "bbox": [_number(v) for v in self.bbox],
            "area": self.area,
            "quality": _number(self.quality),
            "evidence": {
                "nearest_positive": near.to_json() if near else None,
                "nearest_negative": far.to_json() if far else None,
                "suppressed_by": self.suppressed_by,
            },
            "flags": list(self.flags),
            "segmentation": self.segmentation,
        }


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """Everything known about one image after detection.

    image: relative path with ``/``. status: ok, empty (no detections) or failed. candidates: best
    first, accepted or not. facts: backbone, proposer, settings, spread; fallbacks named there.
    settings: digest of all that decided the record beside the image.
    """

    image: str
    status: str
    width: int
    height: int
    sha256: str
    candidates: tuple[Candidate, ...] = ()
    classes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    settings: str = ""
    error: dict[str, str] | None = None

    @property
    def detections(self) -> tuple[Candidate, ...]:
        """The accepted candidates, best first."""
        return tuple(item for item in self.candidates if item.accepted)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; detections and rejected candidates apart."""
        return {
            "schema": SCHEMA,
            "image": self.image,
            **_bytes_of(self.image),
            "status": self.status,
            "width": self.width,
            "height": self.height,
            "sha256": self.sha256,
            "settings_sha256": self.settings,
            "classes": list(self.classes),
            **self.facts,
            "error": self.error,
            "detections": [item.to_json() for item in self.candidates if item.accepted],
            "rejected": [item.to_json() for item in self.candidates if not item.accepted],
        }

    def to_bytes(self) -> bytes:
        """The record file: JSON with one candidate a line, the rejected ones last, so that a reader of
        detections can stop before them."""
        head = self.to_json()
        lists = [(name, head.pop(name)) for name in ("detections", "rejected")]
        text = json.dumps(head, indent=1, allow_nan=False, ensure_ascii=True)[:-2]
        for name, items in lists:
            lines = ",\n".join(
                f"  {json.dumps(item, allow_nan=False, ensure_ascii=True)}" for item in items
            )
            text += f',\n "{name}": [\n{lines}\n ]' if lines else f',\n "{name}": []'
        return f"{text}\n}}\n".encode()

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_json(), allow_nan=False, ensure_ascii=True)


def _bytes_of(name: str) -> dict[str, str]:
    """The bytes of a name that is not UTF-8, which JSON cannot hold otherwise; nothing for others."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return {"image_bytes_base64": base64.b64encode(os.fsencode(name)).decode("ascii")}
    return {}


def failed(image: str, error: SearchdetError, sha256: str = "") -> ImageRecord:
    """The record of an image that could not be used."""
    why = {"code": error.code, "message": error.one_line()}
    return ImageRecord(image, "failed", 0, 0, sha256, error=why)


def read_json(path: Path, rejected: bool = True) -> dict[str, Any] | None:
    """A record file as JSON values; None where there is no file. Raises ValueError for another kind.

    rejected: whether the rejected candidates, most of a file, are wanted; else that list may be empty.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if not rejected and (at := data.find(_REJECTED)) >= 0 and data.endswith(b"\n ]\n}\n"):
        data = data[:at] + b',\n "rejected": []\n}'
    try:
        value = json.loads(data, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError(f"{path}: not a {SCHEMA} record") from error
    if not _has_form(value):
        raise ValueError(f"{path}: not a {SCHEMA} record")
    return dict(value)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number of a record")


def _has_form(value: Any) -> bool:
    """Whether JSON values are those of a record, candidates left aside."""
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        return False
    height, width = value.get("height"), value.get("width")
    lists = [value.get("detections"), value.get("rejected")]
    return (
        all(isinstance(value.get(name), str) for name in _TEXTS)
        and isinstance(height, int)
        and isinstance(width, int)
        and min(height, width) >= 0
        and height * width <= MOST_PIXELS
        and all(isinstance(items, list) and all(isinstance(i, dict) for i in items) for items in lists)
    )


def damaged(name: str, error: Exception) -> UsageError:
    """The error for a record that cannot be what `detect` wrote."""
    return UsageError(
        f"the record of {name!r} is damaged ({type(error).__name__}: {error}).",
        "Run `detect` on that image again.",
    )


def _number(value: float | None) -> float | None:
    if value is None:
        return None
    if not math.isfinite(value):
        raise ValueError("a record cannot hold NaN or infinity")
    return round(float(value), 6)
