"""The command ``searchdet benchmark``."""

from __future__ import annotations

import json
from collections.abc import Set
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ..benchmark import PARTS, SETS, Request, SetSpec, spec_of
from ..benchmark.types import ANOMALY, DETECTIONS, GOOD, NEGATIVES, SHOWN
from ..config import CacheOptions, OutputOptions, Settings, names_of
from ..errors import UsageError, counted
from .console import EXIT_SOME_FAILED, Stopped, progress, say, stoppable
from .options import AsJson, cache_of, with_options

if TYPE_CHECKING:
    from ..benchmark.run import Figures, Plan, Step


@with_options(without=("save", "no_save", "dataset"), verbose=True)
def benchmark(
    name: Annotated[str, typer.Argument(metavar="SET", help=f"One of {', '.join(SETS)}.")],
    root: Annotated[Path, typer.Option("--root", help="Folder of the set, as it is downloaded.")],
    settings: Settings,
    output: OutputOptions,
    cache: CacheOptions,
    shots: Annotated[
        Optional[str],
        typer.Option("--shots", help="Exemplars a class, with commas; else the set's own."),
    ] = None,
    seeds: Annotated[
        Optional[str],
        typer.Option("--seeds", help="Choices of exemplars: 0,1,2 or 0-9; else the set's own."),
    ] = None,
    limit: Annotated[
        Optional[int],
        typer.Option(
            "--limit", min=1, help="Images a task, drawn once; then the protocol is not kept."
        ),
    ] = None,
    classes: Annotated[
        Optional[str],
        typer.Option(
            "--classes", help="These alone, with commas; COCO-FSOD: novel, base, all or names."
        ),
    ] = None,
    part: Annotated[
        Optional[str],
        typer.Option(
            "--part",
            help="detections (the default), oracle (the true masks among the proposals), or both.",
        ),
    ] = None,
    shots_of: Annotated[
        Optional[str],
        typer.Option(
            "--shots-of",
            help="Of an anomaly set: good (the default), good parts alone; or defects as exemplars.",
        ),
    ] = None,
    negatives: Annotated[
        Optional[int],
        typer.Option(
            "--negatives",
            min=0,
            help=f"Good images as counter-examples of --shots-of defects; {NEGATIVES}.",
        ),
    ] = None,
    boxes: Annotated[
        bool, typer.Option("--boxes", help="Take the boxes of exemplars, not their masks.")
    ] = False,
    drop_records: Annotated[
        bool,
        typer.Option("--drop-records", help="Remove the records of a task when its figures are there."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a public benchmark from the folder that is downloaded, and print its table. Nothing is
    downloaded. What is done already in the output folder stays."""
    spec = spec_of(name)
    wanted = () if classes is None else tuple(word.strip() for word in classes.split(","))
    numbers = (_numbers(shots, "--shots", 1) or spec.shots, _numbers(seeds, "--seeds", 0) or spec.seeds)
    flags = {"--shots-of": shots_of, "--negatives": negatives, "--part": part, "--boxes": boxes or None}
    shown = _shown(spec, shots_of, {flag for flag, value in flags.items() if value is not None})
    count = NEGATIVES if negatives is None else negatives
    request = Request(spec, root, *numbers, wanted, shown, count)
    settings = replace(settings, cache=cache_of(cache))
    parts = _parts(part or DETECTIONS)
    from ..benchmark.run import Plan
    from ..benchmark.table import tabulate
    from ..storage import files
    from ..storage.places import on_this_machine

    folder = on_this_machine(output.output, "what a benchmark writes")
    plan = Plan(request, settings, folder, parts, limit, boxes, drop_records, output.overwrite)
    runs = _all(plan)
    table = tabulate(spec, runs)
    files.write_json(folder / "table.json", table.to_json())
    files.write_bytes(folder / "table.md", table.markdown().encode())
    print(json.dumps(table.to_json()) if as_json else table.markdown())
    say(f"{folder}: table.md, table.json, and the records and figures of each task.")
    if any(figures.failed for figures in runs):
        raise typer.Exit(EXIT_SOME_FAILED)


def _all(plan: Plan) -> list[Figures]:
    """The figures of all tasks. A signal ends the command, once what is done is on disk."""
    from ..benchmark.run import run

    runs: list[Figures] = []
    with stoppable():
        try:
            for _, steps in groupby(run(plan), lambda step: (step.task, step.part)):
                first = next(steps)
                with progress(first.total + 1) as advance:
                    for step in advance(chain([first], steps)):
                        _tell(step)
                        if step.figures is not None:
                            runs.append(step.figures)
        except Stopped as stop:
            say("Stopped; what is done is kept. Run again to go on.")
            raise typer.Exit(128 + stop.signum) from stop
    return runs


def _tell(step: Step) -> None:
    """A line for each task that is finished, and for each image that failed."""
    if step.figures is not None:
        images = counted(step.total, "image")
        how = "done before" if step.known else f"{step.figures.seconds:.1f} s"
        say(f"{step.task}, {step.part}: {images} [{how}]")
    elif step.result is not None and step.result.record.error is not None:
        error = step.result.record.error
        say(f"{step.result.record.image}: FAILED ({error.code}) {error.message}")


def _shown(spec: SetSpec, shots_of: str | None, flags: Set[str]) -> str:
    """What the shots of an anomaly set are. flags: those that are given. Raises UsageError for one that
    cannot act beside that."""
    if shots_of is not None and shots_of not in SHOWN:
        raise UsageError(f"--shots-of {shots_of!r} is unknown; choose {' or '.join(SHOWN)}.")
    shown, idle, why = shots_of or GOOD, frozenset[str](), ""
    if spec.kind != ANOMALY:
        idle, why = frozenset({"--shots-of", "--negatives"}), f"{spec.title} has no good parts."
    elif shown == GOOD:
        idle = frozenset({"--negatives", "--part", "--boxes"})
        why = "Good parts alone are shown; --shots-of defects shows exemplars."
    for flag in sorted(idle & flags):
        raise UsageError(f"{flag} cannot act here.", why)
    return shown


def _parts(text: str) -> tuple[str, ...]:
    found = PARTS if text == "both" else names_of(text)
    for name in found:
        if name not in PARTS:
            raise UsageError(f"--part {name!r} is unknown; choose {', '.join(PARTS)} or both.")
    if not found:
        raise UsageError("--part names nothing to run.", f"Choose {', '.join(PARTS)} or both.")
    return tuple(found)


def _numbers(text: str | None, flag: str, least: int) -> tuple[int, ...]:
    """``1,2,5-7`` as numbers, each once; nothing where nothing is given. Raises UsageError."""
    found: list[int] = []
    for word in () if text is None else text.split(","):
        first, dash, last = word.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"{flag} {text!r} is no list of numbers.", "Write 0,1,2 or 0-9.")
        low, high = int(first), int(last) if dash else int(first)
        if low < least or high < low or high - low > 999:
            raise UsageError(f"{flag} {word.strip()!r} is out of range.", f"The least is {least}.")
        found += range(low, high + 1)
    return tuple(dict.fromkeys(found))
