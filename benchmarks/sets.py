"""The annotated sets of ``../shared/data``: photographs with their regions, and banks of exemplars.

What is computed is kept under ``benchmarks/.cache`` and made again when the code that it comes from
changes. ``PHOTOS=24`` looks at that many photographs of each set.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from common import DATA, ROOT, SETS

import searchdet
from searchdet import backbones, exemplars
from searchdet.annotations import Truth
from searchdet.annotations.coco import read_truth
from searchdet.backbones import Backbone
from searchdet.bank import Bank, Gathered
from searchdet.bank.build import Enrolment, settle, with_views
from searchdet.bank.describe import build_bank
from searchdet.config import (
    BackboneOptions,
    EmbeddingOptions,
    ExemplarOptions,
    ProposalOptions,
    ScoringOptions,
)
from searchdet.config.models import DEFAULT_BACKBONE
from searchdet.decision import Look
from searchdet.detector import guide_of
from searchdet.embeddings import cell_vectors
from searchdet.exemplars import Exemplar, automask
from searchdet.images import LoadedImage, read_image
from searchdet.proposals import Proposals
from searchdet.proposals.regions import NAME, RegionProposer
from searchdet.records import WeightsInfo
from searchdet.regions import Describer, Regions, Remembered
from searchdet.scoring import promise
from searchdet.storage import kinds
from searchdet.storage.cache import Store
from searchdet.weights import Compute

CACHE = ROOT / "benchmarks" / ".cache"
SOURCES = ("proposals", "masks", "backbones", "embeddings.py", "regions", "images/read.py")
SPACES = ("filterbank", "efficientnet_lite0", "efficientnet_lite2", "embedded")
PHOTOS = int(os.environ.get("PHOTOS", "0"))
"""Photographs of each set that are looked at, evenly spread; 0: all."""


@dataclass(frozen=True)
class Photo:
    """One image of a set, whose regions are remembered."""

    image_id: int
    path: Path
    remembered: Remembered

    @functools.cached_property
    def image(self) -> LoadedImage:
        return read_image(self.path)

    def regions(self, bank: Bank | None = None) -> Regions:
        """With a bank as ``--prompting guided``, else as ``everything``."""
        return guided(self.remembered, bank).regions(self.image.pixels, self.image.sha256)

    def look(self, regions: Regions, bank: Bank | None = None) -> Look:
        pixels, sha256 = self.image.pixels, self.image.sha256
        by = guided(self.remembered, bank)
        return lambda rows: by.crops(pixels, sha256, regions.proposals, rows)


@dataclass(frozen=True)
class Set:
    """A set, ready to be scored. truth: of the photographs that are looked at; examples: every exemplar
    of it, masks as they were drawn."""

    name: str
    truth: Truth
    examples: tuple[Exemplar, ...]
    photos: tuple[Photo, ...]
    remembered: Remembered

    @property
    def backbone(self) -> Backbone:
        return self.remembered.describer.backbone


class KeptProposer:
    """The embedded proposer; what it made of an image is kept for all spaces."""

    name = NAME
    reads = RegionProposer.reads
    prompting = RegionProposer.prompting
    weights: WeightsInfo | None = None
    compute: Compute | None = None

    def __init__(self, options: ProposalOptions) -> None:
        self._proposer = RegionProposer(options)

    def propose(self, image: np.ndarray, promise: np.ndarray | None = None) -> Proposals:
        given = b"" if promise is None else promise.tobytes()
        digest = hashlib.sha256(image.tobytes() + repr(image.shape).encode() + given).hexdigest()
        path = CACHE / _code(("proposals", "masks/rle.py")) / "proposals" / f"{digest}.pkl"
        if path.is_file():
            made: Proposals = pickle.loads(path.read_bytes())  # noqa: S301 - our own file
            return made
        made = self._proposer.propose(image, promise)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(made))
        return made


@functools.cache
def remembered(space: str) -> Remembered:
    """Regions by the embedded proposer in a space."""
    options = ProposalOptions(NAME)
    backbone = backbones.load(BackboneOptions(space))
    describer = Describer(backbone, KeptProposer(options), options, EmbeddingOptions())
    kept = CACHE / _code()
    return Remembered(describer, Store(kept, kinds.REGIONS), "", Store(kept, kinds.CLOSEUPS))


def guided(by: Remembered, bank: Bank | None) -> Remembered:
    """Regions with what looks like a bank's exemplars."""
    if bank is None:
        return by
    scoring = ScoringOptions()
    known = replace(by.describer, promise=lambda cells: promise(cell_vectors(cells), bank, scoring))
    return replace(by, describer=known, guide=guide_of(bank, scoring))


