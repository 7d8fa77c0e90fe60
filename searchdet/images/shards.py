"""Shards: which part of all images is this process's, by name alone, and as schedulers number them."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..errors import UsageError

log = logging.getLogger(__name__)
Environment = Mapping[str, str]
AUTO = "auto"
_FORM = re.compile(r"(\d+)/(\d+)")
_AUTO = re.compile(r"auto(?:/(\d+))?")


@dataclass(frozen=True, slots=True)
class _Scheduler:
    """Where a scheduler says which of its tasks a process is. variable: tells that it is one of its
    tasks; place: number of the task from 0, and of how many, None where it does not say."""

    name: str
    variable: str
    place: Callable[[Environment], tuple[int, int | None]]


def _slurm(said: Environment) -> tuple[int, int | None]:
    """Slurm numbers an array as the user likes (4-20:4): by its least number and its step, where it
    tells them."""
    number, least, step = (
        _number(said, f"SLURM_ARRAY_TASK_{name}", default)
        for name, default in (("ID", None), ("MIN", 1), ("STEP", 1))
    )
    at, rest = divmod(number - least, max(step, 1))
    count = _number(said, "SLURM_ARRAY_TASK_COUNT", 0) or None
    if rest or at < 0 or (count is not None and at >= count):
        raise UsageError(
            f"--shard auto: the tasks of this Slurm array are not numbered evenly (task {number} of "
            f"{count or '?'} from {least} by {step}).",
            "Number them like --array=0-7, or pass --shard i/n.",
        )
    return at, count


def _plain(rank: str, count: str | None) -> Callable[[Environment], tuple[int, int | None]]:
    def place(said: Environment) -> tuple[int, int | None]:
        return _number(said, rank, None), None if count is None else _number(said, count, 0) or None

    return place


SCHEDULERS = (
    _Scheduler("Slurm", "SLURM_ARRAY_TASK_ID", _slurm),
    _Scheduler("SkyPilot", "SKYPILOT_JOB_RANK", _plain("SKYPILOT_JOB_RANK", "SKYPILOT_NUM_JOBS")),
    _Scheduler("Kubernetes", "JOB_COMPLETION_INDEX", _plain("JOB_COMPLETION_INDEX", None)),
    _Scheduler(
        "AWS Batch",
        "AWS_BATCH_JOB_ARRAY_INDEX",
        _plain("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"),
    ),
)
"""An array of Slurm; jobs of a SkyPilot pool (``--num-jobs``); an Indexed Job of Kubernetes, which does
not say of how many; an array job of AWS Batch."""


def parse_shard(text: str, environment: Environment) -> tuple[int, int]:
    """``2/8`` as (2, 8); ``auto`` and ``auto/8`` as the scheduler says in the environment. Raises
    UsageError for another form, and where no scheduler says it, two say different things, or it is not
    known of how many."""
    match = _FORM.fullmatch(text)
    if match is not None:
        return int(match[1]), int(match[2])
    match = _AUTO.fullmatch(text)
    if match is None:
        raise UsageError(
            f"--shard {text!r} is not PART/PARTS.",
            "For example --shard 2/8, or auto under a scheduler.",
        )
    return _of_scheduler(environment, int(match[1]) if match[1] else None)


def _of_scheduler(environment: Environment, given: int | None) -> tuple[int, int]:
    found = {
        item.name: item.place(environment) for item in SCHEDULERS if environment.get(item.variable)
    }
    if not found:
        variables = ", ".join(item.variable for item in SCHEDULERS)
        raise UsageError(
            f"--shard auto: no scheduler says which part this is (none of {variables} is set).",
            "Pass --shard i/n, or run it as a task of an array.",
        )
    if len(set(found.values())) > 1:
        said = "; ".join(f"{name}: task {at} of {count or '?'}" for name, (at, count) in found.items())
        raise UsageError(
            f"--shard auto: schedulers say different things ({said}).", "Pass --shard i/n."
        )
    (name, (at, count)), *_ = found.items()
    if count is not None and given is not None and count != given:
        raise UsageError(
            f"--shard auto/{given}: {name} runs {count} tasks: parts would be done twice or by nobody.",
            "Leave the number out, or give that one.",
        )
    parts = count or given
    if parts is None:
        raise UsageError(
            f"--shard auto: {name} does not say how many tasks there are.",
            "Say it: --shard auto/8.",
        )
    if at >= parts:
        raise UsageError(f"--shard auto: {name} says task {at} (from 0) of {parts}.")
    log.info("--shard auto: part %d of %d, as %s says.", at + 1, parts, name)
    return at + 1, parts


def shard_of(name: str, parts: int) -> int:
    """Which of ``parts``, from 1, a name belongs to; depends on the name alone."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % parts + 1


def _number(said: Environment, name: str, default: int | None) -> int:
    text = said.get(name)
    if text is None and default is not None:
        return default
    if text is None or not re.fullmatch(r"\d{1,9}", text):
        raise UsageError(f"--shard auto: {name} is {text!r}, which is no number.", "Pass --shard i/n.")
    return int(text)
