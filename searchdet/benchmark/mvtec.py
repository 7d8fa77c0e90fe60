"""MVTec AD (Bergmann et al. 2021): a folder a category, as downloaded."""

from __future__ import annotations

from collections.abc import Iterator

from .parts import Images, Tested, task
from .places import chosen, folder_of, folders, missing, pictures
from .types import GOOD, Request, Task


def tasks(request: Request) -> Iterator[Task]:
    """A task for each category, number of shots and seed."""
    folder_of(request, ".")
    every = [name for name in folders(request.root) if (request.root / name / "test").is_dir()]
    if not every:
        raise missing(request, request.root / "bottle" / "test", "folders of categories, such as this")
    for category in chosen(every, request.classes, "category"):
        good = pictures(folder_of(request, f"{category}/train/{GOOD}"))
        images = Images(tuple(good), tuple(_tested(request, category)))
        for shots in request.shots:
            for seed in request.seeds:
                yield task(request, category, shots, seed, images)


def _tested(request: Request, category: str) -> list[Tested]:
    found = []
    top = folder_of(request, f"{category}/test")
    for kind in folders(top):
        for path in pictures(top / kind):
            mask = request.root / category / "ground_truth" / kind / f"{path.stem}_mask.png"
            if kind != GOOD and not mask.is_file():
                raise missing(request, mask, "a mask")
            found.append(Tested(path) if kind == GOOD else Tested(path, kind, mask))
    return found
