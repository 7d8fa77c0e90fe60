"""The command ``searchdet doctor``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from ..config import CacheOptions, ReadingOptions
from .console import EXIT_SOME_FAILED
from .options import AsJson, with_options

_Images = Annotated[
    Optional[Path],
    typer.Option("--images", help="Instead: how each file of this folder is read, and which are not."),
]


@with_options(without=("no_cache",))
def doctor(
    cache: CacheOptions,
    reading: ReadingOptions,
    json_lines: AsJson = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Hash weight files, but load none and compute nothing.")
    ] = False,
    images: _Images = None,
) -> None:
    """Look at versions, device, folders and weight files, and at what the networks compute.

    Exit 0: nothing is a problem. 4: a package or a weight file is one. 5: a folder cannot be used. With
    --images 3: a picture cannot be read.
    """
    if images is not None:
        _pictures(images, reading, json_lines)
        return
    from ..doctor import PROBLEM, WARNING, examine, exit_code
    from ..storage.hashes import cache_folder

    findings = examine(cache.cache_dir or cache_folder(), quick)
    if json_lines:
        counts = {state: sum(f.state == state for f in findings) for state in ("ok", WARNING, PROBLEM)}
        rows = [finding.to_json() for finding in findings]
        print(json.dumps({"schema": "searchdet.doctor/1", "counts": counts, "findings": rows}))
    else:
        for finding in findings:
            print(f"{finding.state:8} {finding.name}: {finding.fact}")
            if finding.remedy:
                print(f"{'':8} -> {finding.remedy}")
    if code := exit_code(findings):
        raise typer.Exit(code)


def _pictures(folder: Path, reading: ReadingOptions, as_json: bool) -> None:
    from ..doctor import LEFT_OUT, PROBLEM, WARNING, survey

    counts = dict.fromkeys(("ok", WARNING, PROBLEM, LEFT_OUT), 0)
    rows = []
    for picture in survey(folder, reading.bounds):
        counts[picture.state] += 1
        if as_json:
            rows.append(picture.to_json())
            continue
        print(_printable(picture.line()), flush=True)
        if picture.hint:
            print(f"{'':8} -> {_printable(picture.hint)}")
    if as_json:
        print(json.dumps({"schema": "searchdet.doctor.images/1", "counts": counts, "images": rows}))
    else:
        print(", ".join(f"{count} {state}" for state, count in counts.items()))
    if counts[PROBLEM]:
        raise typer.Exit(EXIT_SOME_FAILED)


def _printable(text: str) -> str:
    """Text as one line: names come from strangers."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
