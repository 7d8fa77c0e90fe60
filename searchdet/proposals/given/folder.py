"""A folder of masks: for the image ``a/01.jpg`` there lies ``a/01.png`` (a mask for each index),
``a/01.masks.npz``, ``a/01.json`` of LabelMe, or a folder ``a/01.masks`` or ``a/01.jpg`` of pictures,
each a mask. Also ``a/01.mask.png``, and names with the image's own suffix, as ``a/01.jpg.png``.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from pathlib import Path, PurePosixPath

from ...annotations import SUFFIX, Notes, Photo, paint_upright, read_objects
from ...annotations.frames import Size, turn_mask
from ...annotations.jsonfile import same
from ...annotations.maskfile import objects_in
from ...annotations.names import MASK, Listed, names_it
from ...annotations.notes import EITHER, LOSSY, TURNED
from ...annotations.shapes import misfit
from ...config import MAX_PIXELS
from ...errors import ExemplarError, ImageError, UsageError
from ...images import SUFFIXES, walk
from ...images.stored import read_stored
from ...storage.hashes import FileHashes
from . import npz
from .source import Given, Owners, missing, unfit

log = logging.getLogger(__name__)
NPZ = ".masks.npz"
PARTS = ".masks"
PICTURES = (".png", ".tif", ".tiff", ".bmp", ".gif")
"""Pictures that keep indices as they are."""
INDEX, ARRAYS, SHAPES, MANY = "index", "arrays", "shapes", "many"


class FolderMasks:
    """The masks of a folder, looked up by the names of images."""

    layout = "folder"

    def __init__(self, path: Path) -> None:
        """Raises UsageError for a folder without masks, or with two files of one image."""
        self.said = f"--masks-from {path}"
        self._path = path
        self._every = _entries(path, self.said)
        self._listed = Listed((key, i) for i, (key, _, _) in enumerate(self._every))
        self.digest = self._digest()
        self._owners = Owners(self.said)

    def masks(self, name: str, photo: Photo) -> Given:
        where = self._find(name)
        if where is None:
            raise missing(name, self.said)
        self._owners.give(where, name)
        _, kind, paths = self._every[where]
        notes = Notes(error=UsageError)
        made = Given([], [])
        for path in paths:
            found = self._read(name, kind, path, photo, notes)
            made.rles.extend(found.rles)
            made.quality.extend(found.quality)
        notes.tell()
        return made

    def _find(self, name: str) -> int | None:
        """The entry of an image, by its whole name or by that without its suffix."""
        for wanted in (name, PurePosixPath(name).with_suffix("").as_posix()):
            found = self._listed.find(wanted)
            if found is not None and names_it(self._every[found][0], wanted):
                return found
        return None

    def _read(self, name: str, kind: str, path: Path, photo: Photo, notes: Notes) -> Given:
        try:
            if kind == ARRAYS:
                found, fit = npz.read(path, photo)
                _note(fit, name, notes)
                return found
            if kind == SHAPES:
                return _shapes(path, photo, notes)
            return _pictured(path, photo, notes)
        except (ExemplarError, ImageError) as error:
            raise unfit(name, f"{path}: {error.message.removeprefix(f'{path}: ')}") from error
        except (OSError, ValueError) as error:
            raise unfit(name, f"{path}: {error}.") from error

    def _digest(self) -> str:
        hashes, made = FileHashes(), hashlib.sha256()
        for key, kind, paths in self._every:
            for path in paths:
                line = f"{key}\0{kind}\0{hashes.sha256(path)}\n"
                made.update(line.encode("utf-8", "surrogateescape"))
        return made.hexdigest()


def _entries(folder: Path, said: str) -> list[tuple[str, str, list[Path]]]:
    """Name of the image (as far as it is told), kind and files of each entry of a folder."""
    found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    walked = walk(folder, deep=True, follow=True)
    for name, reason in walked.unreadable:
        raise UsageError(f"{said}: {name} cannot be looked into ({reason}).", "Make it readable.")
    skipped = []
    for path in sorted(walked.files):
        place = _place(path.relative_to(folder))
        if place is not None:
            found[same(place[0])][place[1]].append(path)
        elif path.suffix.lower() in SUFFIXES or path.suffix.lower() == ".npz":
            skipped.append(path.relative_to(folder).as_posix())
    if skipped:
        log.warning(
            "%s: %d files are left out, as they hold no masks that can be read (first: %s). Masks are "
            "%s or NAME%s.",
            said,
            len(skipped),
            skipped[0],
            ", ".join(PICTURES),
            NPZ,
        )
    for key, kinds in found.items():
        files = [path for paths in kinds.values() for path in paths]
        if len(kinds) > 1 or (MANY not in kinds and len(files) > 1):
            raise UsageError(
                f"{said}: {files[0].name} and {files[1].name} are both masks of {key}.",
                "Keep one of them, or put masks into a folder of their own.",
            )
    if not found:
        raise UsageError(
            f"{said}: has no masks ({', '.join(PICTURES)}, NAME{NPZ}, NAME{SUFFIX}).",
            "Name a folder of masks, or a COCO file.",
        )
    return [(key, *next(iter(kinds.items()))) for key, kinds in sorted(found.items())]


def _place(path: Path) -> tuple[str, str] | None:
    """The image that a file is masks of, without a suffix if the file does not say it, and its kind."""
    inner, suffix = path.parent, path.suffix.lower()
    if path.name.lower().endswith(NPZ):
        return (inner / path.name[: -len(NPZ)]).as_posix(), ARRAYS
    if suffix == SUFFIX:
        return path.with_suffix("").as_posix(), SHAPES
    if suffix not in PICTURES:
        return None
    if inner.suffix.lower() == PARTS:
        return inner.with_suffix("").as_posix(), MANY
    if inner.suffix.lower() in SUFFIXES:
        return inner.as_posix(), MANY
    named = MASK.match(path.stem)
    return (inner / (named[1] if named else path.stem)).as_posix(), INDEX


def _pictured(path: Path, photo: Photo, notes: Notes) -> Given:
    """The masks of a picture. Raises ImageError or ExemplarError."""

    def require(size: Size) -> None:
        if size not in (photo.size, photo.size[::-1]):  # turned or not: its rotation is not known yet
            raise misfit(size, photo, f"{path}: is")

    stored = read_stored(path, MAX_PIXELS, require)
    fit = photo.fit(stored.size)
    if fit == "neither":
        raise misfit(stored.size, photo, f"{path}: is")
    if fit == "either" and stored.orientation == photo.orientation:
        fit = "upright"  # it was turned with its photo
    _note(fit, str(path), notes)
    if stored.lossy:
        notes.add(LOSSY, str(path))
    turn, made = fit == "stored", Given([], [])
    for mask in objects_in(stored, path):
        made.add(turn_mask(mask, photo.orientation) if turn else mask)
    return made


def _shapes(path: Path, photo: Photo, notes: Notes) -> Given:
    """The objects of a LabelMe file. Raises ExemplarError."""
    made = Given([], [])
    for one in read_objects(path, notes):
        try:
            mask, fit = paint_upright(one.drawn, photo)
        except ExemplarError as error:
            raise ExemplarError(f"{one.said}: {error.message}", error.hint) from error
        _note(fit, one.said, notes)
        made.add(mask)
    return made


def _note(fit: str, name: str, notes: Notes) -> None:
    if fit in ("stored", "either"):
        notes.add(TURNED if fit == "stored" else EITHER, name)