def load(name: str, space: str = DEFAULT_BACKBONE) -> Set | None:
    """A set; None, with a message, where the data is not here."""
    folder = DATA / name
    if not folder.is_dir():
        print(f"{name}: {folder} is not here, skipped.")
        return None
    parts = folder / "test_images_by_class.json"
    truth = read_truth(folder / "annotations.json", parts if parts.is_file() else None)
    found = exemplars.find_positives(folder / "positive")
    found += exemplars.find_negatives(folder / "negative")
    names = list(truth.names.items())
    if PHOTOS and len(names) > PHOTOS:
        names = [names[i] for i in np.linspace(0, len(names) - 1, PHOTOS).round().astype(int)]
    by = remembered(space)
    photos = tuple(Photo(number, folder / "images" / file, by) for number, file in names)
    return Set(name, truth.only({n for n, _ in names}), tuple(exemplars.load(found)), photos, by)


def every(space: str = DEFAULT_BACKBONE) -> list[Set]:
    """All sets that are here."""
    return [made for name in SETS if (made := load(name, space)) is not None]


def gathered(
    one: Set, per_class: int, seed: int, negatives: int | None = None, masks: str = "auto"
) -> Gathered:
    """A bank of ``per_class`` exemplars a class and negatives (None: all), drawn with a seed; masks
    as --exemplar-mask. Only the drawn exemplars are looked at."""
    return settle(bank_of(one, drawn(one, per_class, seed, negatives, masks)), ExemplarOptions())


def drawn(
    one: Set, per_class: int, seed: int, negatives: int | None = None, masks: str = "auto"
) -> list[Exemplar]:
    """The exemplars of ``gathered``."""
    rng = np.random.default_rng(seed)
    chosen: list[Exemplar] = []
    for label in sorted({item.label for item in one.examples if item.label is not None}):
        members = [item for item in one.examples if item.label == label]
        chosen += [members[i] for i in sorted(rng.permutation(len(members))[:per_class])]
    against = [item for item in one.examples if item.label is None]
    chosen += [against[i] for i in np.sort(rng.permutation(len(against))[:negatives])]
    if masks == "auto":
        kept = Store(CACHE / _code(), kinds.AUTOMASKS)
        chosen = automask.apply(chosen, regions_of(one), {"space": one.backbone.name}, kept)
    return chosen


def bank_of(one: Set, chosen: list[Exemplar], augment: str = "none") -> Bank:
    """A bank of exemplars, and of their changed views as --augment."""
    store = Store(CACHE / _code(), kinds.EXEMPLARS)
    closer = one.backbone.closer is not None
    bank = build_bank(one.backbone, chosen, EmbeddingOptions(), store, closer)
    options = ExemplarOptions(augment=augment)
    cache = CACHE / _code()
    return with_views(bank, chosen, Enrolment(one.backbone, EmbeddingOptions(), options, cache, closer))


def regions_of(one: Set) -> Callable[[Exemplar], Regions]:
    return lambda item: one.remembered.regions(item.pixels, item.sha256)


@functools.cache
def _code(sources: tuple[str, ...] = SOURCES) -> str:
    """Hash of the code that regions come from."""
    digest = hashlib.sha256()
    package = Path(searchdet.__file__).parent
    for source in sources:
        path = package / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if "sam" not in file.parts and file.stem != "prompts":
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
