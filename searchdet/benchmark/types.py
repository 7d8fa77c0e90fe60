"""What a benchmark is: a name, where it comes from, and how its folder becomes tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..annotations import Truth
    from ..evaluation.protocol import Federated
    from .dataset import Dataset

DETECTIONS, ORACLE, MAP = "detections", "oracle", "map"
PARTS = (DETECTIONS, ORACLE)
"""What is run of a set: the detector as it is, and with the true masks among the proposals. Of good
parts alone MAP is run: the map of what is unusual beside them."""
GOOD, DEFECTS = "good", "defects"
SHOWN = (GOOD, DEFECTS)
"""What the shots of an anomaly set are: good parts, as in the field, or examples of defects."""
NEGATIVES = 4
"""Good images that are counter-examples of defects."""
ANOMALY = "anomaly"
"""The kind of set whose parts are good or not."""


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
    categories of parts; shown: of an anomaly set, one of SHOWN; negatives: its good images that are
    counter-examples of defects."""

    spec: SetSpec
    root: Path
    shots: tuple[int, ...]
    seeds: tuple[int, ...]
    classes: tuple[str, ...] = ()
    shown: str = GOOD
    negatives: int = NEGATIVES

    @property
    def by_map(self) -> bool:
        """Whether good parts alone are shown, so that a map is judged."""
        return self.spec.kind == ANOMALY and self.shown == GOOD


@dataclass(frozen=True, slots=True)
class Task:
    """One bank and the images that it is judged on.

    name: its folder in the output. folder: file names of ``exemplars`` and ``truth`` lie below it.
    exemplars: every annotation is one. negatives: whole images. normals: good parts, which there are
    instead of exemplars. groups: a class to the group of classes
    that it is averaged with. one_row: the name of the only row where classes are of no interest.
    """

    name: str
    shots: int
    seed: int
    folder: Path
    exemplars: Dataset
    truth: Truth
    negatives: tuple[Path, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    federated: Federated | None = None
    one_row: str = ""
    normals: tuple[Path, ...] = ()

    @property
    def decides(self) -> bool:
        """Whether what is shown says a limit: a single good part does not tell how far these vary."""
        return len(self.normals) != 1
