"""A session over images, put together: exemplars, models, regions, and what describes these."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..bank import Bank, Enrolment, Read, read
from ..bank.build import enrol
from ..config import Examples, ScanOptions, Settings
from ..errors import EmbeddingError, ImageError, ResourceError, UsageError, counted, memory_as_error
from ..images import Query
from ..index import Indexer
from ..index import file as indexes
from ..index.goodparts import require_known
from ..index.rows import Indexed
from ..live import Board, LiveSettings, ModelHands, Session, Shelf
from ..live.settings import BANK
from ..normality import suited
from ..output import Output, Picture, exemplar_picture
from ..regions import Space, settings_in
from ..storage import files
from ..storage.places import on_this_machine
from .desk import Desk
from .hands import QueuedHands
from .indexed import settings_of
from .pictures import Pictures, small_jpeg
from .words import words_of
from .work import Work

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be served. examples: None begins with none. index: regions that were described
    before. images, scan: as the user named the images."""

    queries: Sequence[Query]
    examples: Examples | None
    settings: Settings
    output: Output
    index: Path | None
    images: Sequence[str]
    scan: ScanOptions = ScanOptions()


@dataclass(frozen=True, slots=True)
class Opened:
    """What a server needs. work: not yet started. settings: in the space of the regions; by: what
    describes exemplars, where it is loaded already."""

    desk: Desk
    work: Work
    hands: QueuedHands
    settings: Settings
    by: Enrolment | None


@contextlib.contextmanager
def opened(job: Job) -> Iterator[Opened]:
    """Open the session. Raises UsageError, ExemplarError, CheckpointError and OutputError."""
    out = on_this_machine(job.output.folder, "the folder of a session")
    start = None if job.examples is None else job.examples.bank
    if start is not None and files.real(start) == files.real(out / BANK):
        raise UsageError(
            f"--bank {start}: is what the session writes.", "Leave it out, or copy it elsewhere first."
        )
    given = job.settings
    with files.scratch_folder(out) as scratch:
        read_of = Read([]) if job.examples is None else read(job.examples, given)
        indexer, shelf, job = _shelf(job, read_of, scratch)
        try:
            by = _enrolment(job, indexer, shelf.space)
            bank, shown = _start(read_of, by)
            known = {item.image.name for item in shelf.images}
            live = LiveSettings(
                settings=job.settings,
                paths={q.name: on_this_machine(q.path, "an image of a session") for q in job.queries},
                coming=frozenset(query.name for query in job.queries) - known,
                words=words_of(job.images, job.scan, job.settings, given),
                output=job.output,
                shown=shown,
            )
            board = Board(shelf)
            with Session.open(out, board, bank, live) as session:
                pictures = Pictures(live.paths, job.settings.max_pixels)
                total = len(job.queries) if job.index is None else len(shelf.images)
                desk = Desk(session, board, pictures, total, out)
                desk.crops.give(shown)
                work = Work(_steps(job, indexer, desk))
                models = ModelHands(_plain(job.settings), shelf.space, live.paths, by)
                own = _plain(settings_in(shelf.space, job.settings))
                try:
                    yield Opened(desk, work, QueuedHands(models, work), own, by)
                finally:
                    desk.close()
        finally:
            shelf.close()


def _shelf(job: Job, given: Read, scratch: Path) -> tuple[Indexer | None, Shelf, Job]:
    """What describes images, where they are not described yet; their regions; and the job, with the
    options by which these were made. given: what may say what is normal."""
    if job.index is None:
        normal = given.says_normal or job.settings.normality.by_image
        indexer = Indexer(job.settings, 0, given if normal else None)
        shelf = Shelf.empty(indexer.space, indexer.models_info, scratch, indexer.good)
        asked = replace(job.settings, proposals=indexer.proposals)
        return indexer, shelf, replace(job, settings=asked)
    found = indexes.load(job.index)
    require_known(job.index, found.made.good, given, job.settings.normality)
    if found.made.good is not None and not given.has_exemplars:
        suited.warn_of_unused(job.settings.scoring)
    _warn_of_names(found.images, job.queries)
    job = replace(job, settings=settings_of(job.index, found, job.settings))
    return None, Shelf.of(found), job


def _enrolment(job: Job, indexer: Indexer | None, space: Space) -> Enrolment | None:
    """What describes exemplars in the space of the regions. Beside an index and without example
    folders no model is loaded before one is needed. Raises UsageError, CheckpointError."""
    if indexer is not None:
        models, settings = indexer.models, indexer.settings
        return Enrolment.of(models.backbone, _plain(settings), models.proposer)
    if job.examples is None or not job.examples.given or job.examples.bank is not None:
        return None
    by = Enrolment.load(_plain(settings_in(space, job.settings)))
    differs = space.differences(by.space)
    if differs:
        raise UsageError(f"the index was made with other models ({'; '.join(differs)}).")
    return by


def _plain(settings: Settings) -> Settings:
    """Without a second look, which a page has no time for."""
    return replace(settings, scoring=replace(settings.scoring, second_look=0))


def _start(given: Read, by: Enrolment | None) -> tuple[Bank | None, tuple[Picture, ...]]:
    """The exemplars that the session starts with, and small pictures of these. What is normal is the
    shelf's."""
    if given.saved is not None:
        return replace(given.saved, normality=None), ()
    if by is None or not given.items:
        return None, ()
    bank, items = enrol(given.items, by)
    return bank, tuple(Picture(item.name, exemplar_picture(item.pixels, item.mask)) for item in items)


def _steps(job: Job, indexer: Indexer | None, desk: Desk) -> list[Callable[[], None]]:
    """What describes the images, one by one."""
    if indexer is None:
        return []
    by, strict = indexer, job.settings.exemplars.strict
    return [
        lambda query=query: _describe(by, query, desk, strict)  # type: ignore[misc]
        for query in job.queries
    ]


def _describe(indexer: Indexer, query: Query, desk: Desk, strict: bool) -> None:
    """One image; one that cannot be used is said, and the next one follows. strict: its error is
    raised, which ends the program."""
    try:
        with memory_as_error(query.path):
            image = indexer.read(query)
            info, packed = indexer.described(image, query.name)
            small = small_jpeg(image.pixels)
    except (ImageError, EmbeddingError, ResourceError) as error:
        log.warning("%s: FAILED (%s) %s", query.name, error.code, error.one_line())
        desk.fail(query.name, error.code, error.one_line())
        if strict:
            error.hint = f"{error.hint} Or leave out the image, or --strict.".strip()
            raise
        return
    except Exception as error:  # a bug of ours: the person at the page goes on with the other images
        log.exception("%s: FAILED (internal)", query.name)
        desk.fail(query.name, "internal", f"{type(error).__name__}; the terminal says more.")
        if strict:
            raise
        return
    desk.pictures.seen(query.name, small)
    desk.add(info, packed)


def _warn_of_names(found: Sequence[Indexed], queries: Sequence[Query]) -> None:
    """Say which images are on one side alone: they are not judged, or have no picture."""
    inside, named = {item.image.name for item in found}, {query.name for query in queries}
    absent = ("is not in the index, and not judged", "are not in the index, and not judged")
    unnamed = ("was not named, and has no picture", "were not named, and have no picture")
    for names, whose, (one, many), step in (
        (named - inside, "", absent, "Make it again with all"),
        (inside - named, " of the index", unnamed, "Name the folder too"),
    ):
        if names:
            few = ", ".join(sorted(names)[:3])
            number = counted(len(names), f"image{whose} {one}", f"images{whose} {many}")
            log.warning("%s. %s (%s).", number, step, few)
