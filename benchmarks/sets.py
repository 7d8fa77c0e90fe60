"""The annotated sets of ``../shared/data`` as arrays: regions and exemplars, computed once.

Files are kept under ``benchmarks/.cache`` and made again when the code that they come from changes.
"""

from __future__ import annotations

import functools
import hashlib
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, ROOT, SETS

import searchdet
from searchdet import backbones, exemplars, proposals
from searchdet.annotations.coco import Truth, read_truth
from searchdet.backbones import Backbone
from searchdet.bank.build import settle
from searchdet.bank.describe import build_bank
from searchdet.bank.types import Bank
from searchdet.config import BackboneOptions, EmbeddingOptions, ExemplarOptions, ProposalOptions
from searchdet.exemplars import Exemplar, automask
from searchdet.images.read import read_image
from searchdet.regions.describe import Describer, Regions
from searchdet.storage import kinds
from searchdet.storage.cache import Store

CACHE = ROOT / "benchmarks" / ".cache"
SOURCES = ("proposals", "backbones", "embeddings.py", "regions/describe.py", "images/read.py")
USED = ("min_area", "max_area", "max_masks", "smooth")
"""Options that change what is kept."""


@dataclass(frozen=True)
class Photo:
    """One image of a set with its regions. seconds: for proposals and descriptors."""

    image_id: int
    name: str
    size: tuple[int, int]
    regions: Regions
    seconds: float


@dataclass(frozen=True)
class Set:
    """A set, ready to be scored. examples: every exemplar of it, masks as they were drawn."""

    name: str
    truth: Truth
    examples: tuple[Exemplar, ...]
    photos: tuple[Photo, ...]
    describer: Describer


def load(name: str) -> Set | None:
    """A set; None, with a message, where the data is not here."""
    folder = DATA / name
    if not folder.is_dir():
        print(f"{name}: {folder} is not here, skipped.")
        return None
    parts = folder / "test_images_by_class.json"
    truth = read_truth(folder / "annotations.json", parts if parts.is_file() else None)
    found = exemplars.find_positives(folder / "positive")
    found += exemplars.find_negatives(folder / "negative")
    describer = embedded()
    photos = tuple(
        _photo(number, folder / "images" / file, describer) for number, file in truth.names.items()
    )
    return Set(name, truth, tuple(exemplars.load(found)), photos, describer)


def embedded() -> Describer:
    """The embedded backbone and proposer."""
    options = ProposalOptions("regions")
    backbone: Backbone = backbones.load(BackboneOptions())
    proposer = proposals.load(options, "cpu", "fp32")
    return Describer(backbone, proposer, options, EmbeddingOptions())


def every() -> Iterator[Set]:
    """All sets that are here."""
    for name in SETS:
        made = load(name)
        if made is not None:
            yield made


def bank_of(
    one: Set, per_class: int, seed: int, negatives: int | None = None, masks: str = "auto"
) -> Bank:
    """A bank of ``per_class`` exemplars a class and negatives (None: all), drawn with a seed; masks
    as --exemplar-mask. Only the drawn exemplars are looked at."""
    rng = np.random.default_rng(seed)
    chosen: list[Exemplar] = []
    for label in sorted({item.label for item in one.examples if item.label is not None}):
        members = [item for item in one.examples if item.label == label]
        chosen += [members[i] for i in sorted(rng.permutation(len(members))[:per_class])]
    against = [item for item in one.examples if item.label is None]
    chosen += [against[i] for i in np.sort(rng.permutation(len(against))[:negatives])]
    backbone, options = one.describer.backbone, one.describer.embedding
    if masks == "auto":
        regions = functools.partial(of_exemplar, describer=one.describer)
        chosen = automask.apply(chosen, regions, {}, Store(None, kinds.AUTOMASKS))
    bank = build_bank(backbone, chosen, options, Store(CACHE / _code(), "exemplars"))
    return settle(bank, ExemplarOptions()).bank


def of_exemplar(item: Exemplar, describer: Describer) -> Regions:
    kept = CACHE / _code() / "photos" / f"{item.sha256}.pkl"
    return _kept(kept, lambda: describer.regions(item.pixels))


def _photo(image_id: int, path: Path, describer: Describer) -> Photo:
    def make() -> Photo:
        image = read_image(path)
        started = time.perf_counter()
        regions = describer.regions(image.pixels)
        spent = time.perf_counter() - started
        return Photo(image_id, path.name, (image.height, image.width), regions, spent)

    return _kept(CACHE / _code() / path.parents[1].name / f"{path.name}.pkl", make)


def _kept(path: Path, make: Callable[[], Any]) -> Any:
    if path.is_file():
        return pickle.loads(path.read_bytes())  # noqa: S301 - our own file
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(made))
    return made


@functools.cache
def _code() -> str:
    """Hash of the code and the defaults that regions come from."""
    defaults = ProposalOptions("regions")
    digest = hashlib.sha256(repr([getattr(defaults, name) for name in USED]).encode())
    package = Path(searchdet.__file__).parent
    for source in SOURCES:
        path = package / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if "sam" not in file.parts and file.stem != "prompts":
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def describe(photos: tuple[Photo, ...]) -> dict[str, Any]:
    """Counts and times of a set."""
    seconds = [photo.seconds for photo in photos]
    masks = [len(photo.regions.proposals) for photo in photos]
    return {
        "seconds": float(np.median(seconds)),
        "slowest": max(seconds),
        "masks": float(np.mean(masks)),
    }
