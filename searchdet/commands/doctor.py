"""The command ``searchdet doctor``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..config import CacheOptions
from .options import AsJson, with_options


@with_options(without=("no_cache",))
def doctor(
    cache: CacheOptions,
    json_lines: AsJson = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Hash weight files, but load none and compute nothing.")
    ] = False,
) -> None:
    """Look at versions, device, folders and weight files, and at what the networks compute.

    Exit 0: nothing is a problem. 4: a package or a weight file is one. 5: a folder cannot be used.
    """
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
