"""LVIS minival: the 5,000 images of COCO's val2017 with LVIS v1's 1,203 classes (Kamath et al. 2021).

A class is judged on the images that LVIS says of whether they show it. Exemplars are drawn from
``lvis_v1_train.json``: nobody has published a choice of shots.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..annotations import Truth
from ..evaluation.protocol import Federated
from .dataset import Dataset, dataset_of, draw
from .places import chosen, file_of, located, truth_of
from .types import Request, Task

MINIVAL = "lvis_v1_minival_inserted_image_name.json"
GROUPS = {"r": "rare (APr)", "c": "common (APc)", "f": "frequent (APf)"}


def tasks(request: Request) -> Iterator[Task]:
    """A task for each number of shots and seed."""
    test = _named(dataset_of(file_of(request, "lvis", MINIVAL)))
    labels = chosen(test.labels, request.classes)
    dataset = test.of_classes(labels)
    truth = truth_of(located(request, dataset, ("coco/val2017", "coco")), MINIVAL)
    groups = {item["name"]: GROUPS.get(str(item.get("frequency")), "") for item in dataset.categories}
    federated = _federated(dataset, truth)
    every = _named(dataset_of(file_of(request, "lvis", "lvis_v1_train.json")))
    for shots in request.shots:
        for seed in request.seeds:
            given = every.part(draw(every, labels, shots, seed), labels)
            given = located(request, given, ("coco/train2017", "coco/val2017"))
            name = f"{shots}-shot/seed-{seed}"
            yield Task(
                name, shots, seed, request.root, given, truth, groups=groups, federated=federated
            )


def _named(dataset: Dataset) -> Dataset:
    """With the names of files, which LVIS gives as addresses."""
    images = [
        item
        if item.get("file_name")
        else {**item, "file_name": "/".join(str(item.get("coco_url")).split("/")[-2:])}
        for item in dataset.images
    ]
    return replace(dataset, images=images)


def _federated(dataset: Dataset, truth: Truth) -> Federated:
    labels = {item["id"]: item["name"] for item in dataset.categories}
    absent: dict[str, set[int]] = {label: set() for label in labels.values()}
    partly: dict[str, set[int]] = {label: set() for label in labels.values()}
    known = set(truth.names)
    for image in dataset.images:
        for found, name in ((absent, "neg_category_ids"), (partly, "not_exhaustive_category_ids")):
            for number in image.get(name, ()):
                if number in labels and image["id"] in known:
                    found[labels[number]].add(image["id"])
    return Federated(
        {label: frozenset(found) for label, found in absent.items()},
        {label: frozenset(found) for label, found in partly.items()},
    )
