"""Rows of regions as plain arrays in files, little-endian and row after row: appended to, and mapped.

An index is such a folder with an ``index.json``; regions that are still being described lie in one
without. The masks of all rows are one text, ``counts``, in which ``offsets`` (R + 1) says where each
starts; ``images.jsonl`` has one line an image.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from ..config.address import Place, Remote
from ..errors import DAMAGE, UsageError
from ..masks import shape as outline
from ..records import ImageInfo
from ..regions import Packed, Regions, areas_of, unpack
from ..storage import files, places, remote
from ..storage.tensors import Arrays
from ..storage.values import Fields
from .distant import Column, part

IntArray = npt.NDArray[np.int64]
ROWS: dict[str, np.dtype[Any]] = {
    "vectors": np.dtype("<f2"),
    "contexts": np.dtype("<f2"),
    "outlines": np.dtype("<f2"),
    "boxes": np.dtype("<f4"),
    "quality": np.dtype("<f4"),
    "valid": np.dtype("?"),
    "subcell": np.dtype("?"),
}
"""Arrays with a row a region."""
UNUSUAL = "unusual"
"""One array more, where it is known what is normal: how unusual each region is."""
MASKS = ("counts", "offsets", "images.jsonl")
REMAKE = "Make it again with `searchdet index`."


@dataclass(frozen=True, slots=True)
class Indexed:
    """One image of an index: what its record says, its rows, and the facts of its regions."""

    image: ImageInfo
    start: int
    count: int
    facts: Fields


def widths(dim: int) -> dict[str, int]:
    """Numbers in a row of each array that has several. dim: of the vectors."""
    return {"vectors": dim, "contexts": dim, "outlines": outline.DIM, "boxes": 4}


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is: images, rows, and letters of their masks."""

    images: int = 0
    rows: int = 0
    letters: int = 0


def kinds_of(unusual: bool) -> dict[str, np.dtype[Any]]:
    """The arrays of an index. unusual: whether it says how unusual regions are."""
    return ROWS | ({UNUSUAL: np.dtype("<f4")} if unusual else {})


class Writer:
    """Appends image after image to the files of a folder; nothing of it stays in memory."""

    def __init__(
        self,
        folder: Path,
        lasting: bool = True,
        after: Extent | None = None,
        unusual: bool = False,
    ) -> None:
        """lasting: all of it is on disk when the block ends, as what only this process reads need not
        be. after: what the files hold already; None makes them. unusual: as of ``kinds_of``."""
        begun = after or Extent()
        self.images, self.rows, self.letters = begun.images, begun.rows, begun.letters
        self._new, self._kinds = after is None, kinds_of(unusual)
        self.names = (*self._kinds, *MASKS)
        self._open = {
            name: files.binary_stream(folder / name, lasting, self._new) for name in self.names
        }
        self._streams: dict[str, BinaryIO] = {}

    @property
    def extent(self) -> Extent:
        """How much the files hold."""
        return Extent(self.images, self.rows, self.letters)

    def __enter__(self) -> None:
        self._streams = {name: stream.__enter__() for name, stream in self._open.items()}
        if self._new:
            self._streams["offsets"].write(np.zeros(1, "<i8").tobytes())

    def __exit__(self, *error: Any) -> None:
        for stream in self._open.values():
            stream.__exit__(*error)

    def add(self, image: ImageInfo, packed: Packed) -> Indexed:
        """Append an image; returns where it is."""
        for name, kind in self._kinds.items():
            self._streams[name].write(np.ascontiguousarray(packed.arrays[name], kind).tobytes())
        self._streams["counts"].write(packed.arrays["counts"].tobytes())
        ends = packed.arrays["offsets"][1:] + self.letters
        self._streams["offsets"].write(ends.astype("<i8").tobytes())
        made = Indexed(image, self.rows, len(ends), packed.facts)
        line = {
            "image": asdict(image),
            "start": made.start,
            "count": made.count,
            "facts": packed.facts.values,
        }
        text = json.dumps(line, sort_keys=True, allow_nan=False) + "\n"
        self._streams["images.jsonl"].write(text.encode())
        self.images, self.rows = self.images + 1, self.rows + made.count
        self.letters = int(ends[-1]) if made.count else self.letters
        return made

    def flush(self) -> None:
        """Let others read what was appended."""
        for stream in self._streams.values():
            stream.flush()


