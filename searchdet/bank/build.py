"""What the user gives as examples, of any form, to a bank: folders, a COCO file, or a saved bank."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import backbones, exemplars
from ..annotations import Notes
from ..backbones import Backbone
from ..config import (
    EmbeddingOptions,
    Examples,
    ExemplarOptions,
    NormalityOptions,
    ProposalOptions,
    Settings,
    names_of,
)
from ..errors import ExemplarError, UsageError
from ..exemplars import Exemplar, Reading, augment, automask, boxmask
from ..normality import BY_IMAGE, Normality, Teacher, of_images
from ..output import Picture, exemplar_picture
from ..proposals.regions import IN_BOX, RegionProposer
from ..proposals.types import BoxPrompted, Proposer
from ..regions import Describer, Remembered, Space, space_of
from ..storage import kinds
from ..storage.cache import Store
from ..version import __version__
from ..weights import LoadedBefore
from . import file as bankfile
from . import miscut
from .audit import conflicts, without
from .describe import build_bank, compute_of, describe
from .normals import learned
from .said import Sayings, sayings
from .types import Bank, Rows, extended, join, of_normality

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gathered:
    """A bank and what the record should say about how it came about. shown: a small picture of every
    exemplar that was read; ignored: names of negatives that would have backfired; skipped: names of
    exemplars that cannot be read; miscut: names of negatives that decide their own region alone. said:
    of single regions, by the content of their picture."""

    bank: Bank
    shown: tuple[Picture, ...] = ()
    ignored: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    miscut: tuple[str, ...] = ()
    said: Mapping[str, Sayings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What turns exemplars into bank rows. cache: the folder that remembers descriptions, or None.
    closer: with a second look at each. proposer: finds the objects in boxes, if it takes boxes."""

    backbone: Backbone
    embedding: EmbeddingOptions = EmbeddingOptions()
    options: ExemplarOptions = ExemplarOptions()
    cache: Path | None = None
    closer: bool = False
    proposer: Proposer | None = None
    normal: NormalityOptions = NormalityOptions()
    proposals: ProposalOptions = ProposalOptions()

    @property
    def space(self) -> Space:
        return space_of(self.backbone, self.embedding)

    @classmethod
    def of(cls, backbone: Backbone, settings: Settings, proposer: Proposer | None = None) -> Enrolment:
        """With a backbone, and perhaps a proposer, that are there already."""
        looks = settings.scoring.looks(backbone.second_look) > 0
        own = (settings.embedding, settings.exemplars, settings.cache, looks, proposer)
        return cls(backbone, *own, settings.normality, settings.proposals)

    def normality_of(self, given: Read) -> Normality | None:
        """What is normal by what was read; None where nothing says it. Raises ExemplarError."""
        if self.proposer is None or not (given.normals or self.normal.by_image):
            return None
        if not given.normals:
            return of_images(self.proposer.name, self.proposals.tile)
        teacher = Teacher(self.backbone, self.proposer, self.normal, self.proposals)
        return learned(given.normals, teacher, self.space, self.cache)

    @classmethod
    def load(cls, settings: Settings) -> Enrolment:
        """With the backbone of the settings. Raises CheckpointError or UsageError."""
        return cls.of(backbones.load(settings.backbone, LoadedBefore(settings.cache)), settings)


@dataclass(frozen=True, slots=True)
class Read:
    """What was read: exemplars of files, or a saved bank; the names of exemplars left out; and good
    parts."""

    items: list[Exemplar]
    saved: Bank | None = None
    skipped: tuple[str, ...] = ()
    normals: tuple[Exemplar, ...] = ()

    @property
    def has_exemplars(self) -> bool:
        """Whether there are some of a class."""
        return bool(self.items) if self.saved is None else not self.saved.by_normality

    @property
    def says_normal(self) -> bool:
        """Whether good parts are among it, of files or in the bank."""
        return bool(self.normals) or (self.saved is not None and self.saved.normality is not None)

    @property
    def smallest(self) -> float | None:
        """Pixels a side of the smallest exemplar whose object is known; None where none is."""
        known = [item for item in self.items if item.label is not None and item.mask_source != "whole"]
        return min((float(item.mask.sum()) ** 0.5 for item in known), default=None)


def read(examples: Examples, settings: Settings) -> Read:
    """All exemplars that are files, or the saved bank. Raises ExemplarError for the first thing that
    cannot be used; with ``skip_bad_exemplars`` only where nothing of a class is left. Raises UsageError
    for options that the examples leave nothing to do."""
    if settings.normality.by_image and examples.normal:
        raise UsageError(
            "--normal-self and --normal: only one of them says what is normal.", "Leave one out."
        )
    if examples.bank is not None:
        if names_of(settings.exemplars.augment):
            raise UsageError(
                "--augment changes what is made into a bank, and --bank is one.",
                "Build it with --augment: `searchdet bank build`.",
            )
        saved = bankfile.load(examples.bank)
        if settings.normality.by_image:
            _require_by_image(saved)
        return Read([], saved)
    how, notes = settings.exemplars, Notes(settings.exemplars.strict)
    found = exemplars.find_positives(examples.positive, notes) if examples.positive else []
    if examples.positive_coco:
        images = examples.positive_images
        found += exemplars.find_coco(examples.positive_coco, images, notes, how.crowds)
    found += exemplars.find_negatives(examples.negative, notes) if examples.negative else []
    skipped: list[str] = []
    bad = skipped if how.skip_bad_exemplars else None
    reading = Reading(settings.max_pixels, how.mask_index, notes, settings.reading.bounds)
    items = exemplars.load_with(found, reading, bad)
    good = _good_parts(examples.normal, reading, bad) if examples.normal else ()
    notes.tell()
    return Read(items, None, tuple(skipped), good)


