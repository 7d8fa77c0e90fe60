"""The command ``searchdet report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ..config.address import Place
from ..errors import counted
from ..storage import places
from .console import progress, say
from .options import with_options
from .places import PLACE

if TYPE_CHECKING:
    from ..report import Written


@with_options(verbose=True)
def report(
    folder: Annotated[Place, typer.Argument(metavar="OUT", help="Output folder of `detect`.")],
    images: Annotated[
        Optional[Path],
        typer.Option(
            "--images", help="Folder of the images; else where `detect` found each.", metavar=PLACE
        ),
    ] = None,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="The file to write; else OUT/report.html.")
    ] = None,
    max_images: Annotated[
        Optional[int], typer.Option("--max-images", min=1, help="Show no more images than that.")
    ] = None,
    full_pictures: Annotated[
        bool,
        typer.Option(
            "--full-pictures/--no-full-pictures",
            help="Pictures at their own pixels, as tiles in a folder beside the page, to zoom into.",
        ),
    ] = True,
    truth: Annotated[
        Optional[Path],
        typer.Option(
            "--truth",
            help="COCO file with the annotated objects, shown beside what is found.",
            metavar=PLACE,
        ),
    ] = None,
    parts: Annotated[
        Optional[Path],
        typer.Option("--images-by-class", help="For --truth: JSON, as `eval` takes it.", metavar=PLACE),
    ] = None,
) -> None:
    """Write a page to look through: masks, evidence, verdicts, and sliders for the thresholds."""
    from ..annotations import read_truth
    from ..errors import UsageError
    from ..report import Pictures, write

    if parts is not None and truth is None:
        raise UsageError("--images-by-class goes with --truth.")
    known = None if truth is None else read_truth(truth, parts)
    shown = Pictures(images, full_pictures)
    total = len(places.found(folder / "records", ".json"))
    with progress(min(total, max_images or total)) as advance:
        made = write(folder, output, shown, max_images, truth=known, advance=advance)
    say(f"{made.path}: {', '.join(_parts(made))}.")
    if made.beside_size:
        say(f"{made.beside}: full pictures, {made.beside_size / 1e6:.1f} MB; keep it beside the page.")


def _parts(made: Written) -> list[str]:
    parts = [counted(made.images, "image"), f"{made.size / 1e6:.1f} MB"]
    if made.left_out:
        parts.append(f"{made.left_out} left out")
    if made.without_picture:
        parts.append(f"{made.without_picture} without a picture (--images DIR)")
    if made.without_full:
        parts.append(f"{len(made.without_full)} that cannot be zoomed into (--images DIR)")
    return parts
