"""Reads what was found: pixels and masks. The first exemplar that cannot be used is an error."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..annotations import Notes, Photo, paint_upright
from ..annotations.frames import Fit, Size, turn_mask
from ..annotations.maskfile import looks_like_mask, object_in
from ..annotations.notes import EITHER, LOSSY, PAGES, TURNED
from ..annotations.shapes import misfit
from ..config import MAX_PIXELS
from ..errors import ExemplarError, ImageError
from ..images import Bounds, LoadedImage, Told, read_image
from ..images.stored import read_stored
from .types import BoolArray, Exemplar, Found

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """How exemplars are read. mask_index: the object's in masks that hold several. notes: take what is
    taken for granted. given: as for ``read_image``."""

    max_pixels: int = MAX_PIXELS
    mask_index: int | None = None
    notes: Notes = field(default_factory=Notes)
    given: Bounds | None = None


def load(
    found: list[Found],
    max_pixels: int = MAX_PIXELS,
    skipped: list[str] | None = None,
    given: Bounds | None = None,
    mask_index: int | None = None,
    notes: Notes | None = None,
) -> list[Exemplar]:
    """Read exemplars in order; an image with several is read once.

    skipped: takes the names of those that cannot be used, each with a WARNING; without it the first one
    raises ExemplarError. given: as for ``read_image``; masks do without. mask_index: the object's in
    masks that hold several indices. notes: take what is taken for granted, which else is told at once.
    """
    how = Reading(max_pixels, mask_index, notes or Notes(), given)
    made = load_with(found, how, skipped)
    if notes is None:
        how.notes.tell()
    return made


def load_with(found: list[Found], how: Reading, skipped: list[str] | None = None) -> list[Exemplar]:
    """``load``, whose notes the caller tells."""
    told = Told("examples")
    made: list[Exemplar] = []
    known: tuple[Path, LoadedImage] | None = None
    for item in found:
        try:
            image = (
                known[1]
                if known and known[0] == item.path
                else _read(item.path, how.max_pixels, how.given)
            )
            known = (item.path, image)
            made.append(_load_one(item, image, how))
            told.add(item.name, image.values, image.pages)
        except ExemplarError as error:
            if skipped is None:
                raise
            log.warning("An example is skipped: %s", error.one_line())
            skipped.append(item.name)
    left = {item.label for item in made}
    for item in found:
        if item.label not in left and item.label is not None:
            raise ExemplarError(
                f"{item.label}: none of its examples can be used.", "Replace them, or remove the class."
            )
    return made


def _load_one(item: Found, image: LoadedImage, how: Reading) -> Exemplar:
    photo = Photo((image.height, image.width), image.orientation)
    if item.drawn is not None:
        try:
            mask, fit = paint_upright(item.drawn, photo)
        except ExemplarError as error:
            raise ExemplarError(f"{item.said or item.path}: {error.message}", error.hint) from error
        source = item.drawn.kind
        _note(fit, item.said or item.name, how.notes)
    elif item.mask is not None:
        mask, source = _mask_of_file(item.mask, photo, how), "file"
    else:
        _require_photo(item, image)
        mask, source = _whole(image)
    if not mask.any():
        raise ExemplarError(
            f"{item.said or item.mask or item.path}: its mask ({source}) is empty.",
            "Mark the object, or remove the mask.",
        )
    return Exemplar(item.name, item.label, image.pixels, mask, source, image.content)


def _whole(image: LoadedImage) -> tuple[BoolArray, str]:
    if image.alpha is not None and not image.alpha.all():
        return image.alpha, "alpha"
    return np.ones((image.height, image.width), bool), "whole"


def _require_photo(item: Found, image: LoadedImage) -> None:
    """Raise ExemplarError for a picture that is likely the mask of another one."""
    near = item.doubt
    if near is None or not looks_like_mask(image):
        return
    if near == item.path:
        raise ExemplarError(
            f"{item.path}: is named like a mask, and looks like one, but has no image beside it.",
            "Put its image beside it; if it is an example itself, give it another name.",
        )
    raise ExemplarError(
        f"{item.path}: looks like the mask of {near.name}, not like an example.",
        f"Name it {near.stem}.mask{item.path.suffix.lower()} beside {near}; if it is an example "
        "itself, call it something else.",
    )


def _mask_of_file(path: Path, photo: Photo, how: Reading) -> BoolArray:
    def require(size: Size) -> None:
        if size not in (photo.size, photo.size[::-1]):  # turned or not: its rotation is not known yet
            raise _misfit(path, size, photo)

    try:
        stored = read_stored(path, how.max_pixels, require)
    except ImageError as error:
        raise _unreadable(error) from error
    fit = photo.fit(stored.size)
    if fit == "neither":
        turned = ", turned by its own EXIF," if stored.orientation > 1 else ""
        raise _misfit(path, stored.size, photo, turned)
    mask = object_in(stored, path, how.mask_index)
    if fit == "either" and stored.orientation == photo.orientation:
        fit = "upright"  # it was turned with its photo
    _note(fit, str(path), how.notes)
    if stored.pages > 1:
        how.notes.add(PAGES, str(path))
    if stored.lossy:
        how.notes.add(LOSSY, str(path))
    return turn_mask(mask, photo.orientation) if fit == "stored" else mask


def _misfit(path: Path, size: Size, photo: Photo, turned: str = "") -> ExemplarError:
    unfit = misfit(size, photo, f"{path}: is{turned}")
    return ExemplarError(unfit.message, "A mask has the size of its image.")


def _note(fit: Fit, name: str, notes: Notes) -> None:
    if fit in ("stored", "either"):
        notes.add(TURNED if fit == "stored" else EITHER, name)


def _read(path: Path, max_pixels: int, given: Bounds | None = None) -> LoadedImage:
    try:
        return read_image(path, max_pixels, given)
    except ImageError as error:
        raise _unreadable(error) from error


def _unreadable(error: ImageError) -> ExemplarError:
    return ExemplarError(
        f"{error.message} It is an exemplar.", error.hint or "Replace the file or remove it."
    )
