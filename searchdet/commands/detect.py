"""The command ``searchdet detect``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .. import config
from . import logs
from . import options as opt
from .console import EXIT_NOTHING_FOUND, EXIT_SOME_FAILED, Stopped, guarded, progress, say, stoppable

if TYPE_CHECKING:
    from ..batch import Result, Tally, WorkerSpec
    from ..images import Query
    from ..storage.values import JsonObject

_SCORING = config.ScoringOptions()
_PROPOSALS = config.ProposalOptions()
_SUPPRESSION = config.SuppressionOptions()
_EXEMPLARS = config.ExemplarOptions()


def detect(
    images: opt.Images,
    positive: opt.Positive = None,
    negative: opt.Negative = None,
    positive_coco: opt.PositiveCoco = None,
    positive_images: opt.PositiveImages = None,
    bank: opt.BankFile = None,
    exemplar_mask: opt.ExemplarMask = _EXEMPLARS.exemplar_mask,
    keep_conflicts: opt.KeepConflicts = _EXEMPLARS.keep_conflicts,
    skip_bad_exemplars: opt.SkipBad = _EXEMPLARS.skip_bad_exemplars,
    backbone: opt.BackboneName = config.DEFAULT_BACKBONE,
    backbone_ckpt: opt.BackboneCkpt = None,
    sam_checkpoint: opt.SamCheckpoint = None,
    allow_unverified: opt.AllowUnverified = False,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    feat_short_side: opt.FeatShortSide = None,
    pooling: opt.Pooling = "mean",
    proposals: opt.ProposalsName = "auto",
    points_per_side: opt.PointsPerSide = _PROPOSALS.points_per_side,
    prompting: opt.Prompting = _PROPOSALS.prompting,
    guided_share: opt.GuidedShare = _PROPOSALS.guided_share,
    crop_layers: opt.CropLayers = _PROPOSALS.crop_layers,
    tile: opt.Tile = _PROPOSALS.tile,
    tile_overlap: opt.TileOverlap = _PROPOSALS.tile_overlap,
    pred_iou_thresh: opt.PredIou = _PROPOSALS.pred_iou_thresh,
    stability_score_thresh: opt.Stability = _PROPOSALS.stability_score_thresh,
    min_area: opt.MinArea = _PROPOSALS.min_area,
    max_area: opt.MaxArea = _PROPOSALS.max_area,
    drop_border: opt.DropBorder = _PROPOSALS.drop_border,
    border_width: opt.BorderWidth = _PROPOSALS.border_width,
    drop_rectangles: opt.DropRectangles = _PROPOSALS.drop_rectangles,
    max_containment: opt.MaxContainment = _PROPOSALS.max_containment,
    smooth: opt.Smooth = _PROPOSALS.smooth,
    max_masks: opt.MaxMasks = _PROPOSALS.max_masks,
    pos_agg: opt.PosAgg = _SCORING.pos_agg,
    topk: opt.Topk = _SCORING.topk,
    negative_weight: opt.NegativeWeight = _SCORING.negative_weight,
    shape_weight: opt.ShapeWeight = _SCORING.shape_weight,
    context_weight: opt.ContextWeight = _SCORING.context_weight,
    centring: opt.Centring = _SCORING.centring,
    threshold: opt.Threshold = _SCORING.threshold,
    min_score: opt.MinScore = _SCORING.min_score,
    min_margin: opt.MinMargin = _SCORING.min_margin,
    class_margin: opt.ClassMargin = _SCORING.class_margin,
    class_min_score: opt.ClassMinScore = None,
    class_min_margin: opt.ClassMinMargin = None,
    suppression: opt.Suppression = _SUPPRESSION.suppression,
    nms_iou: opt.NmsIou = _SUPPRESSION.nms_iou,
    max_covered: opt.MaxCovered = _SUPPRESSION.max_covered,
    output: opt.OutputFolder = Path("searchdet-out"),
    save: opt.Save = "overlay",
    no_save: opt.NoSave = False,
    dataset: opt.Format = "coco",
    overwrite: opt.Overwrite = False,
    root: opt.Root = None,
    recursive: opt.Recursive = False,
    follow_symlinks: opt.FollowSymlinks = False,
    null: opt.Null = False,
    shard: opt.Shard = "1/1",
    strict: opt.Strict = False,
    timeout: opt.Timeout = None,
    max_pixels: opt.MaxPixels = config.MAX_PIXELS,
    cache_dir: opt.CacheDir = None,
    no_cache: opt.NoCache = False,
    json_lines: opt.JsonLines = False,
    fail_if_empty: opt.FailIfEmpty = False,
    verbose: opt.Verbose = False,
    debug: opt.Debug = False,
) -> None:
    """Find the objects of the examples in IMAGES. What is done already in the output folder stays."""
    given = dict(locals())
    with guarded(debug, verbose):
        from ..bank import Examples
        from ..batch import WorkerSpec
        from ..detector import settings_from
        from ..exports import formats
        from ..images import discover
        from ..output import Output
        from ..output.folder import pictures

        settings = settings_from(opt.values(given))
        examples = Examples(positive, negative, positive_coco, positive_images, bank)
        target = Output(output, pictures(save), overwrite, formats(dataset), settings.cache)
        queries = discover(images, opt.scan_of(given, (output,)))
        if not no_save:
            target.check(queries)
        job = WorkerSpec(
            examples, settings, None if no_save else target, partial(logs.to_stderr, logs.level())
        )
        tally, stopped = _run(job, queries, timeout, strict, json_lines)
        if not queries:
            say("None of the images belongs to this shard.")
        elif not no_save:
            say(f"Records, pictures and datasets ({dataset}) are in {output}.")
        if stopped is not None:
            raise typer.Exit(128 + stopped)
        _leave(tally, fail_if_empty)


def _run(
    job: WorkerSpec, queries: list[Query], timeout: float | None, strict: bool, json_lines: bool
) -> tuple[Tally, int | None]:
    """All images, and what the run says of itself; also when a signal (its number) ends it early."""
    from ..batch import Tally

    tally, stopped = Tally(), None
    with stoppable():
        said, results = _started(job, timeout)
        try:
            with progress(len(queries)) as advance:
                for result in advance(results(queries)):
                    tally.add(result)
                    _tell(result)
                    if json_lines:
                        print(result.record.to_line(), flush=True)
                    if strict and result.record.failed:
                        break
        except Stopped as stop:
            stopped = stop.signum
            say("Stopped; the files of what is done are finished. Run again to go on.")
        if job.output is not None:
            job.output.finish(_run_facts(said, tally))
    return tally, stopped


def _started(
    job: WorkerSpec, timeout: float | None
) -> tuple[JsonObject, Callable[[list[Query]], Iterator[Result]]]:
    """Models, here or in a process that can be ended: what is said of them, and images to results."""
    from ..batch import Worker
    from ..batch import runner as batch
    from ..detector import Detector

    if timeout is not None:
        worker = Worker(job, timeout)
        return worker.start(), worker.run
    detector = Detector.build(job.examples, job.settings)
    if job.output is not None:
        job.output.preview(detector.gathered.shown)
    return detector.run_json(), lambda queries: batch.run(detector, queries, job.output)


def _run_facts(said: JsonObject, tally: Tally) -> JsonObject:
    from ..version import versions

    counts: JsonObject = {"counts": tally.counts, "known": tally.known, "seconds": tally.seconds}
    return {"schema": "searchdet.run/1", "versions": versions(), **said, **counts}


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
    say(f"{record.image}: {found or 'nothing found'} [{time}]")
    if record.spread is not None and record.spread.collapse:
        say(
            f"WARNING: {record.image}: different masks look the same to the backbone (cosine "
            f"{record.spread.cosine_p05:.3f} at the 5th percentile); no threshold can separate them. "
            "Check the weights and --feat-short-side."
        )


def _leave(tally: Tally, fail_if_empty: bool) -> None:
    if "failed" in tally.counts:
        raise typer.Exit(EXIT_SOME_FAILED)
    if fail_if_empty and "ok" not in tally.counts:
        raise typer.Exit(EXIT_NOTHING_FOUND)
