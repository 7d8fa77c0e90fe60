"""Reads what was found: pixels and masks. The first exemplar that cannot be used is an error."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from ..annotations import paint
from ..config import MAX_PIXELS
from ..errors import ExemplarError, ImageError
from ..images import Bounds, LoadedImage, Told, read_image
from .types import BoolArray, Exemplar, Found

log = logging.getLogger(__name__)


def load(
    found: list[Found],
    max_pixels: int = MAX_PIXELS,
    skipped: list[str] | None = None,
    given: Bounds | None = None,
) -> list[Exemplar]:
    """Read exemplars in order; an image with several is read once.

    skipped: takes the names of those that cannot be used, each with a WARNING; without it the first one
    raises ExemplarError. given: as for ``read_image``; masks do without.
    """
    told = Told("examples")
    made: list[Exemplar] = []
    known: tuple[Path, LoadedImage] | None = None
    for item in found:
        try:
            image = known[1] if known and known[0] == item.path else _read(item.path, max_pixels, given)
            known = (item.path, image)
            made.append(_load_one(item, image, max_pixels))
            told.add(item.name, image.values)
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


def _load_one(item: Found, image: LoadedImage, max_pixels: int) -> Exemplar:
    size = (image.height, image.width)
    if item.drawn is not None:
        try:
            mask, source = paint(item.drawn, size), item.drawn.kind
        except ExemplarError as error:
            raise ExemplarError(f"{item.path}: {error.message}", error.hint) from error
    elif item.mask is not None:
        mask, source = _mask_of_file(item.mask, image, max_pixels), "file"
    elif image.alpha is not None and not image.alpha.all():
        mask, source = image.alpha, "alpha"
    else:
        mask, source = np.ones(size, bool), "whole"
    if not mask.any():
        raise ExemplarError(
            f"{item.path}: its mask ({source}) is empty.", "Mark the object, or remove the mask."
        )
    return Exemplar(item.name, item.label, image.pixels, mask, source, image.content)


def _mask_of_file(path: Path, image: LoadedImage, max_pixels: int) -> BoolArray:
    drawn = _read(path, max_pixels)
    if drawn.pixels.shape != image.pixels.shape:
        raise ExemplarError(
            f"{path}: is {drawn.width}x{drawn.height}, its image {image.width}x{image.height}.",
            "A mask has the size of its image.",
        )
    mask = drawn.pixels.max(axis=2) >= 128
    return np.asarray(mask if drawn.alpha is None else mask & drawn.alpha)


def _read(path: Path, max_pixels: int, given: Bounds | None = None) -> LoadedImage:
    try:
        return read_image(path, max_pixels, given)
    except ImageError as error:
        raise ExemplarError(
            f"{error.message} It is an exemplar.", error.hint or "Replace the file or remove it."
        ) from error
