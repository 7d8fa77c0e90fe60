"""Folders of example images to exemplars. Strict: whatever cannot be used is an error that names it.

A missing exemplar would change the classifier without anybody noticing.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .config import MAX_PIXELS
from .errors import ExemplarError, ImageError
from .images import SUFFIXES, LoadedImage, read_image

log = logging.getLogger(__name__)
MASK_SUFFIX = ".mask.png"
JUNK = ("thumbs.db", "desktop.ini")
UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One example. label None marks a negative. name: path below the folder's parent, with ``/``.

    pixels (H, W, 3) uint8; mask (H, W) bool; mask_source: file, alpha or whole.
    """

    name: str
    label: str | None
    pixels: UInt8Array
    mask: BoolArray
    mask_source: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Found:
    """One image file of an exemplar folder, not yet read."""

    path: Path
    name: str
    label: str | None
    mask: Path | None


def find_positives(folder: Path) -> list[Found]:
    """Positive files: sub-folders are classes; a flat folder is one class with the folder's name."""
    _require_folder(folder, "--positive")
    children = [path for path in sorted(folder.iterdir()) if not _is_junk(path)]
    classes = [path for path in children if path.is_dir()]
    images = [path for path in children if _is_image(path)]
    if classes and images:
        raise ExemplarError(
            f"{folder}: holds both images ({images[0].name}, ...) and class folders "
            f"({classes[0].name}, ...).",
            "Move the images into a class folder.",
        )
    if not classes:
        return _collect(folder, folder, folder.resolve().name)
    found = []
    for path in classes:
        found += _collect(folder, path, path.name)
    return found


def find_negatives(folder: Path) -> list[Found]:
    """Negative files, from all levels."""
    _require_folder(folder, "--negative")
    return _collect(folder, folder, None)


def load(found: list[Found], max_pixels: int = MAX_PIXELS) -> list[Exemplar]:
    """Read exemplars in order. Raises ExemplarError for the first that cannot be used."""
    return [_load_one(item, max_pixels) for item in found]


def _collect(root: Path, folder: Path, label: str | None) -> list[Found]:
    entries = sorted(_walk(folder), key=lambda path: path.as_posix())
    images = [path for path in entries if _is_image(path)]
    masks = {path for path in entries if path.name.endswith(MASK_SUFFIX)}
    others = [path.name for path in entries if not _is_image(path) and path not in masks]
    if not images:
        seen = ", ".join(others[:3]) or "nothing"
        what = "negative" if label is None else "positive"
        raise ExemplarError(
            f"{folder}: no {what} image in this folder (found {seen}).",
            f"Put {', '.join(SUFFIXES)} files there.",
        )
    if others:
        shown = ", ".join(others[:3])
        log.warning("%s: %d files are no images and are not used (%s).", folder, len(others), shown)
    parent = root.resolve().parent
    found = []
    for path in images:
        mask = path.with_name(path.stem + MASK_SUFFIX)
        name = path.resolve().parent.joinpath(path.name).relative_to(parent).as_posix()
        found.append(Found(path, name, label, mask if mask in masks else None))
    used = {item.mask for item in found}
    orphans = sorted(path.name for path in masks - used)
    if orphans:
        raise ExemplarError(
            f"{folder}: {orphans[0]} has no image beside it.",
            f"A mask is named like its image: 01.png and 01{MASK_SUFFIX}.",
        )
    return found


def _walk(folder: Path) -> list[Path]:
    paths = []
    for base, folders, names in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += [Path(base) / name for name in names if not _is_junk(Path(name))]
    return paths


def _require_folder(folder: Path, option: str) -> None:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ExemplarError(f"{option} {folder}: the folder {what}.", "Name a folder of images.")


def _is_junk(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in JUNK


def _is_image(path: Path) -> bool:
    lower = path.name.lower()
    return path.suffix.lower() in SUFFIXES and not lower.endswith(MASK_SUFFIX) and not path.is_dir()


def _load_one(item: Found, max_pixels: int) -> Exemplar:
    image = _read(item.path, max_pixels)
    if item.mask is not None:
        mask, source = _mask_of_file(item, image, max_pixels), "file"
    elif image.alpha is not None and not image.alpha.all():
        mask, source = image.alpha, "alpha"
    else:
        mask, source = np.ones(image.pixels.shape[:2], bool), "whole"
    if not mask.any():
        raise ExemplarError(
            f"{item.path}: its mask ({source}) is empty.", "Mark the object, or remove the mask."
        )
    return Exemplar(item.name, item.label, image.pixels, mask, source, image.sha256)


def _mask_of_file(item: Found, image: LoadedImage, max_pixels: int) -> BoolArray:
    if item.mask is None:
        raise ValueError("no mask file")
    drawn = _read(item.mask, max_pixels)
    if drawn.pixels.shape != image.pixels.shape:
        raise ExemplarError(
            f"{item.mask}: is {drawn.width}x{drawn.height}, its image {image.width}x{image.height}.",
            "A mask has the size of its image.",
        )
    mask = drawn.pixels.max(axis=2) >= 128
    return np.asarray(mask if drawn.alpha is None else mask & drawn.alpha)


def _read(path: Path, max_pixels: int) -> LoadedImage:
    try:
        return read_image(path, max_pixels)
    except ImageError as error:
        raise ExemplarError(
            f"{error.message} It is an exemplar.", error.hint or "Replace the file or remove it."
        ) from error
