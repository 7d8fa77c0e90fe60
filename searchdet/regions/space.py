"""The space that vectors live in: what makes them comparable, and the options that lead there again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..backbones import Backbone
from ..config import BackboneOptions, EmbeddingOptions
from ..errors import UsageError


@dataclass(frozen=True, slots=True)
class Space:
    """What makes vectors comparable: two spaces whose fields differ have nothing to do with each other.

    weights: SHA-256 of the weight file, None for the embedded backbone.
    """

    backbone: str
    weights: str | None
    preprocessing: str
    pooling: str
    dim: int

    def differences(self, other: Space) -> list[str]:
        """Sentences like ``backbone is a here and b there``; empty for one and the same space."""
        mine, theirs = asdict(self), asdict(other)
        names = [item.name for item in fields(self) if mine[item.name] != theirs[item.name]]
        return [f"{name} is {mine[name]} here and {theirs[name]} there" for name in names]


def require_text(value: Any) -> None:
    """Raise TypeError or ValueError for what is no text, or none that a file name can hold."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    value.encode("utf-8", "surrogateescape")


def space_from(values: Any) -> Space:
    """The space of JSON values. Raises TypeError or ValueError for others."""
    space = Space(**values)
    for text in (space.backbone, space.preprocessing, space.pooling, space.weights or ""):
        require_text(text)
    if not isinstance(space.dim, int) or space.dim < 1:
        raise ValueError(f"its space is {values}")
    return space


def space_of(backbone: Backbone, options: EmbeddingOptions) -> Space:
    """The space in which a backbone with these options puts its vectors."""
    pooling = "mean" if options.pooling == "mean" else f"topk {options.topk_share}"
    weights = backbone.weights.sha256 if backbone.weights else None
    return Space(backbone.name, weights, backbone.preprocessing, pooling, backbone.dim)


def options_of(
    space: Space,
    weights: Path | None,
    device: str,
    precision: str,
    allow_unverified: bool = False,
) -> tuple[BackboneOptions, EmbeddingOptions]:
    """Options that put vectors into ``space`` again. Raises UsageError for one that none put there."""
    kind, _, share = space.pooling.partition(" ")
    try:
        side = int(space.preprocessing.split(",")[0].removeprefix("short_side="))
        embedding = EmbeddingOptions(kind, float(share)) if share else EmbeddingOptions(kind)
    except ValueError as error:
        raise UsageError(
            f"no options put vectors into the space of {space.preprocessing!r}."
        ) from error
    path = str(weights) if weights else None
    options = BackboneOptions(space.backbone, path, device, precision, side, allow_unverified)
    return options, embedding
