"""LVIS minival: the 5,000 images of COCO's val2017 with LVIS v1's 1,203 classes (Kamath et al. 2021).

A class is judged on the images that LVIS says of whether they show it. Exemplars are drawn from
``lvis_v1_train.json``: nobody has published a choice of shots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..annotations import Truth
from ..evaluation.protocol import Federated
from .places import chosen, dataset_of, draw, file_of, located, part_of, truth_of
from .types import DATASET, Request, Task

MINIVAL = "lvis_v1_minival_inserted_image_name.json"
GROUPS = {"r": "rare (APr)", "c": "common (APc)", "f": "frequent (APf)"}


def tasks(request: Request) -> Iterator[Task]:
    """A task for each number of shots and seed."""
    test = _named(dataset_of(file_of(request, "lvis", MINIVAL)))
    labels = chosen([item["name"] for item in test["categories"]], request.classes)
    kept = [item for item in test["categories"] if item["name"] in labels]
    numbers = {item["id"] for item in kept}
    rows = [item for item in test["annotations"] if item["category_id"] in numbers]
    dataset = {**test, "annotations": rows, "categories": kept}
    truth = truth_of(located(request, dataset, ("coco/val2017", "coco")), MINIVAL)
    groups = {item["name"]: GROUPS.get(str(item.get("frequency")), "") for item in kept}
    federated = _federated(test["images"], {item["id"]: item["name"] for item in kept}, truth)
    every = _named(dataset_of(file_of(request, "lvis", "lvis_v1_train.json")))
    for shots in request.shots:
        for seed in request.seeds:
            given = part_of(every, draw(every, labels, shots, seed), labels)
            given = located(request, given, ("coco/train2017", "coco/val2017"))
            name = f"{shots}-shot/seed-{seed}"
            yield Task(
                name, shots, seed, request.root, given, truth, groups=groups, federated=federated
            )


def _named(dataset: DATASET) -> DATASET:
    """With the names of files, which LVIS gives as addresses."""
    images = [
        item
        if item.get("file_name")
        else {**item, "file_name": "/".join(str(item.get("coco_url")).split("/")[-2:])}
        for item in dataset["images"]
    ]
    return {**dataset, "images": images}


def _federated(images: list[Any], labels: Mapping[Any, str], truth: Truth) -> Federated:
    absent: dict[str, set[int]] = {label: set() for label in labels.values()}
    partly: dict[str, set[int]] = {label: set() for label in labels.values()}
    known = set(truth.names)
    for image in images:
        for found, name in ((absent, "neg_category_ids"), (partly, "not_exhaustive_category_ids")):
            for number in image.get(name, ()):
                if number in labels and image["id"] in known:
                    found[labels[number]].add(image["id"])
    return Federated(
        {label: frozenset(found) for label, found in absent.items()},
        {label: frozenset(found) for label, found in partly.items()},
    )
