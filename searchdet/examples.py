"""What the user gives as examples, of any form, to a bank: folders, a COCO file, or a saved bank."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from . import automask, bankfile, exemplars
from .audit import conflicts, without
from .backbones import Backbone
from .bank import Bank
from .cache import Store
from .config import EmbeddingOptions, ExemplarOptions, ProposalOptions
from .describe import Describer
from .enrol import build_bank, space_of, store
from .errors import UsageError
from .exemplars import Exemplar
from .hashes import cache_folder
from .proposals.regions import RegionProposer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examples:
    """Where examples come from: folders, a COCO file with the folder of its images, or a saved bank."""

    positive: Path | None = None
    negative: Path | None = None
    coco: Path | None = None
    coco_images: Path | None = None
    bank: Path | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("positive", "coco", "bank") if getattr(self, name) is not None]
        if not given:
            raise UsageError(
                "no examples are given.", "Name a folder: --positive DIR (or --positive-coco, --bank)."
            )
        if self.bank is not None and (len(given) > 1 or self.negative is not None):
            raise UsageError(
                "--bank goes with no other examples.", "Add them to it: `searchdet bank add`."
            )
        if self.coco_images is not None and self.coco is None:
            raise UsageError("--positive-images is for --positive-coco, which is not given.")


@dataclass(frozen=True, slots=True)
class Gathered:
    """A bank and what the record should say about how it came about. found: exemplars whose mask was
    looked for, to be shown; ignored: names of negatives that would have backfired."""

    bank: Bank
    found: tuple[Exemplar, ...] = ()
    ignored: tuple[str, ...] = ()


def read(examples: Examples, max_pixels: int) -> list[Exemplar]:
    """All exemplars that are files. Raises ExemplarError for the first that cannot be used."""
    found = exemplars.find_positives(examples.positive) if examples.positive else []
    found += exemplars.find_coco(examples.coco, examples.coco_images) if examples.coco else []
    found += exemplars.find_negatives(examples.negative) if examples.negative else []
    return exemplars.load(found, max_pixels)


def gather(
    examples: Examples,
    read_before: list[Exemplar],
    backbone: Backbone,
    embedding: EmbeddingOptions,
    options: ExemplarOptions,
) -> Gathered:
    """The bank of the examples, in the space of ``backbone``, each picture once and without negatives
    that conflict. Raises ExemplarError."""
    found: tuple[Exemplar, ...] = ()
    if examples.bank is not None:
        bank = bankfile.load(examples.bank)
        bankfile.require_space(bank, space_of(backbone, embedding), f"--bank {examples.bank}")
    else:
        bank, found = enrol(backbone, read_before, embedding, options)
    return settle(bank, options, found)


def enrol(
    backbone: Backbone,
    items: list[Exemplar],
    embedding: EmbeddingOptions,
    options: ExemplarOptions,
) -> tuple[Bank, tuple[Exemplar, ...]]:
    """A bank of all exemplars as they are, and those whose mask was looked for."""
    if options.exemplar_mask == "auto":
        items = find_masks(backbone, items, embedding)
    bank = build_bank(backbone, items, embedding, store())
    return bank, tuple(item for item in items if item.mask_source == "auto")


def find_masks(
    backbone: Backbone, items: list[Exemplar], embedding: EmbeddingOptions
) -> list[Exemplar]:
    """``automask.apply`` with the embedded proposer, which needs no weights and no patience; what was
    found for the same photos is remembered."""
    proposals = ProposalOptions("regions")
    describer = Describer(backbone, RegionProposer(proposals), proposals, embedding)
    kept = Store(cache_folder(), automask.CACHE_KIND)
    space = space_of(backbone, embedding)
    return automask.apply(items, lambda item: describer.regions(item.pixels), space, kept)


def settle(bank: Bank, options: ExemplarOptions, found: tuple[Exemplar, ...] = ()) -> Gathered:
    """The bank as it is scored with: copies count once, and negatives that conflict are left out unless
    they are to be kept, with a WARNING."""
    distinct = bank.distinct()
    if options.keep_conflicts:
        return Gathered(distinct, found)
    clash = conflicts(distinct)
    names = tuple(distinct.negatives.names[i] for i in clash)
    if names:
        log.warning(
            "%d of %d negatives are nearer to a positive example than positives are to each other, and "
            "are ignored (%s). See `searchdet bank audit`; --keep-conflicts uses them.",
            len(names),
            len(distinct.negatives),
            ", ".join(names[:3]),
        )
    return Gathered(without(distinct, clash), found, names)
