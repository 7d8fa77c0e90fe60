"""The command ``searchdet merge``."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ..config import CacheOptions, OutputOptions, ScanOptions
from ..config.address import Place
from ..storage import kinds, places
from .console import EXIT_SOME_FAILED, say
from .options import AsJson, cache_of, output_of, scan_of, with_options
from .places import PLACE

if TYPE_CHECKING:
    from ..output.coverage import Coverage
    from ..storage.values import JsonObject


@with_options(without=("shard", "output", "save", "no_save", "overwrite"), verbose=True)
def merge(
    folder: Annotated[Place, typer.Argument(metavar="OUT", help="Output folder of the shards.")],
    output: OutputOptions,
    scan: ScanOptions,
    cache: CacheOptions,
    images: Annotated[
        Optional[list[str]],
        typer.Argument(help="The images that the shards were given: each must have a record."),
    ] = None,
    positive: Annotated[
        Optional[Place],
        typer.Option("--positive", help="As the shards were given it: no images in it.", metavar=PLACE),
    ] = None,
    negative: Annotated[
        Optional[Place],
        typer.Option("--negative", help="As the shards were given it: no images in it.", metavar=PLACE),
    ] = None,
    normal: Annotated[
        Optional[Place],
        typer.Option("--normal", help="As the shards were given it: no images in it.", metavar=PLACE),
    ] = None,
    masks: Annotated[
        Optional[Place],
        typer.Option(
            "--masks-from", help="As the shards were given it: no images in it.", metavar=PLACE
        ),
    ] = None,
    page: Annotated[bool, typer.Option("--report", help="Write report.html too.")] = False,
    json_lines: AsJson = False,
) -> None:
    """Finish what shards of `detect` made in one folder OUT: datasets and run.json of all records, and
    which image has none."""
    from ..images import discover
    from ..output import read_records
    from ..output.coverage import coverage
    from ..report import Pictures, write

    target = output_of(replace(output, output=folder, save="none"), cache_of(cache))
    names = None
    if images:
        apart = tuple(path for path in (positive, negative, normal, masks) if path is not None)
        look = replace(scan_of(scan, folder, cache), examples=apart)
        names = [query.name for query in discover(images, look)]
    files = len(places.found(folder / "records", ".json"))
    found = coverage(read_records(folder, rejected=False), names, files)
    if target is not None:
        target.finish(_facts(found))
    if page:
        write(folder, None, Pictures(None, True), None)
    if json_lines:
        print(json.dumps(found.to_json()))
    else:
        for line in found.lines():
            say(line)
    if not found.whole:
        raise typer.Exit(EXIT_SOME_FAILED)


def _facts(found: Coverage) -> JsonObject:
    """``run.json`` of all shards."""
    from ..version import versions

    settings: JsonObject = {} if found.run is None else {"settings": found.run.to_json()}
    return {
        "schema": kinds.RUN_SCHEMA,
        "versions": versions(),
        **settings,
        "counts": found.counts,
        "merged": found.to_json(),
    }
