"""The commands of ``searchdet cache``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Optional

import typer

from ..config import CacheOptions
from ..errors import UsageError
from .console import say
from .options import AsJson, cache_of, with_options

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}

cache_app = typer.Typer(help="What is remembered between runs.", no_args_is_help=True)


@cache_app.command("info")
@with_options(without=("no_cache",))
def cache_info(cache: CacheOptions, json_lines: AsJson = False) -> None:
    """Where the cache lies and what it holds."""
    from ..storage.cachefolder import usage

    folder = cache_of(cache)
    rows = usage(_existing(folder))
    total = sum(row.size for row in rows)
    if json_lines:
        kinds = {row.kind: {"entries": row.entries, "bytes": row.size} for row in rows}
        print(json.dumps({"folder": str(folder), "bytes": total, "kinds": kinds}, indent=1))
        return
    print(f"{folder}: {_size(total)}")
    for row in rows:
        print(f"{row.kind:12} {row.entries:8} entries {_size(row.size):>10}")


@cache_app.command("clear")
@with_options(without=("no_cache",))
def cache_clear(
    cache: CacheOptions,
    kind: Annotated[
        Optional[list[str]], typer.Option("--kind", help="Only this kind; may be repeated.")
    ] = None,
) -> None:
    """Remove everything that is remembered; it is computed again when it is needed."""
    from ..storage.cachefolder import clear
    from ..storage.kinds import KINDS

    for name in kind or ():
        if name not in KINDS:
            raise UsageError(f"--kind {name!r} is unknown; choose {', '.join(KINDS)}.")
    gone = clear(_existing(cache_of(cache)), tuple(kind or KINDS))
    say(f"{gone.entries} entries removed, {_size(gone.size)}.")


@cache_app.command("prune")
@with_options(without=("no_cache",))
def cache_prune(
    cache: CacheOptions,
    max_size: Annotated[
        Optional[str], typer.Option("--max-size", help="Keep at most this much: 500M, 20G.")
    ] = None,
    older_than: Annotated[
        Optional[float],
        typer.Option("--older-than", help="Remove what was not used for so many days.", min=0),
    ] = None,
) -> None:
    """Remove what was used longest ago."""
    from ..storage.cachefolder import prune

    if max_size is None and older_than is None:
        raise UsageError("nothing to go by.", "Name --max-size or --older-than.")
    limit = None if max_size is None else _bytes(max_size)
    gone = prune(_existing(cache_of(cache)), limit, older_than)
    say(f"{gone.entries} entries removed, {_size(gone.size)}.")


def _existing(folder: Path | None) -> Path:
    if folder is None:
        raise UsageError("there is no cache folder.", "Name it: --cache-dir DIR.")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--cache-dir {folder}: is no folder.")
    return folder


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise UsageError(f"--max-size {text!r} is no size.", "Write 500M or 20G.")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def _size(count: int) -> str:
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
