"""What a benchmark is: a name, where it comes from, and how its folder becomes tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..annotations import Truth
    from ..evaluation.protocol import Federated

DETECTIONS, ORACLE = "detections", "oracle"
PARTS = (DETECTIONS, ORACLE)
"""What is run of a set: the detector as it is, and with the true masks among the proposals."""
DATASET = dict[str, Any]
"""A COCO dataset: images, annotations, categories."""


@dataclass(frozen=True, slots=True)
class SetSpec:
    """A benchmark. module: the file of its family, with a function ``tasks(request)``. title, page: its
    name in tables, and where it is downloaded. kind: what is measured, one of ``judging.JUDGES``.
    shots, seeds: those of the published protocol, else ours. most: detections an image that count.
    part: the folder that it has below the root, where several sets of a family lie side by side."""

    name: str
    module: str
    title: str
    page: str
    kind: str
    shots: tuple[int, ...]
    seeds: tuple[int, ...]
    most: int = 100
    part: str = ""

    def tasks(self, request: Request) -> Iterator[Task]:
        """See ``Request``. Raises UsageError for what is missing or of another form."""
        found: Iterator[Task] = import_module(self.module, __package__).tasks(request)
        return found


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be run: the set, its folder, shots and seeds; classes: those alone, of objects or
    categories of parts; negatives: good images of an anomaly set that are counter-examples."""

    spec: SetSpec
    root: Path
    shots: tuple[int, ...]
    seeds: tuple[int, ...]
    classes: tuple[str, ...] = ()
    negatives: int = 4


@dataclass(frozen=True, slots=True)
class Task:
    """One bank and the images that it is judged on.

    name: its folder in the output. folder: file names of ``exemplars`` and ``truth`` lie below it.
    exemplars: every annotation is one. negatives: whole images. groups: a class to the group of classes
    that it is averaged with. one_row: the name of the only row where classes are of no interest.
    """

    name: str
    shots: int
    seed: int
    folder: Path
    exemplars: DATASET
    truth: Truth
    negatives: tuple[Path, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    federated: Federated | None = None
    one_row: str = ""
