"""A COCO ground truth, checked before it is used."""

from __future__ import annotations

import copy
import functools
import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ..errors import DAMAGE, UsageError
from . import cocofile
from .frames import Photo
from .jsonfile import label as as_label
from .jsonfile import read_json
from .names import Listed
from .notes import CROWDS_LEFT, CROWDS_USED, SOME_MASKS, Notes
from .shapes import require_shape
from .upright import uprighted


class Truth:
    """A COCO ground truth, checked. parts: per class the file names it is annotated on (None: all).
    source: what it is called in messages; notes: take what is left out, which else is told at once."""

    def __init__(
        self,
        dataset: Mapping[str, Any],
        parts: Mapping[str, Sequence[str]] | None = None,
        source: str = "the ground truth",
        notes: Notes | None = None,
    ):
        own = notes or Notes(error=UsageError)
        self.source = source
        self._dataset = cocofile.checked(dataset, source, own)
        self.labels = tuple(item["name"] for item in self._dataset["categories"])
        self._category: dict[str, int] = {
            item["name"]: item["id"] for item in self._dataset["categories"]
        }
        self._take_names(self._dataset["images"])
        every = sorted(self.names)
        self.image_ids = dict.fromkeys(self.labels, every)
        for label, names in (parts or {}).items():
            self.image_ids[as_label(label)] = self._part(as_label(label), names)
        if notes is None:
            own.tell()

    @functools.cached_property
    def _by_image(self) -> dict[int, tuple[dict[str, Any], list[dict[str, Any]]]]:
        found: dict[int, tuple[dict[str, Any], list[dict[str, Any]]]] = {
            item["id"]: (item, []) for item in self._dataset["images"]
        }
        for row in self._dataset["annotations"]:
            found[row["image_id"]][1].append(row)
        return found

    def _take_names(self, images: list[dict[str, Any]]) -> None:
        self.names: dict[int, str] = {item["id"]: item["file_name"] for item in images}
        self._listed = Listed((name, number) for number, name in self.names.items())

    def _part(self, label: str, names: object) -> list[int]:
        """The images that a class is annotated on."""
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise UsageError(f"the images of class {label!r} are not a list of names.")
        found = {name: self.image_id(name) for name in names}
        missing = [name for name, number in found.items() if number is None]
        if label not in self._category or missing:
            what = f"image {missing[0]!r}" if missing else f"class {label!r}"
            raise UsageError(f"{self.source} has no {what}, which the images by class name.")
        return sorted(number for number in found.values() if number is not None)

    @property
    def has_masks(self) -> bool:
        """Whether every annotation has a mask."""
        found = self._dataset["annotations"]
        return bool(found) and all(item.get("segmentation") for item in found)

    def note_masks(self, notes: Notes) -> None:
        """Note the annotations without a mask where others have one."""
        without = [item for item in self._dataset["annotations"] if not item.get("segmentation")]
        if 0 < len(without) < len(self._dataset["annotations"]):
            for item in without:
                notes.add(SOME_MASKS, f"{item['said']} of {self.source}")

    @property
    def objects(self) -> int:
        """How many annotations there are, crowds left out."""
        return sum(not item["iscrowd"] for item in self._dataset["annotations"])

    def image_id(self, name: str) -> int | None:
        """The image that a record of that name is of: its file name as given, or by the end of its path
        if only one ends so."""
        return self._listed.find(name)

    def only(self, image_ids: Iterable[int]) -> Truth:
        """The truth of some of its images."""
        chosen = set(image_ids)
        dataset = dict(self._dataset)
        dataset["images"] = [item for item in dataset["images"] if item["id"] in chosen]
        dataset["annotations"] = [a for a in dataset["annotations"] if a["image_id"] in chosen]
        return self._again(dataset)

    def _again(self, dataset: dict[str, Any]) -> Truth:
        """A truth of changed items, of the same classes and some of the same images."""
        made = copy.copy(self)
        for known in ("_by_image", "_showing"):
            made.__dict__.pop(known, None)
        made._dataset = dataset
        made._take_names(dataset["images"])
        made.image_ids = {
            label: [number for number in numbers if number in made.names]
            for label, numbers in self.image_ids.items()
        }
        return made

    def of_image(self, number: int) -> list[dict[str, Any]]:
        """The annotations of an image, as they are stored."""
        return list(self._by_image[number][1])

    def upright(self, photos: Mapping[int, Photo], notes: Notes) -> Truth:
        """The truth in the frame of the upright photos, by image id, with their sizes. Raises
        UsageError where an image is of neither frame of its photo."""
        images, rows = [], {}
        for item in self._dataset["images"]:
            image, turned = self.upright_image(item["id"], photos.get(item["id"]), notes)
            images.append(image)
            rows.update({row["id"]: row for row in turned})
        annotations = [rows[item["id"]] for item in self._dataset["annotations"]]
        return self._again(self._dataset | {"images": images, "annotations": annotations})

    def upright_image(
        self, number: int, photo: Photo | None, notes: Notes
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """An image and its annotations as in ``upright``."""
        image, rows = self._by_image[number]
        return uprighted(image, rows, photo, self.source, notes)

    def settle_crowds(self, crowds: str, notes: Notes) -> None:
        """Take annotations with iscrowd 1 for objects, or leave them out as COCO does. crowds: objects,
        ignored, or auto: objects where the file has nothing but masks of that kind; auto notes what it
        did."""
        every = self._dataset["annotations"]
        some = [item for item in every if item["iscrowd"]]
        alone = all(item["iscrowd"] and isinstance(item["segmentation"], dict) for item in every)
        used = crowds == "objects" or (crowds == "auto" and alone)
        for item in some:
            item["iscrowd"] = int(not used)
            if crowds == "auto":
                notes.add(CROWDS_USED if used else CROWDS_LEFT, f"{item['said']} of {self.source}")

    def require_masks(self) -> None:
        """Raise UsageError where a mask cannot be drawn; what draws masks does not notice it."""
        sizes = self.sizes()
        for item in self._dataset["annotations"]:
            try:
                require_shape(item["segmentation"], sizes[item["image_id"]])
            except DAMAGE as error:
                why = "its image has no size" if isinstance(error, KeyError) else str(error)
                raise UsageError(
                    f"{item['said']} of {self.source} has a mask that cannot be drawn ({why}).",
                    "Correct it, or remove it.",
                ) from error

    def sizes(self) -> dict[int, tuple[int, int]]:
        """(H, W) of each image that says it."""
        found = [item for item in self._dataset["images"] if "height" in item]
        return {item["id"]: (item["height"], item["width"]) for item in found}

    def annotations(self) -> list[dict[str, Any]]:
        """The annotations, completed."""
        return list(self._dataset["annotations"])

    def showing(self, label: str) -> frozenset[int]:
        """The images with an annotation of a class, crowds too."""
        return self._showing.get(self._category[label], frozenset())

    @functools.cached_property
    def _showing(self) -> dict[int, frozenset[int]]:
        found: dict[int, set[int]] = {}
        for item in self._dataset["annotations"]:
            found.setdefault(item["category_id"], set()).add(item["image_id"])
        return {number: frozenset(images) for number, images in found.items()}

    def coco(self, stated: bool = False) -> Any:
        """As a pycocotools object. stated: with the areas that the file says, for figures by size."""
        from pycocotools.coco import COCO

        made = COCO()
        made.dataset = self._dataset
        if stated:
            rows = [{**item, "area": item["stated_area"]} for item in self._dataset["annotations"]]
            made.dataset = self._dataset | {"annotations": rows}
        with redirect_stdout(io.StringIO()):
            made.createIndex()
        return made

    def category(self, label: str) -> int:
        return self._category[label]


def read_truth(
    path: Path, parts: Path | None = None, crowds: str = "auto", notes: Notes | None = None
) -> Truth:
    """A COCO file; parts: a JSON file of class name -> file names; crowds: see ``settle_crowds``.
    notes: take what is left out, which else is told at once. Raises UsageError."""
    own = notes or Notes(error=UsageError)
    source = f"the ground truth {path}"
    made = Truth(read_object(path), None if parts is None else read_object(parts), source, own)
    made.settle_crowds(crowds, own)
    if notes is None:
        own.tell()
    return made


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object of a COCO file. Raises UsageError."""
    try:
        value = read_json(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).", "Give a COCO file.") from error
    except ValueError as error:
        raise UsageError(f"{path}: is not JSON ({error}).", "Give a COCO file.") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: holds no JSON object.", "Give a COCO file.")
    return value
