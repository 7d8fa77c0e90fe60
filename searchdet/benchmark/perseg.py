"""PerSeg: one image of a thing of one's own, the same thing in others (Zhang et al. 2023).

``Images/<object>/00.jpg`` and ``Annotations/<object>/00.png``. The one shot is image 00, which is not
judged; another seed takes the image of that number.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..errors import UsageError
from .dataset import Dataset, Item
from .places import chosen, encoded, folder_of, folders, mask_of, missing, pictures, truth_of
from .types import Request, Task

LEFT_OUT = (
    *("physics_mug", "clock", "pink_sunglasses", "cat2"),
    *("red_teapot", "mug_skulls", "flower", "vase"),
)
"""Objects that the published script does not count."""


def tasks(request: Request) -> Iterator[Task]:
    """A task for each object and seed."""
    if request.shots != (1,):
        raise UsageError("PerSeg has one shot an object.", "Leave out --shots.")
    images, masks = folder_of(request, "Images"), folder_of(request, "Annotations")
    every = [name for name in folders(images) if name not in LEFT_OUT]
    for name in chosen(every, request.classes, "object"):
        rows, shown = [], pictures(images / name)
        for number, path in enumerate(shown, start=1):
            mask = masks / name / f"{path.stem}.png"
            if not mask.is_file():
                raise missing(request, mask, "a mask")
            rows.append(encoded(number, number, 1, mask_of(mask)))
        for seed in request.seeds:
            yield _task(request, name, seed, shown, rows)


def _task(request: Request, name: str, seed: int, shown: list[Path], rows: list[Item]) -> Task:
    stem = f"{seed:02}"
    files = [
        {
            "id": number,
            "file_name": path.relative_to(request.root).as_posix(),
            "height": row["segmentation"]["size"][0],
            "width": row["segmentation"]["size"][1],
        }
        for number, (path, row) in enumerate(zip(shown, rows, strict=True), start=1)
    ]
    shot = [number for number, path in enumerate(shown, start=1) if path.stem == stem]
    if not shot or len(shown) < 2:
        raise missing(request, request.root / "Images" / name / f"{stem}.jpg", "this and another image")

    def part(numbers: list[int]) -> Dataset:
        own = [files[number - 1] for number in numbers]
        return Dataset(own, [rows[number - 1] for number in numbers], [{"id": 1, "name": name}])

    others = [number for number in range(1, len(shown) + 1) if number not in shot]
    truth = truth_of(part(others), f"Annotations/{name}")
    return Task(f"1-shot/seed-{seed}/{name}", 1, seed, request.root, part(shot), truth, one_row=name)
