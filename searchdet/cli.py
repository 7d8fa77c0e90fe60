"""The command line: parse, one call, print, exit code. The only module that prints."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from . import config
from .errors import SearchdetError
from .version import __version__

if TYPE_CHECKING:
    from .batch import Result
    from .detector import Settings

EXIT_SOME_FAILED, EXIT_NOTHING_FOUND, EXIT_BUG = 3, 6, 1
_SCORING = config.ScoringOptions()
_PROPOSALS = config.ProposalOptions()
_PARTS = (
    config.BackboneOptions,
    config.ProposalOptions,
    config.EmbeddingOptions,
    config.ScoringOptions,
)

app = typer.Typer(
    name="searchdet",
    help="Find objects in images from a handful of examples, without training.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="Which backbones and weights there are.", no_args_is_help=True)
app.add_typer(models_app, name="models")


def _option(*flags: str, text: str, panel: str | None = None) -> Any:
    """An option that can also be set as ``SEARCHDET_<NAME>``."""
    name = next(flag for flag in flags if flag.startswith("--")).split("/")[0]
    variable = "SEARCHDET_" + name.removeprefix("--").replace("-", "_").upper()
    return typer.Option(*flags, help=text, envvar=variable, rich_help_panel=panel)


_M, _P, _S, _O = "Models", "Proposals", "Scores and decision", "Output"


def _version(value: bool) -> None:
    if value:
        print(f"searchdet {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find objects in images from a handful of examples, without training."""


