"""An index as it is read: mapped into memory, as far as ``index.json`` says that it counts."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from ..config.address import Place
from ..errors import DAMAGE, UsageError
from ..records import ModelInfo
from ..regions import Packed, Regions, Space
from ..storage import places
from ..storage.tensors import Arrays
from ..storage.values import Fields, JsonObject, JsonValue
from . import goodparts, lists
from .goodparts import GoodParts
from .lists import Lists
from .rows import (
    REMAKE,
    UNUSUAL,
    Extent,
    Indexed,
    mapped,
    packed_of,
    read_images,
    regions_of,
    widths,
)

SCHEMA, UNUSUAL_SCHEMA = "searchdet.index/4", "searchdet.index/5"
"""The second of an index that says how unusual its regions are."""
LOCK, LISTS, WANTED, NORMAL = "index.lock", "lists", "grouped", "normality"
SCHEMAS = (UNUSUAL_SCHEMA, SCHEMA, *(f"searchdet.index/{number}" for number in (3, 2, 1)))
"""Of what an index may take the place of."""
ROWS_FOLDER = re.compile(r"rows-[0-9a-f]{16}")
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Made:
    """How regions were described: their space, what records say of backbone, proposer and pooling, how
    many of an image or tile are kept, 0 for all, and what was normal, where that is known."""

    space: Space
    models: ModelInfo
    keep: int = 0
    good: GoodParts | None = None

    def to_json(self) -> dict[str, JsonValue]:
        """Plain JSON values."""
        good: JsonObject = {} if self.good is None else {NORMAL: self.good.to_json()}
        known = {"space": self.space.to_json(), "models": self.models.to_json()}
        schema = SCHEMA if self.good is None else UNUSUAL_SCHEMA
        return {"schema": schema, **known, "keep": self.keep, **good}


def facts_of(path: Place) -> JsonObject:
    """What ``index.json`` says; nothing where there is none, or another file. Raises UsageError where
    it cannot be read, which says nothing of what it holds."""
    try:
        return dict(json.loads(places.read(path / "index.json")))
    except (FileNotFoundError, NotADirectoryError, *DAMAGE, RecursionError):
        return {}
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).", "Try again.") from error


class Index:
    """An index that is mapped into memory. Make it with ``load``."""

    def __init__(
        self,
        made: Made,
        images: list[Indexed],
        arrays: Arrays,
        lists: Lists | UsageError | None = None,
    ) -> None:
        """lists: of its regions, where there are some, or why they cannot be read."""
        self.made = made
        self._lists = lists
        self.space, self.models = made.space, made.models
        self.images = images
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["quality"])

    @property
    def lists(self) -> Lists | None:
        """The lists of its regions, None without. Raises UsageError where they are damaged, which
        nothing else needs."""
        if isinstance(self._lists, UsageError):
            raise self._lists
        return self._lists

    @property
    def lists_are_sound(self) -> bool:
        """Whether ``lists`` gives an answer."""
        return not isinstance(self._lists, UsageError)

    def regions(self, item: Indexed) -> Regions:
        """The regions of one image. Raises UsageError where they are damaged."""
        return regions_of(self.arrays, item)

    def packed(self, item: Indexed) -> Packed:
        """The same as they lie there, to be written to another index."""
        return packed_of(self.arrays, item)


def load(path: Place) -> Index:
    """Open an index. Raises UsageError for anything that is not a whole one."""
    try:
        for _ in range(_TRIES):
            text = places.read(path / "index.json")
            try:
                made = _opened(path, Fields.of(json.loads(text)))
                if made.lists_are_sound or places.read(path / "index.json") == text:
                    return made
            except FileNotFoundError:  # another process may just have put a new index there
                if places.read(path / "index.json") == text:
                    raise
        raise UsageError(f"{path}: is replaced again and again.", "Try again.")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read as an index ({error.strerror}).", "Make it with `searchdet index`."
        ) from error
    except (*DAMAGE, RecursionError) as error:
        raise UsageError(f"{path}: is not an index ({error}).", REMAKE) from error


def _opened(path: Place, facts: Fields) -> Index:
    """Raises OSError or one of DAMAGE."""
    good = goodparts.load(path, facts.child(NORMAL)) if NORMAL in facts.values else None
    wanted = SCHEMA if good is None else UNUSUAL_SCHEMA
    if facts.text("schema") != wanted:
        raise ValueError(f"its schema is {facts.text('schema')}, not {wanted}")
    if not ROWS_FOLDER.fullmatch(facts.text("rows")):
        raise ValueError(f"it has no rows {facts.text('rows')!r}")
    folder, sizes = path / facts.text("rows"), facts.counts("bytes")
    for name, size in sizes.items():
        if places.size_of(folder / name) < size:  # what another process adds does not count yet
            raise ValueError(f"its file {name} is not whole")
    space = Space.from_json(facts.child("space"))
    if facts.counts("widths") != widths(space.dim):
        raise ValueError(f"its rows are {facts.counts('widths')} wide")
    if (UNUSUAL in sizes) is not (good is not None):
        raise ValueError("it does not say of all regions how unusual they are")
    images = list(read_images(folder / "images.jsonl", facts.whole("images")))
    if sum(item.count for item in images) != facts.whole("regions"):
        raise ValueError("its images and regions do not agree")
    made = Made(space, ModelInfo.from_json(facts.child("models")), facts.whole("keep"), good)
    grouped: Lists | UsageError | None = None
    if LISTS in facts.values:
        shape = (facts.whole("regions"), space.dim)
        try:
            grouped = lists.load(path, facts.child(LISTS), shape)
        except UsageError as error:
            grouped = error
    return Index(made, images, _arrays(folder, facts), grouped)


def _arrays(folder: Place, facts: Fields) -> Arrays:
    """Raises OSError, or ValueError where the files have other sizes than the rows need."""
    sizes, wide = facts.counts("bytes"), facts.counts("widths")
    extent = Extent(facts.whole("images"), facts.whole("regions"), sizes["counts"])
    made = mapped(folder, extent, wide, UNUSUAL in sizes)
    for name, array in made.items():
        if array.nbytes != sizes[name]:
            raise ValueError(f"its file {name} has another size than {array.shape}")
    return made
