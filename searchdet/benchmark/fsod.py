"""COCO-FSOD: 60 base and 20 novel classes, shots and seeds as published with TFA (Wang et al. 2020).

The folder ``datasets`` of its repository: ``cocosplit`` as downloaded, and COCO's images of 2014.
Tested on the 5,000 images of ``5k.json``. Seed 0 is what lies in ``cocosplit`` itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from ..errors import UsageError
from .dataset import Dataset, Item, dataset_of
from .places import chosen, file_of, located, missing, truth_of
from .types import Request, Task

NOVEL = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "boat", "bird", "cat"),
    *("dog", "horse", "sheep", "cow", "bottle", "chair", "couch", "potted plant", "dining table", "tv"),
)
"""The classes that COCO shares with VOC."""
NOVEL_GROUP, BASE_GROUP = "novel (nAP)", "base (bAP)"
TRAINING = ("coco/trainval2014", "coco/train2014", "coco/val2014")
TESTS = ("coco/val2014", "coco/trainval2014")


def tasks(request: Request) -> Iterator[Task]:
    """A task for each number of shots and seed. classes: novel (where none is named), base, all, or
    names."""
    test = dataset_of(file_of(request, "cocosplit", "datasplit", "5k.json"))
    labels = _labels(test.labels, request.classes)
    truth = truth_of(located(request, test.of_classes(labels), TESTS), "5k.json")
    groups = {label: NOVEL_GROUP if label in NOVEL else BASE_GROUP for label in labels}
    for shots in request.shots:
        for seed in request.seeds:
            given = located(request, _exemplars(request, labels, shots, seed), TRAINING)
            name = f"{shots}-shot/seed-{seed}"
            yield Task(name, shots, seed, request.root, given, truth, groups=groups)


def _labels(names: list[str], wanted: tuple[str, ...]) -> list[str]:
    if not wanted or wanted == ("novel",):
        return [name for name in names if name in NOVEL]
    if wanted == ("base",):
        return [name for name in names if name not in NOVEL]
    return chosen(names, () if wanted == ("all",) else wanted)


def _exemplars(request: Request, labels: list[str], shots: int, seed: int) -> Dataset:
    """The published shots of each class in one dataset. Of files with more a seed chooses, as TFA."""
    images: dict[object, Item] = {}
    rows: dict[object, Item] = {}
    categories: list[Item] = []
    for label in labels:
        name = f"full_box_{shots}shot_{label}_trainval.json"
        folder = ("cocosplit", f"seed{seed}") if seed else ("cocosplit",)
        path = request.root.joinpath(*folder, name)
        if not path.is_file():
            raise missing(request, path, "the published shots")
        one = dataset_of(path)
        number = next((c["id"] for c in one.categories if c["name"] == label), None)
        own = [item for item in one.annotations if item["category_id"] == number]
        if len(own) < shots:
            raise UsageError(
                f"{path}: holds {len(own)} of {shots} shots.", "It is not the file that is published."
            )
        if len(own) > shots:
            own = random.Random(f"{seed} {label}").sample(own, shots)
        part = one.part(own, [label])
        images |= {item["id"]: item for item in part.images}
        rows |= {item["id"]: item for item in own}
        categories += part.categories
    return Dataset([*images.values()], [*rows.values()], categories)
