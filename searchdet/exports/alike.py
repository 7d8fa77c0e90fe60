"""Images of the same content under several names: one that was searched as several, or copies."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from .labelled import Labelled

log = logging.getLogger(__name__)
_ENOUGH = 16
"""Hex digits of a digest that tell the images of an export apart."""


@dataclass(slots=True)
class Alike:
    """Notes the contents of images, one by one; says once how many were there before."""

    count: int = 0
    pair: tuple[str, str] = ("", "")
    _names: dict[str, str] = field(default_factory=dict)

    def note(self, image: Labelled) -> None:
        """Note one more."""
        first = (
            self._names.setdefault(image.sha256[:_ENOUGH], image.name) if image.sha256 else image.name
        )
        if first != image.name:
            self.pair = self.pair if self.count else (first, image.name)
            self.count += 1

    def warn(self, folder: Path) -> None:
        """One WARNING, where there are some."""
        if self.count:
            log.warning(
                "%s: %d images have the same content as another, such as %s and %s. All are counted. "
                "If they are one file, give it one name from each working folder: --root DIR.",
                folder,
                self.count,
                *self.pair,
            )
