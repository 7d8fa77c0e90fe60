"""Which images are meant: files, folders, globs and lists to paths and record names."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..storage import files
from .leftout import LeftOut
from .sniff import SUFFIXES

log = logging.getLogger(__name__)
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Query:
    """One image to search: its file, and its name in records (relative, with ``/``)."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Scan:
    """How inputs are read. root: names are relative to it. never: folders that are not looked into
    (outputs, caches). null: lists are separated by NUL instead of line feeds. shard: (i, n), only the
    i-th of n parts, from 1."""

    root: Path | None = None
    recursive: bool = False
    follow_symlinks: bool = False
    never: tuple[Path, ...] = ()
    null: bool = False
    shard: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if self.root is not None and not files.is_folder(self.root):
            raise UsageError(f"--root {self.root}: there is no such folder.")
        part, parts = self.shard
        if not 1 <= part <= parts:
            raise UsageError(f"--shard {part}/{parts}: the part must lie between 1 and {parts}.")

    def skips(self, path: Path) -> bool:
        """Whether a path lies in a folder that is not looked into."""
        real = files.real(path)
        return any(real.is_relative_to(folder) for folder in self.never)


def parse_shard(text: str) -> tuple[int, int]:
    """``2/8`` as (2, 8). Raises UsageError for another form."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None:
        raise UsageError(f"--shard {text!r} is not PART/PARTS.", "For example --shard 2/8.")
    return int(match[1]), int(match[2])


def discover(inputs: list[str], scan: Scan | None = None) -> list[Query]:
    """Images named by files, folders, quoted globs, ``@file`` with a path a line, and ``-`` for such a
    list on stdin; in natural order within each folder or glob.

    Names are relative to ``scan.root``; without it to a folder that was given, else to the working
    folder, else to the file's own folder. A listed path that is not there stays, to be recorded as
    failed. Raises UsageError where nothing is found or two names collide.
    """
    scan = scan or Scan()
    seen: dict[str, Path] = {}
    unique = []
    for query in (query for text in inputs for query in _expand(text, scan)):
        key = files.collision_key(query.name)
        path = files.real(query.path)
        if key not in seen:
            seen[key] = path
            unique.append(query)
        elif seen[key] != path:
            raise UsageError(
                f"{query.path} and {seen[key]} would both be recorded as {query.name}.",
                "Pass --root with a folder that holds both.",
            )
    part, parts = scan.shard
    return [query for query in unique if shard_of(query.name, parts) == part]


def shard_of(name: str, parts: int) -> int:
    """Which of ``parts``, from 1, a name belongs to; depends on the name alone."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % parts + 1


def _expand(text: str, scan: Scan) -> list[Query]:
    if text == STDIN:
        return _listed(sys.stdin.buffer.read(), "-", scan)
    if text.startswith("@"):
        try:
            return _listed(Path(text[1:]).read_bytes(), text, scan)
        except OSError as error:
            raise UsageError(f"{text}: the list cannot be read ({error.strerror}).") from error
    path = Path(text)
    if path.is_dir():
        return _folder(path, scan)
    if path.is_file():
        return [Query(path, _name(path, scan.root))]
    if glob.has_magic(text):
        matches = [Path(item) for item in glob.glob(text, recursive=True)]
        found = sorted((p for p in matches if p.is_file() and not scan.skips(p)), key=natural)
        if found:
            return [Query(item, _name(item, scan.root)) for item in found]
        raise UsageError(f"{text}: no file matches.")
    raise UsageError(f"{text}: no such file or folder.", "Name images, a folder or a quoted glob.")


def _listed(data: bytes, source: str, scan: Scan) -> list[Query]:
    """The paths of a list; empty lines do not count."""
    lines = data.split(b"\0") if scan.null else data.splitlines()
    if any(b"\0" in line for line in lines):
        raise UsageError(
            f"{source}: the list has a NUL within a path.", "Pass --null if it parts them."
        )
    paths = [Path(os.fsdecode(line)) for line in lines if line]
    if not paths:
        raise UsageError(f"{source}: the list names no image.")
    found: list[Query] = []
    for path in paths:
        found += _folder(path, scan) if files.is_folder(path) else [Query(path, _name(path, scan.root))]
    return found


def _folder(path: Path, scan: Scan) -> list[Query]:
    left = LeftOut()
    found = sorted(_images_in(path, scan, left), key=natural)
    if not found:
        deeper = "" if scan.recursive else " (add --recursive for folders inside it)"
        seen = f", but {left.words()}" if left.counts else ""
        raise UsageError(f"{path}: no image in this folder{deeper}{seen}.")
    left.warn(path)
    return [Query(item, _name(item, scan.root or path)) for item in found]


def _images_in(folder: Path, scan: Scan, left: LeftOut) -> Iterator[Path]:
    """Images below a folder. Hidden folders and those of ``scan.never`` are not looked into, and no
    folder twice, so a loop of links ends. left: is told of the other files."""
    visited: set[tuple[int, int]] = set()
    for base, folders, names in os.walk(folder, True, _unreadable, scan.follow_symlinks):
        stat = Path(base).stat()
        if (stat.st_dev, stat.st_ino) in visited or scan.skips(Path(base)):
            folders[:] = []
            continue
        visited.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith(".") and scan.recursive)
        for name in names:
            if name.startswith("."):
                continue
            if Path(name).suffix.lower() in SUFFIXES:
                yield Path(base) / name
            else:
                left.add(Path(base) / name)


def _unreadable(error: OSError) -> None:
    log.warning("%s: the folder cannot be looked into (%s).", error.filename, error.strerror)


def natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key by which 2.jpg comes before 10.jpg."""
    return natural_text(path.as_posix())


def natural_text(text: str) -> list[tuple[int, int, str]]:
    """``natural`` for the text of a path."""
    parts = re.split(r"(\d+)", text)
    return [(1, int(p), p) if p.isdecimal() else (0, 0, p) for p in parts]


def _name(path: Path, root: Path | None) -> str:
    """Relative name of a file: below ``root``, else below the working folder, else its bare name."""
    absolute = Path(os.path.abspath(path))
    base = Path(os.path.abspath(root)) if root is not None else Path.cwd()
    if absolute.is_relative_to(base):
        return absolute.relative_to(base).as_posix()
    if root is not None:
        raise UsageError(f"{path}: lies outside --root {root}.")
    return absolute.name