def read_images(path: Place, count: int) -> Iterator[Indexed]:
    """The first ``count`` images of an ``images.jsonl``, each with the rows after those of the one
    before it; others may just be added. Raises OSError or ValueError."""
    start = 0
    with path.open("rb") if isinstance(path, Path) else io.BytesIO(remote.read(path)) as lines:
        for line in islice(lines, count):
            item = Fields.of(json.loads(line))
            image, count = ImageInfo.from_json(item.child("image")), item.whole("count")
            if item.whole("start") != start:
                raise ValueError(f"the line of {image.name!r} is damaged")
            yield Indexed(image, start, count, item.child("facts"))
            start += count


def mapped(folder: Place, extent: Extent, wide: Mapping[str, int], unusual: bool = False) -> Arrays:
    """The arrays of a folder as they lie on disk, mapped into memory, or read from a store when asked:
    as far as ``extent`` goes. wide: as ``widths``; unusual: as of ``kinds_of``. Raises OSError, or
    ValueError for a file that is too short."""
    rows, kinds = extent.rows, kinds_of(unusual)
    shapes = {name: (rows, wide[name]) if name in wide else (rows,) for name in kinds}
    made = {name: mapped_one(folder / name, kind, shapes[name]) for name, kind in kinds.items()}
    made["counts"] = mapped_one(folder / "counts", np.dtype("u1"), (extent.letters,))
    made["offsets"] = mapped_one(folder / "offsets", np.dtype("<i8"), (rows + 1,))
    return made


def mapped_one(path: Place, kind: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """One array of a file. Raises OSError, or ValueError for a file that is too short."""
    if places.size_of(path) < kind.itemsize * math.prod(shape):
        raise ValueError(f"its file {path.name} has another size than {shape}")
    if isinstance(path, Remote):
        return cast(npt.NDArray[Any], Column(path, kind, shape))
    empty = 0 in shape  # which cannot be mapped; "c": torch wants arrays that could be written
    return np.zeros(shape, kind) if empty else np.memmap(path, kind, "c", shape=shape)


def regions_of(
    arrays: Arrays, item: Indexed, rows: IntArray | None = None, remedy: str = REMAKE
) -> Regions:
    """The regions of one image. rows: only these of it, in that order. Raises UsageError with the
    remedy where they are damaged."""
    with _named(item, remedy):
        found = unpack(packed_of(arrays, item, rows))
        if found.proposals.size != (item.image.height, item.image.width):
            raise ValueError(f"its regions are of an image of size {found.proposals.size}")
    return found


def areas_in(arrays: Arrays, item: Indexed, remedy: str = REMAKE) -> npt.NDArray[np.float64]:
    """Pixels that each region of one image covers (N,). Raises as ``regions_of``."""
    with _named(item, remedy):
        return areas_of(packed_of(arrays, item))


@contextmanager
def _named(item: Indexed, remedy: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        said = f"{item.image.name}: its part of the index is damaged ({error})."
        raise UsageError(said, remedy) from error


def packed_of(arrays: Arrays, item: Indexed, rows: IntArray | None = None) -> Packed:
    """The regions of one image as they lie there, not looked at; rows: as of ``regions_of``. Raises
    RemoteError where a store does not give them."""
    names = [name for name in kinds_of(True) if name in arrays]
    if isinstance(arrays["offsets"], Column):
        arrays = part(arrays, names, item.start, item.start + item.count)
        item = replace(item, start=0)
    where = slice(item.start, item.start + item.count) if rows is None else item.start + rows
    chosen = {name: np.asarray(arrays[name][where]) for name in names}
    ends = np.asarray(arrays["offsets"][item.start : item.start + item.count + 1])
    if rows is None:
        chosen["counts"] = np.asarray(arrays["counts"][ends[0] : ends[-1]])
        chosen["offsets"] = ends - ends[0]
        return Packed(chosen, item.facts)
    texts = [np.asarray(arrays["counts"][ends[i] : ends[i + 1]]) for i in rows.tolist()]
    chosen["counts"] = np.concatenate([np.zeros(0, np.uint8), *texts])
    chosen["offsets"] = np.cumsum([0, *(len(text) for text in texts)], dtype=np.int64)
    return Packed(chosen, item.facts)
