"""Verdicts to exemplars: with the vectors that the cache remembers, so that no model is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..config import Settings
from ..errors import DAMAGE, UsageError
from ..exemplars import Exemplar
from ..images import read_image, used_range
from ..masks import rle
from ..records import damaged
from ..regions import Known, Space, known_regions, settings_in
from ..regions.known import space_of_record
from ..storage import kinds
from ..storage.cache import Store
from . import miscut
from .build import Enrolment
from .describe import describe, mask_key
from .file import require_space
from .types import Bank, Origin, Rows, extended, join, rows_of
from .verdicts import Judged, Verdict, judged_records, read_verdicts, records_folder


@dataclass(frozen=True, slots=True)
class Taught:
    """A file of verdicts. records: the output folder they are of, by default that which the file lies
    in; images: the folder of its images, to describe them with the model and not by the cache."""

    file: Path
    records: Path | None = None
    images: Path | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """A bank with the exemplars of verdicts. known: how many were in it before."""

    bank: Bank
    added: int
    known: int


def teach(bank: Bank, given: Taught, settings: Settings) -> Learned:
    """The bank with an exemplar of each verdict: right ones of their class, those of another class of
    that, wrong ones as negatives. Raises UsageError, ExemplarError, and with images CheckpointError."""
    if bank.by_normality:
        raise UsageError(
            "the bank holds good parts and no exemplars, so verdicts teach it nothing.",
            "Build one with both: `searchdet bank build --positive DIR --normal DIR`.",
        )
    if bank.space is None:
        raise UsageError(
            "the bank does not say which model it is of.", "Build it again: `searchdet bank build`."
        )
    verdicts = read_verdicts(given.file)
    judged = judged_records(verdicts, records_folder(given.file, given.records))
    for item in judged:
        if item.record.run is not None:
            space = space_of_record(item.record.run, bank.space)
            require_space(bank, space, f"the record of {item.record.image}")
    _require_classes(bank, verdicts, given.file)
    wanted = [part for item in judged if (part := _without_known(bank, item)).verdicts]
    labels = [verdict.label for item in wanted for verdict in item.verdicts]
    if not labels:
        return Learned(bank, 0, len(verdicts))
    if given.images is None:
        rows = _from_cache(bank, bank.space, wanted, settings.cache)
    else:
        rows = _from_images(bank, bank.space, wanted, given.images, settings)
    said = {v.name: s for item in judged for v, s in zip(item.verdicts, item.sources, strict=True)}
    made = extended(miscut.said_anew(bank, said), join(rows), labels)
    return Learned(made, len(labels), len(verdicts) - len(labels))


def _require_classes(bank: Bank, verdicts: Sequence[Verdict], path: Path) -> None:
    """Raise UsageError for verdicts on a search for a class that the bank does not have: what is no
    coin may well be an eye, and would be a negative of eyes."""
    strange = sorted({item.predicted for item in verdicts} - set(bank.classes))
    if strange:
        raise UsageError(
            f"--from-verdicts {path}: is of a search for {strange[0]!r}, and the bank has no such "
            f"class ({', '.join(bank.classes)}).",
            "Name the bank that was searched with, or add an example of the class first.",
        )


def _without_known(bank: Bank, item: Judged) -> Judged:
    """Without verdicts whose exemplar the bank holds already. Raises UsageError where it holds another
    one of that name."""
    labels: list[str | None] = [bank.classes[c] for c in bank.labels]
    labels += [None] * len(bank.negatives)
    origins = (*bank.positives.origins, *bank.negatives.origins)
    held = {origin.name: (origin.sha256, label) for origin, label in zip(origins, labels, strict=True)}
    kept = []
    for i, verdict in enumerate(item.verdicts):
        there = held.get(verdict.name)
        if there is None:
            kept.append(i)
        elif there != (item.record.content, verdict.label):
            what = "a negative" if there[1] is None else f"of class {there[1]!r}"
            raise UsageError(
                f"the bank has an exemplar {verdict.name!r} already, {what}, and the verdict differs.",
                f"Take it out first: `searchdet bank remove BANK {verdict.name!r}`.",
            )
    return Judged(
        item.record,
        tuple(item.verdicts[i] for i in kept),
        tuple(item.candidates[i] for i in kept),
        tuple(item.sources[i] for i in kept),
    )


def _from_cache(bank: Bank, space: Space, judged: Sequence[Judged], cache: Path | None) -> list[Rows]:
    """Rows of what the cache remembers. Raises UsageError where that is not all."""
    if cache is None:
        raise UsageError(
            "--from-verdicts takes vectors from the cache, and --no-cache looks at none.",
            "Leave it out, or pass --images DIR to describe them with the model.",
        )
    rows: list[Rows] = []
    absent: list[str] = []
    unseen: list[str] = []
    for item in judged:
        run = item.record.run
        known = None if run is None else known_regions(cache, item.record, run, space)
        if known is None or any(v.candidate >= len(known.regions.proposals) for v in item.verdicts):
            absent.append(item.record.image)
            continue
        made = _rows(known, item, bank.looks_closer)
        if made.crops is None and bank.looks_closer:
            unseen += _unseen(known, item.verdicts)
        rows.append(made)
    _require_all(absent, unseen, cache)
    return rows


def _require_all(absent: list[str], unseen: list[str], cache: Path) -> None:
    model = "or pass --images DIR to describe them with the model."
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise UsageError(
            f"the cache {cache} does not hold the regions of {absent[0]}{more}.",
            "Run what made the records again with this cache (`searchdet detect --overwrite`, or for "
            f"those of a search `searchdet index --overwrite`), {model}",
        )
    if unseen:
        raise UsageError(
            f"the bank compares by a second look, and none was taken at {len(unseen)} of the "
            f"candidates ({', '.join(unseen[:3])}).",
            "Run `searchdet detect --overwrite` with a larger --second-look (`searchdet search` takes "
            f"none), {model}",
        )


def _unseen(known: Known, verdicts: Sequence[Verdict]) -> list[str]:
    return [item.name for item in verdicts if item.candidate not in known.seen]


def _rows(known: Known, item: Judged, closer: bool) -> Rows:
    """The rows of the regions that were judged, with crops where all are there and wanted."""
    at = np.asarray([verdict.candidate for verdict in item.verdicts], np.int64)
    described = known.regions.sized().take(at)
    origins = [_origin(item, i) for i in range(len(at))]
    return rows_of(described, origins, known.crops_of(at) if closer else None)


def _origin(item: Judged, i: int) -> Origin:
    return Origin(item.verdicts[i].name, item.record.content, item.sources[i], mask_key(_mask(item, i)))


def _mask(item: Judged, i: int) -> rle.BoolArray:
    record = item.record
    try:
        masks = rle.decode([item.candidates[i].segmentation], (record.height, record.width))
        return np.asarray(masks[0], np.bool_)
    except DAMAGE as error:
        raise damaged(record.image, error) from error


def _from_images(
    bank: Bank, space: Space, judged: Sequence[Judged], images: Path, settings: Settings
) -> list[Rows]:
    """Rows that the bank's model makes of the images; one image at a time is held."""
    by = Enrolment.load(settings_in(space, settings))
    require_space(bank, by.space, "the bank")
    kept, rows = Store(by.cache, kinds.EXEMPLARS), []
    for item in judged:
        exemplars = _exemplars(item, images / item.record.image)
        rows.append(describe(by.backbone, exemplars, by.embedding, kept, bank.looks_closer))
    return rows


def _exemplars(item: Judged, path: Path) -> list[Exemplar]:
    if not path.is_file():
        raise UsageError(f"the judged image {path} is not there.", "Name its folder: --images DIR.")
    most = max(item.record.width * item.record.height, 1)
    loaded = read_image(path, most, used_range(item.record.source))
    if loaded.content != item.record.content:
        raise UsageError(f"{path} is not the image that was judged.", "Name that: --images DIR.")
    return [
        Exemplar(
            verdict.name, verdict.label, loaded.pixels, _mask(item, i), item.sources[i], loaded.content
        )
        for i, verdict in enumerate(item.verdicts)
    ]
