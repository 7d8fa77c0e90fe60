"""The annotated sets of ``../shared/data`` as arrays: regions and exemplar vectors, computed once.

Files are kept under ``benchmarks/.cache`` and made again when the code that they come from changes.
"""

from __future__ import annotations

import functools
import hashlib
import json
import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, ROOT, SETS

import searchdet
from searchdet import backbones, exemplars, proposals
from searchdet.bank import Bank, build_bank
from searchdet.config import BackboneOptions, EmbeddingOptions, ProposalOptions
from searchdet.describe import Describer, Regions
from searchdet.evaluation import Truth
from searchdet.images import read_image

CACHE = ROOT / "benchmarks" / ".cache"
SOURCES = ("proposals", "backbones", "embeddings.py", "describe.py", "images.py")
USED = ("min_area", "max_area", "max_masks", "smooth")
"""Options that change what is kept."""


@dataclass(frozen=True)
class Photo:
    """One image of a set with its proposals and their vectors. seconds: for both."""

    image_id: int
    name: str
    size: tuple[int, int]
    regions: Regions
    seconds: float


@dataclass(frozen=True)
class Set:
    """A set, ready to be scored. bank: every exemplar of it; ``few`` takes some."""

    name: str
    truth: Truth
    bank: Bank
    photos: tuple[Photo, ...]


def load(name: str) -> Set | None:
    """A set; None, with a message, where the data is not here."""
    folder = DATA / name
    if not folder.is_dir():
        print(f"{name}: {folder} is not here, skipped.")
        return None
    dataset = json.loads((folder / "annotations.json").read_text())
    parts = folder / "test_images_by_class.json"
    truth = Truth(dataset, json.loads(parts.read_text()) if parts.is_file() else None)
    backbone = backbones.load(BackboneOptions())
    options = EmbeddingOptions()
    found = exemplars.find_positives(folder / "positive") + exemplars.find_negatives(
        folder / "negative"
    )
    bank = build_bank(backbone, exemplars.load(found), options)
    proposer = proposals.load(ProposalOptions("regions"), "cpu", "fp32")
    describer = Describer(backbone, proposer, ProposalOptions("regions"), options)
    photos = tuple(
        _photo(number, folder / "images" / file, describer) for number, file in truth.names.items()
    )
    return Set(name, truth, bank, photos)


def every() -> Iterator[Set]:
    """All sets that are here."""
    for name in SETS:
        made = load(name)
        if made is not None:
            yield made


def few(bank: Bank, per_class: int, seed: int, negatives: int | None = None) -> Bank:
    """``per_class`` exemplars of each class and some negatives (None: all), drawn with a seed."""
    rng = np.random.default_rng(seed)
    rows: list[int] = []
    for label in range(len(bank.classes)):
        members = np.flatnonzero(bank.labels == label)
        rows += sorted(rng.permutation(members)[:per_class].tolist())
    against = np.sort(rng.permutation(len(bank.negatives))[:negatives])
    return Bank(
        bank.classes,
        bank.positives[rows],
        bank.labels[rows],
        tuple(bank.positive_names[i] for i in rows),
        bank.negatives[against],
        tuple(bank.negative_names[i] for i in against),
    )


def _photo(image_id: int, path: Path, describer: Describer) -> Photo:
    kept = CACHE / _code() / path.parents[1].name / f"{path.name}.pkl"
    if kept.is_file():
        return pickle.loads(kept.read_bytes())  # noqa: S301 - our own file
    image = read_image(path)
    started = time.perf_counter()
    regions = describer.regions(image.pixels)
    photo = Photo(
        image_id, path.name, (image.height, image.width), regions, time.perf_counter() - started
    )
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(pickle.dumps(photo))
    return photo


@functools.cache
def _code() -> str:
    """Hash of the code and the defaults that regions come from."""
    defaults = ProposalOptions("regions")
    digest = hashlib.sha256(repr([getattr(defaults, name) for name in USED]).encode())
    package = Path(searchdet.__file__).parent
    for source in SOURCES:
        path = package / source
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if "sam" not in file.parts:
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
