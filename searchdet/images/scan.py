"""How inputs are read, and what is left out of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..config.address import Place
from ..errors import UsageError
from ..storage import files
from ..storage.places import lies_in
from .leftout import LeftOut
from .sniff import SUFFIXES
from .walk import WRITTEN, Walked, broken, is_output, walk

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scan:
    """How inputs are read. root: names are relative to it. never: folders that are not looked into
    (the output, the cache). examples: folders of examples, left out with those of earlier runs where
    they lie in what is searched, and said once. null: lists are separated by NUL instead of line feeds.
    shard: (i, n), only the i-th of n parts, from 1."""

    root: Place | None = None
    recursive: bool = False
    follow_symlinks: bool = False
    never: tuple[Place, ...] = ()
    examples: tuple[Place, ...] = ()
    null: bool = False
    shard: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if isinstance(self.root, Path) and not files.is_folder(self.root):
            raise UsageError(f"--root {self.root}: there is no such folder.")
        part, parts = self.shard
        if not 1 <= part <= parts:
            raise UsageError(f"--shard {part}/{parts}: the part must lie between 1 and {parts}.")

    def skips(self, path: Path) -> bool:
        """Whether a path lies in a folder that is not looked into."""
        return any(lies_in(path, folder) for folder in self.never)


@dataclass(slots=True)
class Look:
    """Looks into folders for a scan, and remembers what it leaves out. A folder that is named itself is
    always looked into, unless it is the output or the cache; of an earlier output without the folders
    that the run wrote. given: the examples. within: the earlier output that is looked into."""

    scan: Scan
    examples: list[Place] = field(default_factory=list)
    outputs: list[Place] = field(default_factory=list)
    linked: list[Path] = field(default_factory=list)
    broken: list[Path] = field(default_factory=list)
    given: frozenset[Path] = frozenset()
    within: Path | None = None

    def __post_init__(self) -> None:
        here = (place for place in self.scan.examples if isinstance(place, Path))
        self.given = frozenset(map(files.real, here))

    def walk(self, top: Path, deep: bool) -> Walked:
        """What lies in a folder; deep: in those within it, too."""
        follow = self.scan.follow_symlinks
        found = walk(top, deep, follow, partial(self.skips, top))
        self.linked += [link for link in found.linked if files.real(link) not in self.given]
        for name, reason in found.unreadable:
            log.warning("%s: the folder cannot be looked into (%s).", name, reason)
        return found

    def images(self, top: Path, left: LeftOut) -> list[Path]:
        """The images of a folder, as the scan says also those within it. Links to nothing that would be
        images are among them, to be recorded as failed; others are remembered. left: is told of the
        other files."""
        images = []
        for path in self.walk(top, self.scan.recursive).files:
            if path.suffix.lower() in SUFFIXES:
                images.append(path)
            elif broken(path):
                self.broken.append(path)
            else:
                left.add(path)
        return images

    def skips(self, top: Path | None, folder: Path, folders: list[str], names: list[str]) -> bool:
        """Whether a folder, with the folders and files in it, is not searched; top was named itself.
        Remembers examples and earlier outputs."""
        if self.scan.skips(folder):
            return True
        if folder == top:
            self.within = folder if is_output(folder, folders, names) else None
            return False
        if folder.parent == self.within and folder.name in WRITTEN:
            self.outputs.append(folder)
            return True
        if self.given and files.real(folder) in self.given:
            self.examples.append(folder)
            return True
        if is_output(folder, folders, names):
            self.outputs.append(folder)
            return True
        return False

    def skips_matched(self, folder: Path) -> bool:
        """``skips`` for a folder that a glob has matched."""
        try:
            with os.scandir(folder) as entries:
                kinds = [(entry.name, entry.is_dir()) for entry in entries]
        except OSError:
            return False  # what is in it cannot be matched either
        folders = [name for name, is_folder in kinds if is_folder]
        return self.skips(None, folder, folders, [name for name, is_folder in kinds if not is_folder])

    def say(self) -> None:
        """One WARNING for each kind of what was left out."""
        left = (("examples", self.examples), ("earlier runs", self.outputs))
        parts = [f"{len(set(found))} of {what} ({_few(found)})" for what, found in left if found]
        if parts:
            log.warning("Folders left out of the search: %s. Name one to search it.", ", ".join(parts))
        if self.linked:
            count, few = len(set(self.linked)), _few(self.linked)
            log.warning("Linked folders not looked into: %d (%s). See --follow-symlinks.", count, few)
        if self.broken:
            log.warning("Links to nothing: %d (%s).", len(set(self.broken)), _few(self.broken))


def _few(paths: Collection[Place]) -> str:
    every = sorted({str(path) for path in paths})
    return ", ".join([*every[:3], "..."] if len(every) > 3 else every)
