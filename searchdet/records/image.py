"""What a record says of its image beside the candidates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..storage.values import Fields, JsonObject

RANGES = ("container", "outliers", "tags", "levels", "unit", "extremes", "given")
"""Whence a range of values comes: the type it is stored in; the same, though hardly any value is large;
the file's own tags; the least of 8, 10, 12, 14 and 16 bits that holds all values; 0 to 1, which holds
them; the least and the greatest value; or the user."""
GUESSED = ("outliers", "levels", "unit", "extremes")
"""Those of them that follow from the values alone, and may be wrong."""


@dataclass(frozen=True, slots=True)
class ValueRange:
    """Which stored values became 0 and 255, of an image with other than 8 bits a sample. stored: their
    type in the file (``uint16``, ``uint12``, ``float32``); by: one of RANGES."""

    stored: str
    low: float
    high: float
    by: str

    @property
    def guessed(self) -> bool:
        return self.by in GUESSED

    @classmethod
    def from_json(cls, values: Fields) -> ValueRange:
        """Raises ValueError for another form."""
        low, high, by = values.number("low"), values.number("high"), values.text("by")
        if by not in RANGES or not low < high:
            raise ValueError(f"its values are {low} to {high} by {by!r}")
        return cls(values.text("stored"), low, high, by)


def content_digest(sha256: str, values: ValueRange | None) -> str:
    """What memories know pixels by: the digest of their file, and of the range where one was used,
    since another range gives other pixels."""
    if values is None:
        return sha256
    text = f"{sha256} {float(values.low)!r} {float(values.high)!r}"
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """How the file of an image was read. frames: how many it has; orientation: EXIF's number;
    stored_size: (width, height) before that was applied. decoder: the package that decoded it. values:
    None for 8 bits a sample, which stay as they are."""

    frames: int
    orientation: int
    stored_size: tuple[int, int]
    decoder: str = "Pillow"
    values: ValueRange | None = None

    @classmethod
    def from_json(cls, values: Fields) -> SourceInfo:
        """Raises ValueError for another form."""
        width, height = (int(value) for value in values.numbers("stored_size", 2))
        found = values.optional_child("values")
        return cls(
            values.whole("frames"),
            values.whole("orientation"),
            (width, height),
            values.text("decoder"),
            None if found is None else ValueRange.from_json(found),
        )


@dataclass(frozen=True, slots=True)
class ProposalCounts:
    """How many proposals an image had. removed: how many each filter took away. details: what else the
    proposer says of the image."""

    count: int
    removed: Mapping[str, int]
    details: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return {"count": self.count, "removed": dict(self.removed), **self.details}

    @classmethod
    def from_json(cls, values: Fields) -> ProposalCounts:
        """Raises ValueError for another form."""
        rest = {k: v for k, v in values.values.items() if k not in ("count", "removed")}
        return cls(values.whole("count"), values.counts("removed"), rest)


@dataclass(frozen=True, slots=True)
class SpreadInfo:
    """Cosines between the regions of an image: 5th percentile and median. collapse: different masks
    look alike to the backbone, so no threshold can separate them."""

    cosine_p05: float
    cosine_median: float
    collapse: bool

    def to_json(self) -> JsonObject:
        """Plain JSON values; ``embedding_collapse`` stands beside them."""
        return {
            "cosine_p05": round(self.cosine_p05, 6),
            "cosine_median": round(self.cosine_median, 6),
        }


@dataclass(frozen=True, slots=True)
class NearestMiss:
    """What came nearest to a detection where there is none: the candidate's id and class, its score,
    what it needs, and the rule that it failed."""

    id: int
    label: str
    score: float
    needs: float
    reason: str


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why an image failed: a word for programs and a sentence."""

    code: str
    message: str

    @classmethod
    def from_json(cls, values: Fields) -> ErrorInfo:
        """Raises ValueError for another form."""
        return cls(values.text("code"), values.text("message"))


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What a record says of its image beyond its regions. source: how the file was read."""

    name: str
    sha256: str
    width: int
    height: int
    source: SourceInfo

    @property
    def content(self) -> str:
        """What memories know the pixels of the image by, as ``LoadedImage.content``."""
        return content_digest(self.sha256, self.source.values)

    @classmethod
    def from_json(cls, values: Fields) -> ImageInfo:
        """Raises ValueError for another form."""
        return cls(
            values.text("name"),
            values.text("sha256"),
            values.whole("width"),
            values.whole("height"),
            SourceInfo.from_json(values.child("source")),
        )
