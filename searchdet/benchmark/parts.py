"""Anomaly sets. As in the field, good training images alone are shown, and every test image is judged.

Or defects of a few test images are exemplars, one an image, the largest connected part of its mask, and
good training images are counter-examples; the images of these defects leave the test set.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UsageError
from .dataset import Dataset, Item
from .places import BoolArray, encoded, mask_of, truth_of
from .types import Request, Task

DEFECT = "defect"


@dataclass(frozen=True, slots=True)
class Tested:
    """A test image. kind: of its defect; mask: the file that shows it; both empty where it is good."""

    image: Path
    kind: str = ""
    mask: Path | None = None


@dataclass(frozen=True, slots=True)
class Images:
    """The images of a category: good ones to learn from, and those that are tested."""

    good: tuple[Path, ...]
    tested: tuple[Tested, ...]


def task(request: Request, category: str, shots: int, seed: int, images: Images) -> Task:
    """One category with some good parts, or some of its defects. Raises UsageError for too few."""
    said = f"{request.spec.title}, {category}"
    shown: list[Tested] = []
    if not request.by_map:
        shown = choose([item for item in images.tested if item.mask is not None], shots, seed, said)
    count = shots if request.by_map else request.negatives
    drawn = tuple(_drawn(images.good, count, f"{seed} {category}", said))
    normals, negatives = (drawn, ()) if request.by_map else ((), drawn)
    truth = truth_of(_dataset(request.root, [i for i in images.tested if i not in shown]), said)
    given = _dataset(request.root, shown, largest=True)
    head = (f"{shots}-shot/seed-{seed}/{category}", shots, seed, request.root)
    return Task(*head, given, truth, negatives, one_row=category, normals=normals)


def _drawn(good: Sequence[Path], count: int, seed: str, said: str) -> list[Path]:
    """Some good images, in an order that the seed decides, so that more hold the fewer. Raises
    UsageError."""
    if len(good) < count:
        raise UsageError(f"{said}: has {len(good)} good images, of which {count} are asked.")
    order = list(good)
    random.Random(seed).shuffle(order)
    return order[:count]


def choose(defects: Sequence[Tested], shots: int, seed: int, said: str) -> list[Tested]:
    """``shots`` images, one of each kind in turn, in an order that the seed decides. Raises UsageError
    unless some remain."""
    if len(defects) <= shots:
        raise UsageError(f"{said}: has {len(defects)} images with a defect, too few for {shots} shots.")
    kinds: dict[str, list[Tested]] = {}
    for item in defects:
        kinds.setdefault(item.kind, []).append(item)
    chance = random.Random(f"{seed} {said}")
    order = sorted(kinds)
    chance.shuffle(order)
    for kind in order:
        chance.shuffle(kinds[kind])
    turns = [
        kinds[kind][turn] for turn in range(len(defects)) for kind in order if turn < len(kinds[kind])
    ]
    return turns[:shots]


def _dataset(root: Path, items: Sequence[Tested], largest: bool = False) -> Dataset:
    """Images as a COCO dataset of one class; every connected part of a defect is an annotation, or the
    largest one alone."""
    images: list[Item] = []
    rows: list[Item] = []
    for number, item in enumerate(items, start=1):
        name = item.image.relative_to(root).as_posix()
        entry: Item = {"id": number, "file_name": name}
        if item.mask is not None:
            mask = mask_of(item.mask)
            entry |= {"width": mask.shape[1], "height": mask.shape[0]}
            for part in _parts(mask)[: 1 if largest else None]:
                rows.append(encoded(len(rows) + 1, number, 1, part))
        images.append(entry)
    return Dataset(images, rows, [{"id": 1, "name": DEFECT}])


def _parts(mask: BoolArray) -> list[BoolArray]:
    """The connected parts of a mask (8 neighbours), the largest first."""
    from scipy.ndimage import label

    numbers, count = label(mask, np.ones((3, 3)))
    sizes = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
    return [numbers == 1 + int(i) for i in np.argsort(-sizes, kind="stable")]
