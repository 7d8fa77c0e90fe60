"""What lies in a cache folder, and how it is cut back. Touches only files that are named as entries."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import files
from .kinds import KINDS

log = logging.getLogger(__name__)
_ENTRY = re.compile(r"[a-z0-9]+/([0-9a-f]{2}/[0-9a-f]{62}\.safetensors|[0-9a-f]{64}\.json)")
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the cache. used: when it was last used, seconds of the epoch."""

    path: Path
    kind: str
    size: int
    used: float


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of one kind there is."""

    kind: str
    entries: int
    size: int


def entries(folder: Path) -> Iterator[Entry]:
    """All entries below a cache folder, in any order; none where there is no folder."""
    for kind in KINDS:
        for path in (folder / kind).rglob("*"):
            if not _ENTRY.fullmatch(path.relative_to(folder).as_posix()) or path.is_symlink():
                continue
            try:
                stat = path.stat()
            except FileNotFoundError:  # another process cut it back
                continue
            yield Entry(path, kind, stat.st_size, stat.st_mtime)


def usage(folder: Path) -> list[Usage]:
    """How much of each kind there is, in the order of KINDS."""
    counts = dict.fromkeys(KINDS, 0)
    sizes = dict.fromkeys(KINDS, 0)
    for entry in entries(folder):
        counts[entry.kind] += 1
        sizes[entry.kind] += entry.size
    return [Usage(kind, counts[kind], sizes[kind]) for kind in KINDS]


def clear(folder: Path, kinds: tuple[str, ...] = KINDS) -> Usage:
    """Remove all entries of some kinds, and what killed processes left. Raises OutputError where an
    entry cannot be removed."""
    files.sweep(folder)
    return _remove(entry for entry in entries(folder) if entry.kind in kinds)


def prune(folder: Path, max_bytes: int | None, max_days: float | None) -> Usage:
    """Remove entries that were not used for ``max_days``, then those used longest ago until at most
    ``max_bytes`` are left; and what killed processes left. Raises OutputError."""
    files.sweep(folder)
    every = sorted(entries(folder), key=lambda entry: (entry.used, entry.path.as_posix()))
    oldest = time.time() - max_days * DAY if max_days is not None else 0.0
    gone = [entry for entry in every if entry.used < oldest]
    left = every[len(gone) :]
    size = sum(entry.size for entry in left)
    for entry in left:
        if max_bytes is None or size <= max_bytes:
            break
        gone.append(entry)
        size -= entry.size
    return _remove(gone)


def _remove(chosen: Iterator[Entry] | list[Entry]) -> Usage:
    count = size = 0
    for entry in list(chosen):
        files.remove(entry.path)
        count, size = count + 1, size + entry.size
    return Usage("removed", count, size)
