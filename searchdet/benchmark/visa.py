"""VisA (Zou et al. 2022): twelve objects, split by ``split_csv/1cls.csv``, as downloaded."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from ..errors import UsageError
from .parts import DEFECT, Images, Tested, task
from .places import chosen, file_of, missing
from .types import Request, Task

COLUMNS = ["object", "split", "label", "image", "mask"]


def tasks(request: Request) -> Iterator[Task]:
    """A task for each object, number of shots and seed."""
    path = file_of(request, "split_csv", "1cls.csv")
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    if not rows or rows[0] != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise UsageError(
            f"{path}: is no table of {', '.join(COLUMNS)}.", "It is not the file that is published."
        )
    objects = dict.fromkeys(row[0] for row in rows[1:])
    for name in chosen(objects, request.classes, "object"):
        images = _images(request, [row for row in rows[1:] if row[0] == name])
        for shots in request.shots:
            for seed in request.seeds:
                yield task(request, name, shots, seed, images)


def _images(request: Request, rows: list[list[str]]) -> Images:
    good, tested = list[Path](), list[Tested]()
    for _, split, label, image, mask in rows:
        path = request.root / image
        if not path.is_file():
            raise missing(request, path, "an image")
        if split == "train":
            good.append(path)
        elif label == "normal":
            tested.append(Tested(path))
        elif not (request.root / mask).is_file():
            raise missing(request, request.root / mask, "a mask")
        else:
            tested.append(Tested(path, DEFECT, request.root / mask))
    return Images(tuple(good), tuple(tested))
