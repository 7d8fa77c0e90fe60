"""An index: the regions of many images in one folder, to be searched with any exemplars.

``index.json`` says what was computed by which models, in which folder beside it the rows are, and how
much of their files counts. The folder is called by what it held first: a new index lies there whole
before ``index.json`` is replaced, so a reader finds the old one or the new one. More images go to the
end of the files, and count once ``index.json`` says so. ``rows`` says what lies in that folder; it is
mapped into memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from ..config.address import Place
from ..errors import OutputError, UsageError
from ..images import Query
from ..records import ImageInfo, ModelInfo
from ..regions import Packed
from ..storage import files
from ..storage.hashes import fresh_sha256
from ..storage.journal import Lock, cut
from ..storage.places import lies_in
from ..storage.tensors import Arrays
from ..storage.values import Fields, JsonObject, JsonValue
from . import goodparts, lists
from .lists import Lists
from .opened import (
    LISTS,
    LOCK,
    NORMAL,
    ROWS_FOLDER,
    SCHEMAS,
    WANTED,
    Index,
    Made,
    facts_of,
    load,
)
from .rows import MASKS, ROWS, Extent, Writer, mapped, widths

__all__ = ["LOCK", "Index", "Made", "Writer", "alone", "append", "check", "group", "load", "write"]


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Be the only process that writes an index, from what it reads of it on to the end. Raises
    UsageError where another one does, and OutputError."""
    lock = Lock(path / LOCK, f"{path}: another process writes it.", "Wait for its end.")
    try:
        yield
    finally:
        if not (path / "index.json").exists():  # nothing came of it
            with contextlib.suppress(OSError):  # where something else lies there, or on Windows
                (path / LOCK).unlink()
                path.rmdir()
        lock.release()


def write(
    path: Path, images: Iterable[tuple[ImageInfo, Packed]], made: Made, grouped: bool = False
) -> int:
    """Write an index, ``alone``; an old one stays until the new one is whole. Returns how many regions
    it holds. grouped: with lists, if it has regions enough. Raises OutputError."""
    before = facts_of(path)
    with files.scratch_folder(path) as folder:
        writer = Writer(folder, unusual=made.good is not None)
        with writer:
            for image, packed in images:
                writer.add(image, packed)
        facts = _said(folder, writer, made)
        if grouped:
            there = mapped(folder, writer.extent, widths(made.space.dim))
            facts |= _grouped(path, there)[1]
        rows = _named_by_content(folder, before, facts)
        now = {**facts, "rows": rows}
        try:
            files.move_into(folder, path / rows)
            if made.good is not None:
                goodparts.save(made.good, path, made.space.dim)
            files.write_json(path / "index.json", now)
        except OutputError:
            _remove_others(path, before)
            raise
        _remove_others(path, now)
        return writer.rows


def append(path: Path, images: Iterable[tuple[ImageInfo, Packed]], made: Made) -> int:
    """Add images at the end of an index, ``alone``: its files grow, and readers see them once all are
    there. Returns how many regions it holds. Raises UsageError where it was made with other models or
    settings or holds an image of one of their names, and OutputError."""
    found = load(path)
    require_same(path, found, made)
    names = {item.image.name for item in found.images}
    facts = Fields.of(facts_of(path))
    folder, sizes = path / facts.text("rows"), facts.counts("bytes")
    for name, size in sizes.items():
        if (folder / name).stat().st_size > size:  # of a process that was killed
            cut(folder / name, size)
    writer = Writer(
        folder,
        after=Extent(len(found.images), len(found), sizes["counts"]),
        unusual=made.good is not None,
    )
    with writer:
        for image, packed in images:
            if image.name in names:
                raise UsageError(f"{path}: holds an image {image.name!r} already.", "Run it again.")
            names.add(image.name)
            writer.add(image, packed)
    kept = {name: facts.values[name] for name in ("rows", LISTS, WANTED) if name in facts.values}
    files.write_json(path / "index.json", {**_said(folder, writer, made), **kept})
    return writer.rows


def group(path: Path) -> Lists:
    """Put the regions of an index into lists, ``alone``; anew where it has some, which stay until then.
    Raises UsageError where there are too few, and OutputError."""
    found = load(path)
    made, said = _grouped(path, found.arrays)
    now = {**facts_of(path), **said}
    if made is None or now.get("rows") is None:
        raise UsageError(
            f"{path}: holds {len(found)} regions, too few for lists.", "Search it without --probe."
        )
    files.write_json(path / "index.json", now)
    _remove_others(path, now)
    return made


