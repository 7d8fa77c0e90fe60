"""What a session is told when it is opened."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..config import Settings
from ..output import Output, Picture
from .exemplars import Hands

BANK = "bank.safetensors"


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """settings: the options of `detect`; those of the models are the shelf's. paths: where images lie,
    by name. coming: names of images that are described later, so that an event may name one. words: of
    the command `detect` that finds the same, images and options. output: how records are written, by
    default as `detect` does it; shown: pictures of the exemplars that the session starts with."""

    settings: Settings = Settings()
    paths: Mapping[str, Path] = field(default_factory=dict)
    coming: Collection[str] = ()
    words: tuple[str, ...] = ("IMAGES",)
    hands: Hands | None = None
    output: Output | None = None
    shown: tuple[Picture, ...] = ()

    def command(self, out: Path) -> str:
        """The command line that finds what the page shows."""
        return shlex.join(("searchdet", "detect", *self.words, "--bank", str(out / BANK)))
