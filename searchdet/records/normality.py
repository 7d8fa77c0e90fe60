"""What a record says of what was normal."""

from __future__ import annotations

from dataclasses import dataclass

from ..storage.values import Fields


@dataclass(frozen=True, slots=True)
class NormalityInfo:
    """What is known of what is normal.

    method: ``subspace`` or ``nearest`` of good parts, or ``image``, each its own measure. images,
    cells: of the good parts, all their views counted. middle, spread: median and deviation of the
    residuals of good parts that were left out. limit: what stands out on them, the unit of what is
    unusual. A single good part says no units: middle 0, spread 1, limit 1. proposer: whose masks stood
    out. tile: pixels of the tiles that images were seen in, 0 for none; tile_by: ``given``, or
    ``exemplar``, the smallest of which would else have few pixels.
    """

    method: str
    images: int
    cells: int
    views: str
    middle: float
    spread: float
    limit: float
    proposer: str
    tile: int = 0
    tile_by: str = "given"

    @classmethod
    def from_json(cls, values: Fields) -> NormalityInfo:
        """Raises ValueError for another form."""
        counts = (values.whole("images"), values.whole("cells"))
        units = (values.number("middle"), values.number("spread"), values.number("limit"))
        if units[1] <= 0 or units[2] <= 0:
            raise ValueError(f"{values.name} has no unit")
        return cls(
            values.text("method"),
            *counts,
            values.text("views"),
            *units,
            values.text("proposer"),
            values.whole("tile"),
            values.text("tile_by"),
        )
