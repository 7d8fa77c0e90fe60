"""The commands ``searchdet index`` and ``searchdet search``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ..config import (
    CacheOptions,
    EmbeddingOptions,
    EngineOptions,
    ExemplarOptions,
    NormalityOptions,
    OutputOptions,
    ProposalOptions,
    RunOptions,
    ScanOptions,
    ScoringOptions,
    Settings,
    StartExamples,
    SuppressionOptions,
)
from ..config.address import Place
from ..errors import counted
from ..storage import kinds
from .console import EXIT_NOTHING_FOUND, EXIT_SOME_FAILED, progress, say, stoppable
from .options import IMAGES, cache_of, output_of, scan_of, with_options
from .places import PLACE

if TYPE_CHECKING:
    from ..images import Query
    from ..records import Candidate


_Keep = Annotated[
    Optional[int],
    typer.Option(
        "--keep",
        help="Best proposals an image or tile that the index holds; 0: all. If not given 600, or all "
        "with good parts.",
        min=0,
    ),
]


_Add = Annotated[
    bool,
    typer.Option(
        "--add", help="Into an index that is there: only what is new or changed is described."
    ),
]
_Remove = Annotated[
    Optional[list[str]],
    typer.Option("--remove", help="Take images out, by name or pattern; may be repeated."),
]
_Merge = Annotated[
    Optional[list[Place]],
    typer.Option(
        "--merge", help="Make it of another index, as of a shard; may be repeated.", metavar=PLACE
    ),
]


_Lists = Annotated[
    bool,
    typer.Option(
        "--lists",
        help="Group its regions into lists, so that `search --probe` can read a share of them.",
    ),
]
_Probe = Annotated[
    float,
    typer.Option(
        "--probe",
        help="Share of the lists that is looked at for each class; 1: all, exactly.",
        min=0,
        max=1,
    ),
]


@with_options(
    without=(
        *(ScoringOptions, SuppressionOptions, ExemplarOptions, "prompting", "guided_share"),
        *("positive", "negative", "positive_coco", "positive_images"),
    ),
    verbose=True,
)
def index(
    output: Annotated[
        Place, typer.Option("--output", "-o", help="Folder of the index.", metavar=PLACE)
    ],
    settings: Settings,
    good: StartExamples,
    scan: ScanOptions,
    cache: CacheOptions,
    images: Annotated[Optional[list[str]], typer.Argument(help=IMAGES)] = None,
    keep: _Keep = None,
    add: _Add = False,
    remove: _Remove = None,
    merge: _Merge = None,
    lists: _Lists = False,
) -> None:
    """Describe the regions of IMAGES once, to search them with any examples afterwards; with good parts
    also how unusual each is. Of a --bank it takes the good parts."""
    from ..images import discover
    from ..index import check, edit, file
    from ..index.stored import at_hand

    _require_one_way(images, (add, remove, merge), lists)
    _require_images(images, good, settings)
    masks = settings.proposals.masks_from
    queries = discover(images, scan_of(scan, output, cache, good, masks)) if images else []
    if images or merge:
        check(output, queries)
    if add or not (images or merge):
        file.load(output)  # says what is wrong where there is none
    if merge:
        edit.require_kept(merge, output)
    failed, anew = False, bool(merge or (images and not add))
    with stoppable(), at_hand(output, not anew) as folder, file.alone(folder):
        grouped = lists or file.wants_lists(output)
        if remove:
            say(f"{output}: {counted(edit.remove(folder, remove), 'image')} taken out.")
        elif merge:
            regions = edit.merge(merge, folder, grouped)
            say(f"{output}: {counted(regions, 'region')} of {counted(len(merge), 'index', 'indexes')}.")
        elif images:
            settings = replace(settings, cache=cache_of(cache))
            failed, said = _describe(folder, queries, (settings, keep, good), (add, grouped))
            say(f"{output}: {said}")
        if lists:
            written = file.load(folder).lists if anew else None
            made = written or file.group(folder)  # which says where there are too few regions
            say(f"{output}: {counted(len(made.centres), 'list')}.")
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _describe(
    output: Path,
    queries: list[Query],
    how: tuple[Settings, int | None, StartExamples],
    into: tuple[bool, bool],
) -> tuple[bool, str]:
    """Describe images for an index, all or what it lacks; whether some failed, and what is said. into:
    whether it is there already, and whether it is to have lists."""
    from ..index import Indexer, good_parts

    (settings, keep, good), (add, grouped) = how, into
    indexer = Indexer(settings, keep, good_parts(good, settings, output if add else None))
    if add:
        planned = indexer.plan(output, queries)
        with progress(len(planned.todo)) as advance:
            regions = indexer.add(output, planned, advance(planned.todo))
        failed = {name for name, _ in indexer.failed}
        changed = len(set(planned.changed) - failed)
        new = len(planned.todo) - len(planned.changed) - len(failed - set(planned.changed))
        done = f"{counted(new, 'new image')}, {changed} changed"
    else:
        with progress(len(queries)) as advance:
            regions = indexer.write(output, advance(queries), grouped)
        done = counted(len(queries) - len(indexer.failed), "image")
    for name, error in indexer.failed:
        say(f"{name}: FAILED ({error.code}) {error.one_line()}")
    return bool(indexer.failed), f"{done}, {counted(regions, 'region')}."


def _require_one_way(
    images: list[str] | None, how: tuple[bool, list[str] | None, list[Place] | None], lists: bool
) -> None:
    """Raise UsageError for what does not go together."""
    from ..errors import UsageError

    add, remove, merge = how
    if images and (remove or merge):
        raise UsageError("--remove and --merge describe no images.", "Leave the images out.")
    if sum(map(bool, how)) > 1:
        raise UsageError(
            "--add, --remove and --merge go one at a time.", "Run the command once for each."
        )
    if not images and (add or not (remove or merge or lists)):
        raise UsageError("no image is named.", "Name images, a folder or a quoted glob.")


def _require_images(images: list[str] | None, good: StartExamples, settings: Settings) -> None:
    """Raise UsageError for good parts where nothing is described."""
    from ..errors import UsageError

    if not images and (good.given or good.normal is not None or settings.normality.by_image):
        raise UsageError(
            "good parts are given, and no image to hold against them.",
            "Name the images too, or leave out --normal, --normal-self and --bank.",
        )


_Top = Annotated[int, typer.Option("--top", help="Best detections wanted; 0: all.", min=0)]
_Folder = Annotated[
    Optional[Place],
    typer.Option(
        "--output",
        "-o",
        help="Write the records of the images found to this folder.",
        metavar=PLACE,
    ),
]


@with_options(
    without=(
        *(ProposalOptions, EmbeddingOptions, "backbone", "feat_short_side", "centring", "max_pixels"),
        *(EngineOptions, "output", "save", "no_save", "timeout", "second_look"),
        NormalityOptions,
    ),
    verbose=True,
)
def search(
    index: Annotated[
        Place, typer.Argument(metavar="INDEX", help="Folder that `searchdet index` made.")
    ],
    examples: StartExamples,
    settings: Settings,
    output: OutputOptions,
    run: RunOptions,
    top: _Top = 50,
    folder: _Folder = None,
    probe: _Probe = 1.0,
) -> None:
    """Find the objects of the examples in an INDEX, or what is unusual beside its good parts. Reads no
    image of it, runs no model on one."""
    from ..index import file as indexes
    from ..index import judge_for
    from ..index.search import search as find
    from ..index.search import share_of

    settings = replace(settings, cache=cache_of(run.cache))
    target = None
    if folder is not None:
        target = output_of(replace(output, output=folder, save="none"), settings.cache)
    if target is not None:
        target.check([])
    found = indexes.load(index)
    judge = judge_for(index, found, examples, settings)
    probe = share_of(judge, probe)
    if target is not None:
        target.clear_records()
    rows = []
    for record in find(found, judge, top, probe):
        rows += [(item.score or 0.0, item, record.image) for item in record.detections]
        if target is not None:
            target.save(record, None)
        if run.json_lines:
            print(record.to_line(), flush=True)
    if not run.json_lines:
        for line in _table(rows, top):
            print(line)
    if target is not None:
        target.finish({"schema": kinds.RUN_SCHEMA, **judge.run_json(), "probe": probe})
        if not run.quiet:
            say(f"Records and datasets ({output.dataset}) are in {folder}.")
    if probe < 1:
        say(f"The nearest {probe:.1%} of its lists were looked at for each class; --probe 1 reads all.")
    if run.fail_if_empty and not rows:
        raise typer.Exit(EXIT_NOTHING_FOUND)


def _table(rows: list[tuple[float, Candidate, str]], top: int) -> list[str]:
    """Tab-separated: score, class, box, image; best first."""
    rows.sort(key=lambda row: (-row[0], row[2], row[1].id))
    lines = []
    for score, item, image in rows[: top or None]:
        box = ",".join(f"{value:.0f}" for value in item.bbox)
        lines.append(f"{score:.3f}\t{_safe(item.label or '')}\t{box}\t{_safe(image)}")
    return lines


def _safe(text: str) -> str:
    """Text as one field of a line: what would break it is escaped."""
    return text if text.isprintable() else json.dumps(text)
