"""What a record says of its image beside the candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..storage.values import Fields, JsonObject


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """How the file of an image was read. frames: how many it has; orientation: EXIF's number;
    stored_size: (width, height) before that was applied."""

    frames: int
    orientation: int
    stored_size: tuple[int, int]

    @classmethod
    def from_json(cls, values: Fields) -> SourceInfo:
        """Raises ValueError for another form."""
        width, height = (int(value) for value in values.numbers("stored_size", 2))
        return cls(values.whole("frames"), values.whole("orientation"), (width, height))


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
