"""The command ``searchdet export``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from ..config import Limits
from ..config.address import Place
from ..errors import counted
from ..exports import FORMATS
from ..storage import places
from .console import progress, say
from .options import AsJson, with_options
from .places import PLACE

if TYPE_CHECKING:
    from ..exports import Options, Summary
    from ..records import ImageRecord


def _option(flag: str, text: str) -> Any:
    return typer.Option(flag, help=text, rich_help_panel="Formats")


@with_options()
def export(
    records: Annotated[Place, typer.Argument(metavar="OUT", help="Output folder of `detect`.")],
    limits: Limits,
    to: Annotated[str, typer.Option("--to", help=f"{', '.join(FORMATS)}; with commas.")] = "coco",
    output: Annotated[
        Optional[Place],
        typer.Option("--output", "-o", help="Where to write; OUT itself.", metavar=PLACE),
    ] = None,
    images: Annotated[
        Optional[Path],
        typer.Option(
            "--images",
            help="Folder of the images: they are copied (yolo, labelme, voc).",
            metavar=PLACE,
        ),
    ] = None,
    polygons: Annotated[
        bool, _option("--polygons", "COCO, LabelMe: polygons alone, no encoding or bitmap.")
    ] = False,
    yolo_parts: Annotated[
        bool, _option("--yolo-parts", "YOLO: a line for each part of a mask.")
    ] = False,
    yolo_boxes: Annotated[bool, _option("--yolo-boxes", "YOLO: boxes instead of outlines.")] = False,
    split: Annotated[str, _option("--split", "YOLO, VOC: name of this subset.")] = "train",
    image_root: Annotated[
        Optional[str],
        _option("--image-root", "Label Studio: what stands before image names."),
    ] = None,
    ids_from: Annotated[
        Optional[Path],
        _option("--ids-from", "COCO: numbers of images and classes as in this COCO file, by name."),
    ] = None,
    csv_bom: Annotated[
        bool, _option("--csv-bom", "CSV: begin with a byte order mark, for Excel.")
    ] = False,
    json_lines: AsJson = False,
) -> None:
    """Write datasets from the records of `detect`, also under other limits. No model is needed."""
    from .. import exports

    root = exports.LOCAL_FILES if image_root is None else image_root
    options = exports.Options(
        exports.formats(to),
        limits,
        images=images,
        polygons=polygons,
        yolo_parts=yolo_parts,
        yolo_boxes=yolo_boxes,
        split=split,
        image_root=root,
        ids_from=ids_from,
        csv_bom=csv_bom,
    )
    target = output or records
    with places.staged(target) as made:
        summary = _export(records, made, options)
    if json_lines:
        print(json.dumps(summary.to_json(), indent=1))
    _tell(summary, target)


def _export(folder: Place, target: Path, options: Options) -> Summary:
    from .. import exports
    from ..errors import UsageError
    from ..output import read_records

    if not options.formats:
        raise UsageError("--to names no format.", f"There are {', '.join(exports.FORMATS)}.")
    total = len(places.found(folder / "records", ".json"))
    found = read_records(folder, rejected=options.limits.given)
    with progress(total) as advance:
        return exports.write(target, advance(_some(found, folder)), options)


def _some(records: Iterator[ImageRecord], folder: Place) -> Iterator[ImageRecord]:
    """The records; UsageError where there is none, before anything is written."""
    from ..errors import UsageError

    empty = True
    for record in records:
        empty = False
        yield record
    if empty:
        raise UsageError(f"{folder}: holds no record.", "Run `searchdet detect` first.")


def _tell(summary: Summary, target: Place) -> None:
    failed = counted(summary.failed, "failed image is", "failed images are")
    left_out = f"; {failed} left out" if summary.failed else ""
    say(
        f"{', '.join(summary.written)} in {target}: {counted(summary.images, 'image')}, "
        f"{counted(summary.detections, 'detection')} of "
        f"{', '.join(summary.classes) or 'no class'}{left_out}."
    )
