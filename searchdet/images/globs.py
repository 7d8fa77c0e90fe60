"""Globs to files. A part that is there as it is written is no pattern:
a folder may be called ``run[1]``."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable
from glob import has_magic
from pathlib import Path

from ..errors import UsageError
from ..storage import files
from .scan import Look


def matches(pattern: str, look: Look) -> list[Path]:
    """The files that a glob matches, in no order; ``**`` stands for folders at any depth.

    Names are compared as the file system does; a hidden one is matched only by a part that begins with
    a full stop. Raises UsageError where no file is matched.
    """
    found = [Path()]
    *folders, last = Path(pattern).parts
    for part in folders:
        found = [path for path in _level(found, part, look) if files.is_folder(path)]
    if last == "**":
        found = [path for folder in found for path in look.walk(folder, deep=True).files]
    else:
        found = _level(found, last)
    chosen = [path for path in dict.fromkeys(found) if files.is_file(path)]
    chosen = [path for path in chosen if not look.scan.skips(path)]
    if not chosen:
        hint = (
            "It matches folders: add /* for the files in them."
            if any(map(files.is_folder, found))
            else ""
        )
        raise UsageError(f"{pattern}: no file matches.", hint)
    return chosen


def _level(folders: Iterable[Path], part: str, look: Look | None = None) -> list[Path]:
    """What a part of a pattern matches in folders; not a folder that it matches by a sign and that a
    search of what holds it would skip. look: None for the last part."""
    folders = list(folders)
    written = [folder / part for folder in folders if os.path.lexists(folder / part)]
    if written or not has_magic(part):
        return written
    if part == "**" and look is not None:
        return [inner for folder in folders for inner in look.walk(folder, deep=True).folders]
    found = [folder / name for folder in folders for name in _names(folder, part)]
    if look is None:
        return found
    return [path for path in found if not (files.is_folder(path) and look.skips_matched(path))]


def _names(folder: Path, part: str) -> list[str]:
    try:
        every = os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []  # a file, or not to be read: nothing in it is matched
    return [name for name in fnmatch.filter(every, part) if part[0] == "." or name[0] != "."]
