"""The commands ``searchdet index`` and ``searchdet search``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from .. import config
from . import options as opt
from .console import EXIT_NOTHING_FOUND, EXIT_SOME_FAILED, guarded, progress, say, stoppable

if TYPE_CHECKING:
    from ..records import Candidate

_SCORING = config.ScoringOptions()
_PROPOSALS = config.ProposalOptions()
_SUPPRESSION = config.SuppressionOptions()
_EXEMPLARS = config.ExemplarOptions()


def index(
    images: opt.Images,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the index.")],
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
    root: opt.Root = None,
    recursive: opt.Recursive = False,
    follow_symlinks: opt.FollowSymlinks = False,
    null: opt.Null = False,
    shard: opt.Shard = "1/1",
    max_pixels: opt.MaxPixels = config.MAX_PIXELS,
    cache_dir: opt.CacheDir = None,
    no_cache: opt.NoCache = False,
    verbose: opt.Verbose = False,
    debug: opt.Debug = False,
) -> None:
    """Describe the regions of IMAGES once, to search them with any examples afterwards."""
    given = dict(locals())
    with guarded(debug, verbose):
        from ..detector import settings_from
        from ..images import discover
        from ..index import Indexer, check

        settings = settings_from(opt.values(given))
        queries = discover(images, opt.scan_of(given, (output,)))
        check(output, queries)
        with stoppable():
            indexer = Indexer(settings)
            with progress(len(queries)) as advance:
                regions = indexer.write(output, advance(queries))
        for name, error in indexer.failed:
            say(f"{name}: FAILED ({error.code}) {error.one_line()}")
        say(f"{output}: {len(queries) - len(indexer.failed)} images, {regions} regions.")
        if indexer.failed:
            raise typer.Exit(EXIT_SOME_FAILED)


def search(
    index: Annotated[Path, typer.Argument(help="Folder that `searchdet index` made.")],
    positive: opt.Positive = None,
    negative: opt.Negative = None,
    positive_coco: opt.PositiveCoco = None,
    positive_images: opt.PositiveImages = None,
    bank: opt.BankFile = None,
    exemplar_mask: opt.ExemplarMask = _EXEMPLARS.exemplar_mask,
    keep_conflicts: opt.KeepConflicts = _EXEMPLARS.keep_conflicts,
    skip_bad_exemplars: opt.SkipBad = _EXEMPLARS.skip_bad_exemplars,
    backbone_ckpt: opt.BackboneCkpt = None,
    allow_unverified: opt.AllowUnverified = False,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    pos_agg: opt.PosAgg = _SCORING.pos_agg,
    topk: opt.Topk = _SCORING.topk,
    negative_weight: opt.NegativeWeight = _SCORING.negative_weight,
    shape_weight: opt.ShapeWeight = _SCORING.shape_weight,
    context_weight: opt.ContextWeight = _SCORING.context_weight,
    threshold: opt.Threshold = _SCORING.threshold,
    min_score: opt.MinScore = _SCORING.min_score,
    min_margin: opt.MinMargin = _SCORING.min_margin,
    class_margin: opt.ClassMargin = _SCORING.class_margin,
    class_min_score: opt.ClassMinScore = None,
    class_min_margin: opt.ClassMinMargin = None,
    suppression: opt.Suppression = _SUPPRESSION.suppression,
    nms_iou: opt.NmsIou = _SUPPRESSION.nms_iou,
    max_covered: opt.MaxCovered = _SUPPRESSION.max_covered,
    top: Annotated[int, typer.Option("--top", help="Best detections wanted; 0: all.", min=0)] = 50,
    output: Annotated[
        Optional[Path],
        typer.Option("--output", "-o", help="Write the records of the images found to this folder."),
    ] = None,
    dataset: opt.Format = "coco",
    overwrite: opt.Overwrite = False,
    cache_dir: opt.CacheDir = None,
    no_cache: opt.NoCache = False,
    json_lines: opt.JsonLines = False,
    fail_if_empty: opt.FailIfEmpty = False,
    verbose: opt.Verbose = False,
    debug: opt.Debug = False,
) -> None:
    """Find the objects of the examples in an INDEX. Reads no image, runs no model on one."""
    given = dict(locals())
    with guarded(debug, verbose):
        from ..bank import Examples
        from ..detector import settings_from
        from ..exports import formats
        from ..index import file as indexes
        from ..index import judge_for
        from ..index.search import search as find
        from ..output import Output

        settings = settings_from(opt.values(given))
        examples = Examples(positive, negative, positive_coco, positive_images, bank)
        target = (
            None if output is None else Output(output, (), overwrite, formats(dataset), settings.cache)
        )
        if target is not None:
            target.check([])
        found = indexes.load(index)
        judge = judge_for(found, examples, settings)
        if target is not None:
            target.clear_records()
        rows = []
        for record in find(found, judge, top):
            rows += [(item.score or 0.0, item, record.image) for item in record.detections]
            if target is not None:
                target.save(record, None)
            if json_lines:
                print(record.to_line(), flush=True)
        if not json_lines:
            for line in _table(rows, top):
                print(line)
        if target is not None:
            target.finish({"schema": "searchdet.run/1", **judge.run_json()})
            say(f"Records and datasets ({dataset}) are in {output}.")
        if fail_if_empty and not rows:
            raise typer.Exit(EXIT_NOTHING_FOUND)


def _table(rows: list[tuple[float, Candidate, str]], top: int) -> list[str]:
    """Tab-separated: score, class, box, image; best first."""
    rows.sort(key=lambda row: (-row[0], row[2], row[1].id))
    lines = []
    for score, item, image in rows[: top or None]:
        box = ",".join(f"{value:.0f}" for value in item.bbox)
        lines.append(f"{score:.3f}\t{_safe(item.label or '')}\t{box}\t{_safe(image)}")
    return lines


def _safe(text: str) -> str:
    """Text as one field of a line: what would break it is escaped."""
    return text if text.isprintable() else json.dumps(text)
