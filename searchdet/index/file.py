"""An index: the regions of many images in one folder, to be searched with any exemplars.

``index.json`` says what was computed by which models, in which folder beside it the rows are, and how
much of their files counts. The folder is called by what it held first: a new index lies there whole
before ``index.json`` is replaced, so a reader finds the old one or the new one. More images go to the
end of the files, and count once ``index.json`` says so. ``rows`` says what lies in that folder; it is
mapped into memory.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DAMAGE, UsageError
from ..images import Query
from ..records import ImageInfo, ModelInfo
from ..regions import Packed, Regions, Space
from ..storage import files
from ..storage.hashes import fresh_sha256
from ..storage.journal import Lock, cut
from ..storage.tensors import Arrays
from ..storage.values import Fields, JsonObject, JsonValue
from . import lists
from .lists import Lists
from .rows import (
    MASKS,
    REMAKE,
    ROWS,
    Extent,
    Indexed,
    Writer,
    mapped,
    packed_of,
    read_images,
    regions_of,
    widths,
)

SCHEMA = "searchdet.index/4"
LOCK, LISTS = "index.lock", "lists"
_SCHEMAS = (SCHEMA, *(f"searchdet.index/{number}" for number in (3, 2, 1)))
"""Of what an index may take the place of."""
_ROWS_FOLDER = re.compile(r"rows-[0-9a-f]{16}")
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Made:
    """How regions were described: their space, what records say of backbone, proposer and pooling, and
    how many of an image or tile are kept, 0 for all."""

    space: Space
    models: ModelInfo
    keep: int = 0

    def to_json(self) -> dict[str, JsonValue]:
        """Plain JSON values."""
        return {"space": self.space.to_json(), "models": self.models.to_json(), "keep": self.keep}


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


def write(path: Path, images: Iterable[tuple[ImageInfo, Packed]], made: Made) -> int:
    """Write an index, ``alone``; an old one stays until the new one is whole. Returns how many regions
    it holds. Raises OutputError."""
    with files.scratch_folder(path) as folder:
        writer = Writer(folder)
        with writer:
            for image, packed in images:
                writer.add(image, packed)
        facts = _said(folder, writer, made)
        rows = _named_by_content(folder, path, facts)
        try:
            files.move_into(folder, path / rows)
            files.write_json(path / "index.json", {**facts, "rows": rows})
        finally:
            _remove_others(path)
        return writer.rows


def append(path: Path, images: Iterable[tuple[ImageInfo, Packed]], made: Made) -> int:
    """Add images at the end of an index, ``alone``: its files grow, and readers see them once all are
    there. Returns how many regions it holds. Raises UsageError where it was made with other models or
    settings or holds an image of one of their names, and OutputError."""
    found = load(path)
    require_same(path, found, made)
    names = {item.image.name for item in found.images}
    facts = Fields.of(_facts(path))
    folder, sizes = path / facts.text("rows"), facts.counts("bytes")
    for name, size in sizes.items():
        if (folder / name).stat().st_size > size:  # of a process that was killed
            cut(folder / name, size)
    writer = Writer(folder, after=Extent(len(found.images), len(found), sizes["counts"]))
    with writer:
        for image, packed in images:
            if image.name in names:
                raise UsageError(f"{path}: holds an image {image.name!r} already.", "Run it again.")
            names.add(image.name)
            writer.add(image, packed)
    kept = {name: facts.values[name] for name in ("rows", LISTS) if name in facts.values}
    files.write_json(path / "index.json", {**_said(folder, writer, made), **kept})
    return writer.rows


def group(path: Path) -> Lists:
    """Put the regions of an index into lists, ``alone``; anew where it has some, which stay until then.
    Raises UsageError where there are too few, and OutputError."""
    found = load(path)
    made = lists.build(found.arrays["vectors"], np.asarray(found.arrays["valid"]))
    try:
        said = lists.save(made, path)
        files.write_json(path / "index.json", {**_facts(path), LISTS: said})
    finally:
        _remove_others(path)
    return made


def require_same(path: Path, found: Index, made: Made, hint: str = "") -> None:
    """Raise UsageError where an index was made with other models or settings. hint: what to do then."""
    differs = made.space.differences(found.space)
    if found.made.keep != made.keep:
        differs.append(f"--keep is {made.keep} here and {found.made.keep} there")
    theirs, mine = (_regions_by(models) for models in (found.models, made.models))
    differs += [f"{name} differs" for name in mine if mine[name] != theirs[name]]
    if differs:
        what = "; ".join(differs)
        raise UsageError(
            f"{path}: was made with other models or settings ({what}).",
            hint or "Use the same ones, or name another folder with -o.",
        )


def _regions_by(models: ModelInfo) -> dict[str, JsonValue]:
    """What decides the regions, beside what a space says: not whether ``auto`` chose the proposer."""
    proposer = {name: value for name, value in models.proposer.to_json().items() if name != "fallback"}
    return {**models.to_json(), "proposer": proposer, "embedding": None}


def _said(folder: Path, writer: Writer, made: Made) -> dict[str, JsonValue]:
    return {
        "schema": SCHEMA,
        **made.to_json(),
        "images": writer.images,
        "regions": writer.rows,
        "widths": widths(made.space.dim),
        "bytes": {name: (folder / name).stat().st_size for name in (*ROWS, *MASKS)},
    }


def _named_by_content(folder: Path, path: Path, facts: Mapping[str, JsonValue]) -> str:
    """What the rows are called: another name where rows that grew since are called so, which readers
    have open."""
    digests = {name: fresh_sha256(folder / name) for name in (*ROWS, *MASKS)}
    digest = hashlib.sha256(json.dumps(digests).encode()).hexdigest()
    name, now = f"rows-{digest[:16]}", _facts(path)
    grew = now.get("rows") == name and now.get("bytes") != facts["bytes"]
    return f"rows-{digest[16:32]}" if grew else name


def _remove_others(path: Path) -> None:
    """Remove rows and lists that ``index.json`` does not name."""
    facts = _facts(path)
    grouped = facts.get(LISTS)
    named = {facts.get("rows"), grouped.get("folder") if isinstance(grouped, dict) else None}
    for other in path.iterdir():
        if _ROWS_FOLDER.fullmatch(other.name) or lists.FOLDER.fullmatch(other.name):
            if other.name not in named:
                files.remove_tree(other)
        elif other.name in (*ROWS, *MASKS) and facts:  # where they lay in the older form
            files.remove(other)


def check(path: Path, queries: Iterable[Query]) -> None:
    """Fail early: an index takes the place of nothing but an index, and must not hold its own images.
    Raises UsageError."""
    whole = files.real(path)
    if whole.exists() and not _is_index(whole) and not _is_left(whole):
        raise UsageError(f"{path}: exists and is not an index.", "Name another folder with -o.")
    for query in queries:
        if files.real(query.path).is_relative_to(whole):
            raise UsageError(f"{query.path}: lies in the folder of the index {path}.")


def _is_left(path: Path) -> bool:
    """Whether a folder holds no more than what a run that was ended leaves of an index."""
    if not path.is_dir():
        return False
    files.sweep(path, deep=False)
    return all(
        item.name == LOCK or item.name.startswith(".searchdet-") or _ROWS_FOLDER.fullmatch(item.name)
        for item in path.iterdir()
    )


def has_lists(path: Path) -> bool:
    """Whether there is an index whose regions are in lists."""
    return _is_index(path) and LISTS in _facts(path)


def _is_index(path: Path) -> bool:
    return _facts(path).get("schema") in _SCHEMAS


def _facts(path: Path) -> JsonObject:
    """What ``index.json`` says; nothing where it is none."""
    try:
        return dict(json.loads((path / "index.json").read_bytes()))
    except (OSError, *DAMAGE, RecursionError):
        return {}


class Index:
    """An index that is mapped into memory. Make it with ``load``."""

    def __init__(
        self,
        made: Made,
        images: list[Indexed],
        arrays: Arrays,
        lists: Callable[[], Lists] | None = None,
    ) -> None:
        """lists: reads those of its regions, where there are some."""
        self.made = made
        self._read_lists = lists
        self.space, self.models = made.space, made.models
        self.images = images
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["quality"])

    @functools.cached_property
    def lists(self) -> Lists | None:
        """The lists of its regions, None without. Raises UsageError where they are damaged."""
        return None if self._read_lists is None else self._read_lists()

    def regions(self, item: Indexed) -> Regions:
        """The regions of one image. Raises UsageError where they are damaged."""
        return regions_of(self.arrays, item)

    def packed(self, item: Indexed) -> Packed:
        """The same as they lie there, to be written to another index."""
        return packed_of(self.arrays, item)


def load(path: Path) -> Index:
    """Open an index. Raises UsageError for anything that is not a whole one."""
    try:
        for _ in range(_TRIES):
            text = (path / "index.json").read_bytes()
            try:
                return _opened(path, Fields.of(json.loads(text)))
            except FileNotFoundError:  # another process may just have put a new index there
                if (path / "index.json").read_bytes() == text:
                    raise
        raise UsageError(f"{path}: is replaced again and again.", "Try again.")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read as an index ({error.strerror}).", "Make it with `searchdet index`."
        ) from error
    except (*DAMAGE, RecursionError) as error:
        raise UsageError(f"{path}: is not an index ({error}).", REMAKE) from error


def _opened(path: Path, facts: Fields) -> Index:
    """Raises OSError or one of DAMAGE."""
    if facts.text("schema") != SCHEMA:
        raise ValueError(f"its schema is {facts.text('schema')}, not {SCHEMA}")
    if not _ROWS_FOLDER.fullmatch(facts.text("rows")):
        raise ValueError(f"it has no rows {facts.text('rows')!r}")
    folder, sizes = path / facts.text("rows"), facts.counts("bytes")
    for name, size in sizes.items():
        if (folder / name).stat().st_size < size:  # what another process adds does not count yet
            raise ValueError(f"its file {name} is not whole")
    space = Space.from_json(facts.child("space"))
    if facts.counts("widths") != widths(space.dim):
        raise ValueError(f"its rows are {facts.counts('widths')} wide")
    images = list(read_images(folder / "images.jsonl", facts.whole("images")))
    if sum(item.count for item in images) != facts.whole("regions"):
        raise ValueError("its images and regions do not agree")
    made = Made(space, ModelInfo.from_json(facts.child("models")), facts.whole("keep"))
    grouped = None
    if facts.values.get(LISTS) is not None:
        grouped = functools.partial(
            lists.load, path, facts.child(LISTS), (facts.whole("regions"), space.dim)
        )
    return Index(made, images, _arrays(folder, facts), grouped)


def _arrays(folder: Path, facts: Fields) -> Arrays:
    """Raises OSError, or ValueError where the files have other sizes than the rows need."""
    sizes, wide = facts.counts("bytes"), facts.counts("widths")
    made = mapped(folder, facts.whole("regions"), sizes["counts"], wide)
    for name, array in made.items():
        if array.nbytes != sizes[name]:
            raise ValueError(f"its file {name} has another size than {array.shape}")
    return made
