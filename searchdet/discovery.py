"""Which images are meant: files, folders and globs to paths and record names, in natural order."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import files
from .errors import UsageError
from .images import SUFFIXES


@dataclass(frozen=True, slots=True)
class Query:
    """One image to search: its file, and its name in records (relative, with ``/``)."""

    path: Path
    name: str


def discover(inputs: list[str], root: Path | None = None, recursive: bool = False) -> list[Query]:
    """Images named by files, folders and quoted globs, in natural order within each.

    Names are relative to ``root``; without it to a folder that was given, else to the working folder,
    else to the file's own folder. Raises UsageError where nothing is found or two names collide.
    """
    queries: list[Query] = []
    for text in inputs:
        queries += _expand(text, root, recursive)
    seen: dict[str, Path] = {}
    unique = []
    for query in queries:
        key = files.collision_key(query.name)
        path = query.path.resolve()
        if key not in seen:
            seen[key] = path
            unique.append(query)
        elif seen[key] != path:
            raise UsageError(
                f"{query.path} and {seen[key]} would both be recorded as {query.name}.",
                "Pass --root with a folder that holds both.",
            )
    return unique


def _expand(text: str, root: Path | None, recursive: bool) -> list[Query]:
    path = Path(text)
    if path.is_dir():
        found = sorted(_images_in(path, recursive), key=natural)
        if not found:
            deeper = "" if recursive else " (add --recursive for folders inside it)"
            raise UsageError(f"{path}: no image in this folder{deeper}.")
        return [Query(item, _name(item, root or path)) for item in found]
    if path.is_file():
        return [Query(path, _name(path, root))]
    if glob.has_magic(text):
        matches = [Path(item) for item in glob.glob(text, recursive=True)]
        found = sorted((item for item in matches if item.is_file()), key=natural)
        if found:
            return [Query(item, _name(item, root)) for item in found]
        raise UsageError(f"{text}: no file matches.")
    raise UsageError(f"{text}: no such file or folder.", "Name images, a folder or a quoted glob.")


def _images_in(folder: Path, recursive: bool) -> Iterator[Path]:
    for base, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and recursive)
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(base) / name


def natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key by which 2.jpg comes before 10.jpg."""
    parts = re.split(r"(\d+)", path.as_posix())
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
