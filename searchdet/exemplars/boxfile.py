"""A COCO file of boxes to one of masks. All else of the file stays as it is."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..annotations import Notes, Photo, Truth
from ..annotations.coco import read_object
from ..annotations.frames import turn_mask, turn_points
from ..annotations.names import Folder
from ..annotations.notes import EITHER, TURNED
from ..annotations.shapes import misfit
from ..annotations.upright import reaches
from ..config import MAX_PIXELS
from ..errors import ImageError, SearchdetError, UsageError, memory_as_error
from ..images import Bounds, LoadedImage, read_image
from ..masks import rle
from .boxmask import LEAST, Finder
from .types import BoolArray, UInt8Array

SOURCE = "mask_source"
"""Field of an annotation whose mask was found in its box: the name of the proposer."""
Show = Callable[[str, UInt8Array, BoolArray], None]
"""Is given the name of each annotation, its upright photo, and the mask found in it."""


@dataclass(slots=True)
class Done:
    """Annotations by what became of them. masked: they had a mask; crowds; bare: names of those in
    whose box nothing was found; failed: images that cannot be used, and why."""

    made: int = 0
    masked: int = 0
    crowds: int = 0
    bare: list[str] = field(default_factory=list)
    failed: list[tuple[str, SearchdetError]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pictures:
    """The images of a file of boxes: their folder, and how they are read."""

    folder: Path
    max_pixels: int = MAX_PIXELS
    given: Bounds | None = None


class BoxFile:
    """A COCO file, whose boxes become masks image by image. Make it, call ``fill`` with each of
    ``images``, and write ``dataset``."""

    def __init__(self, path: Path, pictures: Pictures) -> None:
        """Raises UsageError for anything but a COCO file, and for images in no folder."""
        value = read_object(path)
        self.notes = Notes(error=UsageError)
        self._truth = Truth(value, None, f"the boxes {path}", self.notes)
        if not pictures.folder.is_dir():
            raise UsageError(
                f"--images {pictures.folder}: is no folder.", f"Name that of the images of {path.name}."
            )
        self.dataset: dict[str, Any] = copy.deepcopy(value)
        self.done = Done()
        self._pictures, self._folder = pictures, Folder(pictures.folder)
        every = self._truth.annotations()
        self._reaches, self._sizes = reaches(every), self._truth.sizes()
        self._waiting: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for item in every:
            self.done.crowds += item["iscrowd"]
            if not item["iscrowd"]:
                self.done.masked += bool(item["segmentation"])
                if not item["segmentation"]:
                    self._waiting[item["image_id"]].append(item)

    @property
    def images(self) -> list[int]:
        """Those with a box that waits for its mask, in the order of the file's annotations."""
        return list(self._waiting)

    def fill(self, image: int, finder: Finder, show: Show | None = None) -> None:
        """Give the boxes of one image their masks. An image that cannot be used stands in
        ``done.failed``, and its boxes stay."""
        name = self._truth.names[image]
        try:
            with memory_as_error(name):
                self._fill(image, name, finder, show)
        except SearchdetError as error:
            self.done.failed.append((name, error))

    def _fill(self, image: int, name: str, finder: Finder, show: Show | None) -> None:
        loaded = self._load(name)
        photo = Photo((loaded.height, loaded.width), loaded.orientation)
        fit = photo.fit(self._sizes.get(image), self._reaches[image])
        if fit == "neither":
            raise misfit(self._sizes[image], photo, f"{name} is there")
        if fit in ("stored", "either"):
            self.notes.add(TURNED if fit == "stored" else EITHER, name)
        items = self._waiting[image]
        boxes = [_upright(item["bbox"], photo, fit == "stored") for item in items]
        found = finder.masks(loaded.pixels, loaded.content, boxes)
        for item, code, box in zip(items, found, boxes, strict=True):
            mask = rle.decode([code], photo.size)[0]
            taken = self._put(item, mask, box, (photo, fit == "stored"), finder.proposer.name)
            if show is not None and taken:
                show(f"{name}#{self._row(item).get('id', item['id'])}", loaded.pixels, mask)

    def _load(self, name: str) -> LoadedImage:
        where = self._folder.find(name)
        if where is None:
            raise ImageError(
                "missing", f"{name}: is not in {self._folder.path}.", "Name its folder: --images DIR."
            )
        return read_image(where, self._pictures.max_pixels, self._pictures.given)

    def _row(self, item: dict[str, Any]) -> dict[str, Any]:
        """The annotation of the file that a checked one is."""
        row: dict[str, Any] = self.dataset["annotations"][item["id"] - 1]
        return row

    def _put(
        self,
        item: dict[str, Any],
        mask: BoolArray,
        box: tuple[float, ...],
        frame: tuple[Photo, bool],
        source: str,
    ) -> bool:
        """Note what was found in a box; whether it is the mask of an object."""
        photo, stored = frame
        if not mask.any() or mask.sum() < LEAST * (box[2] - box[0]) * (box[3] - box[1]):
            self.done.bare.append(f"{item['said']} ({self._truth.names[item['image_id']]})")
            return False
        drawn = turn_mask(mask, photo.back.orientation) if stored else mask
        self._row(item).update({"segmentation": rle.to_json(rle.encode(drawn)), SOURCE: source})
        self.done.made += 1
        return True


def each(file: BoxFile, finder: Finder, show: Show | None = None) -> Iterator[int]:
    """Fill image after image, and give each when it is done."""
    for image in file.images:
        file.fill(image, finder, show)
        yield image


def _upright(xywh: list[float], photo: Photo, stored: bool) -> tuple[float, ...]:
    x, y, width, height = xywh
    ends: tuple[float, ...] = (x, y, x + width, y + height)
    if stored:
        ends = turn_points(ends, photo.stored, photo.orientation)
    return min(ends[0::2]), min(ends[1::2]), max(ends[0::2]), max(ends[1::2])
