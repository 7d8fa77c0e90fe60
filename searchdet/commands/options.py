"""The command line's options, each once: its flags, its help, and its ``SEARCHDET_*`` variable.

Defaults are those of the dataclasses in config.py and stand in the signatures of the commands.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from .. import config, proposals
from ..exports import FORMATS
from ..records import pairs

if TYPE_CHECKING:
    from ..images import Scan


def option(*flags: str, text: str, panel: str | None = None) -> Any:
    """An option that can also be set as ``SEARCHDET_<NAME>``."""
    name = next(flag for flag in flags if flag.startswith("--")).split("/")[0]
    variable = "SEARCHDET_" + name.removeprefix("--").replace("-", "_").upper()
    return typer.Option(*flags, help=text, envvar=variable, rich_help_panel=panel)


_E, _M, _P, _S, _O = "Examples", "Models", "Proposals", "Scores and decision", "Output"

Images = Annotated[list[str], typer.Argument(help="Images, folders, quoted globs, @list, - (stdin).")]
Positive = Annotated[
    Optional[Path],
    option("--positive", text="Folder of examples; sub-folders are classes.", panel=_E),
]
Negative = Annotated[
    Optional[Path], option("--negative", text="Folder of counter-examples, any depth.", panel=_E)
]
PositiveCoco = Annotated[
    Optional[Path],
    option("--positive-coco", text="COCO file; its annotations are the examples.", panel=_E),
]
PositiveImages = Annotated[
    Optional[Path],
    option("--positive-images", text="Folder of the images of --positive-coco.", panel=_E),
]
BankFile = Annotated[
    Optional[Path], option("--bank", text="Saved bank instead of example folders.", panel=_E)
]
ExemplarMask = Annotated[
    str,
    option(
        "--exemplar-mask",
        text="Of photos without one: whole, or auto (the region they share).",
        panel=_E,
    ),
]
KeepConflicts = Annotated[
    bool,
    option(
        "--keep-conflicts",
        text="Use negatives that are nearer to positives than those are to each other.",
        panel=_E,
    ),
]

SkipBad = Annotated[
    bool,
    option("--skip-bad-exemplars", text="Leave out examples that cannot be read.", panel=_E),
]

BackboneName = Annotated[str, option("--backbone", text="See `searchdet models list`.", panel=_M)]
BackboneCkpt = Annotated[
    Optional[Path],
    option("--backbone-ckpt", "--dinov3-ckpt", text="Weight file of the backbone.", panel=_M),
]
SamCheckpoint = Annotated[
    Optional[Path], option("--sam-checkpoint", text="Weight file of SAM.", panel=_M)
]
AllowUnverified = Annotated[
    bool,
    option(
        "--allow-unverified-weights",
        text="Accept an official name with another content.",
        panel=_M,
    ),
]
Device = Annotated[str, option("--device", text="auto, cpu or cuda.", panel=_M)]
Precision = Annotated[str, option("--precision", text="auto, fp32, bf16 or fp16.", panel=_M)]
FeatShortSide = Annotated[
    Optional[int],
    option("--feat-short-side", text="Short side the backbone sees, pixels.", panel=_M),
]
Pooling = Annotated[str, option("--pooling", text="mean, or topk: most typical cells.", panel=_M)]
ProposalsName = Annotated[
    str,
    option("--proposals", text=proposals.help_text(), panel=_P),
]
PointsPerSide = Annotated[int, option("--points-per-side", text="SAM's grid of points.", panel=_P)]
Prompting = Annotated[
    str, option("--prompting", text="everything, or guided: promising points first.", panel=_P)
]
GuidedShare = Annotated[
    float, option("--guided-share", text="Share of the points that guided asks.", panel=_P)
]
CropLayers = Annotated[int, option("--crop-layers", text="SAM's layers of image crops.", panel=_P)]
Tile = Annotated[
    int, option("--tile", text="Side of tiles for large images, pixels; 0: none.", panel=_P)
]
TileOverlap = Annotated[float, option("--tile-overlap", text="Share that tiles overlap.", panel=_P)]
PredIou = Annotated[float, option("--pred-iou-thresh", text="SAM's least predicted IoU.", panel=_P)]
Stability = Annotated[
    float, option("--stability-score-thresh", text="SAM's least stability.", panel=_P)
]
MinArea = Annotated[float, option("--min-area", text="Smallest mask, percent of the image.", panel=_P)]
MaxArea = Annotated[float, option("--max-area", text="Largest mask, percent of the image.", panel=_P)]
DropBorder = Annotated[bool, option("--drop-border", text="Drop masks that touch the frame.", panel=_P)]
BorderWidth = Annotated[int, option("--border-width", text="Width of that frame, pixels.", panel=_P)]
DropRectangles = Annotated[
    Optional[float],
    option("--drop-rectangles", text="Drop masks this near (IoU) to a rectangle.", panel=_P),
]
MaxContainment = Annotated[
    float,
    option("--max-containment", text="Drop masks more inside a better one; 1: none.", panel=_P),
]
Smooth = Annotated[int, option("--smooth", text="Open and close masks, radius in cells.", panel=_P)]
MaxMasks = Annotated[int, option("--max-masks", text="Proposals kept an image or tile.", panel=_P)]

PosAgg = Annotated[str, option("--pos-agg", text="prototype, max, mean_topk or attention.", panel=_S)]
Topk = Annotated[int, option("--topk", text="Exemplars that mean_topk averages.", panel=_S)]
NegativeWeight = Annotated[
    float,
    option("--negative-weight", text="score = pos - weight * max(neg, 0).", panel=_S),
]
ShapeWeight = Annotated[
    Optional[float],
    option("--shape-weight", text="What an unlike outline costs; the backbone's own.", panel=_S),
]
ContextWeight = Annotated[
    Optional[float],
    option(
        "--context-weight",
        text="What surroundings that look like the class cost; the backbone's own.",
        panel=_S,
    ),
]
Centring = Annotated[
    str,
    option("--centring", text="none, or mean: take the mean off all vectors first.", panel=_S),
]
Threshold = Annotated[
    str,
    option("--threshold", text="auto: from the examples; default: the backbone's own.", panel=_S),
]
MinScore = Annotated[
    Optional[float],
    option("--min-score", text="Least score; overrides --threshold.", panel=_S),
]
MinMargin = Annotated[
    float,
    option("--min-margin", text="Least pos - neg (with negatives).", panel=_S),
]
ClassMargin = Annotated[
    float, option("--class-margin", text="Least lead over the second class.", panel=_S)
]
ClassMinScore = Annotated[
    Optional[list[str]],
    option("--class-min-score", text="Least score of one class, NAME=VALUE; repeatable.", panel=_S),
]
ClassMinMargin = Annotated[
    Optional[list[str]],
    option("--class-min-margin", text="Least margin of one class, NAME=VALUE; repeatable.", panel=_S),
]
Suppression = Annotated[str, option("--suppression", text="nms, merge or diffusion.", panel=_S)]
NmsIou = Annotated[
    float, option("--nms-iou", text="Overlap from which on the lower score goes.", panel=_S)
]
MaxCovered = Annotated[
    float,
    option("--max-covered", text="Share covered by better masks: a fragment.", panel=_S),
]

OutputFolder = Annotated[
    Path, option("--output", "-o", text="Folder for records and pictures.", panel=_O)
]
Save = Annotated[
    str,
    option("--save", text="Pictures: overlay, masks, crops, heatmap (with commas), or none.", panel=_O),
]
NoSave = Annotated[bool, option("--no-save", text="Write no file at all.", panel=_O)]
Format = Annotated[
    str,
    option(
        "--format",
        text=f"Dataset files: {', '.join(FORMATS)} (with commas), or none.",
        panel=_O,
    ),
]
Overwrite = Annotated[bool, option("--overwrite", text="Do again what is done; replace.", panel=_O)]
Root = Annotated[Optional[Path], option("--root", text="Record names are relative to it.", panel=_O)]
Recursive = Annotated[bool, option("--recursive", "-r", text="Look into sub-folders.", panel=_O)]
FollowSymlinks = Annotated[
    bool, option("--follow-symlinks", text="Look into linked folders, each once.", panel=_O)
]
Null = Annotated[bool, option("--null", "-0", text="Lists of paths are separated by NUL.", panel=_O)]
Shard = Annotated[str, option("--shard", text="Only part i of n, by name: i/n, from 1.", panel=_O)]
Strict = Annotated[bool, option("--strict", text="Stop at the first image that fails.", panel=_O)]
Timeout = Annotated[
    Optional[float],
    option("--timeout", text="Seconds an image may take; searched in a process of its own.", panel=_O),
]
MaxPixels = Annotated[int, option("--max-pixels", text="Refuse larger images.", panel=_O)]
CacheDir = Annotated[
    Optional[Path],
    option("--cache-dir", text="Where regions and exemplars are remembered.", panel=_O),
]
NoCache = Annotated[bool, option("--no-cache", text="Remember nothing, compute all.", panel=_O)]
JsonLines = Annotated[bool, option("--json", text="One JSON record a line on stdout.", panel=_O)]
FailIfEmpty = Annotated[bool, option("--fail-if-empty", text="Exit 6 if nothing is found.", panel=_O)]
Verbose = Annotated[bool, option("--verbose", "-v", text="Tell more.", panel=_O)]
Debug = Annotated[bool, option("--debug", text="Show tracebacks.", panel=_O)]


def values(given: dict[str, Any]) -> dict[str, Any]:
    """Of a command's arguments those that are settings of a detector, by their flat names."""
    parts = (
        config.BackboneOptions,
        config.ProposalOptions,
        config.EmbeddingOptions,
        config.ScoringOptions,
        config.SuppressionOptions,
        config.ExemplarOptions,
    )
    names = [field for kind in parts for field in kind.__dataclass_fields__]
    names += ["backbone", "backbone_ckpt", "proposals", "sam_checkpoint", "max_pixels"]
    chosen = {name: given[name] for name in names if name in given}
    for name in ("class_min_score", "class_min_margin"):
        if name in chosen:
            chosen[name] = pairs(chosen[name] or (), "--" + name.replace("_", "-"))
    if "no_cache" in given:
        chosen["cache"] = cache_of(given["cache_dir"], given["no_cache"])
    return chosen


def cache_of(folder: Path | None, none: bool) -> Path | None:
    """The cache folder that the options mean; None for none."""
    from ..storage.hashes import cache_folder

    return None if none else folder or cache_folder()


def scan_of(given: dict[str, Any], outputs: tuple[Path, ...]) -> Scan:
    """How a command reads its inputs. outputs: folders that it writes to, not to be looked into."""
    from ..images import Scan, parse_shard
    from ..storage import files

    cache = cache_of(given["cache_dir"], False)
    never = tuple(files.real(path) for path in (*outputs, cache) if path is not None)
    names = ("root", "recursive", "follow_symlinks", "null")
    return Scan(**{name: given[name] for name in names}, never=never, shard=parse_shard(given["shard"]))
