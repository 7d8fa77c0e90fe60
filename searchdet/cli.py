"""The command line: parse, one call, print, exit code. Only cli*.py and console.py print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from . import config
from . import options as opt
from .cli_bank import bank_app
from .cli_cache import cache_app
from .cli_config import ConfigFile, NoConfig, SettingsGroup, config_app
from .cli_doctor import doctor
from .cli_export import export
from .cli_index import index, search
from .cli_models import models_app
from .cli_report import report
from .console import EXIT_NOTHING_FOUND, EXIT_SOME_FAILED, guarded, progress, say
from .version import __version__

if TYPE_CHECKING:
    from .batch import Result, Tally

_SCORING = config.ScoringOptions()
_PROPOSALS = config.ProposalOptions()
_SUPPRESSION = config.SuppressionOptions()
_EXEMPLARS = config.ExemplarOptions()
app = typer.Typer(
    name="searchdet",
    cls=SettingsGroup,
    help="Find objects in images from a handful of examples, without training.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models_app, name="models")
app.add_typer(bank_app, name="bank")
app.add_typer(cache_app, name="cache")
app.command("index")(index)
app.command("search")(search)
app.command("report")(report)
app.command("export")(export)
app.add_typer(config_app, name="config")
app.command("doctor")(doctor)


def _version(value: bool) -> None:
    if value:
        print(f"searchdet {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    config_file: ConfigFile = None,
    no_config: NoConfig = False,
) -> None:
    """Find objects in images from a handful of examples, without training."""


@app.command()
def detect(
    images: opt.Images,
    positive: opt.Positive = None,
    negative: opt.Negative = None,
    positive_coco: opt.PositiveCoco = None,
    positive_images: opt.PositiveImages = None,
    bank: opt.BankFile = None,
    exemplar_mask: opt.ExemplarMask = _EXEMPLARS.exemplar_mask,
    keep_conflicts: opt.KeepConflicts = _EXEMPLARS.keep_conflicts,
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
    save: opt.Save = True,
    overlays: opt.Overlays = True,
    dataset: opt.Format = "coco",
    overwrite: opt.Overwrite = False,
    root: opt.Root = None,
    recursive: opt.Recursive = False,
    max_pixels: opt.MaxPixels = config.MAX_PIXELS,
    cache_dir: opt.CacheDir = None,
    no_cache: opt.NoCache = False,
    json_lines: opt.JsonLines = False,
    fail_if_empty: opt.FailIfEmpty = False,
    verbose: opt.Verbose = False,
    debug: opt.Debug = False,
) -> None:
    """Find the objects of the examples in IMAGES."""
    given = dict(locals())
    with guarded(debug, verbose):
        from . import batch
        from .detector import Detector, settings_from
        from .discovery import discover
        from .examples import Examples
        from .exports import formats
        from .output import Output

        settings = settings_from(opt.values(given))
        examples = Examples(positive, negative, positive_coco, positive_images, bank)
        queries = discover(images, root, recursive)
        target = Output(output, overlays, overwrite, formats(dataset)) if save else None
        if target is not None:
            target.check(queries)
        detector = Detector.build(examples, settings)
        if target is not None:
            target.preview(detector.gathered.shown)
        tally = batch.Tally()
        with progress(len(queries)) as advance:
            for result in batch.run(detector, advance(queries), target):
                tally.add(result)
                _tell(result)
                if json_lines:
                    print(result.record.to_line(), flush=True)
        if target is not None:
            target.finish(_run_facts(detector, tally))
            say(f"Records, pictures and datasets ({dataset}) are in {output}.")
        _leave(tally, fail_if_empty)


@app.command("eval", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def evaluate(
    context: typer.Context,
    truth: Annotated[Path, typer.Argument(help="COCO file with the annotated objects.")],
    output: Annotated[Path, typer.Argument(help="Output folder of `detect`.")],
    images: Annotated[
        Optional[Path],
        typer.Option("--images", help="Run `detect` on this folder first; its options follow."),
    ] = None,
    parts: Annotated[
        Optional[Path],
        typer.Option("--images-by-class", help="JSON: class to the file names it is annotated on."),
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Compare records with annotated images: AP, recall, false alarms, best thresholds."""
    code = 0
    if images is not None:
        words = ["detect", str(images), "--root", str(images), "--output", str(output), *context.args]
        code = int(app(words, standalone_mode=False, obj=context.obj) or 0)
        if code not in (0, EXIT_SOME_FAILED):
            raise typer.Exit(code)
    with guarded(debug, False):
        from .errors import UsageError
        from .output import read_records
        from .scorecard import scorecard
        from .truth import read_truth

        if images is None and context.args:
            raise UsageError(f"{context.args[0]} is an option of `detect`; give --images DIR with it.")
        card = scorecard(read_truth(truth, parts), list(read_records(output)))
        print(json.dumps(card.to_json()) if json_lines else "\n".join(card.lines()))
        if code:
            raise typer.Exit(code)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for pictures.")] = Path("demo"),
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Run on photographs that come with scikit-image and compare with what is in them."""
    with guarded(debug, False):
        from . import demo as scenes

        for name in scenes.SCENES:
            outcome = scenes.run(name, output)
            say(outcome.sentence())
        say(f"Exemplars, records and pictures are in {output}.")


def _run_facts(detector: Any, tally: Tally) -> dict[str, Any]:
    from .provenance import versions

    return {
        "schema": "searchdet.run/1",
        "versions": versions(),
        "settings": detector.describe(),
        "exemplars": {
            "classes": list(detector.bank.classes),
            "positive": list(detector.bank.positives.names),
            "negative": list(detector.bank.negatives.names),
        },
        "counts": tally.counts,
        "seconds": tally.seconds,
    }


def _tell(result: Result) -> None:
    """One line an image on stderr."""
    record = result.record
    if record.error is not None:
        say(f"{record.image}: FAILED ({record.error['code']}) {record.error['message']}")
        return
    tally: dict[str, list[float]] = {}
    for item in record.detections:
        tally.setdefault(item.label or "", []).append(item.score or 0.0)
    found = ", ".join(f"{len(v)} {name} (best {max(v):.3f})" for name, v in sorted(tally.items()))
    say(f"{record.image}: {found or 'nothing found'} [{result.seconds:.2f} s]")
    if record.facts.get("embedding_collapse"):
        figures = record.facts["embedding_spread"]
        say(
            f"WARNING: {record.image}: different masks look the same to the backbone (cosine "
            f"{figures['cosine_p05']:.3f} at the 5th percentile); no threshold can separate them. "
            "Check the weights and --feat-short-side."
        )


def _leave(tally: Tally, fail_if_empty: bool) -> None:
    if "failed" in tally.counts:
        raise typer.Exit(EXIT_SOME_FAILED)
    if fail_if_empty and "ok" not in tally.counts:
        raise typer.Exit(EXIT_NOTHING_FOUND)


def main() -> None:
    """Entry point."""
    app()
