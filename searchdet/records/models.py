"""What a record says of the models, options and exemplars behind it; an index keeps the models too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ..config import EmbeddingOptions, ProposalOptions, ScoringOptions, SuppressionOptions
from ..errors import UsageError
from ..storage.values import Fields, JsonObject
from .normality import NormalityInfo
from .thresholds import ClassThreshold

Options = TypeVar("Options", EmbeddingOptions, ProposalOptions, ScoringOptions, SuppressionOptions)
_NOT_SAID = ("name", "checkpoint", "allow_unverified", "masks_from", "masks_dataset")
"""Options of the proposer that are no settings: its name and what file it has stand beside them."""
_LATER: JsonObject = {
    "crop_points_downscale": 1,
    "sam_long_side": None,
    "negative_quantile": 1.0,
    "cross_negatives": False,
    "ratio": 1.0,
    "scale": "any",
    "normal_weight": 0.1,
}
"""Options that files of this form from before them do not name, with the value that acted then."""


@dataclass(frozen=True, slots=True)
class WeightsInfo:
    """A weight file that was loaded. layout: its naming scheme. verified: True (the hash matches the
    published one), False (an official name, another hash) or None (nothing is published). prefix: what
    all its names began with beyond the layout. unused: parts of it that are not of the network."""

    file: str
    sha256: str
    layout: str
    verified: bool | None
    prefix: str = ""
    unused: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """What the network is made of: the file, and how it was read, settings beside it included."""
        return f"{self.sha256} {self.layout}"

    @classmethod
    def from_json(cls, values: Fields) -> WeightsInfo:
        """Raises ValueError for another form."""
        return cls(
            values.text("file"),
            values.text("sha256"),
            values.text("layout"),
            values.optional_flag("verified"),
            values.text("prefix"),
            values.texts("unused"),
        )


@dataclass(frozen=True, slots=True)
class PixelStats:
    """What a network takes off pixels (0..1) and divides them by, by channel. source: where that is
    known from: ``given`` by the user, bank or index, ``file name``, ``content``, the name of a file of
    settings beside it, ``backbone`` (all published weights agree), or ``assumed`` (nothing tells)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str

    @classmethod
    def from_json(cls, values: Fields) -> PixelStats:
        """Raises ValueError for another form."""
        return cls(values.numbers("mean", 3), values.numbers("std", 3), values.text("source"))


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a backbone sees an image. short_side: pixels; sides are whole multiples of stride; resize:
    the rule (``bicubic``, or ``downscale_only`` where small images stay as they are). position_rank:
    directions of the feature space that tell of place alone and are taken off. pixel_stats: None for
    what is no network."""

    short_side: int
    stride: int
    resize: str
    position_rank: int = 0
    pixel_stats: PixelStats | None = None

    @classmethod
    def from_json(cls, values: Fields) -> Preprocessing:
        """Raises ValueError for another form."""
        stats = values.optional_child("pixel_stats")
        return cls(
            values.whole("short_side", least=1),
            values.whole("stride", least=1),
            values.text("resize"),
            values.whole("position_rank"),
            None if stats is None else PixelStats.from_json(stats),
        )


@dataclass(frozen=True, slots=True)
class BackboneInfo:
    """The backbone. precision: fp32, bf16 or fp16. weights: None for an embedded one."""

    name: str
    preprocessing: Preprocessing
    precision: str
    weights: WeightsInfo | None

    @classmethod
    def from_json(cls, values: Fields) -> BackboneInfo:
        """Raises ValueError for another form."""
        return cls(
            values.text("name"),
            Preprocessing.from_json(values.child("preprocessing")),
            values.text("precision"),
            _weights(values),
        )


@dataclass(frozen=True, slots=True)
class ProposerInfo:
    """The proposer and its options. fallback: it stands in for SAM. precision: None without network."""

    name: str
    fallback: bool
    precision: str | None
    weights: WeightsInfo | None
    options: ProposalOptions

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return {
            "name": self.name,
            "fallback": self.fallback,
            "precision": self.precision,
            "weights": asdict(self.weights) if self.weights else None,
            "options": proposal_settings(self.options),
        }

    @classmethod
    def from_json(cls, values: Fields) -> ProposerInfo:
        """Raises ValueError for another form."""
        name = values.text("name")
        return cls(
            name,
            values.flag("fallback"),
            values.optional_text("precision"),
            _weights(values),
            _options(ProposalOptions, values.child("options"), name=name),
        )


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Backbone, proposer and pooling: all that regions depend on beside the image. value_range: the
    option for images with more than 8 bits, None where each one's is found."""

    backbone: BackboneInfo
    proposer: ProposerInfo
    embedding: EmbeddingOptions
    value_range: tuple[float, float] | None = None

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return {
            "value_range": None if self.value_range is None else list(self.value_range),
            "backbone": asdict(self.backbone),
            "proposer": self.proposer.to_json(),
            "embedding": asdict(self.embedding),
        }

    @classmethod
    def from_json(cls, values: Fields) -> ModelInfo:
        """Raises ValueError for another form."""
        return cls(
            BackboneInfo.from_json(values.child("backbone")),
            ProposerInfo.from_json(values.child("proposer")),
            embedding_from(values.child("embedding")),
            _bounds(values),
        )


