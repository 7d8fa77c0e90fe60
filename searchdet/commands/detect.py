"""The command ``searchdet detect``."""

from __future__ import annotations

import logging
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

    Started = tuple[Callable[[], JsonObject], Callable[[list[Query]], Iterator[Result]]]

log = logging.getLogger(__name__)


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
    search_images(images, examples, settings, output, scan, run)


def search_images(
    images: list[str],
    examples: Examples,
    settings: Settings,
    output: OutputOptions,
    scan: ScanOptions,
    run: RunOptions,
) -> None:
    """What ``detect`` does: search, tell, write, and exit with the code that the images ask for."""
    from ..batch import WorkerSpec
    from ..images import discover

    settings = replace(settings, cache=cache_of(run.cache))
    target = output_of(output, settings.cache)
    masks = settings.proposals.masks_from
    queries = discover(images, scan_of(scan, output.output, run.cache, examples, masks))
    if target is not None:
        target.check(queries)
        target = target.listed()
    start = partial(_started, WorkerSpec(examples, settings, target), run)
    tally, stopped = _run(start, queries, run, target)
    if not run.quiet:
        _tell_all(tally, output, target is not None)
    if not queries:
        say("None of the images belongs to this shard.")
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
                    _tell(result, run.quiet)
                    if run.json_lines:
                        print(result.record.to_line(), flush=True)
                    if run.strict and result.record.failed:
                        break
        except Stopped as stop:
            stopped = stop.signum
            say("Stopped; the files of what is done are finished. Run again to go on.")
        if output is not None:
            output.finish(_run_facts(said(), tally))
    return tally, stopped


def _started(job: WorkerSpec, run: RunOptions) -> Started:
    """Models, here, in a process that can be ended or on a cluster: what is said of them once all is
    done, and images to results."""
    from ..batch import RaySearch, Worker
    from ..batch import runner as batch
    from ..detector import Detector

    engine = run.engine
    if engine.name == "ray":
        job = replace(job, relay=logs.level())
        search = RaySearch(job, run.timeout, engine.ray_address, engine.actors)
        search.start()
        return search.facts, search.run
    if run.timeout is not None:
        worker = Worker(replace(job, prepare=partial(logs.to_stderr, logs.level())), run.timeout)
        facts = worker.start()
        return lambda: facts, worker.run
    detector = Detector.build(job.examples, job.settings)
    batch.ready(detector, job.output)
    return detector.run_json, lambda queries: batch.run(detector, queries, job.output)


def _run_facts(said: JsonObject, tally: Tally) -> JsonObject:
    from ..version import versions

    return {"schema": kinds.RUN_SCHEMA, "versions": versions(), **said, **tally.to_json()}


def _tell_all(tally: Tally, output: OutputOptions, written: bool) -> None:
    """What a run found, and where it is; with --verbose how long it took."""
    for line in tally.summary.lines():
        say(line)
    if tally.stages:
        seconds = ", ".join(f"{name.replace('_', ' ')} {t:.2f}" for name, t in tally.stages.items())
        log.info("Seconds by stage: %s.", seconds)
    if written and tally.counts:
        say(f"Records, pictures and datasets ({output.dataset}) are in {output.output}.")


def _tell(result: Result, quiet: bool) -> None:
    """One line an image on stderr; where it is to be quiet, of what went wrong alone."""
    record = result.record
    if record.error is not None:
        say(f"{record.image}: FAILED ({record.error.code}) {record.error.message}")
        return
    tally: dict[str, list[float]] = {}
    for item in record.detections:
        tally.setdefault(item.label or "", []).append(item.score or 0.0)
    found = ", ".join(f"{len(v)} {name} (best {max(v):.3f})" for name, v in sorted(tally.items()))
    time = "done before" if result.known else f"{result.seconds:.2f} s"
    if not quiet:
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
