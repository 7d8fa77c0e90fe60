"""Folders of example images to what is in them. Strict: what cannot be used is an error that names it.

A missing exemplar would change the classifier without anybody noticing.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ..annotations import SUFFIX as LABELME_SUFFIX
from ..annotations import read_labelme
from ..errors import ExemplarError
from ..images import SUFFIXES, broken, leads_back, walk
from .types import Found

log = logging.getLogger(__name__)
MASK_SUFFIX = ".mask.png"
JUNK = ("thumbs.db", "desktop.ini")


def find_positives(folder: Path) -> list[Found]:
    """Positive files: sub-folders are classes; a flat folder is one class with the folder's name.

    A LabelMe file beside an image gives one example for each of its objects: those with the class's
    label, or in a flat folder all, each with its own label as the class.
    """
    _require_folder(folder, "--positive")
    children = [path for path in sorted(folder.iterdir()) if not _is_junk(path)]
    _require_sound(children)
    classes = [path for path in children if path.is_dir()]
    images = [path for path in children if _is_image(path)]
    if classes and images:
        raise ExemplarError(
            f"{folder}: holds both images ({images[0].name}, ...) and class folders "
            f"({classes[0].name}, ...).",
            "Move the images into a class folder.",
        )
    if not classes:
        return _flat(folder)
    found = []
    for path in classes:
        found += _class(folder, path)
    return found


def find_negatives(folder: Path) -> list[Found]:
    """Negative files, from all levels."""
    _require_folder(folder, "--negative")
    return _collect(folder, folder, None)


def _collect(root: Path, folder: Path, label: str | None) -> list[Found]:
    entries = sorted(_walk(folder), key=lambda path: path.as_posix())
    images = [path for path in entries if _is_image(path)]
    masks = {path for path in entries if path.name.endswith(MASK_SUFFIX)}
    stems = {path.with_suffix("") for path in images}
    drawn = {p for p in entries if p.suffix == LABELME_SUFFIX and p.with_suffix("") in stems}
    used = masks | drawn
    others = [path.name for path in entries if not _is_image(path) and path not in used]
    if not images:
        seen = ", ".join(others[:3]) or "nothing"
        what = "negative" if label is None else "positive"
        raise ExemplarError(
            f"{folder}: no {what} image in this folder (found {seen}).",
            f"Put {', '.join(SUFFIXES)} files there.",
        )
    if others:
        shown = ", ".join(others[:3])
        log.warning("%s: %d files are not images and are not used (%s).", folder, len(others), shown)
    top = Path(root.resolve().name)  # links to files and folders elsewhere keep their place here
    found = []
    for path in images:
        found += _examples(path, (top / path.relative_to(root)).as_posix(), label, masks | drawn)
    orphans = sorted(path.name for path in masks - {item.mask for item in found})
    if orphans:
        raise ExemplarError(
            f"{folder}: {orphans[0]} has no image beside it.",
            f"A mask is named like its image: 01.png and 01{MASK_SUFFIX}.",
        )
    return found


def find_file(path: Path, name: str, label: str | None) -> list[Found]:
    """The examples of one file by what lies beside it, as in a class folder (label None: negatives)."""
    beside = {mask for mask in (_mask_of(path), path.with_suffix(LABELME_SUFFIX)) if mask.is_file()}
    every = _examples(path, name, label, beside)
    return _labelled(path, every, label)


def _examples(path: Path, name: str, label: str | None, beside: set[Path]) -> list[Found]:
    """The examples of one image. beside: files that say where they are in it."""
    mask, shapes = _mask_of(path), path.with_suffix(LABELME_SUFFIX)
    if shapes in beside and mask in beside:
        raise ExemplarError(f"{path}: has both {mask.name} and {shapes.name}.", "Keep one of them.")
    if shapes in beside:
        return _objects(path, name, label, shapes)
    return [Found(path, name, label, mask if mask in beside else None)]


def _mask_of(path: Path) -> Path:
    return path.with_name(path.stem + MASK_SUFFIX)


def _objects(path: Path, name: str, label: str | None, shapes: Path) -> list[Found]:
    """The objects of a LabelMe file, with their own labels."""
    every = read_labelme(shapes)
    found = [
        Found(path, f"{name}#{number}", None if label is None else own, None, drawn)
        for number, (own, drawn) in enumerate(every, start=1)
    ]
    if not found:
        raise ExemplarError(f"{shapes}: has no shape.", "Draw the object, or remove the file.")
    return found


def _flat(folder: Path) -> list[Found]:
    """A folder without class folders: LabelMe's labels are the classes, else its own name is one."""
    found = _collect(folder, folder, folder.resolve().name)
    plain = [item for item in found if item.drawn is None]
    if plain and len(plain) < len(found):
        raise ExemplarError(
            f"{folder}: {plain[0].name} has no LabelMe file, others have one.",
            "Annotate it too, or move the images into class folders.",
        )
    return found


def _class(folder: Path, path: Path) -> list[Found]:
    """A class folder: of LabelMe's objects those with the label of the folder."""
    every = _collect(folder, path, path.name)
    images: dict[Path, list[Found]] = {}
    for item in every:
        images.setdefault(item.path, []).append(item)
    return [item for image, items in images.items() for item in _labelled(image, items, path.name)]


def _labelled(path: Path, every: list[Found], label: str | None) -> list[Found]:
    """Of the objects in one image those with a label. Raises ExemplarError where there is none."""
    found = [item for item in every if item.label == label]
    if not found:
        raise ExemplarError(
            f"{path}: its LabelMe file has no shape labelled {label!r} (but {every[0].label!r}).",
            "Rename the label or the class.",
        )
    return found


def _walk(folder: Path) -> list[Path]:
    """The files below a folder, also in linked folders: what were passed over would be missing."""
    found = walk(folder, deep=True, follow=True)
    for name, reason in found.unreadable:
        raise ExemplarError(
            f"{name}: the folder cannot be looked into ({reason}).", "Make it readable."
        )
    if found.loops:
        shown = ", ".join(path.name for path in found.loops[:3])
        log.warning("%s: links to a folder above are not followed (%s).", folder, shown)
    paths = [path for path in found.files if not _is_junk(path)]
    _require_sound(paths)
    return paths


def _require_sound(paths: list[Path]) -> None:
    """Raise ExemplarError for a link that stands for nothing, or for a folder above. An image that is
    one is refused, or left out, by its reader."""
    for path in paths:
        if broken(path) and not _is_image(path):
            raise ExemplarError(f"{path}: is a link to nothing.", "Mend the link, or remove it.")
        if path.is_symlink() and path.is_dir() and leads_back(path):
            raise ExemplarError(f"{path}: is a link to a folder above it.", "Remove the link.")


def _require_folder(folder: Path, option: str) -> None:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ExemplarError(f"{option} {folder}: the folder {what}.", "Name a folder of images.")


def _is_junk(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in JUNK


def _is_image(path: Path) -> bool:
    lower = path.name.lower()
    return path.suffix.lower() in SUFFIXES and not lower.endswith(MASK_SUFFIX) and not path.is_dir()
