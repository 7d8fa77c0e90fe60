"""Files and folders of a set: where they must lie, and the pages that they come from."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..annotations import Notes, Truth
from ..annotations.coco import read_object
from ..errors import ImageError, UsageError, meant
from ..images import SUFFIXES
from ..images.stored import read_stored
from ..masks import rle
from .types import DATASET, Request

log = logging.getLogger(__name__)
GUIDE = "docs/benchmarks-public.md shows the layout."
Item = dict[str, Any]
FIELDS = {
    "images": ("id",),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}
"""What the items of a COCO file need to have here; the rest is checked with the truth."""
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


def truth_of(dataset: Mapping[str, Any], source: str) -> Truth:
    """A dataset as the truth; crowds are ignored, as COCO does. Raises UsageError."""
    notes = Notes(error=UsageError)
    made = Truth(dataset, None, source, notes)
    made.settle_crowds("ignored", notes)
    notes.tell()
    return made


def located(request: Request, dataset: DATASET, choices: Sequence[str]) -> DATASET:
    """The dataset with file names below the root, each in the first of the folders that has it. Raises
    UsageError for an image that is in none."""
    images = []
    for item in dataset["images"]:
        name = str(item.get("file_name")).replace("\\", "/")
        if ".." in name.split("/"):
            raise UsageError(f"{name!r} leads out of the folder of images.", "Correct the file name.")
        places = [f"{folder}/{end}" for folder in choices for end in (name, name.rpartition("/")[2])]
        place = next((one for one in places if (request.root / one).is_file()), None)
        if place is None:
            raise missing(request, request.root / places[1], "an image")
        images.append({**item, "file_name": place})
    return {**dataset, "images": images}


def dataset_of(path: Path) -> DATASET:
    """A COCO file, whose lists are there with what tasks are made by. Raises UsageError."""
    value = read_object(path)
    for name, fields in FIELDS.items():
        if not isinstance(value.get(name), list):
            raise UsageError(f"{path}: has no list {name!r}.", "It is not the file that is published.")
        for number, item in enumerate(value[name], start=1):
            if not isinstance(item, dict) or not all(field in item for field in fields):
                raise UsageError(
                    f"{path}: number {number} of its {name} has not all of {', '.join(fields)}.",
                    "It is not the file that is published.",
                )
    return {**value, "annotations": _drawable(value["annotations"], path)}


def _drawable(annotations: list[Item], path: Path) -> list[Item]:
    """Annotations without polygons of fewer than three points, which published files hold here and
    there, with a WARNING; one with nothing left is drawn as its box."""
    made, mended = [], 0
    for item in annotations:
        given = item.get("segmentation")
        if isinstance(given, list) and any(not _is_polygon(points) for points in given):
            x, y, width, height = item["bbox"]
            box = [x, y, x + width, y, x + width, y + height, x, y + height]
            kept = [points for points in given if _is_polygon(points)]
            made.append({**item, "segmentation": kept or [box]})
            mended += 1
        else:
            made.append(item)
    if mended:
        log.warning(
            "%s: %d annotations have polygons of fewer than three points, which are left out; one that "
            "has no other is drawn as its box.",
            path,
            mended,
        )
    return made


def _is_polygon(points: Any) -> bool:
    return isinstance(points, list) and len(points) >= 6 and len(points) % 2 == 0


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


def part_of(dataset: Mapping[str, Any], annotations: Sequence[Item], labels: Iterable[str]) -> DATASET:
    """The dataset with these annotations alone, their images, and the categories of these names."""
    images = {item["image_id"] for item in annotations}
    kept = set(labels)
    return {
        "images": [item for item in dataset["images"] if item["id"] in images],
        "annotations": list(annotations),
        "categories": [item for item in dataset["categories"] if item["name"] in kept],
    }


def draw(dataset: Mapping[str, Any], labels: Iterable[str], shots: int, seed: int) -> list[Item]:
    """Annotations of each class in an order that seed and class decide, the first of each image before
    the second ones; ``shots`` of them, so that more shots hold the fewer. Crowds are left out. Raises
    UsageError for a class without any; one with fewer than ``shots`` gives what it has."""
    names = {item["id"]: item["name"] for item in dataset["categories"]}
    of_class: dict[str, list[Item]] = {label: [] for label in labels}
    for item in dataset["annotations"]:
        label = names.get(item["category_id"])
        if label in of_class and not item.get("iscrowd"):
            of_class[label].append(item)
    made = []
    for label, items in of_class.items():
        if not items:
            raise UsageError(f"--classes: nothing is annotated as {label!r} where exemplars are from.")
        random.Random(f"{seed} {label}").shuffle(items)
        seen: dict[Any, int] = {}
        ranked: list[tuple[int, int, Item]] = []
        for item in items:
            seen[item["image_id"]] = turn = seen.get(item["image_id"], 0) + 1
            ranked.append((turn, len(ranked), item))
        made += [item for *_, item in sorted(ranked, key=lambda one: one[:2])[:shots]]
    return made
