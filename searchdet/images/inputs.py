"""Which images are meant: files, folders, globs and lists to paths and record names."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path

from ..config import address
from ..config.address import Place, Remote, place_of
from ..errors import UsageError
from ..storage import files, places
from . import remotes
from .globs import matches
from .leftout import LeftOut
from .lists import paths_of
from .scan import Look, Scan
from .shards import shard_of
from .walk import broken

__all__ = ["Query", "Scan", "discover", "natural", "natural_text"]
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Query:
    """One image to search: its file, and its name in records (relative, with ``/``)."""

    path: Place
    name: str


def discover(inputs: list[str], scan: Scan | None = None) -> list[Query]:
    """Images named by files, folders, quoted globs, ``@file`` with a path a line, and ``-`` for such a
    list on stdin; in natural order within each folder or glob.

    Names are relative to ``scan.root``; without it to a folder that was given, else to the working
    folder, else to the file's own folder. A listed path that is not there stays, to be recorded as
    failed. Raises UsageError where nothing is found or two names collide.
    """
    scan = scan or Scan()
    seen: dict[str, tuple[str, Place]] = {}
    unique = []
    for query in _queries(inputs, scan):
        key = files.collision_key(query.name)
        path = places.same(query.path)
        if key not in seen:
            seen[key] = (path, query.path)
            unique.append(query)
        elif seen[key][0] != path:
            raise UsageError(
                f"{query.path} and {seen[key][1]} would both be recorded as {query.name}.",
                "Pass --root with a folder that holds both.",
            )
    part, parts = scan.shard
    return [query for query in unique if shard_of(query.name, parts) == part]


def _queries(inputs: list[str], scan: Scan) -> list[Query]:
    look = Look(scan)
    try:
        return [query for text in inputs for query in _expand(text, look)]
    finally:
        look.say()


def _expand(text: str, look: Look) -> list[Query]:
    root = look.scan.root
    if not text:  # as a path it would be the working folder
        raise UsageError("an input is empty.", "Name images; a variable of the shell may not be set.")
    if text == STDIN:
        return _listed(sys.stdin.buffer.read(), "-", look)
    if text.startswith("@"):
        try:
            place = place_of(text[1:])
            text = f"@{place}"  # without a query, which may be a signature
            data = places.read(place)
        except OSError as error:
            hint = f"If the file {text} is meant, write ./{text}." if os.path.lexists(text) else ""
            said = f"{text}: the list cannot be read ({error.strerror})."
            raise UsageError(said, hint) from error
        return _listed(data, text, look)
    if address.is_address(text):
        return _stored(address.parse(text), look)
    path = Path(text)
    if files.is_folder(path):
        return _folder(path, look)
    if files.is_file(path):
        return [Query(path, _name(path, root))]
    if broken(path):
        raise UsageError(f"{text}: is a link to {path.readlink()}, which is not there.")
    if has_magic(text):
        found = sorted(matches(text, look), key=natural)
        return [Query(item, _name(item, root)) for item in found]
    raise UsageError(f"{text}: no such file or folder.", "Name images, a folder or a quoted glob.")


def _listed(data: bytes, source: str, look: Look) -> list[Query]:
    """The images of a list of paths, and of the folders in it."""
    found: list[Query] = []
    for path in paths_of(data, source, look.scan.null):
        if isinstance(path, Remote):
            found += _stored(path, look, listed=True)
        elif files.is_folder(path):
            found += _folder(path, look)
        else:
            found.append(Query(path, _name(path, look.scan.root)))
    return found


def _stored(at: Remote, look: Look, listed: bool = False) -> list[Query]:
    """An object, or the images below an address. listed: one that is not there stays, to be recorded as
    failed; it is no glob."""
    root = look.scan.root
    if not listed and remotes.is_pattern(at):
        base, every = remotes.matches(at, look)
        every.sort(key=lambda item: natural_text(item.url))
        return [Query(item, _stored_name(item, root or base)) for item in every]
    if listed or remotes.is_object(at):
        return [Query(at, _stored_name(at, root or at.parent))]
    left = LeftOut()
    found = sorted(remotes.images(at, look, left), key=lambda item: natural_text(item.url))
    if not found:
        deeper = "" if look.scan.recursive else " (--recursive looks deeper)"
        seen = f", but {left.words()}" if left.counts else ""
        raise UsageError(f"{at}: is no object, and no image lies below it{deeper}{seen}.")
    left.warn(at)
    return [Query(item, _stored_name(item, root or at)) for item in found]


def _stored_name(at: Remote, root: Place) -> str:
    if isinstance(root, Remote) and root != at and at.is_relative_to(root):
        return at.relative_to(root)
    raise UsageError(f"{at}: lies outside --root {root}.")


def _folder(path: Path, look: Look) -> list[Query]:
    left = LeftOut()
    found = sorted(look.images(path, left), key=natural)
    if not found:
        deeper = "" if look.scan.recursive else " (add --recursive for folders inside it)"
        seen = f", but {left.words()}" if left.counts else ""
        raise UsageError(f"{path}: no image in this folder{deeper}{seen}.")
    left.warn(path)
    return [Query(item, _name(item, look.scan.root or path)) for item in found]


def natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key by which 2.jpg comes before 10.jpg."""
    return natural_text(path.as_posix())


def natural_text(text: str) -> list[tuple[int, int, str]]:
    """``natural`` for the text of a path."""
    parts = re.split(r"(\d+)", text)
    return [(1, int(p), p) if p.isdecimal() else (0, 0, p) for p in parts]


def _name(path: Path, root: Place | None) -> str:
    """Relative name of a file: below ``root``, else below the working folder, else its bare name. A
    root that is spelled through links is the same one."""
    if isinstance(root, Remote):
        raise UsageError(f"{path}: lies outside --root {root}.")
    absolute = Path(os.path.abspath(path))
    base = Path(os.path.abspath(root)) if root is not None else Path.cwd()
    if absolute.is_relative_to(base):
        return absolute.relative_to(base).as_posix()
    if root is None:
        return absolute.name
    absolute, base = files.real(absolute.parent) / absolute.name, files.real(base)
    if absolute.is_relative_to(base):
        return absolute.relative_to(base).as_posix()
    raise UsageError(f"{path}: lies outside --root {root}.")
