"""What a task shows, as files of its folder in the output, to a bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..bank import Enrolment, Gathered, Read, gather, read
from ..bank.types import of_normality
from ..config import Examples, Settings
from ..errors import UsageError
from ..normality import Teacher, alone
from ..regions import Models
from ..storage import files
from .types import Task

NEVER = 1.0
"""A least score that nothing reaches: what is unusual stays below."""


def shown(task: Task, folder: Path, settings: Settings, boxes: bool) -> Read:
    """What the task shows, read from ``normal/``, or ``exemplars.json`` and ``negative/``, which are
    written to the folder. boxes: exemplars by their boxes alone."""
    files.probe_folder(folder)
    if task.normals:
        return read(Examples(normal=_copied(task.normals, folder / "normal")), settings)
    dataset = task.exemplars.boxed() if boxes else task.exemplars
    written = folder / "exemplars.json"
    files.write_json(written, dataset.to_json())
    negative = _copied(task.negatives, folder / "negative")
    examples = Examples(
        negative=negative if task.negatives else None,
        positive_coco=written,
        positive_images=task.folder,
    )
    return read(examples, settings)


def _copied(images: Sequence[Path], folder: Path) -> Path:
    """The folder with these images alone."""
    for old in sorted(folder.iterdir()) if folder.is_dir() else ():
        files.remove(old)
    for number, path in enumerate(images, start=1):
        files.write_bytes(folder / f"{number:03}{path.suffix.lower()}", path.read_bytes())
    return folder


def decided(task: Task, settings: Settings) -> Settings:
    """The settings of a task: where a single good part says no limit, nothing is a detection. Raises
    UsageError for options that would be by that limit."""
    scoring = settings.scoring
    if task.decides:
        return settings
    if scoring.min_score is not None or scoring.class_min_score:
        raise UsageError(
            "--min-score: a single good part does not say in which unit.", "Leave it out, or --shots 1."
        )
    return replace(settings, scoring=replace(scoring, min_score=NEVER))


def gathered(given: Read, models: Models, settings: Settings) -> Gathered:
    """The bank of what was read, of a single good part too."""
    by = Enrolment.of(models.backbone, settings, models.proposer)
    if len(given.normals) != 1 or given.has_exemplars:
        return gather(given, by)
    teacher = Teacher(models.backbone, models.proposer, settings.normality, settings.proposals)
    normality = alone(given.normals[0].pixels, teacher)
    return Gathered(of_normality(normality, by.space), skipped=given.skipped)
