"""Files and folders of a set: where they must lie, and the pages that they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..annotations import Notes, Truth
from ..errors import ImageError, UsageError, meant
from ..images import SUFFIXES
from ..images.stored import read_stored
from ..masks import rle
from .dataset import Dataset, Item
from .types import Request

GUIDE = "docs/benchmarks-public.md shows the layout."
BoolArray = npt.NDArray[np.bool_]


def file_of(request: Request, *parts: str) -> Path:
    """A file below the root. Raises UsageError where it is not there."""
    path = request.root.joinpath(*parts)
    if not path.is_file():
        raise missing(request, path, "a file")
    return path


def folder_of(request: Request, *choices: str) -> Path:
    """The first of some folders below the root that is there. Raises UsageError where none is."""
    for choice in choices:
        if (request.root / choice).is_dir():
            return request.root / choice
    raise missing(request, request.root / choices[0], "a folder")


def missing(request: Request, path: Path, what: str) -> UsageError:
    """The error for what a set lacks."""
    spec = request.spec
    return UsageError(f"{path}: {spec.title} needs {what} there.", f"It is from {spec.page}; {GUIDE}")


def truth_of(dataset: Dataset, source: str) -> Truth:
    """A dataset as the truth; crowds are ignored, as COCO does. Raises UsageError."""
    notes = Notes(error=UsageError)
    made = Truth(dataset.to_json(), None, source, notes)
    made.settle_crowds("ignored", notes)
    notes.tell()
    return made


def located(request: Request, dataset: Dataset, choices: Sequence[str]) -> Dataset:
    """The dataset with file names below the root, each in the first of the folders that has it. Raises
    UsageError for an image that is in none."""
    images = []
    for item in dataset.images:
        name = str(item.get("file_name")).replace("\\", "/")
        if ".." in name.split("/"):
            raise UsageError(f"{name!r} leads out of the folder of images.", "Correct the file name.")
        places = [f"{folder}/{end}" for folder in choices for end in (name, name.rpartition("/")[2])]
        place = next((one for one in places if (request.root / one).is_file()), None)
        if place is None:
            raise missing(request, request.root / places[1], "an image")
        images.append({**item, "file_name": place})
    return replace(dataset, images=images)


def chosen(known: Iterable[str], wanted: Sequence[str], what: str = "class") -> list[str]:
    """Of the known names those that are wanted, in their own order; all where none is named. Raises
    UsageError for one that is not known."""
    every = list(known)
    for name in wanted:
        if name not in every:
            raise UsageError(f"--classes: the set has no {what} {name!r}.", meant(name, every))
    return [name for name in every if name in wanted or not wanted]


def pictures(folder: Path) -> list[Path]:
    """The images of a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, hidden ones apart."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def mask_of(path: Path) -> BoolArray:
    """(H, W) bool: what is not black in a mask file. Raises UsageError for what cannot be read."""
    try:
        found = read_stored(path)
    except ImageError as error:
        raise UsageError(f"{error.message} It is a mask of the set.", error.hint) from error
    shown = found.values if found.palette is None else found.palette[found.values]
    return np.asarray(shown.any(axis=2) if shown.ndim == 3 else shown > 0)


def encoded(number: int, image: int, category: int, mask: BoolArray) -> Item:
    """A mask (H, W) as an annotation."""
    code = rle.encode(mask)
    x0, y0, x1, y1 = (float(value) for value in rle.boxes([code])[0])
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": int(mask.sum()),
        "iscrowd": 0,
        "segmentation": rle.to_json(code),
    }
