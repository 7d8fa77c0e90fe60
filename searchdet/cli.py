"""The command line: parse, one call, print, exit code. Only cli*.py and console.py print."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from .commands.bank import bank_app
from .commands.benchmark import benchmark
from .commands.cache import cache_app
from .commands.config import config_app
from .commands.console import EXIT_SOME_FAILED, end_as_told, say
from .commands.detect import detect
from .commands.doctor import doctor
from .commands.export import export
from .commands.index import index, search
from .commands.masks import masks
from .commands.merge import merge
from .commands.models import models_app
from .commands.options import AsJson, with_options
from .commands.places import PLACE, here
from .commands.quick import quick
from .commands.report import report
from .commands.serve import serve
from .commands.settings.group import ConfigFile, NoConfig, SettingsGroup
from .config.address import Place
from .version import __version__

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
app.command("detect")(detect)
app.command("quick")(quick)
app.command("merge")(merge)
app.command("index")(index)
app.command("search")(search)
app.command("serve")(serve)
app.command("report")(report)
app.command("export")(export)
app.command("masks")(masks)
app.command("benchmark")(benchmark)
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


@app.command("eval", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@with_options()
def evaluate(
    context: typer.Context,
    truth: Annotated[
        Place,
        typer.Argument(
            metavar=PLACE, help="COCO file with the annotated objects; with --masks there is none."
        ),
    ],
    output: Annotated[
        Optional[Place], typer.Argument(metavar="OUT", help="Output folder of `detect`.")
    ] = None,
    images: Annotated[
        Optional[Place],
        typer.Option(
            "--images", help="Run `detect` on this folder first; its options follow.", metavar=PLACE
        ),
    ] = None,
    parts: Annotated[
        Optional[Path],
        typer.Option(
            "--images-by-class",
            help="JSON: class to the file names it is annotated on.",
            metavar=PLACE,
        ),
    ] = None,
    crowds: Annotated[
        str, typer.Option("--crowds", help="Annotations with iscrowd 1: objects, ignored, or auto.")
    ] = "auto",
    masks: Annotated[
        Optional[Path],
        typer.Option(
            "--masks", help="Folder of mask files named as the images: `eval OUT --masks DIR`."
        ),
    ] = None,
    unmasked_empty: Annotated[
        bool,
        typer.Option("--no-mask-is-empty", help="For --masks: an image without a mask shows nothing."),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Stop if a part of the truth is left out; also of `detect`."),
    ] = False,
    json_lines: AsJson = False,
) -> None:
    """Compare records with annotated images: AP, recall, false alarms, best thresholds."""
    code, truth, output = 0, *_compared(truth, output, masks, unmasked_empty)
    if images is not None:
        words = ["detect", str(images), "--root", str(images), "--output", str(output), *context.args]
        words += ["--debug"] if context.params["debug"] else []
        words += ["--strict"] if strict else []
        code = int(app(words, standalone_mode=False, obj=context.obj) or 0)
        if code not in (0, EXIT_SOME_FAILED):
            raise typer.Exit(code)
    from .annotations import Notes, read_truth
    from .config.run import CROWDS
    from .errors import UsageError
    from .evaluation.scorecard import scorecard
    from .output import read_records

    if images is None and context.args:
        raise UsageError(f"{context.args[0]} is an option of `detect`; give --images DIR with it.")
    if crowds not in CROWDS:
        raise UsageError(f"--crowds is {crowds!r}; choose one of {', '.join(CROWDS)}.")
    if masks is not None:
        from .evaluation.masks import mask_card

        if parts is not None:
            raise UsageError("--images-by-class goes with a COCO file, and not with --masks.")
        by_mask = mask_card(list(read_records(output)), masks, unmasked_empty)
        print(json.dumps(by_mask.to_json()) if json_lines else "\n".join(by_mask.lines()))
        raise typer.Exit(code)
    notes = Notes(strict, UsageError)
    with here(truth) as path:
        card = scorecard(read_truth(path, parts, crowds, notes), list(read_records(output)), notes)
    notes.tell()
    print(json.dumps(card.to_json()) if json_lines else "\n".join(card.lines()))
    if code:
        raise typer.Exit(code)


def _compared(
    truth: Place, output: Place | None, masks: Path | None, empty: bool
) -> tuple[Place, Place]:
    """The COCO file and the output folder of `eval`; with masks the folder alone, in both places.
    Raises UsageError for another number of paths."""
    from .errors import UsageError

    if masks is None and empty:
        raise UsageError("--no-mask-is-empty goes with --masks DIR.")
    if masks is not None and output is not None:
        raise UsageError("--masks takes the place of the COCO file.", "Name the output folder alone.")
    if masks is None and output is None:
        raise UsageError("name a COCO file and the output folder, or --masks DIR and the folder.")
    return truth, output or truth


@app.command()
@with_options()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for pictures.")] = Path("demo"),
) -> None:
    """Run on photographs that come with scikit-image and compare with what is in them."""
    from .commands import demo as scenes

    for name in scenes.SCENES:
        outcome = scenes.run(name, output)
        say(outcome.sentence())
    say(f"Exemplars, records and pictures are in {output}.")


def main() -> None:
    """Entry point. Names of files that are no UTF-8 are printed as the bytes they are. What a signal
    has stopped ends by that signal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        app()
    except SystemExit as end:
        end_as_told(end.code)
        raise
