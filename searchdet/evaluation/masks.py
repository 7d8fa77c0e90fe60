"""The records of an output folder against mask files: what of the pixels is found, image by image."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from ..annotations.jsonfile import same
from ..annotations.maskfile import objects_in
from ..errors import UsageError
from ..images import SUFFIXES, walk
from ..images.stored import read_stored
from ..masks import rle
from ..records import ImageRecord
from ..storage.values import JsonObject

BoolArray = npt.NDArray[np.bool_]
OF_MASKS = re.compile(r"^(.+)[._-](?:mask|masks|gt)$", re.IGNORECASE | re.DOTALL)
"""The stem of a mask whose name says that it is one."""
FIGURES = ("iou", "dice", "precision", "recall")


@dataclass(frozen=True, slots=True)
class Pixels:
    """Counts of pixels: found and right, found and wrong, not found."""

    right: int
    wrong: int
    missed: int

    @classmethod
    def of(cls, found: BoolArray, true: BoolArray) -> Pixels:
        """Of two masks (H, W)."""
        right = int((found & true).sum())
        return cls(right, int(found.sum()) - right, int(true.sum()) - right)

    def plus(self, other: Pixels) -> Pixels:
        """Of both together."""
        return Pixels(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    def figures(self) -> dict[str, float | None]:
        """IoU, Dice, precision and recall; None where there is nothing to be right about."""
        found, true = self.right + self.wrong, self.right + self.missed
        return {
            "iou": _share(self.right, self.right + self.wrong + self.missed),
            "dice": _share(2 * self.right, found + true),
            "precision": _share(self.right, found),
            "recall": _share(self.right, true),
        }


@dataclass(frozen=True, slots=True)
class MaskCard:
    """Pixels by image, in order; clean: images with an empty mask; unmasked: images without one, which
    are left out."""

    images: dict[str, Pixels]
    clean: tuple[str, ...]
    unmasked: tuple[str, ...]

    @property
    def alarmed(self) -> list[str]:
        """Images with an empty mask on which something was found."""
        return [name for name in self.clean if self.images[name].wrong]

    def mean(self) -> dict[str, float | None]:
        """Means over the images whose mask shows something; one without a detection has no precision
        and takes no part in its mean."""
        rows = [item.figures() for name, item in self.images.items() if name not in set(self.clean)]
        return {name: _mean([row[name] for row in rows]) for name in FIGURES}

    def total(self) -> Pixels:
        """The pixels of all images together."""
        every = Pixels(0, 0, 0)
        for item in self.images.values():
            every = every.plus(item)
        return every

    def to_json(self) -> JsonObject:
        """Plain JSON values, rounded."""
        return {
            "images": {name: _rounded(item.figures()) for name, item in self.images.items()},
            "mean": _rounded(self.mean()),
            "all_pixels": _rounded(self.total().figures()),
            "clean": len(self.clean),
            "clean_with_detections": self.alarmed,
            "without_mask": list(self.unmasked),
        }

    def lines(self) -> list[str]:
        """For a person."""
        head = "".join(f"{name:>10}" for name in FIGURES)
        out = [f"{'image':40}{head}"]
        out += [_line(name, item.figures()) for name, item in self.images.items()]
        shown = len(self.images) - len(self.clean)
        out += ["", _line(f"mean of {shown} with something to find", self.mean())]
        out.append(_line("all pixels together", self.total().figures()))
        if self.clean:
            out.append(
                f"{len(self.alarmed)} of {len(self.clean)} images with an empty mask show detections."
            )
        if self.unmasked:
            names = ", ".join(self.unmasked[:3])
            out.append(f"{len(self.unmasked)} images have no mask file and are left out ({names}).")
        return out


def mask_card(records: Sequence[ImageRecord], folder: Path, empty: bool = False) -> MaskCard:
    """Judge the accepted detections of records by mask files of a folder, in which a mask has the
    relative name of its image, in any format, with or without ``_mask`` or ``_gt``. empty: an image
    without a mask file shows nothing. Raises UsageError where masks cannot be paired or read."""
    files = _by_name(folder)
    images: dict[str, Pixels] = {}
    clean, unmasked = [], []
    for record in records:
        path = files.get(_key(PurePosixPath(record.image)))
        if (path is None and not empty) or record.failed:
            unmasked.append(record.image)
            continue
        size = (record.height, record.width)
        true = np.zeros(size, bool) if path is None else _mask(path, size, record.image)
        images[record.image] = Pixels.of(_found(record, size), true)
        if not true.any():
            clean.append(record.image)
    if not images:
        raise UsageError(
            f"--masks {folder}: no mask there has the name of an image of the records.",
            "Masks of a/x.jpg are a/x.png, a/x_mask.png or a/x_gt.png in it.",
        )
    return MaskCard(images, tuple(clean), tuple(unmasked))


def _by_name(folder: Path) -> dict[str, Path]:
    """Mask files by the relative name of their image, without its suffix."""
    if not folder.is_dir():
        raise UsageError(f"--masks {folder}: is no folder.", "Name the folder of the mask files.")
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(walk(folder, True, True).files):
        if path.suffix.lower() in SUFFIXES:
            relative = PurePosixPath(path.relative_to(folder).as_posix())
            named = OF_MASKS.match(relative.stem)
            plain = relative.with_name(f"{named[1]}.png") if named else relative
            found[_key(plain)].append(path)
    for paths in found.values():
        if len(paths) > 1:
            raise UsageError(f"--masks: {paths[0]} and {paths[1]} are masks of one image.", "Keep one.")
    return {name: paths[0] for name, paths in found.items()}


def _key(relative: PurePosixPath) -> str:
    return same(relative.with_suffix("").as_posix())


def _mask(path: Path, size: tuple[int, int], image: str) -> BoolArray:
    """All objects of a mask file in one."""
    stored = read_stored(path)
    if stored.size != size:
        shape = f"{stored.size[1]}x{stored.size[0]}"
        raise UsageError(
            f"{path}: is {shape} and {image} is {size[1]}x{size[0]}.",
            "Masks have the size of their images, turned as these are shown.",
        )
    true = np.zeros(size, bool)
    for item in objects_in(stored, path):
        true |= item
    return true


def _found(record: ImageRecord, size: tuple[int, int]) -> BoolArray:
    """The pixels under any detection."""
    found = np.zeros(size, bool)
    for item in record.detections:
        rle.require(item.segmentation, size)
        found |= rle.decode([item.segmentation], size)[0]
    return found


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Iterable[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _rounded(row: dict[str, float | None]) -> JsonObject:
    return {name: None if value is None else round(value, 6) for name, value in row.items()}


def _line(name: str, row: dict[str, float | None]) -> str:
    cells = "".join(f"{'-' if row[key] is None else format(row[key], '.3f'):>10}" for key in FIGURES)
    return f"{name[-39:]:40}{cells}"
