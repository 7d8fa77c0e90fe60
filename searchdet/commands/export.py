"""The command ``searchdet export``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ..exports import FORMATS
from ..records import Limits, pairs
from . import options as opt
from .console import guarded, progress, say

if TYPE_CHECKING:
    from ..exports import Options, Summary
    from ..records import ImageRecord

_D, _F = "Decision", "Formats"


def _option(*flags: str, text: str, panel: str) -> Any:
    return typer.Option(*flags, help=text, rich_help_panel=panel)


def export(
    records: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder of `detect`.")],
    to: Annotated[str, typer.Option("--to", help=f"{', '.join(FORMATS)}; with commas.")] = "coco",
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="Where to write; OUT itself.")
    ] = None,
    images: Annotated[
        Optional[Path],
        typer.Option("--images", help="Folder of the images: they are copied (yolo, labelme)."),
    ] = None,
    min_score: Annotated[Optional[float], _option("--min-score", text="Least score.", panel=_D)] = None,
    min_margin: Annotated[
        Optional[float], _option("--min-margin", text="Least pos - neg.", panel=_D)
    ] = None,
    class_margin: Annotated[
        Optional[float], _option("--class-margin", text="Least lead over the second class.", panel=_D)
    ] = None,
    class_min_score: Annotated[
        Optional[list[str]],
        _option("--class-min-score", text="Least score of a class, NAME=VALUE; repeatable.", panel=_D),
    ] = None,
    class_min_margin: Annotated[
        Optional[list[str]],
        _option(
            "--class-min-margin", text="Least margin of a class, NAME=VALUE; repeatable.", panel=_D
        ),
    ] = None,
    polygons: Annotated[
        bool, _option("--polygons", text="COCO: polygons instead of run-length encoding.", panel=_F)
    ] = False,
    yolo_parts: Annotated[
        bool, _option("--yolo-parts", text="YOLO: a line for each part of a mask.", panel=_F)
    ] = False,
    split: Annotated[
        str, _option("--split", text="YOLO, VOC: name of this subset.", panel=_F)
    ] = "train",
    image_root: Annotated[
        Optional[str],
        _option("--image-root", text="Label Studio: what stands before image names.", panel=_F),
    ] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    debug: opt.Debug = False,
) -> None:
    """Write datasets from the records of `detect`, also under other limits. No model is needed."""
    with guarded(debug, False):
        from .. import exports

        limits = Limits(
            min_score,
            min_margin,
            class_margin,
            pairs(class_min_score or (), "--class-min-score"),
            pairs(class_min_margin or (), "--class-min-margin"),
        )
        root = exports.LOCAL_FILES if image_root is None else image_root
        options = exports.Options(
            exports.formats(to), limits, images, polygons, yolo_parts, split, root
        )
        target = output or records
        summary = _export(records, target, options)
        if json_lines:
            print(json.dumps(summary.to_json(), indent=1))
        _tell(summary, target)


def _export(folder: Path, target: Path, options: Options) -> Summary:
    from .. import exports
    from ..errors import UsageError
    from ..output import read_records

    if not options.formats:
        raise UsageError("--to names no format.", f"There are {', '.join(exports.FORMATS)}.")
    total = sum(1 for _ in (folder / "records").rglob("*.json"))
    found = read_records(folder, rejected=options.limits.given)
    with progress(total) as advance:
        return exports.write(target, advance(_some(found, folder)), options)


def _some(records: Iterator[ImageRecord], folder: Path) -> Iterator[ImageRecord]:
    """The records; UsageError where there is none, before anything is written."""
    from ..errors import UsageError

    empty = True
    for record in records:
        empty = False
        yield record
    if empty:
        raise UsageError(f"{folder}: holds no record.", "Run `searchdet detect` first.")


def _tell(summary: Summary, target: Path) -> None:
    left_out = f"; {summary.failed} failed images are left out" if summary.failed else ""
    say(
        f"{', '.join(summary.written)} in {target}: {summary.images} images, "
        f"{summary.detections} detections of {', '.join(summary.classes) or 'no class'}{left_out}."
    )
