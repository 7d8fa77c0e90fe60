"""The command ``searchdet masks``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ..config import (
    BackboneOptions,
    CacheOptions,
    EmbeddingOptions,
    ExemplarOptions,
    ProposalOptions,
    ScoringOptions,
    Settings,
    SuppressionOptions,
)
from ..config.option import declared
from .console import EXIT_SOME_FAILED, progress, say, stoppable
from .options import cache_of, with_options

if TYPE_CHECKING:
    from ..exemplars.boxfile import BoxFile, Show
    from ..proposals.types import BoxPrompted

log = logging.getLogger(__name__)
_CHOOSE = ("proposals", "sam_checkpoint", "allow_unverified", "device", "precision")
_OTHERS = tuple(
    item.key
    for kind in (ProposalOptions, BackboneOptions)
    for item in declared(kind)
    if item.key not in _CHOOSE
)
"""Options of whole images and of descriptions, which do not act on boxes."""


@with_options(
    without=(ScoringOptions, SuppressionOptions, ExemplarOptions, EmbeddingOptions, *_OTHERS),
    verbose=True,
)
def masks(
    boxes: Annotated[Path, typer.Argument(metavar="BOXES", help="COCO file of boxes.")],
    images: Annotated[Path, typer.Option("--images", help="Folder of its images.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="COCO file to write.")],
    settings: Settings,
    cache: CacheOptions,
    preview: Annotated[
        Optional[Path],
        typer.Option("--preview", help="Folder for a small picture of each mask that was found."),
    ] = None,
) -> None:
    """Give the BOXES of a COCO file the masks of the objects in them. All else of the file stays: masks
    that are there, crowds, ids, categories. A run that was stopped goes on where it was."""
    from ..errors import UsageError
    from ..exemplars.boxfile import BoxFile, Pictures, each
    from ..exemplars.boxmask import Finder
    from ..storage import files

    if files.real(output) == files.real(boxes) or output.is_dir():
        raise UsageError(f"-o {output}: is the input or a folder.", "Name another file.")
    file = BoxFile(boxes, Pictures(images, settings.max_pixels, settings.reading.bounds))
    finder = Finder.of(_proposer(settings), cache_of(cache))
    show = None if preview is None else _preview(preview)
    with stoppable(), progress(len(file.images)) as advance:
        for _ in advance(each(file, finder, show)):
            pass
    file.notes.tell()
    files.write_json(output, file.dataset)
    _tell(file, finder.proposer.name, output)


def _proposer(settings: Settings) -> BoxPrompted:
    """The proposer that is named, or whose file is; else the embedded one where that which is there
    takes no boxes, with a WARNING. Raises UsageError, CheckpointError."""
    from .. import proposals
    from ..errors import UsageError
    from ..proposals.regions import IN_BOX, RegionProposer
    from ..proposals.types import BoxPrompted
    from ..regions.models import choose_proposals

    options, by = settings.proposals, settings.backbone
    if options.name == proposals.GIVEN:
        raise UsageError(f"--proposals {options.name} takes no boxes.", "Name sam or regions.")
    chosen, _ = choose_proposals(options)
    made = proposals.load(chosen, by.device, by.precision)
    if isinstance(made, BoxPrompted):
        return made
    if options.name != "auto" or options.checkpoint:
        raise UsageError(f"--proposals {chosen.name} takes no boxes.", "Name sam or regions.")
    log.warning(
        "`%s` takes no boxes: masks come from `regions`. Pass --proposals regions if that is meant.",
        chosen.name,
    )
    return RegionProposer(IN_BOX)


def _preview(folder: Path) -> Show:
    from ..output import exemplar_picture
    from ..storage import files

    files.probe_folder(folder)
    return lambda name, pixels, mask: files.write_bytes(
        folder / f"{files.slug(name)}.jpg", exemplar_picture(pixels, mask)
    )


def _tell(file: BoxFile, name: str, output: Path) -> None:
    done = file.done
    for image, error in done.failed:
        say(f"{image}: FAILED ({error.code}) {error.one_line()}")
    if done.bare:
        log.warning(
            "Boxes in which no object stands out stay boxes: %d (first: %s). Outline these.",
            len(done.bare),
            done.bare[0],
        )
    say(
        f"{output}: {done.made} masks of boxes by `{name}`; kept {done.masked} masks and {done.crowds} "
        f"crowds; {len(done.bare)} boxes without an object; {len(done.failed)} images failed."
    )
    if done.failed:
        raise typer.Exit(EXIT_SOME_FAILED)
