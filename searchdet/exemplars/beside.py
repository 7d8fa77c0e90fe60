"""What lies beside the images of a folder: their masks, their LabelMe files, and likely masks.

A mask of ``01.jpg`` is ``01.mask.png``, ``01_mask.png`` or ``01-mask.png`` beside it, or ``01.png`` in
a folder ``masks`` there, in any format and case.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..annotations import SUFFIX as LABELME_SUFFIX
from ..annotations.jsonfile import same
from ..annotations.names import MASK
from ..images import SUFFIXES

MASK_FOLDERS = ("mask", "masks")
IMAGE_FOLDERS = ("images", "image", "imgs", "img", "photos")
"""Folders beside which, too, a folder of masks may lie."""
_ROLES = re.compile(
    "masks?|msk|gt|groundtruth|truth|labels?|lbl|seg|segm|segmentation|annotations?|ann|matte|alpha"
    "|trimap|binary|index|images?|img|photos?|pic|rgb|orig|original|input"
)
"""Words by which the names of a photo and its mask differ."""
_OF_MASKS = re.compile(r"masks?|msk|gt$|ground|truth|labels?$|lbl|seg|annot|matte|trimap")
"""How words of folders begin in which masks lie apart."""
Place = tuple[Path, str]


@dataclass(slots=True)
class Beside:
    """The files of a folder by what they are. masks, shapes: by image. lonely: images that are named
    like masks; orphans: masks without an image; others: files of no known kind."""

    images: list[Path] = field(default_factory=list)
    masks: dict[Path, list[Path]] = field(default_factory=lambda: defaultdict(list))
    shapes: dict[Path, Path] = field(default_factory=dict)
    lonely: set[Path] = field(default_factory=set)
    orphans: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)


def sort(entries: Iterable[Path], top: Path) -> Beside:
    """Files below ``top`` by what they are, in their order."""
    made = Beside()
    every = list(entries)
    pictures = [path for path in every if is_picture(path)]
    likely = [path for path in pictures if _meant(path, top)]
    plain = set(pictures) - set(likely)
    images: dict[Place, list[Path]] = defaultdict(list)
    for path in pictures:
        if path in plain:
            for name in {same(path.stem), same(path.name)}:
                images[path.parent, name].append(path)
    claimed = _claim(likely, images, top, made)
    made.images = [path for path in pictures if path not in claimed]
    kept = set(made.images)
    made.lonely = kept - plain
    for path in every:
        if path.suffix.lower() == LABELME_SUFFIX:
            owners = [image for image in images[path.parent, same(path.stem)] if image in plain]
            made.shapes.update(dict.fromkeys(owners, path))
            if owners:
                continue
        if path not in claimed and path not in kept:
            made.others.append(path)
    return made


def _claim(likely: list[Path], images: dict[Place, list[Path]], top: Path, made: Beside) -> set[Path]:
    """Give masks to their images; the files that are masks, with an image or without."""
    claimed = set()
    for path in likely:
        for owner in next((images[place] for place in _meant(path, top) if images.get(place)), []):
            made.masks[owner].append(path)
            claimed.add(path)
    used = {path.parent for path in claimed}
    for path in likely:
        named = MASK.match(path.stem)
        sure = path.parent in used if _in_mask_folder(path, top) else named and named[2] == "."
        if path not in claimed and sure:
            made.orphans.append(path)
            claimed.add(path)
    return claimed


def _meant(path: Path, top: Path) -> list[Place]:
    """Folders and stems of the images that a picture could be the mask of; none for a plain picture."""
    named = MASK.match(path.stem)
    stem = same(named[1] if named else path.stem)
    if _in_mask_folder(path, top):
        outer = path.parent.parent
        folders = [outer, *(outer / name for name in _siblings(outer))]
        return [(folder, one) for folder in folders for one in dict.fromkeys((same(path.stem), stem))]
    return [(path.parent, stem)] if named else []


def _siblings(folder: Path) -> list[str]:
    return [path.name for path in sorted(folder.iterdir()) if path.name.lower() in IMAGE_FOLDERS]


def _in_mask_folder(path: Path, top: Path) -> bool:
    return path.parent != top and path.parent.name.lower() in MASK_FOLDERS


def is_picture(path: Path) -> bool:
    """Whether a file is named like an image."""
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def namesakes(paths: Iterable[Path]) -> dict[Path, Path]:
    """For each image another one whose name it shares but for words like ``gt``, if there is any: in
    its own folder, or in any where its folder is named like one of masks. Folders of classes number
    their images alike, which says nothing."""
    every = list(paths)
    stems: dict[str, list[Path]] = defaultdict(list)
    keys: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for path in every:
        stems[same(path.stem).lower()].append(path)
        keys[_key(path)].append(path)
    found = {}
    for path in every:
        near = keys[_key(path)] if _key(path) else []
        for part in _parts(same(path.stem).lower()):
            near = near + stems.get(part, [])
        apart = any(map(_OF_MASKS.match, re.split(r"[\W_]+", same(path.parent.name).lower())))
        other = next(
            (one for one in near if one != path and (apart or one.parent == path.parent)), None
        )
        if other is not None:
            found[path] = other
    return found


def _key(path: Path) -> tuple[str, ...]:
    words = re.split(r"[\W_]+|(?<=\D)(?=\d)|(?<=\d)(?=\D)", same(path.stem).lower())
    return tuple(word for word in words if word and not _ROLES.fullmatch(word))


def _parts(stem: str) -> list[str]:
    """Beginnings and ends of a stem that do not cut a number."""
    cuts = [i for i in range(1, len(stem)) if not (stem[i - 1].isdigit() and stem[i].isdigit())]
    return [stem[:i] for i in cuts] + [stem[i:] for i in cuts]
