"""An index from others: with images more or less, and of several. No image is described for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ..config.address import Place
from ..errors import UsageError
from ..images import Query, digest
from ..records import ImageInfo
from ..regions import Packed
from ..storage import places, remote
from ..storage.hashes import FileHashes
from . import file
from .file import Index

Described = tuple[ImageInfo, Packed]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an index lacks of some images. todo: images to describe: first those that have ``changed``
    since, in the order of the index, then those that it does not hold; changed: their names."""

    found: Index
    todo: tuple[Query, ...]
    changed: tuple[str, ...]

    @property
    def new(self) -> int:
        """Images that the index does not hold."""
        return len(self.todo) - len(self.changed)


def plan(found: Index, queries: Sequence[Query], hashes: FileHashes) -> Plan:
    """Hold the files of images against an index, by name and content."""
    known = {item.image.name: i for i, item in enumerate(found.images)}
    new = [query for query in queries if query.name not in known]
    there = [query for query in queries if query.name in known]
    there.sort(key=lambda query: known[query.name])
    changed = [
        query
        for query in there
        if _content(query.path, hashes) != found.images[known[query.name]].image.sha256
    ]
    return Plan(found, (*changed, *new), tuple(query.name for query in changed))


def _content(path: Place, hashes: FileHashes) -> str:
    """Nothing for a file that cannot be read: then it is described, which says why it cannot."""
    try:
        return hashes.sha256(path) if isinstance(path, Path) else digest(remote.read(path))
    except OSError:
        return ""


def refreshed(planned: Plan, described: Iterator[Described | None]) -> Iterator[Described]:
    """All images of an index, those that changed as they are now, then new ones. described: of the
    ``todo`` of the plan; None for one that cannot be used."""
    changed = set(planned.changed)
    for item in planned.found.images:
        made = next(described) if item.image.name in changed else None
        yield made or (item.image, planned.found.packed(item))
    yield from (made for made in described if made is not None)


def remove(path: Path, patterns: Sequence[str]) -> int:
    """Take images out of an index, ``file.alone``, by name, or by a pattern with * and ? where none is
    called so; returns how many went. It is written anew. Raises UsageError for a pattern that names
    none, and OutputError."""
    found = file.load(path)
    names = [item.image.name for item in found.images]
    gone: set[str] = set()
    for pattern in patterns:
        plain = pattern.replace("[", "[[]")  # which a name may hold
        matched = [pattern] if pattern in names else [n for n in names if fnmatchcase(n, plain)]
        if not matched:
            raise UsageError(
                f"--remove {pattern!r}: {path} holds no such image.",
                "Names are relative, as `searchdet search` prints them.",
            )
        gone.update(matched)
    kept = (item for item in found.images if item.image.name not in gone)
    images = ((item.image, found.packed(item)) for item in kept)
    file.write(path, images, found.made, file.wants_lists(path))
    return len(gone)


def require_kept(paths: Sequence[Place], target: Place) -> None:
    """Raise UsageError where what is made of several indexes would take the place of another one."""
    there = places.is_file(target / "index.json")
    if there and not any(places.same(path) == places.same(target) for path in paths):
        raise UsageError(
            f"{target}: is an index already, and its images would be gone.",
            f"Name it too, to keep them (--merge {target}), or another folder with -o.",
        )


def merge(paths: Sequence[Place], target: Path, grouped: bool = False) -> int:
    """One index of several, in the order in which they are given, which may be shards of one run;
    written ``file.alone``. Returns how many regions it holds. An image that several hold comes once.
    grouped: with lists. Raises UsageError where they are of different models or settings, or hold
    different images of one name, and OutputError."""
    found = [file.load(path) for path in paths]
    for path, one in zip(paths[1:], found[1:], strict=True):
        file.require_same(path, one, found[0].made, "Only indexes that were made alike can be joined.")
    return file.write(target, _together(paths, found), found[0].made, grouped)


def _together(paths: Iterable[Place], found: Iterable[Index]) -> Iterator[Described]:
    known: dict[str, tuple[str, Place]] = {}
    for path, one in zip(paths, found, strict=True):
        for item in one.images:
            name, content = item.image.name, item.image.sha256
            if name not in known:
                known[name] = (content, path)
                yield item.image, one.packed(item)
            elif known[name][0] != content:
                raise UsageError(
                    f"{known[name][1]} and {path} hold different images called {name!r}.",
                    "Make them with --root, so that names tell them apart.",
                )
