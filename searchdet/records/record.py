"""The JSON record of one image, versioned. Equal inputs give equal bytes: no time, no full path.

Whatever reads records (exports, report, evaluation, bank, resuming) reads them through ``read_record``.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import NoReturn

from ..config import MOST_PIXELS
from ..config.address import Place
from ..errors import SearchdetError, UsageError
from ..storage import places
from ..storage.values import Fields, JsonValue
from .candidate import Candidate, rounded
from .image import (
    ErrorInfo,
    NearestMiss,
    ProposalCounts,
    SourceInfo,
    SpreadInfo,
    content_digest,
)
from .models import RunInfo

_FAMILY = "searchdet.record/"
SCHEMA = f"{_FAMILY}6"
STATUSES = ("ok", "empty", "failed")
_REJECTED = b',\n "rejected": [\n'
"""Cannot lie within a JSON string, which holds no line feed."""


class RecordError(ValueError):
    """A file says that it is a record, and is of another version or damaged."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """Everything known about one image after detection.

    image: relative path with ``/``. status: ok, empty (no detections) or failed. candidates: best
    first, accepted or not. run, source, proposals: None where the image failed. settings_sha256: digest
    of all that decided the record beside the image. levels: by class, what the median region of the
    image scores by its features alone, of which a share is taken off each score; best_sizes: by class,
    how like in size to the exemplars its best candidate is, empty where sizes are not compared.
    looked_at: how many candidates got a second look. partial: read without its rejected candidates.
    """

    image: str
    status: str
    width: int
    height: int
    sha256: str
    candidates: tuple[Candidate, ...] = ()
    classes: tuple[str, ...] = ()
    run: RunInfo | None = None
    source: SourceInfo | None = None
    proposals: ProposalCounts | None = None
    spread: SpreadInfo | None = None
    settings_sha256: str = ""
    levels: Mapping[str, float] = field(default_factory=dict)
    best_sizes: Mapping[str, float] = field(default_factory=dict)
    looked_at: int = 0
    error: ErrorInfo | None = None
    partial: bool = False

    @property
    def failed(self) -> bool:
        return self.status == "failed"

    @property
    def content(self) -> str:
        """What memories know the pixels of the image by, as ``LoadedImage.content``."""
        return content_digest(self.sha256, self.source.values if self.source else None)

    @property
    def detections(self) -> tuple[Candidate, ...]:
        """The accepted candidates, best first."""
        return tuple(item for item in self.candidates if item.accepted)

    @property
    def rejected(self) -> tuple[Candidate, ...]:
        """The other candidates, best first."""
        return tuple(item for item in self.candidates if not item.accepted)

    @property
    def nearest_miss(self) -> NearestMiss | None:
        """The candidate that lacks least to be a detection, where there is no detection; None where
        nothing has a score."""
        if self.run is None or self.detections:
            return None
        least = {name: item.min_score for name, item in self.run.thresholds.items()}
        near = [
            NearestMiss(item.id, item.label, item.score, least[item.label], item.reason)
            for item in self.candidates
            if item.label is not None and item.score is not None
        ]
        return max(near, key=lambda miss: (miss.score - miss.needs, -miss.id), default=None)

    def to_json(self) -> dict[str, JsonValue]:
        """Plain JSON values; detections and rejected candidates apart."""
        if self.partial:
            raise ValueError(f"the record of {self.image!r} was read without its rejected candidates")
        said = {} if self.run is None else self.run.to_json()
        return {
            "schema": SCHEMA,
            "image": self.image,
            **_bytes_of(self.image),
            "status": self.status,
            "width": self.width,
            "height": self.height,
            "sha256": self.sha256,
            "settings_sha256": self.settings_sha256,
            "classes": list(self.classes),
            **said,
            "source": asdict(self.source) if self.source else None,
            "proposals": self.proposals.to_json() if self.proposals else None,
            "embedding_spread": self.spread.to_json() if self.spread else None,
            "embedding_collapse": self.spread is not None and self.spread.collapse,
            "levels": _rounded(self.levels),
            "best_sizes": _rounded(self.best_sizes),
            "looked_at": self.looked_at,
            "nearest_miss": asdict(miss) if (miss := self.nearest_miss) else None,
            "error": asdict(self.error) if self.error else None,
            "detections": [item.to_json() for item in self.detections],
            "rejected": [item.to_json() for item in self.rejected],
        }

    def to_bytes(self) -> bytes:
        """The record file: JSON with one candidate a line, the rejected ones last, so that a reader of
        detections can stop before them."""
        head = self.to_json()
        del head["detections"], head["rejected"]
        text = json.dumps(head, indent=1, allow_nan=False, ensure_ascii=True)[:-2]
        for name, items in (("detections", self.detections), ("rejected", self.rejected)):
            lines = ",\n".join(
                f"  {json.dumps(item.to_json(), allow_nan=False, ensure_ascii=True)}" for item in items
            )
            text += f',\n "{name}": [\n{lines}\n ]' if lines else f',\n "{name}": []'
        return f"{text}\n}}\n".encode()

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(self.to_json(), allow_nan=False, ensure_ascii=True)

    @classmethod
    def from_json(cls, values: Fields, partial: bool = False) -> ImageRecord:
        """The record of ``to_json``. partial: the rejected candidates were left out. Raises ValueError
        that names the field for anything else."""
        size = (values.whole("height"), values.whole("width"))
        status, classes = values.text("status"), values.texts("classes")
        if status not in STATUSES or size[0] * size[1] > MOST_PIXELS:
            raise ValueError(f"its status is {status!r}, its size {size[1]}x{size[0]}")
        lists = (values.children("detections"), values.children("rejected"))
        items = tuple(Candidate.from_json(item, size, classes) for each in lists for item in each)
        failed = status == "failed"
        proposals, error = (values.optional_child(name) for name in ("proposals", "error"))
        source = values.optional_child("source")
        if failed == (error is None) or (failed and items):
            raise ValueError(f"its status is {status!r}, but it does not look so")
        run = None if failed else RunInfo.from_json(values)
        if run is not None and set(run.thresholds) != set(classes):
            raise ValueError("its classes and thresholds do not agree")
        return cls(
            image=values.text("image"),
            status=status,
            width=size[1],
            height=size[0],
            sha256=values.text("sha256"),
            candidates=items,
            classes=classes,
            run=run,
            source=None if source is None else SourceInfo.from_json(source),
            proposals=None if proposals is None else ProposalCounts.from_json(proposals),
            spread=_spread(values),
            settings_sha256=values.text("settings_sha256"),
            levels=_of_classes(values, "levels", classes, failed),
            best_sizes=_of_classes(values, "best_sizes", classes, True),
            looked_at=values.whole("looked_at"),
            error=None if error is None else ErrorInfo.from_json(error),
            partial=partial,
        )


def failed(image: str, error: SearchdetError, sha256: str = "") -> ImageRecord:
    """The record of an image that could not be used."""
    return ImageRecord(image, "failed", 0, 0, sha256, error=ErrorInfo(error.code, error.one_line()))


def read_record(path: Place, rejected: bool = True) -> ImageRecord | None:
    """The record in a file; None where there is no file. Raises RecordError for a record that cannot be
    used, ValueError for another kind of file.

    rejected: whether the rejected candidates, most of a file, are wanted; else they may be left out.
    """
    try:
        data = places.read(path)
    except FileNotFoundError:
        return None
    return parse_record(data, path, rejected)


def parse_record(data: bytes, path: Place, rejected: bool = True) -> ImageRecord:
    """``read_record`` for bytes that were read before. path: for messages."""
    partial = False
    if not rejected and (at := data.find(_REJECTED)) >= 0 and data.endswith(b"\n ]\n}\n"):
        data, partial = data[:at] + b',\n "rejected": []\n}', True
    try:
        values = Fields.of(json.loads(data, parse_constant=_refuse))
        schema = values.text("schema")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a {SCHEMA} record ({error})") from error
    if not schema.startswith(_FAMILY):
        raise ValueError(f"{path}: not a {SCHEMA} record (its schema is {schema!r})")
    if schema != SCHEMA:
        raise RecordError(f"{path}: is a {schema}, which this version does not read")
    try:
        return ImageRecord.from_json(values, partial)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: is damaged ({error})") from error


def unusable(error: RecordError) -> UsageError:
    """The error for a record file that cannot be used."""
    return UsageError(f"{error}.", "Run `searchdet detect` on that image again.")


def damaged(name: str, error: Exception) -> UsageError:
    """The error for a record that cannot be what `detect` wrote."""
    return UsageError(
        f"the record of {name!r} is damaged ({type(error).__name__}: {error}).",
        "Run `detect` on that image again.",
    )


def _of_classes(
    values: Fields, name: str, classes: tuple[str, ...], none: bool = False
) -> dict[str, float]:
    """A number of each class; none: there need be none."""
    found = values.child(name)
    if set(found.values) != set(classes) and not (none and not found.values):
        raise ValueError(f"its classes and {name} do not agree")
    return {label: found.number(label) for label in found.values}


def _rounded(values: Mapping[str, float]) -> dict[str, JsonValue]:
    return {name: rounded(value) for name, value in values.items()}


def _spread(values: Fields) -> SpreadInfo | None:
    found, collapse = values.optional_child("embedding_spread"), values.flag("embedding_collapse")
    if found is None:
        return None
    return SpreadInfo(found.number("cosine_p05"), found.number("cosine_median"), collapse)


def _bytes_of(name: str) -> dict[str, str]:
    """The bytes of a name that is not UTF-8, which JSON cannot hold otherwise; nothing for others."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return {"image_bytes_base64": base64.b64encode(os.fsencode(name)).decode("ascii")}
    return {}


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number of a record")
