"""The command ``searchdet quick``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Optional

import typer

from ..config import Examples, OutputOptions, RunOptions, ScanOptions, Settings
from ..errors import UsageError
from .detect import search_images
from .options import with_options

POSITIVE, NEGATIVE = "positive", "negative"


@with_options(verbose=True)
def quick(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder with positive/, and negative/ if there is one."),
    ],
    settings: Settings,
    output: OutputOptions,
    scan: ScanOptions,
    run: RunOptions,
    images: Annotated[
        Optional[list[str]],
        typer.Argument(help="Images to search; else all that lie beside the examples."),
    ] = None,
) -> None:
    """Find the objects of DIR/positive in the other images of DIR, with DIR/negative if it is there."""
    examples = examples_in(folder)
    if not images:
        scan = replace(scan, recursive=True)
    search_images(images or [str(folder)], examples, settings, output, scan, run)


def examples_in(folder: Path) -> Examples:
    """The folders of examples in a folder. Raises UsageError without one of positive examples."""
    positive, negative = folder / POSITIVE, folder / NEGATIVE
    if not positive.is_dir():
        raise UsageError(
            f"{folder}: has no folder {POSITIVE}/.",
            f"Put examples into {POSITIVE}/ (sub-folders are classes), others into {NEGATIVE}/, and "
            "images beside these; or name the folders: `searchdet detect --positive DIR`.",
        )
    return Examples(positive=positive, negative=negative if negative.is_dir() else None)