@app.command()
def detect(
    images: Annotated[list[str], typer.Argument(help="Images, folders or quoted globs.")],
    positive: Annotated[
        Path, _option("--positive", text="Folder of examples; sub-folders are classes.")
    ],
    negative: Annotated[
        Optional[Path], _option("--negative", text="Folder of counter-examples, any depth.")
    ] = None,
    backbone: Annotated[
        str, _option("--backbone", text="See `searchdet models list`.", panel=_M)
    ] = config.DEFAULT_BACKBONE,
    backbone_ckpt: Annotated[
        Optional[Path],
        _option("--backbone-ckpt", "--dinov3-ckpt", text="Weight file of the backbone.", panel=_M),
    ] = None,
    sam_checkpoint: Annotated[
        Optional[Path], _option("--sam-checkpoint", text="Weight file of SAM.", panel=_M)
    ] = None,
    allow_unverified: Annotated[
        bool,
        _option(
            "--allow-unverified-weights",
            text="Accept an official name with another content.",
            panel=_M,
        ),
    ] = False,
    device: Annotated[str, _option("--device", text="auto, cpu or cuda.", panel=_M)] = "auto",
    precision: Annotated[
        str, _option("--precision", text="auto, fp32, bf16 or fp16.", panel=_M)
    ] = "auto",
    feat_short_side: Annotated[
        Optional[int],
        _option("--feat-short-side", text="Short side the backbone sees, pixels.", panel=_M),
    ] = None,
    pooling: Annotated[
        str, _option("--pooling", text="mean, or topk: most typical cells.", panel=_M)
    ] = "mean",
    proposals: Annotated[
        str,
        _option("--proposals", text="auto (sam if its weights are there), sam, regions.", panel=_P),
    ] = "auto",
    points_per_side: Annotated[
        int, _option("--points-per-side", text="SAM's grid of points.", panel=_P)
    ] = _PROPOSALS.points_per_side,
    prompting: Annotated[
        str,
        _option("--prompting", text="everything, or guided: promising points first.", panel=_P),
    ] = _PROPOSALS.prompting,
    guided_share: Annotated[
        float, _option("--guided-share", text="Share of the points that guided asks.", panel=_P)
    ] = _PROPOSALS.guided_share,
    crop_layers: Annotated[
        int, _option("--crop-layers", text="SAM's layers of image crops.", panel=_P)
    ] = _PROPOSALS.crop_layers,
    tile: Annotated[
        int,
        _option("--tile", text="Side of tiles for large images, pixels; 0: none.", panel=_P),
    ] = _PROPOSALS.tile,
    tile_overlap: Annotated[
        float, _option("--tile-overlap", text="Share that tiles overlap.", panel=_P)
    ] = _PROPOSALS.tile_overlap,
    pred_iou_thresh: Annotated[
        float, _option("--pred-iou-thresh", text="SAM's least predicted IoU.", panel=_P)
    ] = _PROPOSALS.pred_iou_thresh,
    stability_score_thresh: Annotated[
        float, _option("--stability-score-thresh", text="SAM's least stability.", panel=_P)
    ] = _PROPOSALS.stability_score_thresh,
    min_area: Annotated[
        float, _option("--min-area", text="Smallest mask, percent of the image.", panel=_P)
    ] = _PROPOSALS.min_area,
    max_area: Annotated[
        float, _option("--max-area", text="Largest mask, percent of the image.", panel=_P)
    ] = _PROPOSALS.max_area,
    drop_border: Annotated[
        bool, _option("--drop-border", text="Drop masks that touch the frame.", panel=_P)
    ] = _PROPOSALS.drop_border,
    border_width: Annotated[
        int, _option("--border-width", text="Width of that frame, pixels.", panel=_P)
    ] = _PROPOSALS.border_width,
    drop_rectangles: Annotated[
        Optional[float],
        _option("--drop-rectangles", text="Drop masks this near (IoU) to a rectangle.", panel=_P),
    ] = _PROPOSALS.drop_rectangles,
    max_containment: Annotated[
        float,
        _option("--max-containment", text="Drop masks more inside a better one; 1: none.", panel=_P),
    ] = _PROPOSALS.max_containment,
    smooth: Annotated[
        int, _option("--smooth", text="Open and close masks, radius in cells.", panel=_P)
    ] = _PROPOSALS.smooth,
    max_masks: Annotated[
        int, _option("--max-masks", text="Proposals kept an image.", panel=_P)
    ] = _PROPOSALS.max_masks,
    pos_agg: Annotated[
        str, _option("--pos-agg", text="prototype, max, mean_topk or attention.", panel=_S)
    ] = _SCORING.pos_agg,
    topk: Annotated[
        int, _option("--topk", text="Exemplars that mean_topk averages.", panel=_S)
    ] = _SCORING.topk,
    negative_weight: Annotated[
        float,
        _option("--negative-weight", text="score = pos - weight * max(neg, 0).", panel=_S),
    ] = _SCORING.negative_weight,
    min_score: Annotated[
        Optional[float],
        _option("--min-score", text="Least score; the backbone's own if not given.", panel=_S),
    ] = _SCORING.min_score,
    min_margin: Annotated[
        float, _option("--min-margin", text="Least pos - neg (with negatives).", panel=_S)
    ] = _SCORING.min_margin,
    class_margin: Annotated[
        float, _option("--class-margin", text="Least lead over the second class.", panel=_S)
    ] = _SCORING.class_margin,
    nms_iou: Annotated[
        float, _option("--nms-iou", text="Overlap from which on the lower score goes.", panel=_S)
    ] = _SCORING.nms_iou,
    max_covered: Annotated[
        float,
        _option("--max-covered", text="Share covered by better masks: a fragment.", panel=_S),
    ] = _SCORING.max_covered,
    output: Annotated[
        Path, _option("--output", "-o", text="Folder for records and pictures.", panel=_O)
    ] = Path("searchdet-out"),
    save: Annotated[bool, _option("--save/--no-save", text="Write files.", panel=_O)] = True,
    overlays: Annotated[
        bool, _option("--overlays/--no-overlays", text="Write a picture an image.", panel=_O)
    ] = True,
    overwrite: Annotated[
        bool, _option("--overwrite", text="Replace records of other images.", panel=_O)
    ] = False,
    root: Annotated[
        Optional[Path], _option("--root", text="Record names are relative to it.", panel=_O)
    ] = None,
    recursive: Annotated[
        bool, _option("--recursive", "-r", text="Look into sub-folders.", panel=_O)
    ] = False,
    max_pixels: Annotated[
        int, _option("--max-pixels", text="Refuse larger images.", panel=_O)
    ] = config.MAX_PIXELS,
    json_lines: Annotated[
        bool, _option("--json", text="One JSON record a line on stdout.", panel=_O)
    ] = False,
    fail_if_empty: Annotated[
        bool, _option("--fail-if-empty", text="Exit 6 if nothing is found.", panel=_O)
    ] = False,
    verbose: Annotated[bool, _option("--verbose", "-v", text="Tell more.", panel=_O)] = False,
    debug: Annotated[bool, _option("--debug", text="Show tracebacks.", panel=_O)] = False,
) -> None:
    """Find the objects of the example folders in IMAGES."""
    with _guarded(debug, verbose):
        from . import batch

        settings = _settings(locals())
        queries = batch.discover(images, root, recursive)
        target = batch.Output(output, overlays, overwrite) if save else None
        if target is not None:
            target.check(queries)
        detector = _build(positive, negative, settings)
        results = []
        for result in batch.run(detector, queries, target):
            results.append(result)
            _tell(result)
            if json_lines:
                print(result.record.to_line(), flush=True)
        if target is not None:
            target.finish(_run_facts(detector, results))
            _say(f"Records, pictures and coco.json are in {output}.")
        _leave(results, fail_if_empty)


