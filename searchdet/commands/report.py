"""The command ``searchdet report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from .console import say
from .options import with_options


@with_options(verbose=True)
def report(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder of `detect`.")],
    images: Annotated[
        Optional[Path],
        typer.Option("--images", help="Folder of the images, for records without a thumbnail."),
    ] = None,
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="The file to write; else OUT/report.html.")
    ] = None,
    max_images: Annotated[
        Optional[int], typer.Option("--max-images", min=1, help="Show no more images than that.")
    ] = None,
) -> None:
    """Write one HTML page to look through: masks, evidence, and sliders for the thresholds."""
    from ..report import write

    made = write(folder, output, images, max_images)
    parts = [f"{made.images} images", f"{made.size / 1e6:.1f} MB"]
    if made.left_out:
        parts.append(f"{made.left_out} left out")
    if made.without_picture:
        parts.append(f"{made.without_picture} without a picture (--images DIR)")
    say(f"{made.path}: {', '.join(parts)}.")
