"""The space that vectors live in: what makes them comparable, and the options that lead there again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from ..backbones import Backbone
from ..config import BackboneOptions, EmbeddingOptions
from ..records import Preprocessing, embedding_from
from ..storage.values import Fields, JsonObject


@dataclass(frozen=True, slots=True)
class Space:
    """What makes vectors comparable: two spaces whose fields differ have nothing to do with each other.

    weights: SHA-256 of the weight file, None for the embedded backbone.
    """

    backbone: str
    weights: str | None
    preprocessing: Preprocessing
    embedding: EmbeddingOptions
    dim: int

    def differences(self, other: Space) -> list[str]:
        """Sentences like ``backbone is a here and b there``; empty for one and the same space."""
        mine, theirs = _flat(self), _flat(other)
        names = [name for name in mine if mine[name] != theirs[name]]
        return [f"{name} is {mine[name]} here and {theirs[name]} there" for name in names]

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Fields) -> Space:
        """Raises ValueError for another form."""
        return cls(
            values.text("backbone"),
            values.optional_text("weights"),
            Preprocessing.from_json(values.child("preprocessing")),
            embedding_from(values.child("embedding")),
            values.whole("dim", least=1),
        )


def space_of(backbone: Backbone, options: EmbeddingOptions) -> Space:
    """The space in which a backbone with these options puts its vectors."""
    weights = backbone.weights.sha256 if backbone.weights else None
    return Space(backbone.name, weights, backbone.preprocessing, options, backbone.dim)


def options_of(
    space: Space,
    weights: Path | None,
    device: str,
    precision: str,
    allow_unverified: bool = False,
) -> tuple[BackboneOptions, EmbeddingOptions]:
    """Options that put vectors into ``space`` again."""
    side = space.preprocessing.short_side
    options = BackboneOptions(space.backbone, weights, device, precision, side, allow_unverified)
    return options, space.embedding


def _flat(space: Space) -> dict[str, object]:
    own = {"backbone": space.backbone, "weights": space.weights, "dim": space.dim}
    return own | asdict(space.preprocessing) | asdict(space.embedding)
