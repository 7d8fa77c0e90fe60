"""Exemplars of a session: each kept in a file of its own, so that no model is needed for them again."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..bank import Bank, Rows, join
from ..bank.describe import SHAPELESS, mask_key
from ..bank.miscut import lies_on
from ..bank.types import MISCUT, REGIONS, Origin, indexed, of_normality, rows_of
from ..errors import DAMAGE, UsageError
from ..masks import rle
from ..masks.rle import Rle
from ..normality import Normality
from ..normality.types import BY_IMAGE
from ..proposals.rendering import rendered
from ..records import ImageInfo
from ..regions import Regions, Space
from ..storage import files, tensors
from ..storage.values import Fields, JsonObject
from .events import Box
from .history import FILE, REGION, Held, Said

FOLDER = "drawn"
SCHEMA = "searchdet.drawn/1"
_PARTS = ("vectors", "contexts", "outlines")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Drawn:
    """One exemplar. rows: its one row, whose origin has no name; mask: in its picture, at the size of
    that. picture: a small JPEG of it, empty where its image shows it."""

    rows: Rows
    mask: Rle
    picture: bytes = b""

    @property
    def origin(self) -> Origin:
        """Where it comes from."""
        return self.rows.origins[0]


class Hands(Protocol):
    """What needs models. Both raise UsageError, ImageError, ExemplarError or CheckpointError."""

    def draw(self, image: ImageInfo, box: Box) -> Drawn:
        """The object in a box of an image, which is read again."""
        ...

    def paste(self, name: str, data: bytes, label: str | None, bank: Bank | None) -> Drawn:
        """The object in a picture, given as the bytes of its file. label: the class that it is to show,
        None for a negative; bank: what is known of that class."""
        ...


class Drawer:
    """The folder of drawn exemplars. Files are called by their content."""

    def __init__(self, folder: Path, space: Space) -> None:
        self._folder, self._space = folder / FOLDER, space
        self._known: dict[str, Drawn] = {}

    def keep(self, drawn: Drawn) -> str:
        """Write an exemplar, on disk when this returns, and return its digest. Raises OutputError."""
        data = tensors.pack(*_packed(drawn, self._space))
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self._known:
            files.write_bytes(self._path(digest), data)
            files.sync_folder(self._folder)
            self._known[digest] = drawn
        return digest

    def read(self, digest: str) -> Drawn:
        """The exemplar of a digest. Raises UsageError where its file is not there or not sound."""
        if digest in self._known:
            return self._known[digest]
        hint = "Take the exemplar out, or put the file back."
        if not _DIGEST.fullmatch(digest):
            raise UsageError(f"there is no drawn exemplar {digest!r:.80}.", hint)
        path = self._path(digest)
        try:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != digest:
                raise ValueError("its content is not that which it is called by")
            made = _unpacked(*tensors.unpack(data), self._space)
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror}).", hint) from error
        except (tensors.TensorFileError, *DAMAGE) as error:
            raise UsageError(f"{path}: {error}.", hint) from error
        self._known[digest] = made
        return made

    def rows(self, held: Held) -> Rows:
        """The row of an exemplar under its name."""
        found = self.read(held.drawn)
        return replace(found.rows, origins=(replace(found.origin, name=held.key),))

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.safetensors"


def of_region(regions: Regions, row: int, content: str, source: str) -> Drawn:
    """A region, alone, as an exemplar: its vectors as they are. row: its number in the image, content:
    of that; source: as of an ``Origin``. Raises UsageError for a region that has no descriptor."""
    described = regions.sized()
    if not described.embedded.valid[0]:
        raise UsageError(f"region {row} has no descriptor.", "Choose another one, or draw a box.")
    mask = rendered(regions.proposals).rles[0]
    dense = np.asarray(rle.decode([mask], regions.proposals.size)[0], np.bool_)
    origin = Origin("", content, source, mask_key(dense))
    return Drawn(rows_of(described, [origin]), mask)


def bank_of(
    said: Said,
    start: Bank | None,
    drawer: Drawer,
    space: Space,
    normality: Normality | None = None,
) -> Bank | None:
    """The bank of all exemplars in effect, in their order, beside what is normal. Without a positive
    one it is of what is not normal, and None where no good part says that. Of exemplars that are one
    region, under other names or in copies of its image, the last one is. Raises UsageError where one
    cannot be read."""
    held = _last_words(list(said.exemplars.values()), start, drawer)
    labels = [item.label for item in held if item.label is not None]
    rows = [_row(item, start, drawer) for item in held]
    if not labels:
        if normality is None or normality.info.method == BY_IMAGE:
            return None
        return of_normality(normality, space, join(rows) if rows else None)
    classes, numbers = indexed(labels)
    rows = _by_outline(held, rows, drawer)
    sides = [
        [r for r, h in zip(rows, held, strict=True) if (h.label is None) is no] for no in (False, True)
    ]
    positives, negatives = (join(side) if side else rows[0].take([]) for side in sides)
    return Bank(classes, positives, numbers, negatives, space, None, normality)


def _by_outline(held: list[Held], rows: list[Rows], drawer: Drawer) -> list[Rows]:
    """With ``mask_source`` miscut for regions that are of no class and lie on an object that was shown
    in their picture."""
    objects: dict[str, list[Rle]] = {}
    for item in held:
        if item.label is not None and item.drawn:
            found = drawer.read(item.drawn)
            if found.origin.mask_source != "whole":
                objects.setdefault(item.content, []).append(found.mask)
    made = []
    for item, row in zip(held, rows, strict=True):
        near = objects.get(item.content, ()) if item.label is None and item.source == REGION else ()
        if near and lies_on(drawer.read(item.drawn).mask, near):
            row = replace(row, origins=(replace(row.origins[0], mask_source=MISCUT),))
        made.append(row)
    return made


def _last_words(held: list[Held], start: Bank | None, drawer: Drawer) -> list[Held]:
    origins = [_row(item, start, drawer).origins[0] for item in held]
    regions = [
        (of.sha256, of.mask) if of.mask_source in REGIONS and item.source in (FILE, REGION) else None
        for item, of in zip(held, origins, strict=True)
    ]
    last = {region: i for i, region in enumerate(regions)}
    kept = [of is None or last[of] == i for i, of in enumerate(regions)]
    return [item for item, stays in zip(held, kept, strict=True) if stays]


def _row(held: Held, start: Bank | None, drawer: Drawer) -> Rows:
    if held.start < 0 or start is None:
        return drawer.rows(held)
    positives = len(start.positives)
    if held.start < positives:
        return start.positives.take([held.start])
    return start.negatives.take([held.start - positives])


def _packed(drawn: Drawn, space: Space) -> tuple[tensors.Arrays, JsonObject]:
    arrays: tensors.Arrays = {name: getattr(drawn.rows, name) for name in _PARTS}
    if drawn.picture:
        arrays["picture"] = np.frombuffer(drawn.picture, np.uint8)
    origin = {k: v for k, v in drawn.origin.to_json().items() if k != "name"}
    facts: JsonObject = {
        "schema": SCHEMA,
        "space": space.to_json(),
        "origin": origin,
        "size": list(drawn.mask["size"]),
        "mask": rle.to_json(drawn.mask),
    }
    return arrays, facts


def _unpacked(arrays: tensors.Arrays, facts: Fields, space: Space) -> Drawn:
    """Raises one of DAMAGE for another form."""
    if facts.text("schema") != SCHEMA:
        raise ValueError(f"its schema is {facts.text('schema')!r:.60}, not {SCHEMA}")
    differs = space.differences(Space.from_json(facts.child("space")))
    if differs:
        raise ValueError(f"it is of other models or settings ({'; '.join(differs)})")
    for name in _PARTS:
        _require(arrays[name], name, None if name == "outlines" else space.dim)
    height, width = facts.wholes("size")
    mask = rle.from_json(facts.child("mask"), (height, width))
    origin = Origin.from_json(Fields({**facts.child("origin").values, "name": ""}))
    picture = arrays["picture"].tobytes() if "picture" in arrays else b""
    areas = np.asarray([np.nan if origin.mask_source in SHAPELESS else float(rle.area(mask))])
    parts = (arrays["vectors"], arrays["contexts"], arrays["outlines"])
    return Drawn(Rows(*parts, (origin,), areas=areas), mask, picture)


def _require(array: npt.NDArray[np.float32], name: str, width: int | None) -> None:
    if array.dtype != np.float32 or array.ndim != 2 or len(array) != 1:
        raise ValueError(f"its {name} are {array.dtype} {array.shape}")
    if width is not None and (array.shape[1] != width or not np.isfinite(array).all()):
        raise ValueError(f"its {name} are not {width} numbers")