def _grouped(path: Path, arrays: Arrays) -> tuple[Lists | None, dict[str, JsonValue]]:
    """Lists of rows, written beside them, None for too few rows; and what ``index.json`` says of these,
    and that there are to be some, which holds where there are too few yet."""
    made = lists.build(arrays["vectors"], np.asarray(arrays["valid"]))
    return made, {WANTED: True} | ({} if made is None else {LISTS: lists.save(made, path)})


def require_same(path: Place, found: Index, made: Made, hint: str = "") -> None:
    """Raise UsageError where an index was made with other models or settings. hint: what to do then."""
    differs = made.space.differences(found.space)
    if found.made.keep != made.keep:
        differs.append(f"--keep is {made.keep} here and {found.made.keep} there")
    if _model(made) != _model(found.made):
        differs.append("what is normal differs")
    theirs, mine = (_regions_by(models) for models in (found.models, made.models))
    differs += [f"{name} differs" for name in mine if mine[name] != theirs[name]]
    if differs:
        what = "; ".join(differs)
        raise UsageError(
            f"{path}: was made with other models or settings ({what}).",
            hint or "Use the same ones, or name another folder with -o.",
        )


def _model(made: Made) -> str:
    return "" if made.good is None else made.good.digest


def _regions_by(models: ModelInfo) -> dict[str, JsonValue]:
    """What decides the regions, beside what a space says: not whether ``auto`` chose the proposer."""
    proposer = {name: value for name, value in models.proposer.to_json().items() if name != "fallback"}
    return {**models.to_json(), "proposer": proposer, "embedding": None}


def _said(folder: Path, writer: Writer, made: Made) -> dict[str, JsonValue]:
    return {
        **made.to_json(),
        "images": writer.images,
        "regions": writer.rows,
        "widths": widths(made.space.dim),
        "bytes": {name: (folder / name).stat().st_size for name in writer.names},
    }


def _named_by_content(folder: Path, before: JsonObject, facts: Mapping[str, JsonValue]) -> str:
    """What the rows are called: another name where rows that grew since are called so, which readers
    have open. before: what ``index.json`` says until then."""
    sizes = Fields.of(facts).counts("bytes")
    digests = {name: fresh_sha256(folder / name) for name in sizes}
    digest = hashlib.sha256(json.dumps(digests).encode()).hexdigest()
    name = f"rows-{digest[:16]}"
    grew = before.get("rows") == name and before.get("bytes") != facts["bytes"]
    return f"rows-{digest[16:32]}" if grew else name


def _remove_others(path: Path, facts: Mapping[str, JsonValue]) -> None:
    """Remove rows, lists and models that an ``index.json`` does not name: all where there is none."""
    parts = {LISTS: "folder", NORMAL: "file"}
    own = ((facts.get(part), name) for part, name in parts.items())
    named = {facts.get("rows"), *(one.get(name) for one, name in own if isinstance(one, Mapping))}
    for other in path.iterdir():
        if ROWS_FOLDER.fullmatch(other.name) or lists.FOLDER.fullmatch(other.name):
            if other.name not in named:
                files.remove_tree(other)
        elif goodparts.FILE.fullmatch(other.name):
            if other.name not in named:
                files.remove(other)
        elif other.name in (*ROWS, *MASKS) and facts.get("rows"):  # where they lay in the older form
            files.remove(other)


def check(path: Place, queries: Iterable[Query]) -> None:
    """Fail early: an index takes the place of nothing but an index, and must not hold its own images.
    Raises UsageError."""
    if isinstance(path, Path):
        whole = files.real(path)
        if whole.exists() and not _is_index(whole) and not _is_left(whole):
            raise UsageError(f"{path}: exists and is not an index.", "Name another folder with -o.")
    for query in queries:
        if lies_in(query.path, path):
            raise UsageError(f"{query.path}: lies in the folder of the index {path}.")


def _is_left(path: Path) -> bool:
    """Whether a folder holds no more than what a run that was ended leaves of an index."""
    if not path.is_dir():
        return False
    return all(
        item.name == LOCK
        or item.name.startswith(".searchdet-")
        or ROWS_FOLDER.fullmatch(item.name)
        or goodparts.FILE.fullmatch(item.name)
        for item in path.iterdir()
    )


def wants_lists(path: Place) -> bool:
    """Whether there is an index whose regions are to be in lists."""
    facts = facts_of(path)
    return facts.get("schema") in SCHEMAS and WANTED in facts


def _is_index(path: Path) -> bool:
    return facts_of(path).get("schema") in SCHEMAS
