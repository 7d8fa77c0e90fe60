"""One HTML page of an output folder: pictures, masks, evidence, and decisions taken again by eye."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..annotations import Truth
from ..config.address import Place, Remote
from ..errors import DAMAGE, UsageError
from ..output import THUMBNAIL_SIDE, Output, read_records
from ..records import ImageRecord, damaged
from ..storage import files
from ..storage.places import staged
from .contents import Contents
from .page import json_text, page
from .pictures import LEAST_SIDE, as_text, crowded, stored, thumbnail_of, within_budget
from .pyramid import Pyramids
from .truth import Overlay

FILE = "report.html"
Advance = Callable[[Iterable[ImageRecord]], Iterator[ImageRecord]]


@dataclass(frozen=True, slots=True)
class Written:
    """A page that was written: its path and bytes, the images it shows and those it leaves out, and how
    many have no picture. beside: the folder of full pictures, and their bytes; without_full: names of
    the images that there is none of."""

    path: Place
    size: int
    images: int
    left_out: int
    without_picture: int
    beside: Place
    beside_size: int
    without_full: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Which pictures a page shows. images: where they lie, else where ``detect`` found them; full: at
    their own pixels too, in a folder beside the page."""

    images: Path | None = None
    full: bool = True


def write(
    folder: Place,
    target: Path | None = None,
    shown: Pictures | None = None,
    most: int | None = None,
    *,
    truth: Truth | None = None,
    advance: Advance = iter,
) -> Written:
    """Write the report of an output folder of ``detect``, here or in a store, by default into it.

    most: no more images than that. truth: what is in the pictures; advance: goes through the records,
    which take long where full pictures are made. Raises UsageError where there are no records,
    OutputError.
    """
    shown = shown or Pictures()
    if target is not None:
        return _write(folder, target, shown, most, truth, advance)
    with staged(folder) as made:
        done = _write(folder, made / FILE, shown, most, truth, advance)
    return replace(done, path=folder / FILE, beside=folder / done.beside.name)


def _write(
    folder: Place, path: Path, shown: Pictures, most: int | None, truth: Truth | None, advance: Advance
) -> Written:
    contents, left_out = Contents(None if truth is None else Overlay.of(truth)), 0
    least = LEAST_SIDE if crowded(folder) else THUMBNAIL_SIDE
    beside = Pyramids(path.with_name(f"{path.stem}-pictures"), Output(folder), shown.images, least)
    pictures: list[bytes | None] = []
    for record in advance(read_records(folder)):
        if most is not None and len(pictures) >= most:
            left_out += 1
            continue
        try:
            contents.add(record, beside.of(record) if shown.full else None)
            pictures.append(thumbnail_of(record, folder, shown.images))
        except DAMAGE as error:
            raise damaged(record.image, error) from error
    if contents.truth is not None:
        contents.truth.notes.tell()
    if not pictures:
        raise UsageError(f"{folder}: holds no records.", "Name an output folder of `detect`.")
    # the page can name the folder only while it lies in it; an absolute path stays out of the file
    inside = isinstance(folder, Remote) or files.real(path) == files.real(folder / FILE)
    head = contents.head() | {"inside": inside, "leftOut": left_out}
    try:
        data = page(head, _blocks(contents, pictures, folder), beside.size > 0).encode()
    except ValueError as error:  # of strict JSON
        raise UsageError(f"{folder}: a record holds a number that is not finite ({error}).") from error
    files.write_bytes(path, data)
    lacking = sum(item is None for item in pictures)
    counts = (len(data), len(pictures), left_out, lacking)
    return Written(path, *counts, beside.folder, beside.size, tuple(beside.missing))


def _blocks(
    contents: Contents, pictures: list[bytes | None], folder: Place
) -> Iterator[tuple[str, str]]:
    """Details (d), thumbnails (t) and pictures of exemplars (e), by number."""
    for i, detail in enumerate(contents.details):
        yield f"d{i}", json_text(detail)
    for i, picture in enumerate(within_budget(pictures)):
        if picture is not None:
            yield f"t{i}", as_text(picture)
    for i, name in enumerate(contents.exemplars):
        picture = stored(folder, "exemplars", name)
        if picture is not None:
            yield f"e{i}", as_text(picture)
