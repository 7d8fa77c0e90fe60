"""The commands of ``searchdet models``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from .console import say
from .options import AsJson, with_options

models_app = typer.Typer(
    help="Which backbones and weights there are; downloads and checks them.", no_args_is_help=True
)


@models_app.command("list")
@with_options()
def models_list(json_lines: AsJson = False) -> None:
    """Backbones and proposers: file, where it is published, licence, and whether it is here."""
    from ..models import entries

    rows = entries()
    if json_lines:
        print(json.dumps([row.to_json() for row in rows], indent=1))
        return
    for row in rows:
        state = "built in" if not row.file else "here" if row.present else "not here"
        print(f"{row.name:24} {state:9} {row.licence:16} {row.file or '-'}")
        if row.file and not row.present:
            name = row.name if row.kind == "backbone" else row.file
            print(f"{'':24} from {row.source}")
            if row.hub:
                print(f"{'':24} `searchdet models pull {name}` downloads it")


@models_app.command("pull")
@with_options()
def models_pull(
    name: Annotated[str, typer.Argument(help="A model or a file, as `models list` prints them.")],
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Agree to the licence; ask nothing.")
    ] = False,
    folder: Annotated[
        Optional[Path], typer.Option("--dir", help="Where to put it; SEARCHDET_MODELS or models/.")
    ] = None,
) -> None:
    """Download a weight file from the Hugging Face Hub, once its licence is agreed to.

    An interrupted download goes on when run again. The file appears only after its SHA-256 was
    verified. HF_TOKEN, HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE are respected.
    """
    from ..models import download as pull
    from ..weights import models_folder

    offer = pull.find(name, folder or models_folder())
    if pull.is_here(offer):
        say(f"{offer.target} is here already.")
        return
    for line in offer.lines():
        say(line)
    _require_consent(yes)
    pull.fetch(offer)
    say(f"{offer.target} is here and verified.")


def _require_consent(given: bool) -> None:
    """Raise UsageError unless the user agrees."""
    from ..errors import UsageError

    if given:
        return
    if not _interactive():
        raise UsageError("the licence must be agreed to.", "Without a terminal, agree with --yes.")
    if not typer.confirm("Do you agree to the licence and download it?", err=True):
        raise UsageError("nothing was downloaded: the licence was not agreed to.")


def _interactive() -> bool:
    return sys.stdin.isatty()


@models_app.command("verify")
@with_options()
def models_verify(
    weight_files: Annotated[
        Optional[list[Path]],
        typer.Argument(metavar="[FILE]...", help="Weight files; all published ones that are here."),
    ] = None,
    json_lines: AsJson = False,
) -> None:
    """Hash weight files and load them completely. Exit 4 if one is not what it should be."""
    from ..errors import CheckpointError
    from ..models import judge, published
    from ..models import weight_files as found_in
    from ..weights import Compute, models_folder

    chosen = weight_files or [p for p in found_in(models_folder()) if p.name in published()]
    verdicts = []
    for path in chosen:
        verdict = judge(path, Compute("cpu", "fp32")).verdict
        verdicts.append(verdict)
        if not json_lines:
            state = "BAD" if verdict.bad else "ok"
            digest = f"{verdict.identity} {verdict.sha256[:12]}".strip()
            what = verdict.what or verdict.model or "unknown"
            print(f"{state:4} {path.name}: {what}; content {digest}", flush=True)
            if verdict.problem:
                print(f"{'':4} {verdict.problem}", flush=True)
    if json_lines:
        print(json.dumps([verdict.to_json() for verdict in verdicts], indent=1))
    if not chosen:
        say(f"No published weight file is in {models_folder()}; name others as arguments.")
    bad = [Path(verdict.file).name for verdict in verdicts if verdict.bad]
    if bad:
        raise CheckpointError(f"{', '.join(bad)}: must not be used.")
