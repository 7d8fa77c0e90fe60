"""The space that vectors live in: what makes them comparable, and the options that lead there again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from ..backbones import Backbone
from ..config import EmbeddingOptions, Settings
from ..config.pixels import AUTO, as_text
from ..records import Preprocessing, embedding_from
from ..storage.values import Fields, JsonObject
from ..weights.pixels import GIVEN


@dataclass(frozen=True, slots=True)
class Space:
    """What makes vectors comparable: two spaces whose fields differ have nothing to do with each other.

    weights: SHA-256 of the weight file, None for a backbone without. parts: widths of the parts of a
    vector; share: what the last of them weighs in a cosine. crop_side: pixels of the crops of a second
    look, whose vectors are in the place of the last part; 0 where nothing looks again.
    """

    backbone: str
    weights: str | None
    preprocessing: Preprocessing
    embedding: EmbeddingOptions
    dim: int
    parts: tuple[int, ...] = ()
    crop_side: int = 0
    share: float = 1.0

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
            values.wholes("parts"),
            values.whole("crop_side"),
            values.number("share"),
        )


def space_of(backbone: Backbone, options: EmbeddingOptions) -> Space:
    """The space in which a backbone with these options puts its vectors."""
    weights = backbone.weights.sha256 if backbone.weights else None
    closer = backbone.closer
    return Space(
        backbone.name,
        weights,
        _comparable(backbone.preprocessing),
        options,
        backbone.dim,
        backbone.parts,
        closer.crop_side if closer is not None else 0,
        backbone.share,
    )


def settings_in(space: Space, settings: Settings) -> Settings:
    """The settings with the backbone and the pooling that put vectors into ``space`` again."""
    side = space.preprocessing.short_side
    rank = space.preprocessing.position_rank
    stats = space.preprocessing.pixel_stats
    given = AUTO if stats is None else as_text((stats.mean, stats.std))
    backbone = replace(
        settings.backbone,
        name=space.backbone,
        feat_short_side=side,
        position_rank=rank,
        pixel_stats=given,
    )
    return replace(settings, backbone=backbone, embedding=space.embedding)


def _comparable(preprocessing: Preprocessing) -> Preprocessing:
    """Without where the mean and deviation of pixels are known from, which changes no vector."""
    stats = preprocessing.pixel_stats
    if stats is None:
        return preprocessing
    return replace(preprocessing, pixel_stats=replace(stats, source=GIVEN))


def _flat(space: Space) -> dict[str, object]:
    names = ("backbone", "weights", "dim", "parts", "crop_side", "share")
    own = {name: getattr(space, name) for name in names}
    flat = own | asdict(space.preprocessing) | asdict(space.embedding)
    stats = space.preprocessing.pixel_stats
    return flat | {"pixel_stats": None if stats is None else as_text((stats.mean, stats.std))}
