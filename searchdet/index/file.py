"""An index: the regions of many images in one folder, to be searched with any exemplars.

``index.json`` says what was computed by which models, and in which folder beside it the rows are, which
is called by their content: a new index lies there whole before ``index.json`` is replaced, so a reader
finds the old one or the new one. ``images.jsonl`` has one line an image; the other files are plain
arrays, little-endian and row after row, that are mapped into memory.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import DAMAGE, UsageError
from ..images import Query
from ..masks import shape as outline
from ..records import ImageInfo, ModelInfo
from ..regions import Packed, Regions, Space, unpack
from ..storage import files
from ..storage.hashes import fresh_sha256
from ..storage.tensors import Arrays
from ..storage.values import Fields, JsonObject

SCHEMA = "searchdet.index/3"
_SCHEMAS = (SCHEMA, "searchdet.index/2", "searchdet.index/1")
"""Of what an index may take the place of."""
IntArray = npt.NDArray[np.int64]
_ROWS: dict[str, np.dtype[Any]] = {
    "vectors": np.dtype("<f2"),
    "contexts": np.dtype("<f2"),
    "outlines": np.dtype("<f2"),
    "boxes": np.dtype("<f4"),
    "quality": np.dtype("<f4"),
    "valid": np.dtype("?"),
    "subcell": np.dtype("?"),
}
"""Arrays with a row a region; the masks lie in ``counts`` (text) and ``offsets`` (R + 1)."""
_ROWS_FOLDER = re.compile(r"rows-[0-9a-f]{16}")
_TRIES = 5
REMAKE = "Make it again with `searchdet index`."


@dataclass(frozen=True, slots=True)
class Indexed:
    """One image of an index: what its record says, its rows, and the facts of its regions."""

    image: ImageInfo
    start: int
    count: int
    facts: Fields


def write(
    path: Path, images: Iterable[tuple[ImageInfo, Packed]], space: Space, models: ModelInfo
) -> int:
    """Write an index; an old one stays until the new one is whole. Returns how many regions it holds.
    models: what records say of backbone, proposer and pooling. Raises OutputError."""
    with files.scratch_folder(path) as folder:
        began = folder.stat().st_mtime_ns
        writer = _Writer(folder)
        with writer:
            for image, packed in images:
                writer.add(image, packed)
        rows = _named_by_content(folder)
        facts: JsonObject = {
            "schema": SCHEMA,
            "space": space.to_json(),
            "models": models.to_json(),
            "images": writer.images,
            "regions": writer.rows,
            "widths": _widths(space.dim),
            "bytes": {name: (folder / name).stat().st_size for name in (*_ROWS, *_MASKS)},
            "rows": rows,
        }
        try:
            files.move_into(folder, path / rows)
            files.write_json(path / "index.json", facts)
        finally:
            _remove_others(path, rows, began)
        return writer.rows


def _named_by_content(folder: Path) -> str:
    digests = {name: fresh_sha256(folder / name) for name in (*_ROWS, *_MASKS)}
    return f"rows-{hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:16]}"


def _remove_others(path: Path, own: str, began: int) -> None:
    """Remove rows that ``index.json`` does not name; not those that another process has just put there,
    which are younger than the beginning of this one."""
    named = _facts(path).get("rows")
    for other in path.iterdir():
        if _ROWS_FOLDER.fullmatch(other.name) and other.name != named:
            if other.name == own or other.stat().st_mtime_ns <= began:
                files.remove_tree(other)
        elif other.name in (*_ROWS, *_MASKS) and named == own:  # where they lay in the older form
            files.remove(other)


def _widths(dim: int) -> dict[str, int]:
    return {"vectors": dim, "contexts": dim, "outlines": outline.DIM, "boxes": 4}


_MASKS = ("counts", "offsets", "images.jsonl")


class _Writer:
    """Appends image after image; nothing of it stays in memory."""

    def __init__(self, folder: Path) -> None:
        self.images = self.rows = self._text = 0
        self._open = {name: files.binary_stream(folder / name) for name in (*_ROWS, *_MASKS)}
        self._streams: dict[str, BinaryIO] = {}

    def __enter__(self) -> None:
        self._streams = {name: stream.__enter__() for name, stream in self._open.items()}
        self._streams["offsets"].write(np.zeros(1, "<i8").tobytes())

    def __exit__(self, *error: Any) -> None:
        for stream in self._open.values():
            stream.__exit__(*error)

    def add(self, image: ImageInfo, packed: Packed) -> None:
        for name, kind in _ROWS.items():
            self._streams[name].write(np.ascontiguousarray(packed.arrays[name], kind).tobytes())
        self._streams["counts"].write(packed.arrays["counts"].tobytes())
        ends = packed.arrays["offsets"][1:] + self._text
        self._streams["offsets"].write(ends.astype("<i8").tobytes())
        count = len(ends)
        line = {
            "image": asdict(image),
            "start": self.rows,
            "count": count,
            "facts": packed.facts.values,
        }
        text = json.dumps(line, sort_keys=True, allow_nan=False) + "\n"
        self._streams["images.jsonl"].write(text.encode())
        self.images, self.rows = self.images + 1, self.rows + count
        self._text = int(ends[-1]) if count else self._text


def check(path: Path, queries: Iterable[Query]) -> None:
    """Fail early: an index takes the place of nothing but an index, and must not hold its own images.
    Raises UsageError."""
    whole = files.real(path)
    if whole.exists() and not _is_index(whole) and not (whole.is_dir() and not any(whole.iterdir())):
        raise UsageError(f"{path}: exists and is not an index.", "Name another folder with -o.")
    for query in queries:
        if files.real(query.path).is_relative_to(whole):
            raise UsageError(f"{query.path}: lies in the folder of the index {path}.")


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

    def __init__(self, space: Space, models: ModelInfo, images: list[Indexed], arrays: Arrays) -> None:
        self.space = space
        self.models = models
        self.images = images
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["quality"])

    def regions(self, item: Indexed) -> Regions:
        """The regions of one image. Raises UsageError where they are damaged."""
        rows = slice(item.start, item.start + item.count)
        arrays = {name: np.asarray(self.arrays[name][rows]) for name in _ROWS}
        ends = np.asarray(self.arrays["offsets"][item.start : item.start + item.count + 1])
        arrays["counts"] = np.asarray(self.arrays["counts"][ends[0] : ends[-1]])
        arrays["offsets"] = ends - ends[0]
        try:
            found = unpack(Packed(arrays, item.facts))
            if found.proposals.size != (item.image.height, item.image.width):
                raise ValueError(f"its regions are of an image of size {found.proposals.size}")
        except DAMAGE as error:
            raise UsageError(
                f"{item.image.name}: its part of the index is damaged ({error}).", REMAKE
            ) from error
        return found


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
        if (folder / name).stat().st_size != size:
            raise ValueError(f"its file {name} is not whole")
    space = Space.from_json(facts.child("space"))
    if facts.counts("widths") != _widths(space.dim):
        raise ValueError(f"its rows are {facts.counts('widths')} wide")
    images = list(_images(folder / "images.jsonl"))
    if sum(item.count for item in images) != facts.whole("regions"):
        raise ValueError("its images and regions do not agree")
    models = ModelInfo.from_json(facts.child("models"))
    return Index(space, models, images, _arrays(folder, facts))


def _images(path: Path) -> Iterator[Indexed]:
    """The images, each with the rows after those of the one before it."""
    start = 0
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            item = Fields.of(json.loads(line))
            image, count = ImageInfo.from_json(item.child("image")), item.whole("count")
            if item.whole("start") != start:
                raise ValueError(f"the line of {image.name!r} is damaged")
            yield Indexed(image, start, count, item.child("facts"))
            start += count


def _arrays(path: Path, facts: Fields) -> Arrays:
    rows, sizes, widths = facts.whole("regions"), facts.counts("bytes"), facts.counts("widths")
    kinds = {name: (kind, (rows, widths.get(name, 1))) for name, kind in _ROWS.items()}
    kinds["counts"] = (np.dtype("u1"), (sizes["counts"], 1))
    kinds["offsets"] = (np.dtype("<i8"), (rows + 1, 1))
    made: Arrays = {}
    for name, (kind, shape) in kinds.items():
        flat = shape[:1] if name not in widths else shape
        if kind.itemsize * int(np.prod(shape)) != sizes[name]:
            raise ValueError(f"its file {name} has another size than {shape}")
        empty = 0 in shape  # which cannot be mapped; "c": torch wants arrays that could be written
        made[name] = np.zeros(flat, kind) if empty else np.memmap(path / name, kind, "c", shape=flat)
    return made
