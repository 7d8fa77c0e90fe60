"""All tasks of a set: exemplars written, images searched, figures kept; what is done stays done."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..bank import Enrolment, Gathered, gather, read
from ..batch import Result, Tally
from ..batch import runner as batch
from ..config import Examples, Settings
from ..detector import Detector
from ..images import Query
from ..output import Output
from ..regions import Models, load_models
from ..storage import files, kinds
from ..storage.cache import key_of
from ..storage.values import JsonObject
from ..version import versions
from .hardware import hardware
from .judging import JUDGES, Row
from .oracle import Oracle, content_of
from .recall import FOLDER, Reached, Watched
from .types import DETECTIONS, ORACLE, Request, Task

log = logging.getLogger(__name__)
SCHEMA = "searchdet.benchmark/1"
FIGURES = "figures.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a set is run. parts: of PARTS. limit: images a task, drawn once; None: all. boxes: exemplars
    by their boxes alone. drop_records: records go once the figures of their task are written."""

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
    hardware: JsonObject = field(default_factory=dict)

    def to_json(self, key: str) -> dict[str, Any]:
        """Plain JSON values; key: what they depend on."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"schema": SCHEMA, "key": key, **own}


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
    models: Models | None = None
    for whole in plan.request.spec.tasks(plan.request):
        task = _limited(whole, plan.limit)
        models = models or load_models(plan.settings)
        gathered = _gathered(task, plan, models)
        for part in plan.parts:
            yield from _part(_Job(task, part, plan, len(whole.truth.names)), models, gathered)


@dataclass(frozen=True, slots=True)
class _Job:
    task: Task
    part: str
    plan: Plan
    of: int

    @property
    def folder(self) -> Path:
        return self.plan.folder / self.task.name / self.part


def _part(job: _Job, models: Models, gathered: Gathered) -> Iterator[Step]:
    """One part of a task."""
    task, plan = job.task, job.plan
    if job.part == ORACLE:
        models = replace(models, proposer=Oracle(models.proposer, task.truth))
    output = Output(job.folder, (), plan.overwrite, (), plan.settings.cache)
    reached = Reached(task, output)
    detector = Watched(models, gathered, plan.settings, reached.note)
    queries = [Query(task.folder / name, name) for name in sorted(task.truth.names.values())]
    key = _key(job, detector)
    known = None if plan.overwrite else _known(job.folder / FIGURES, key)
    if known is not None:
        yield Step(task.name, job.part, len(queries), len(queries), figures=known, known=True)
        return
    output.check(queries)
    reached.require([query.name for query in queries])
    judge = JUDGES[plan.request.spec.kind](task, plan.request.spec.most)
    tally = Tally()
    for done, result in enumerate(batch.run(detector, queries, output), start=1):
        judge.add(result.record)
        reached.add(result.record)
        tally.add(result)
        yield Step(task.name, job.part, done, len(queries), result)
    output.finish(_run_facts(detector, tally))
    failed, times = tally.counts.get("failed", 0), tally.seconds
    ran = hardware(models)
    counts = (len(queries), job.of, failed, len(times), round(sum(times.values()), 3))
    groups = {label: group for label, group in task.groups.items() if group}
    rows = {c: row | reached.recall(_class_of(task, c)) for c, row in judge.rows().items()}
    made = Figures(task.name, job.part, task.shots, task.seed, *counts, rows, groups, ran)
    files.write_json(job.folder / FIGURES, made.to_json(key))
    if plan.drop_records:
        replace(output, overwrite=True).clear_records()
        if (job.folder / FOLDER).is_dir():
            files.remove_tree(job.folder / FOLDER)
    yield Step(task.name, job.part, len(queries), len(queries), figures=made)


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
        return Figures(**{name: value[name] for name in Figures.__dataclass_fields__})
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


def _gathered(task: Task, plan: Plan, models: Models) -> Gathered:
    """The bank of a task, from files in its folder of the output: ``exemplars.json``, ``negative/``."""
    folder = plan.folder / task.name
    files.probe_folder(folder)
    dataset = dict(task.exemplars)
    if plan.boxes:
        rows = dataset["annotations"]
        dataset["annotations"] = [{**item, "segmentation": []} for item in rows]
    written = folder / "exemplars.json"
    files.write_json(written, dataset)
    negative = folder / "negative"
    for old in sorted(negative.iterdir()) if negative.is_dir() else ():
        files.remove(old)
    for number, path in enumerate(task.negatives, start=1):
        files.write_bytes(negative / f"{number:03}{path.suffix.lower()}", path.read_bytes())
    examples = Examples(
        negative=negative if task.negatives else None,
        positive_coco=written,
        positive_images=task.folder,
    )
    by = Enrolment.of(models.backbone, plan.settings, models.proposer)
    return gather(read(examples, plan.settings), by)
