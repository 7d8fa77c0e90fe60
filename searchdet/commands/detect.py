"""The command ``searchdet detect``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import typer

from ..config import Examples, OutputOptions, RunOptions, ScanOptions, Settings
from ..storage import kinds
from . import logs
from .console import EXIT_NOTHING_FOUND, EXIT_SOME_FAILED, Stopped, progress, say, stoppable
from .options import Images, cache_of, output_of, scan_of, with_options

if TYPE_CHECKING:
    from ..batch import Result, Tally, WorkerSpec
    from ..images import Query
    from ..output import Output
    from ..records import ImageRecord
    from ..storage.values import JsonObject

    Started = tuple[JsonObject, Callable[[list[Query]], Iterator[Result]]]


@with_options(verbose=True)
def detect(
    images: Images,
    examples: Examples,
    settings: Settings,
    output: OutputOptions,
    scan: ScanOptions,
    run: RunOptions,
) -> None:
    """Find the objects of the examples in IMAGES. What is done already in the output folder stays."""
    from ..batch import WorkerSpec
    from ..images import discover

    settings = replace(settings, cache=cache_of(run.cache))
    target = output_of(output, settings.cache)
    masks = settings.proposals.masks_from
    queries = discover(images, scan_of(scan, output.output, run.cache, examples, masks))
    if target is not None:
        target.check(queries)
    job = WorkerSpec(examples, settings, target, partial(logs.to_stderr, logs.level()))
    tally, stopped = _run(partial(_started, job, run.timeout), queries, run, target)
    if not queries:
        say("None of the images belongs to this shard.")
    elif target is not None:
        say(f"Records, pictures and datasets ({output.dataset}) are in {output.output}.")
    if stopped is not None:
        raise typer.Exit(128 + stopped)
    _leave(tally, run.fail_if_empty)


def _run(
    start: Callable[[], Started], queries: list[Query], run: RunOptions, output: Output | None
) -> tuple[Tally, int | None]:
    """All images, and what the run says of itself; also when a signal (its number) ends it early."""
    from ..batch import Tally

    tally, stopped = Tally(), None
    with stoppable():
        said, results = start()
        try:
            with progress(len(queries)) as advance:
                for result in advance(results(queries)):
                    tally.add(result)
                    _tell(result)
                    if run.json_lines:
                        print(result.record.to_line(), flush=True)
                    if run.strict and result.record.failed:
                        break
        except Stopped as stop:
            stopped = stop.signum
            say("Stopped; the files of what is done are finished. Run again to go on.")
        if output is not None:
            output.finish(_run_facts(said, tally))
    return tally, stopped


def _started(job: WorkerSpec, timeout: float | None) -> Started:
    """Models, here or in a process that can be ended: what is said of them, and images to results."""
    from ..batch import Worker
    from ..batch import runner as batch
    from ..detector import Detector

    if timeout is not None:
        worker = Worker(job, timeout)
        return worker.start(), worker.run
    detector = Detector.build(job.examples, job.settings)
    batch.ready(detector, job.output)
    return detector.run_json(), lambda queries: batch.run(detector, queries, job.output)


def _run_facts(said: JsonObject, tally: Tally) -> JsonObject:
    from ..version import versions

    counts: JsonObject = {"counts": tally.counts, "known": tally.known, "seconds": tally.seconds}
    return {"schema": kinds.RUN_SCHEMA, "versions": versions(), **said, **counts}


def _tell(result: Result) -> None:
    """One line an image on stderr."""
    record = result.record
    if record.error is not None:
        say(f"{record.image}: FAILED ({record.error.code}) {record.error.message}")
        return
    tally: dict[str, list[float]] = {}
    for item in record.detections:
        tally.setdefault(item.label or "", []).append(item.score or 0.0)
    found = ", ".join(f"{len(v)} {name} (best {max(v):.3f})" for name, v in sorted(tally.items()))
    time = "done before" if result.known else f"{result.seconds:.2f} s"
    say(f"{record.image}: {found or _nothing(record)} [{time}]")
    if record.spread is not None and record.spread.collapse:
        say(
            f"WARNING: {record.image}: different masks look the same to the backbone (cosine "
            f"{record.spread.cosine_p05:.3f} at the 5th percentile); no threshold can separate them. "
            "Check the weights and --feat-short-side."
        )


def _nothing(record: ImageRecord) -> str:
    miss = record.nearest_miss
    if miss is None or record.partial:
        return "nothing found"
    needs = f"needs {miss.needs:.2f}" if miss.score < miss.needs else f"rejected: {miss.reason}"
    return f"nothing found; nearest: {miss.label} {miss.score:.2f}, {needs}"


def _leave(tally: Tally, fail_if_empty: bool) -> None:
    if "failed" in tally.counts:
        raise typer.Exit(EXIT_SOME_FAILED)
    if fail_if_empty and "ok" not in tally.counts:
        raise typer.Exit(EXIT_NOTHING_FOUND)
