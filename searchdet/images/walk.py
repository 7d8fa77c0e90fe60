"""Folders and what lies in them: links, loops of them, and what is no folder to search."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..storage import files, kinds

RUN = frozenset(("records", "sources", "thumbnails"))
"""Folders that a run writes; a killed one leaves them without ``run.json``."""
WRITTEN = RUN | {"exemplars", "overlays", "masks", "crops", "heatmaps", "anomaly"}
"""All folders that a run may write."""


@dataclass(slots=True)
class Walked:
    """What was met: files (not hidden, in no order) and folders, the first among them; linked folders
    that were not followed; links to a folder that they lie in; folders that cannot be read, each with
    the reason."""

    files: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    linked: list[Path] = field(default_factory=list)
    loops: list[Path] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


Skip = Callable[[Path, list[str], list[str]], bool]
"""Of a folder, its folders and its files: whether it is not looked into."""


def walk(top: Path, deep: bool, follow: bool, skip: Skip = lambda *_: False) -> Walked:
    """The files of a folder; deep: of its folders too; follow: also of linked ones, which come last.

    Each folder once, and none that is hidden. A link to a folder above itself is never followed.
    """
    found, visited = Walked(), set[tuple[int, int]]()

    def unreadable(error: OSError) -> None:
        found.unreadable.append((str(error.filename), str(error.strerror)))

    waiting = deque([top])
    while waiting:
        for base, folders, names in os.walk(waiting.popleft(), onerror=unreadable):
            here = Path(base)
            stat = here.stat()
            if (stat.st_dev, stat.st_ino) in visited or skip(here, folders, names):
                folders[:] = []
                continue
            visited.add((stat.st_dev, stat.st_ino))
            found.folders.append(here)
            found.files += [here / name for name in names if not name.startswith(".")]
            inner = sorted(name for name in folders if not name.startswith(".") and deep)
            folders[:] = [name for name in inner if not (here / name).is_symlink()]
            links = [here / name for name in inner if (here / name).is_symlink()]
            loops = [link for link in links if leads_back(link)]
            found.loops += loops
            (waiting if follow else found.linked).extend(link for link in links if link not in loops)
    return found


def leads_back(link: Path) -> bool:
    """Whether a path leads to a folder that it lies in."""
    return files.real(link.parent).is_relative_to(files.real(link))


def broken(path: Path) -> bool:
    """Whether a path is a link to nothing."""
    return path.is_symlink() and not path.exists()


def is_output(folder: Path, folders: list[str], names: list[str]) -> bool:
    """Whether a folder holds a run of ours, finished or not. folders, names: what is in it."""
    if set(folders) >= RUN:
        return True
    if kinds.RUN_FILE not in names:
        return False
    try:
        value = json.loads((folder / kinds.RUN_FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False  # somebody else's
    return isinstance(value, dict) and str(value.get("schema")).startswith(kinds.RUN_FORM)