def _require_by_image(saved: Bank) -> None:
    """Raise UsageError unless each image is its own measure for a bank."""
    if saved.normality is None:
        raise UsageError(
            "--normal-self: the bank does not say what is normal.",
            "Keep it there: `searchdet bank build --normal-self`.",
        )
    if saved.normality.info.method != BY_IMAGE:
        raise UsageError("--normal-self: the bank holds good parts.", "Leave it out.")


def _good_parts(folder: Path, reading: Reading, skipped: list[str] | None) -> tuple[Exemplar, ...]:
    items = exemplars.load_with(exemplars.find_normals(folder), reading, skipped)
    masked = [item.name for item in items if item.mask_source != "whole"]
    if masked:
        raise ExemplarError(
            f"--normal: {masked[0]} has a mask or annotations, and a good part has nothing to mark.",
            "Take the mask away, or the image if it shows a defect.",
        )
    return tuple(items)


def gather(given: Read, by: Enrolment) -> Gathered:
    """The bank of what ``read`` found, each picture once and without negatives that conflict. Raises
    ExemplarError for a saved bank of another space."""
    if given.saved is not None:
        bankfile.require_space(given.saved, by.space, "--bank")
        return settle(given.saved, by.options)
    normality = by.normality_of(given)
    if not given.items and normality is not None:
        return Gathered(of_normality(normality, by.space), skipped=given.skipped)
    bank, items = enrol(given.items, by)
    bank = replace(bank, normality=normality)
    # drawn at once and kept as JPEG, so that the run does not hold every photo
    shown = tuple(Picture(item.name, exemplar_picture(item.pixels, item.mask)) for item in items)
    return replace(settle(bank, by.options, shown), skipped=given.skipped)


def with_tiles(bank: Bank, tile_by: str) -> Bank:
    """The same, where what is normal says what decided about tiles."""
    normal = bank.normality
    if normal is None:
        return bank
    return replace(bank, normality=replace(normal, info=replace(normal.info, tile_by=tile_by)))


def enrol(items: list[Exemplar], by: Enrolment) -> tuple[Bank, list[Exemplar]]:
    """A bank of all exemplars as they are, and the exemplars with the masks that it was made with."""
    if by.options.exemplar_mask == "auto":
        items = find_masks(items, by)
    bank = build_bank(by.backbone, items, by.embedding, Store(by.cache, kinds.EXEMPLARS), by.closer)
    return with_views(bank, items, by), items


def with_views(bank: Bank, items: list[Exemplar], by: Enrolment) -> Bank:
    """The bank with the changed views of its positive exemplars that the options want. One photo's are
    made at a time."""
    wanted, kept = names_of(by.options.augment), Store(by.cache, kinds.EXEMPLARS)
    rows: list[Rows] = []
    labels: list[str | None] = []
    positive = [item for item in items if item.label is not None] if wanted else []
    for _, group in itertools.groupby(positive, key=lambda item: id(item.pixels)):
        found = list(augment.views(list(group), wanted))
        if found:
            rows.append(describe(by.backbone, found, by.embedding, kept, bank.looks_closer))
            labels += [item.label for item in found]
    return extended(bank, join(rows), labels) if rows else bank


def find_masks(items: list[Exemplar], by: Enrolment, bank: Bank | None = None) -> list[Exemplar]:
    """``automask.apply`` with the embedded proposer, which needs no weights and no patience; regions of
    each photo and the choice among them are remembered. bank: its exemplars of a class are what the
    photos of that class have something in common with. And ``boxmask.apply``, by the proposer of the
    run if it takes boxes, else by the embedded one."""
    items = _in_boxes(items, by)
    options = ProposalOptions("regions")
    describer = Describer(by.backbone, RegionProposer(options), options, by.embedding)
    remembered = Remembered(describer, Store(by.cache, kinds.REGIONS))
    return automask.apply(
        items,
        lambda item: remembered.regions(item.pixels, item.sha256),
        {"space": by.space.to_json(), "compute": compute_of(by.backbone), "version": __version__},
        Store(by.cache, kinds.AUTOMASKS),
        None if bank is None else bank.by_class(),
    )


def _in_boxes(items: list[Exemplar], by: Enrolment) -> list[Exemplar]:
    chosen = by.proposer if isinstance(by.proposer, BoxPrompted) else RegionProposer(IN_BOX)
    return boxmask.apply(items, boxmask.Finder.of(chosen, by.cache))


def settle(bank: Bank, options: ExemplarOptions, shown: tuple[Picture, ...] = ()) -> Gathered:
    """``settled``, with a WARNING of the negatives that are left out."""
    found = settled(bank, options, shown)
    if found.ignored:
        log.warning(
            "%d of %d negatives look more like a class than half of its own examples do, and are "
            "ignored (%s). See `searchdet bank audit`; --keep-conflicts uses them.",
            len(found.ignored),
            len(found.bank.negatives) + len(found.ignored),
            ", ".join(found.ignored[:3]),
        )
    return found


def settled(bank: Bank, options: ExemplarOptions, shown: tuple[Picture, ...] = ()) -> Gathered:
    """The bank as it is scored with: copies count once, negatives that are wrong by their outline are
    left out, and those that conflict unless they are to be kept; what was said of their own regions
    holds all the same."""
    distinct, said, cut = miscut.plain(bank).distinct(), sayings(bank), miscut.names_of(bank)
    if options.keep_conflicts:
        return Gathered(distinct, shown, miscut=cut, said=said)
    clash = conflicts(distinct)
    names = tuple(distinct.negatives.names[i] for i in clash)
    return Gathered(without(distinct, clash), shown, names, miscut=cut, said=said)