@dataclass(frozen=True, slots=True)
class ExemplarInfo:
    """How many exemplars there are, and the names of those that were treated in a special way.

    negative: those that count. ignored_negatives: they conflict with positives. skipped: they cannot
    be read. auto_masks: the object was looked for. miscut_negatives: they lie on an object that was
    said to be right, so they decide their own regions and no others. shapes_known: outlines are
    compared. views: changed views of the positives, which are not among these.
    """

    positive: int
    negative: int
    ignored_negatives: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    auto_masks: tuple[str, ...] = ()
    miscut_negatives: tuple[str, ...] = ()
    shapes_known: bool = False
    views: int = 0

    @classmethod
    def from_json(cls, values: Fields) -> ExemplarInfo:
        """Raises ValueError for another form."""
        return cls(
            values.whole("positive"),
            values.whole("negative"),
            values.texts("ignored_negatives"),
            values.texts("skipped"),
            values.texts("auto_masks"),
            values.texts("miscut_negatives") if "miscut_negatives" in values.values else (),
            values.flag("shapes_known"),
            values.whole("views") if "views" in values else 0,
        )


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Models, rule, thresholds and exemplars: what every record of a run says alike."""

    models: ModelInfo
    scoring: ScoringOptions
    suppression: SuppressionOptions
    thresholds: Mapping[str, ClassThreshold]
    exemplars: ExemplarInfo
    normality: NormalityInfo | None = None

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        normal = {} if self.normality is None else {"normality": asdict(self.normality)}
        return {
            **self.models.to_json(),
            "scoring": asdict(self.scoring),
            "suppression": asdict(self.suppression),
            "thresholds": {name: item.to_json() for name, item in self.thresholds.items()},
            "exemplars": asdict(self.exemplars),
            **normal,
        }

    @classmethod
    def from_json(cls, values: Fields) -> RunInfo:
        """Raises ValueError for another form."""
        thresholds = values.child("thresholds")
        normal = values.optional_child("normality") if "normality" in values.values else None
        return cls(
            ModelInfo.from_json(values),
            _options(ScoringOptions, values.child("scoring")),
            _options(SuppressionOptions, values.child("suppression")),
            {name: ClassThreshold.from_json(thresholds.child(name)) for name in thresholds.values},
            ExemplarInfo.from_json(values.child("exemplars")),
            None if normal is None else NormalityInfo.from_json(normal),
        )


def embedding_from(values: Fields) -> EmbeddingOptions:
    """Raises ValueError for another form."""
    return _options(EmbeddingOptions, values)


def proposal_settings(options: ProposalOptions) -> JsonObject:
    """The settings of the proposals; what is said of their weights is not among them."""
    return {name: value for name, value in asdict(options).items() if name not in _NOT_SAID}


def _weights(values: Fields) -> WeightsInfo | None:
    found = values.optional_child("weights")
    return None if found is None else WeightsInfo.from_json(found)


def _bounds(values: Fields) -> tuple[float, float] | None:
    if values.values.get("value_range", ...) is None:
        return None
    low, high = values.numbers("value_range", 2)
    return low, high


def _options(kind: type[Options], values: Fields, **given: Any) -> Options:
    """Options of a kind from all their fields. Raises ValueError for another form."""
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name not in _NOT_SAID}
    later = {name: value for name, value in _LATER.items() if name in hints}
    held = {**later, **values.values}
    if set(held) != set(hints):
        raise ValueError(f"{values.name} has other options than {', '.join(hints)}")
    plain = {name: _tuples(value) for name, value in held.items()}
    for name, hint in hints.items():
        if not _fits(plain[name], hint):
            raise ValueError(f"{values.name}.{name} is {plain[name]!r:.60}")
    try:
        return kind(**plain, **given)
    except UsageError as error:
        raise ValueError(f"{values.name}: {error.message}") from error


def _tuples(value: object) -> Any:
    """Lists, at any depth, as tuples."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _fits(value: object, hint: Any) -> bool:
    """Whether a value is of the type that an option is declared with."""
    parts = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if get_origin(hint) is tuple:
        if not isinstance(value, tuple):
            return False
        if len(parts) == 2 and parts[1] is Ellipsis:
            return all(_fits(item, parts[0]) for item in value)
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return type(value) is hint
