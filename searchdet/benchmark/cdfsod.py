"""CD-FSOD: six sets far from photographs of daily life (Fu et al. 2024), each in the folder that is
downloaded. Seed 0 is the published choice of shots; other seeds draw from ``train.json``."""

from __future__ import annotations

from collections.abc import Iterator

from .places import chosen, dataset_of, draw, file_of, located, part_of, truth_of
from .types import Request, Task


def tasks(request: Request) -> Iterator[Task]:
    """A task for each number of shots and seed."""
    part = request.spec.part
    test = dataset_of(file_of(request, part, "annotations", "test.json"))
    labels = chosen([item["name"] for item in test["categories"]], request.classes)
    numbers = {item["id"] for item in test["categories"] if item["name"] in labels}
    rows = [item for item in test["annotations"] if item["category_id"] in numbers]
    kept = [item for item in test["categories"] if item["name"] in labels]
    dataset = {**test, "annotations": rows, "categories": kept}
    tests = (f"{part}/test/new_test", f"{part}/test")  # DIOR has a folder more
    truth = truth_of(located(request, dataset, tests), f"{part}/annotations/test.json")
    for shots in request.shots:
        for seed in request.seeds:
            name = "train" if seed else f"{shots}_shot"
            every = dataset_of(file_of(request, part, "annotations", f"{name}.json"))
            given = part_of(every, draw(every, labels, shots, seed), labels)
            given = located(request, given, (f"{part}/train/new_train", f"{part}/train"))
            yield Task(f"{shots}-shot/seed-{seed}", shots, seed, request.root, given, truth)
