"""What is left out of example and truth files, or taken for granted: counted, and told once a kind."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ..errors import ExemplarError, SearchdetError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of note: what it says of those it counts, and the next step. costs: whether something is
    left out or guessed, so that strictness refuses it."""

    words: str
    hint: str
    costs: bool = True


NO_AREA = Kind(
    "Shapes without an area (points, lines) are left out",
    "Outline these objects, or remove the shapes.",
)
NO_SHAPES = Kind(
    "Images whose LabelMe file has no shape to use are left out",
    "Draw the object, or remove the image.",
)
CROWDS_LEFT = Kind(
    "Annotations with iscrowd 1 are left out",
    "If each is one object, as some tools write masks, pass --crowds objects.",
)
CROWDS_USED = Kind(
    "Annotations with iscrowd 1 are taken for objects, as the file has nothing but such masks",
    "Pass --crowds ignored if they are crowds.",
    costs=False,
)
DANGLING = Kind(
    "Annotations of images or categories that the file does not have are left out",
    "Remove them, or add what they are of.",
)
REPEATED = Kind(
    "Annotations that stand in the file a second time, with the same id, count once",
    "Remove them.",
    costs=False,
)
BEYOND = Kind(
    "Boxes reach beyond their image, as two corners do that are written for corner, width and height",
    "COCO boxes are x, y, width, height in pixels.",
    costs=False,
)
SHARES = Kind(
    "Boxes lie within one pixel, as those do that are written in shares of the image",
    "COCO boxes are x, y, width, height in pixels.",
)
SOME_MASKS = Kind(
    "Annotations without a mask beside others with one, so that boxes alone are compared",
    "Draw their masks, or remove them.",
    costs=False,
)
PAGES = Kind(
    "Masks with several pages or frames are read by the first",
    "Save the one that marks the object alone.",
)
SAME_NAME = Kind(
    "Categories share the name of another and are one class with it", "Rename one of them.", costs=False
)
TURNED = Kind(
    "Drawings of photos before their EXIF rotation, by their size, were turned with them",
    "Look whether the objects are marked rightly.",
    costs=False,
)
EITHER = Kind(
    "Drawings of photos with an EXIF rotation whose size does not say whether they were drawn before "
    "or after it are taken as of the upright photo",
    "Look whether the objects are marked rightly; else save the photos upright, without EXIF.",
)
EXPORTED_STORED = Kind(
    "Photos that are annotated before their EXIF rotation, by their size, have their detections "
    "written in that frame too",
    "Without --ids-from they are written as viewers show them.",
    costs=False,
)
NO_OBJECTS = Kind(
    "Truths without an object in the images that have a record, so that only false alarms are counted",
    "Give a truth that is annotated, or records of its images.",
    costs=False,
)
NO_MASK = Kind(
    "Annotations that are boxes without a mask propose nothing",
    "Give them masks: `searchdet masks`.",
)
LOSSY = Kind("Masks in a lossy format are cut at half of white", "Save masks as PNG.", costs=False)


class Notes:
    """Collects notes while files are read. strict: ``tell`` raises for those that cost something."""

    def __init__(self, strict: bool = False, error: type[SearchdetError] = ExemplarError) -> None:
        self._strict, self._error = strict, error
        self._found: dict[Kind, list[str]] = {}

    def add(self, kind: Kind, name: str) -> None:
        """One more of a kind. The same name twice counts once."""
        names = self._found.setdefault(kind, [])
        if name not in names[-1:]:
            names.append(name)

    def names(self, kind: Kind) -> tuple[str, ...]:
        """What was found of a kind."""
        return tuple(self._found.get(kind, ()))

    def tell(self) -> None:
        """Say each kind in one WARNING, and forget it. Raises the error of these notes if strict."""
        found, self._found = self._found, {}
        for kind, names in found.items():
            text = f"{kind.words}: {len(names)} (first: {names[0]})."
            if self._strict and kind.costs:
                raise self._error(text, f"{kind.hint} --strict refuses them.")
            log.warning("%s %s", text, kind.hint)
