"""All tasks of a set: exemplars written, images searched, figures kept; what is done stays done."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..bank import Gathered, with_tiles
from ..batch import Result, Tally
from ..batch import runner as batch
from ..config import Settings
from ..detector import Detector, for_defects
from ..errors import UsageError
from ..images import Query
from ..output import Output
from ..records import ImageRecord
from ..regions import Models, load_models
from ..storage import files, kinds
from ..storage.cache import key_of
from ..storage.values import JsonObject
from ..version import versions
from . import maps, recall
from .hardware import Hardware, hardware
from .judging import JUDGES, Anomaly, Row
from .oracle import Oracle, content_of
from .shown import decided, gathered, shown
from .types import DETECTIONS, MAP, ORACLE, Request, Task
from .watched import Watched

log = logging.getLogger(__name__)
SCHEMA = "searchdet.benchmark/2"
FIGURES = "figures.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a set is run. parts: of PARTS, but where a map is judged. limit: images a task, drawn
    once; None: all. boxes: exemplars by their boxes alone. drop_records: records go once the figures of
    their task are written."""

    request: Request
    settings: Settings
    folder: Path
    parts: tuple[str, ...] = (DETECTIONS,)
    limit: int | None = None
    boxes: bool = False
    drop_records: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one task and part, by row. of: how many images the set has there. seconds: of the
    images that were searched in this run, which are ``timed``."""

    task: str
    part: str
    shots: int
    seed: int
    images: int
    of: int
    failed: int
    timed: int
    seconds: float
    rows: dict[str, Row]
    groups: dict[str, str]
    hardware: Hardware

    def to_json(self, key: str) -> dict[str, Any]:
        """Plain JSON values; key: what they depend on."""
        return {"schema": SCHEMA, "key": key, **asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Figures:
        """Raises KeyError or TypeError for another form."""
        own = {name: value[name] for name in cls.__dataclass_fields__}
        return cls(**{**own, "hardware": Hardware(**own["hardware"])})


@dataclass(frozen=True, slots=True)
class Step:
    """One image of a task, or its figures when all are searched. done, total: images of the task."""

    task: str
    part: str
    done: int
    total: int
    result: Result | None = None
    figures: Figures | None = None
    known: bool = False


def run(plan: Plan) -> Iterator[Step]:
    """Every task and part of the set, image by image. Models are loaded once. Raises UsageError for
    what is missing, and what ``Detector.build`` and ``batch.run`` raise."""
    parts = (MAP,) if plan.request.by_map else plan.parts
    _require_whole(parts, plan.settings)
    if plan.request.by_map and plan.settings.normality.by_image:
        raise UsageError("--normal-self: the set has good parts of its own.", "Leave it out.")
    models: Models | None = None
    for whole in plan.request.spec.tasks(plan.request):
        task = _limited(whole, plan.limit)
        given = shown(task, plan.folder / task.name, plan.settings, plan.boxes)
        settings, tile_by = for_defects(given, decided(task, plan.settings))
        _require_whole(parts, settings)
        models = models or load_models(settings)
        made = gathered(given, models, settings)
        made = replace(made, bank=with_tiles(made.bank, tile_by)) if tile_by else made
        for part in parts:
            job = _Job(task, part, plan, settings, len(whole.truth.names))
            yield from _part(job, models, made)


def _require_whole(parts: tuple[str, ...], settings: Settings) -> None:
    """Raise UsageError for tiles where whole images are looked at."""
    if settings.proposals.tile and ORACLE in parts:
        raise UsageError("--part oracle has masks of whole images, and --tile cuts these.")
    if settings.proposals.tile and MAP in parts:
        raise UsageError("an anomaly set is judged by maps of whole images, and --tile cuts these.")


@dataclass(frozen=True, slots=True)
class _Job:
    """A part of a task, with the settings that suit it. of: images of the task without a limit."""

    task: Task
    part: str
    plan: Plan
    settings: Settings
    of: int

    @property
    def folder(self) -> Path:
        return self.plan.folder / self.task.name / self.part


def _part(job: _Job, models: Models, made: Gathered) -> Iterator[Step]:
    """One part of a task."""
    task, plan = job.task, job.plan
    if job.part == ORACLE:
        models = replace(models, proposer=Oracle(models.proposer, task.truth))
    output = Output(job.folder, (), plan.overwrite, (), plan.settings.cache)
    detector = Watched(models, made, job.settings)
    queries = [Query(task.folder / name, name) for name in sorted(task.truth.names.values())]
    key = _key(job, detector)
    known = None if plan.overwrite else _known(job.folder / FIGURES, key)
    if known is not None:
        yield Step(task.name, job.part, len(queries), len(queries), figures=known, known=True)
        return
    output.check(queries)
    tally, found = Tally(), _Judged(job, detector, output, [query.name for query in queries])
    for done, result in enumerate(batch.run(detector, queries, output), start=1):
        found.add(result.record)
        tally.add(result)
        yield Step(task.name, job.part, done, len(queries), result)
    output.finish(_run_facts(detector, tally))
    figures = Figures(
        task=task.name,
        part=job.part,
        shots=task.shots,
        seed=task.seed,
        images=len(queries),
        of=job.of,
        failed=tally.counts.get("failed", 0),
        timed=len(tally.seconds),
        seconds=round(sum(tally.seconds.values()), 3),
        rows=found.rows(),
        groups={label: group for label, group in task.groups.items() if group},
        hardware=hardware(models),
    )
    files.write_json(job.folder / FIGURES, figures.to_json(key))
    if plan.drop_records:
        _drop(output, job.folder)
    yield Step(task.name, job.part, len(queries), len(queries), figures=figures)


def _drop(output: Output, folder: Path) -> None:
    """Remove the records of a part, and what is noted beside them."""
    replace(output, overwrite=True).clear_records()
    for name in (recall.FOLDER, maps.FOLDER):
        if (folder / name).is_dir():
            files.remove_tree(folder / name)


class _Judged:
    """Records of a part to its figures: those of its judge, and what proposals reach. What is noted
    beside records is there for each of ``names``, or the image is searched again."""

    def __init__(self, job: _Job, detector: Watched, output: Output, names: list[str]) -> None:
        self._task, spec = job.task, job.plan.request.spec
        self._reached = recall.Reached(job.task, output)
        detector.show(self._reached.note)
        self._reached.require(names)
        self._judge = JUDGES[spec.kind](job.task, spec.most)
        if job.part == MAP:
            made = maps.Maps(detector, output)
            detector.show(made.note)
            made.require(names)
            self._judge = Anomaly(job.task, spec.most, made.scored, job.task.decides)

    def add(self, record: ImageRecord) -> None:
        """Count an image."""
        self._judge.add(record)
        self._reached.add(record)

    def rows(self) -> dict[str, Row]:
        """Figures by row."""
        rows = self._judge.rows()
        return {
            row: figures | self._reached.recall(_class_of(self._task, row))
            for row, figures in rows.items()
        }


def _class_of(task: Task, row: str) -> str:
    """The class that a row is of."""
    return task.truth.labels[0] if task.one_row else row


def _run_facts(detector: Detector, tally: Tally) -> JsonObject:
    """``run.json`` of a part, which is an output folder as any other."""
    counts: JsonObject = {"counts": tally.counts, "known": tally.known, "seconds": tally.seconds}
    return {"schema": kinds.RUN_SCHEMA, "versions": versions(), **detector.run_json(), **counts}


def _key(job: _Job, detector: Detector) -> str:
    """All that figures depend on."""
    federated = job.task.federated
    return key_of(
        {
            "schema": SCHEMA,
            "part": job.part,
            "set": job.plan.request.spec.name,
            "settings": detector.judge.fingerprint,
            "truth": content_of(job.task.truth),
            "federated": None if federated is None else federated.to_json(),
        }
    )


def _known(path: Path, key: str) -> Figures | None:
    """Figures that are there already, and of the same key; what is damaged is made again, with a
    WARNING."""
    try:
        value = json.loads(path.read_bytes())
        if value["schema"] != SCHEMA or value["key"] != key:
            return None
        return Figures.from_json(value)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be read and is made again (%s).", path, error)
        return None


def _limited(task: Task, limit: int | None) -> Task:
    """The task on some of its images, the same for each seed."""
    numbers = sorted(task.truth.names)
    if limit is None or limit >= len(numbers):
        return task
    return replace(task, truth=task.truth.only(random.Random(0).sample(numbers, limit)))
