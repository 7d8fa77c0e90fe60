"""Everything that is remembered in the cache folder, each made by the code that reads it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from fakes import GivenProposer, GridBackbone, LookingBackbone, PatchNetwork
from runs import PREPROCESSING, SOURCE, models

from searchdet.bank.build import Gathered
from searchdet.bank.describe import build_bank
from searchdet.bank.types import Bank, Origin, Rows
from searchdet.config import EmbeddingOptions, ProposalOptions, ScoringOptions, SuppressionOptions
from searchdet.decision import Judge, make_judge
from searchdet.embeddings import l2_normalize
from searchdet.exemplars import Exemplar, automask
from searchdet.masks import shape as outline
from searchdet.records.image import ImageInfo
from searchdet.regions.cache import Remembered
from searchdet.regions.describe import Describer
from searchdet.regions.space import Space
from searchdet.storage import kinds
from searchdet.storage.cache import Store
from searchdet.storage.hashes import FileHashes
from searchdet.weights import Fit
from searchdet.weights.lazy import LoadedBefore

DIM = GridBackbone.dim
SIZE = (30, 40)
SPACE = Space("filterbank", None, PREPROCESSING, EmbeddingOptions(), DIM, (DIM,))
LOOKING = Space(
    *("looking", None, PREPROCESSING, EmbeddingOptions(), LookingBackbone.dim, LookingBackbone.parts),
    *(PatchNetwork.crop_side, LookingBackbone.share),
)
MODELS = models()


def picture(seed: int = 0) -> np.ndarray:
    """A picture of ``SIZE``, (H, W, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)


def describer(seed: int = 0, count: int = 5) -> Describer:
    """Given masks and a backbone without weights."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, *SIZE), bool)
    for number in range(count):
        y, x = int(rng.integers(0, 15)), int(rng.integers(0, 20))
        masks[number, y : y + int(rng.integers(2, 15)), x : x + int(rng.integers(2, 20))] = True
    return Describer(
        GridBackbone(), GivenProposer(masks), ProposalOptions("regions"), EmbeddingOptions()
    )


def bank(space: Space = SPACE) -> Bank:
    """Two classes of three, two negatives; with crops where a second look is taken in the space."""

    def rows(count: int, seed: int) -> Rows:
        rng = np.random.default_rng(seed)
        widths = (space.dim, space.dim, space.parts[-1])
        vectors, contexts, crops = (
            l2_normalize(rng.normal(size=(count, dim)).astype(np.float32)) for dim in widths
        )
        shapes = rng.random((count, outline.DIM)).astype(np.float32)
        origins = tuple(
            Origin(f"{seed}/{i}.png", f"{seed}{i}" * 32, "file", "ab") for i in range(count)
        )
        return Rows(vectors, contexts, shapes, origins, crops if space.crop_side else None)

    return Bank(("bolt", "nut"), rows(6, 1), np.asarray([0, 0, 0, 1, 1, 1]), rows(2, 2), space)


def judge() -> Judge:
    """The bank with the usual rule."""
    scoring = ScoringOptions(second_look=0)
    return make_judge(Gathered(bank()), scoring, SuppressionOptions(), MODELS)


IMAGE = ImageInfo("a.png", "0" * 64, SIZE[1], SIZE[0], SOURCE)


def _regions(folder: Path) -> None:
    found = Remembered(describer(), Store(folder, kinds.REGIONS)).regions(picture(), "0" * 64)
    judge().record(IMAGE, found).to_bytes()


def _closeups(folder: Path) -> None:
    looking, image = replace(describer(), backbone=LookingBackbone()), picture()
    found = looking.proposer.propose(image)
    store = Store(folder, kinds.CLOSEUPS)
    remembered = Remembered(looking, Store(None, kinds.REGIONS), closeups=store)
    crops = remembered.crops(image, "0" * 64, found, np.asarray([3, 1]))
    if crops.shape != (2, PatchNetwork.dim) or not np.isfinite(crops).all():
        raise ValueError("vectors of another form")


def _exemplar() -> Exemplar:
    return Exemplar("a/1.png", "a", picture(), np.ones(SIZE, bool), "whole", "0" * 64)


def _exemplars(folder: Path) -> None:
    made = build_bank(GridBackbone(), [_exemplar()], EmbeddingOptions(), Store(folder, "exemplars"))
    made.distinct().prototypes()


def _automasks(folder: Path) -> None:
    store, own = Store(folder, kinds.AUTOMASKS), describer()
    for item in automask.apply([_exemplar()], lambda item: own.regions(item.pixels), {}, store):
        if item.mask.shape != SIZE:
            raise ValueError("a mask of another size")


def _loaded(folder: Path) -> None:
    before = LoadedBefore(folder)
    if before.fit("x", "0" * 64) is None:
        before.note("x", "0" * 64, Fit("Meta"))


def _sha256(folder: Path) -> None:
    path = folder.parent / "hashed"
    if not path.exists():
        path.write_bytes(b"x")
    FileHashes(folder).sha256(path)


MEMORIES: dict[str, Callable[[Path], None]] = {
    "regions": _regions,
    "closeups": _closeups,
    "exemplars": _exemplars,
    "automasks": _automasks,
    "loaded": _loaded,
    "sha256": _sha256,
}
"""By the kind of cache; each may be called any number of times."""


def entries(folder: Path, kind: str) -> list[Path]:
    """The files of a kind."""
    return sorted(path for path in (folder / kind).rglob("*") if path.is_file())
