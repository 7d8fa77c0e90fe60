"""What a session is told when it is opened."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..bank import Bank
from ..config import Limits, Settings
from ..errors import UsageError
from ..output import Output, Picture
from . import limits as limiting
from .exemplars import Hands
from .log import NAME

BANK = "bank.safetensors"


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """settings: the options of `detect`; those of the models are the shelf's. paths: where images lie,
    by name. coming: names of images that are described later, so that an event may name one. words: of
    the command `detect` that finds the same: images, and options but those of single classes. output:
    how records are written, by default as `detect` does it; shown: pictures of the exemplars that the
    session starts with."""

    settings: Settings = Settings()
    paths: Mapping[str, Path] = field(default_factory=dict)
    coming: Collection[str] = ()
    words: tuple[str, ...] = ("IMAGES",)
    hands: Hands | None = None
    output: Output | None = None
    shown: tuple[Picture, ...] = ()

    def command(self, out: Path, limits: Limits, saved: Bank | None) -> str:
        """The command line that finds what the page shows; "" without a bank, as nothing is found then.
        limits: of single classes; those of classes without exemplars would be refused."""
        if saved is None:
            return ""
        own = limiting.words(limits, saved.classes)
        return shlex.join(("searchdet", "detect", *self.words, *own, "--bank", str(out / BANK)))


def require_own(out: Path) -> None:
    """Raise UsageError for a folder whose bank no session made: ours would take its place."""
    if (out / BANK).exists() and not (out / NAME).exists():
        raise UsageError(
            f"{out / BANK}: is of no session, which would write over it.",
            "Name another folder with -o; --bank gives a bank to begin with.",
        )
