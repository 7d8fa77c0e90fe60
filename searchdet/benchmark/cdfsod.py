"""CD-FSOD: six sets far from photographs of daily life (Fu et al. 2024), each in the folder that is
downloaded. Seed 0 is the published choice of shots; other seeds draw from ``train.json``."""

from __future__ import annotations

from collections.abc import Iterator

from .dataset import dataset_of, draw
from .places import chosen, file_of, located, truth_of
from .types import Request, Task


def tasks(request: Request) -> Iterator[Task]:
    """A task for each number of shots and seed."""
    part = request.spec.part
    test = dataset_of(file_of(request, part, "annotations", "test.json"))
    labels = chosen(test.labels, request.classes)
    tests = (f"{part}/test/new_test", f"{part}/test")  # DIOR has a folder more
    truth = truth_of(located(request, test.of_classes(labels), tests), f"{part}/annotations/test.json")
    for shots in request.shots:
        for seed in request.seeds:
            name = "train" if seed else f"{shots}_shot"
            every = dataset_of(file_of(request, part, "annotations", f"{name}.json"))
            given = every.part(draw(every, labels, shots, seed), labels)
            given = located(request, given, (f"{part}/train/new_train", f"{part}/train"))
            yield Task(f"{shots}-shot/seed-{seed}", shots, seed, request.root, given, truth)