@app.command()
def demo(
    output: Annotated[Path, _option("--output", "-o", text="Folder for pictures.")] = Path("demo"),
    debug: Annotated[bool, _option("--debug", text="Show tracebacks.")] = False,
) -> None:
    """Run on photographs that come with scikit-image and compare with what is in them."""
    with _guarded(debug, False):
        from . import demo as scenes

        for name in scenes.SCENES:
            outcome = scenes.run(name, output)
            _say(outcome.sentence())
        _say(f"Exemplars, records and pictures are in {output}.")


@models_app.command("list")
def models_list(
    json_lines: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Backbones and proposers: file, where it is published, licence, and whether it is here."""
    with _guarded(False, False):
        from .catalogue import entries

        rows = entries()
        if json_lines:
            print(json.dumps([row.to_json() for row in rows], indent=1))
            return
        for row in rows:
            state = "built in" if not row.file else "here" if row.present else "not here"
            print(f"{row.name:24} {state:9} {row.licence:16} {row.file or '-'}")
            if row.file and not row.present:
                print(f"{'':24} from {row.source}")


def _settings(given: dict[str, Any]) -> Settings:
    from .detector import settings_from

    names = [field for kind in _PARTS for field in kind.__dataclass_fields__]
    names += ["backbone", "backbone_ckpt", "proposals", "sam_checkpoint", "max_pixels"]
    return settings_from({name: given[name] for name in names if name in given})


def _build(positive: Path, negative: Path | None, settings: Settings) -> Any:
    from .detector import Detector

    return Detector.build(positive, negative, settings)


def _run_facts(detector: Any, results: list[Result]) -> dict[str, Any]:
    from .provenance import versions

    counts: dict[str, int] = {}
    for result in results:
        counts[result.record.status] = counts.get(result.record.status, 0) + 1
    return {
        "schema": "searchdet.run/1",
        "versions": versions(),
        "settings": detector.describe(),
        "exemplars": {
            "classes": list(detector.bank.classes),
            "positive": list(detector.bank.positive_names),
            "negative": list(detector.bank.negative_names),
        },
        "counts": counts,
        "seconds": {item.record.image: round(item.seconds, 3) for item in results},
    }


def _tell(result: Result) -> None:
    """One line an image on stderr."""
    record = result.record
    if record.error is not None:
        _say(f"{record.image}: FAILED ({record.error['code']}) {record.error['message']}")
        return
    tally: dict[str, list[float]] = {}
    for item in record.detections:
        tally.setdefault(item.label or "", []).append(item.score or 0.0)
    found = ", ".join(f"{len(v)} {name} (best {max(v):.3f})" for name, v in sorted(tally.items()))
    _say(f"{record.image}: {found or 'nothing found'} [{result.seconds:.2f} s]")
    if record.facts.get("embedding_collapse"):
        figures = record.facts["embedding_spread"]
        _say(
            f"WARNING: {record.image}: different masks look the same to the backbone (cosine "
            f"{figures['cosine_p05']:.3f} at the 5th percentile); no threshold can separate them. "
            "Check the weights and --feat-short-side."
        )


def _leave(results: list[Result], fail_if_empty: bool) -> None:
    statuses = {result.record.status for result in results}
    if "failed" in statuses:
        raise typer.Exit(EXIT_SOME_FAILED)
    if fail_if_empty and "ok" not in statuses:
        raise typer.Exit(EXIT_NOTHING_FOUND)


def _say(text: str) -> None:
    print(text.replace("\n", "\\n"), file=sys.stderr, flush=True)


@contextlib.contextmanager
def _guarded(debug: bool, verbose: bool) -> Iterator[None]:
    """Log to stderr, turn expected errors into one line and their exit code."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger = logging.getLogger("searchdet")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING)
    logger.propagate = False
    try:
        yield
    except SearchdetError as error:
        if debug:
            traceback.print_exc()
        _say(f"error: {error.one_line()}")
        raise typer.Exit(error.exit_code) from error
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(141) from error
    except (typer.Exit, typer.Abort, KeyboardInterrupt):
        raise
    except Exception as error:  # a bug of ours: say so, in one line
        if debug:
            traceback.print_exc()
        _say(
            f"error: internal error, {type(error).__name__}: {error}. "
            "Please report it with the output of --debug."
        )
        raise typer.Exit(EXIT_BUG) from error


def main() -> None:
    """Entry point."""
    app()
