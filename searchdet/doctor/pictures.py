"""How each file of a folder would be read as a picture, or why it is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ..config import MAX_PIXELS
from ..errors import ImageError, ResourceError, UsageError, memory_as_error
from ..images import READ, SUFFIXES, Bounds, LoadedImage, kind_at, natural, read_image
from ..records import ValueRange
from ..storage.values import JsonObject
from .checks import OK, PROBLEM, WARNING

LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Picture:
    """A file. state: ``ok``, ``warning`` (its range of values is a guess), ``problem`` (refused) or
    ``left out`` (a folder is not searched for it). format: by its content, "" for an unknown one.
    values: None for 8 bits a sample. reason, hint: why it is not read, and what to do."""

    name: str
    state: str
    format: str = ""
    width: int = 0
    height: int = 0
    frames: int = 0
    orientation: int = 1
    decoder: str = ""
    values: ValueRange | None = None
    reason: str = ""
    hint: str = ""

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        return asdict(self)

    def line(self) -> str:
        """A line for people."""
        return f"{self.state:8} {self.name}: {self.reason or self._facts()}"

    def _facts(self) -> str:
        bits = "8 bits"
        if self.values is not None:
            low, high = self.values.low, self.values.high
            bits = f"{self.values.stored}, {low:g} to {high:g} used ({self.values.by})"
        words = [f"{self.format} {self.width}x{self.height}", bits]
        if self.orientation != 1:
            words.append(f"orientation {self.orientation}")
        if self.frames > 1:
            words.append(f"the first of {self.frames} pictures")
        return ", ".join([*words, f"by {self.decoder}"])


def survey(
    folder: Path, given: Bounds | None = None, max_pixels: int = MAX_PIXELS
) -> Iterator[Picture]:
    """Each file of a folder and of those in it, in natural order; each picture is decoded. Raises
    UsageError where there is no such folder."""
    if not folder.is_dir():
        raise UsageError(f"--images {folder}: there is no such folder.", "Name a folder of images.")
    paths = (Path(base) / name for base, _, names in os.walk(folder) for name in names)
    for path in sorted(paths, key=natural):
        yield _seen(path, path.relative_to(folder), given, max_pixels)


def _seen(path: Path, name: Path, given: Bounds | None, max_pixels: int) -> Picture:
    kind = kind_at(path)
    if any(part.startswith(".") for part in name.parts):
        return Picture(name.as_posix(), LEFT_OUT, kind, reason="hidden")
    if path.suffix.lower() not in SUFFIXES:
        what = f"is a {kind} file by its content" if kind else "no picture by its suffix"
        known = "Rename it, or name the file itself." if kind in READ else "Convert it to PNG or JPEG."
        hint = known if kind else ""
        return Picture(name.as_posix(), LEFT_OUT, kind, reason=what, hint=hint)
    try:
        with memory_as_error(path):
            return _read(name.as_posix(), kind, read_image(path, max_pixels, given))
    except (ImageError, ResourceError) as error:
        reason = error.message.removeprefix(f"{path}: ")
        return Picture(name.as_posix(), PROBLEM, kind, reason=reason, hint=error.hint)


def _read(name: str, kind: str, image: LoadedImage) -> Picture:
    guessed = image.values is not None and image.values.guessed
    return Picture(
        name,
        WARNING if guessed else OK,
        kind,
        image.width,
        image.height,
        image.frames,
        image.orientation,
        image.decoder,
        image.values,
        hint="Say which values are black and white: --value-range LOW,HIGH." if guessed else "",
    )
