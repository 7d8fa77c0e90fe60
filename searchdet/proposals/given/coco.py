"""Masks of a COCO file: a dataset, or a list of results with the dataset that has its images."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...annotations import Notes, Photo, Truth, paint_upright
from ...annotations.drawn import drawn_of
from ...annotations.jsonfile import read_json
from ...annotations.names import names_it
from ...annotations.notes import EITHER, NO_MASK, TURNED
from ...annotations.upright import reaches
from ...errors import DAMAGE, ExemplarError, UsageError
from ...masks import rle
from ...storage.hashes import fresh_sha256
from .source import Given, Owners, missing, require_quality, unfit

Item = Mapping[str, Any]
_CATEGORY = {"id": 0, "name": "mask"}


class CocoMasks:
    """The masks of a COCO file, by image. Scores of annotations are their quality; 1 without."""

    layout = "coco"

    def __init__(self, path: Path, dataset: Path | None = None) -> None:
        """dataset: a COCO file with the images of a list of results. Raises UsageError."""
        self.said = f"--masks-from {path}"
        parts = [path] if dataset is None else [path, dataset]
        digests = [fresh_sha256(part) for part in parts]
        joined = hashlib.sha256("".join(digests).encode()).hexdigest()
        self.digest = digests[0] if dataset is None else joined
        notes = Notes(error=UsageError)
        self._truth = Truth(_dataset(path, dataset), None, self.said, notes)
        self._truth.settle_crowds("auto", notes)
        every = self._truth.annotations()
        self._sizes, self._reaches = self._truth.sizes(), reaches(every)
        self._items: dict[int, list[Item]] = defaultdict(list)
        for item in every:
            if not item["segmentation"]:
                notes.add(NO_MASK, item["said"])
            elif not item["iscrowd"]:
                self._items[item["image_id"]].append(item)
        notes.tell()
        self._owners = Owners(self.said)

    def masks(self, name: str, photo: Photo) -> Given:
        number = self._truth.image_id(name)
        if number is None or not names_it(self._truth.names[number], name):
            raise missing(name, self.said)
        self._owners.give(number, name)
        notes, made = Notes(error=UsageError), Given([], [])
        for item in self._items.get(number, []):
            said = f"{item['said']} of {self.said}"
            try:
                drawn = drawn_of(item, self._sizes.get(number), self._reaches[number])
                mask, fit = paint_upright(drawn, photo)
                score = item.get("score")
                made.quality.append(1.0 if score is None else require_quality(score, "its score"))
            except ExemplarError as error:
                raise unfit(name, f"{said}: {error.message}") from error
            except DAMAGE as error:
                raise unfit(name, f"{said} cannot be used ({error}).") from error
            made.rles.append(rle.encode(mask))
            if fit in ("stored", "either"):
                notes.add(TURNED if fit == "stored" else EITHER, name)
        notes.tell()
        return made


def _dataset(path: Path, dataset: Path | None) -> Item:
    """A dataset of one category, whatever the categories of the file are."""
    value = _read(path)
    if isinstance(value, Mapping):
        if dataset is not None:
            raise UsageError(
                f"--masks-dataset is for a list of results, and {path} has images itself.",
                "Leave it out.",
            )
        images, annotations = value.get("images"), value.get("annotations")
    elif isinstance(value, list):
        images, annotations = _images(path, value, dataset), value
    else:
        images = annotations = None
    if not isinstance(images, list) or not isinstance(annotations, list):
        raise UsageError(
            f"--masks-from {path}: is no COCO file (lists of images and annotations, or of results).",
            "Name a COCO file or a folder of masks.",
        )
    plain = [item | {"category_id": 0} if isinstance(item, dict) else item for item in annotations]
    return {"images": images, "annotations": plain, "categories": [_CATEGORY]}


def _images(path: Path, results: list[Any], dataset: Path | None) -> object:
    """The images of a list of results: those of the dataset, or the names that stand for them in it."""
    if dataset is not None:
        value = _read(dataset)
        return value.get("images") if isinstance(value, Mapping) else None
    names: dict[int | str, str] = {}
    for item in results:
        number = item.get("image_id") if isinstance(item, dict) else None
        name = number if isinstance(number, str) else None
        if isinstance(number, int):
            name = item.get("file_name")
        if not isinstance(number, int | str) or not isinstance(name, str):
            raise UsageError(
                f"--masks-from {path}: is a list of results, and {number!r:.40} names no image.",
                "Add the dataset that the results are of: --masks-dataset FILE.",
            )
        if names.setdefault(number, name) != name:
            raise UsageError(
                f"--masks-from {path}: image_id {number!r} is of {names[number]!r} and of {name!r}.",
                "Give each image an id of its own.",
            )
    return [{"id": number, "file_name": name} for number, name in names.items()]


def _read(path: Path) -> object:
    try:
        return read_json(path)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}).", "Name a COCO file or a folder of masks."
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{path}: is not JSON ({error}).", "Name a COCO file or a folder of masks."
        ) from error
