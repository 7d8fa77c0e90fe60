"""Folders of example images to what is in them. Strict: what cannot be used is an error that names it.

A missing exemplar would change the classifier without anybody noticing.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from ..annotations import Notes, read_objects
from ..annotations.jsonfile import label as as_label
from ..annotations.notes import NO_SHAPES
from ..errors import ExemplarError
from ..images import SUFFIXES, broken, leads_back, walk
from .beside import IMAGE_FOLDERS, MASK_FOLDERS, Beside, is_picture, namesakes, sort
from .types import Found

log = logging.getLogger(__name__)
MASK_SUFFIX = ".mask.png"
JUNK = ("thumbs.db", "desktop.ini")


def find_positives(folder: Path, notes: Notes | None = None) -> list[Found]:
    """Positive files: sub-folders are classes; a flat folder is one class with the folder's name.

    A LabelMe file beside an image gives one example for each of its objects: those with the class's
    label, or in a flat folder all, each with its own label as the class. notes: take what is left out,
    which else is told at once.
    """
    own = notes or Notes()
    _require_folder(folder, "--positive")
    children = [path for path in sorted(folder.iterdir()) if not _is_junk(path)]
    _require_sound(children)
    classes = [path for path in children if path.is_dir()]
    images = [path for path in children if is_picture(path)]
    apart = _mask_folders(classes, bool(images))
    if set(classes) - apart and images:
        raise _mixed(folder, images[0], classes[0])
    if set(classes) <= apart:
        found = _flat(folder, own)
        strays = [item.path for item in found if images and item.path.parent in apart]
        if strays:
            raise _mixed(folder, images[0], strays[0].parent)
    else:
        found = [item for path in classes for item in _class(folder, path, own)]
    if notes is None:
        own.tell()
    return _doubted(found)


def _mixed(folder: Path, image: Path, inner: Path) -> ExemplarError:
    return ExemplarError(
        f"{folder}: holds both images ({image.name}, ...) and class folders ({inner.name}, ...).",
        "Move the images into a class folder.",
    )


def _mask_folders(classes: list[Path], beside_images: bool) -> set[Path]:
    """Of the folders in one of examples those that are no classes: masks of the images beside them, or
    nothing but images and masks."""
    masks = {path for path in classes if path.name.lower() in MASK_FOLDERS}
    images = {path for path in classes if path.name.lower() in IMAGE_FOLDERS}
    if beside_images:
        return masks
    return masks | images if masks and masks | images == set(classes) and images else set()


def find_negatives(folder: Path, notes: Notes | None = None) -> list[Found]:
    """Negative files, from all levels."""
    own = notes or Notes()
    _require_folder(folder, "--negative")
    found = _collect(folder, folder, None, own)
    if notes is None:
        own.tell()
    return _doubted(found)


def find_normals(folder: Path) -> list[Found]:
    """Files of good parts, from all levels."""
    _require_folder(folder, "--normal")
    own = Notes()
    found = _collect(folder, folder, None, own, "normal")
    own.tell()
    return found


def _doubted(found: list[Found]) -> list[Found]:
    """The same, where those without a mask know the image whose mask they could be."""
    near = namesakes(dict.fromkeys(item.path for item in found))
    return [
        replace(item, doubt=item.doubt or near.get(item.path))
        if item.mask is None and item.drawn is None
        else item
        for item in found
    ]


def _collect(
    root: Path, folder: Path, label: str | None, notes: Notes, what: str = "negative"
) -> list[Found]:
    beside = sort(sorted(_walk(folder), key=lambda path: path.as_posix()), folder)
    what = what if label is None else "positive"
    others = [path.name for path in beside.others]
    if beside.orphans:
        raise ExemplarError(
            f"{beside.orphans[0]}: is a mask that has no image beside it.",
            f"A mask is named like its image: 01.png and 01{MASK_SUFFIX}.",
        )
    if not beside.images:
        seen = ", ".join(others[:3]) or "nothing"
        raise ExemplarError(
            f"{folder}: no {what} image in this folder (found {seen}).",
            f"Put {', '.join(SUFFIXES)} files there.",
        )
    if others:
        shown = ", ".join(others[:3])
        log.warning("%s: %d files are not images and are not used (%s).", folder, len(others), shown)
    top = Path(root.resolve().name)  # links to files and folders elsewhere keep their place here
    found = []
    for path in beside.images:
        found += _examples(path, (top / path.relative_to(root)).as_posix(), label, beside, notes)
    if not found:
        notes.tell()  # which shapes there are
        raise ExemplarError(
            f"{beside.images[0]}: its LabelMe file has no shape to use (a point or a line has no area)"
            f", and no other image of {folder} has one.",
            "Draw the objects, or remove the file.",
        )
    return found


def find_file(path: Path, name: str, label: str | None, notes: Notes | None = None) -> list[Found]:
    """The examples of one file by what lies beside it, as in a class folder (label None: negatives)."""
    own, label = notes or Notes(), label if label is None else as_label(label)
    outer = path.parent.parent if path.parent.name.lower() in IMAGE_FOLDERS else path.parent
    folders = [*_folders(path.parent), *(_folders(outer) if outer != path.parent else [])]
    masks = [folder for folder in folders if folder.name.lower() in MASK_FOLDERS]
    near = [file for folder in (path.parent, *masks) for file in _files(folder)]
    beside = sort(near, outer)
    owners = [image for image, masks in beside.masks.items() if path in masks]
    if owners:
        raise ExemplarError(f"{path}: is the mask of {owners[0].name}.", "Name the image itself.")
    every = _examples(path, name, label, beside, own)
    if not every:
        own.tell()
        raise ExemplarError(
            f"{path}: its LabelMe file has no shape to use (a point or a line has no area).",
            "Draw the object, or remove the file.",
        )
    if notes is None:
        own.tell()
    found = [item for item in _doubted([*every, *_plain(beside, path)]) if item.path == path]
    return _labelled(path, found, label)


def _plain(beside: Beside, path: Path) -> list[Found]:
    return [Found(other, other.name, None) for other in beside.images if other != path]


def _files(folder: Path) -> list[Path]:
    every = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in every if not path.is_dir() and not _is_junk(path)]


def _folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []


def _examples(path: Path, name: str, label: str | None, beside: Beside, notes: Notes) -> list[Found]:
    """The examples of one image. beside: files that say where they are in it."""
    masks, shapes = beside.masks.get(path, []), beside.shapes.get(path)
    both = [*masks, *([shapes] if shapes else [])]
    if len(both) > 1:
        raise ExemplarError(
            f"{path}: has both {both[0].name} and {both[1].relative_to(both[1].parents[1])}.",
            "Keep one of them.",
        )
    if shapes is not None:
        return _objects(path, name, label, shapes, notes)
    doubt = path if path in beside.lonely else None
    return [Found(path, name, label, masks[0] if masks else None, doubt=doubt)]


def _objects(path: Path, name: str, label: str | None, shapes: Path, notes: Notes) -> list[Found]:
    """The objects of a LabelMe file, with their own labels; none, noted, where it has none."""
    every = read_objects(shapes, notes)
    if not every:
        notes.add(NO_SHAPES, str(path))
    return [
        Found(
            path,
            f"{name}#{one.number}",
            None if label is None else one.label,
            None,
            one.drawn,
            one.said,
        )
        for one in every
    ]


def _flat(folder: Path, notes: Notes) -> list[Found]:
    """A folder without class folders: LabelMe's labels are the classes, else its own name is one."""
    found = _collect(folder, folder, as_label(folder.resolve().name), notes)
    plain = [item for item in found if item.drawn is None]
    if plain and len(plain) < len(found):
        raise ExemplarError(
            f"{folder}: {plain[0].name} has no LabelMe file, others have one.",
            "Annotate it too, or move the images into class folders.",
        )
    return found


def _class(folder: Path, path: Path, notes: Notes) -> list[Found]:
    """A class folder: of LabelMe's objects those with the label of the folder."""
    label = as_label(path.name)
    every = _collect(folder, path, label, notes)
    images: dict[Path, list[Found]] = {}
    for item in every:
        images.setdefault(item.path, []).append(item)
    return [item for image, items in images.items() for item in _labelled(image, items, label)]


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
        if broken(path) and not is_picture(path):
            raise ExemplarError(f"{path}: is a link to nothing.", "Mend the link, or remove it.")
        if path.is_symlink() and path.is_dir() and leads_back(path):
            raise ExemplarError(f"{path}: is a link to a folder above it.", "Remove the link.")


def _require_folder(folder: Path, option: str) -> None:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ExemplarError(f"{option} {folder}: the folder {what}.", "Name a folder of images.")


def _is_junk(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in JUNK
