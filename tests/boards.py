"""Random images whose regions lie on objects of a few kinds, banks of these kinds, and judges."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from runs import PREPROCESSING, SOURCE, models

from searchdet.bank.build import Gathered
from searchdet.bank.types import Bank, Origin, Rows
from searchdet.config import EmbeddingOptions, ScoringOptions, SuppressionOptions
from searchdet.decision import Judge, make_judge
from searchdet.embeddings import Descriptors, MaskEmbeddings, l2_normalize
from searchdet.index.goodparts import GoodParts
from searchdet.live import Shelf
from searchdet.masks import rle
from searchdet.masks import shape as outline
from searchdet.proposals.types import Proposals, from_rles
from searchdet.records import ImageInfo
from searchdet.regions import Packed, Regions, Space
from searchdet.regions.cache import pack

DIM, KINDS = 16, 4
SPACE = Space("x", None, PREPROCESSING, EmbeddingOptions(), DIM)


def kinds(rng: np.random.Generator, dim: int = DIM) -> np.ndarray:
    """A direction for each kind of thing, with something in common."""
    return l2_normalize(rng.normal(size=(KINDS, dim)) + 0.4)


def proposals(rng: np.random.Generator, count: int, size: tuple[int, int], drawn: bool) -> Proposals:
    """Discs and parts of discs around few places. drawn: masks are of half the size."""
    height, width = (size[0] // 2, size[1] // 2) if drawn else size
    y, x = np.mgrid[:height, :width]
    places = rng.random((max(1, count // 5), 2)) * [height, width]
    codes = []
    for place in places[rng.integers(0, len(places), count)]:
        row, column = place + rng.normal(size=2) * 0.04 * height
        reach = rng.uniform(0.05, 0.2) * height
        mask = (y - row) ** 2 + (x - column) ** 2 <= reach**2
        mask &= (x < column) | (rng.random() < 0.7)
        mask[min(int(max(row, 0)), height - 1), min(int(max(column, 0)), width - 1)] = True
        codes.append(rle.encode(mask))
    quality = np.round(rng.uniform(0.5, 1, count), 2).tolist()  # so that some are equal
    return from_rles(codes, quality, size, (height, width) if drawn else None)


def regions(
    rng: np.random.Generator, count: int, centres: np.ndarray, size: tuple[int, int], drawn: bool
) -> Regions:
    """Regions that look like one of the kinds, more or less; a few are not valid, of a few the
    surroundings or the shape are not known."""
    found = proposals(rng, count, size, drawn)
    dim = centres.shape[1]
    kind = rng.integers(0, KINDS, count)
    noise = rng.uniform(0.02, 0.4, (count, 1)) * rng.normal(size=(count, dim))
    vectors = l2_normalize(centres[kind] + noise)
    valid = rng.random(count) > 0.1
    vectors[~valid] = 0
    contexts = l2_normalize(rng.normal(size=(count, dim)) + 0.4)
    contexts[rng.random(count) < 0.2] = 0
    shapes = outline.outlines(found.rles)
    shapes[rng.random(count) < 0.1] = np.nan
    embedded = MaskEmbeddings(vectors, valid, rng.random(count) < 0.1)
    return Regions(found, Descriptors(embedded, contexts, shapes))


def image(
    rng: np.random.Generator, name: str, count: int, centres: np.ndarray, unusual: bool = False
) -> tuple[ImageInfo, Packed]:
    """An image of one of a few sizes. unusual: with how unusual each region is, at random."""
    height, width = ((48, 64), (64, 48), (200, 260))[int(rng.integers(0, 3))]
    made = regions(rng, count, centres, (height, width), bool(rng.random() < 0.3))
    if unusual:
        found = np.round(rng.random(count), 2).astype(np.float32)  # so that some are equal
        made = replace(made, described=replace(made.described, unusual=found))
    return ImageInfo(name, "0" * 64, width, height, SOURCE), pack(made)


def shelf(
    folder: Path,
    rng: np.random.Generator,
    centres: np.ndarray,
    counts: list[int],
    good: GoodParts | None = None,
) -> Shelf:
    """Images with so many regions. good: what is normal."""
    more = () if good is None else (good,)
    made = Shelf.empty(SPACE, models(), folder, *more)
    for number, count in enumerate(counts):
        made.add(*image(rng, f"{number}.png", count, centres, good is not None))
    return made


def exemplars(rng: np.random.Generator, kind: np.ndarray, centres: np.ndarray, prefix: str) -> Rows:
    """An exemplar of each of some kinds."""
    count, dim = len(kind), centres.shape[1]
    vectors = l2_normalize(centres[kind] + 0.15 * rng.normal(size=(count, dim)))
    contexts = l2_normalize(rng.normal(size=(count, dim)) + 0.4)
    contexts[rng.random(count) < 0.3] = 0
    shapes = outline.outlines(proposals(rng, count, (48, 64), False).rles)
    shapes[rng.random(count) < 0.2] = np.nan
    areas = proposals(rng, count, (64, 48), False).areas()
    areas[(rng.random(count) < 0.1) | (areas == 0)] = np.nan
    origins = tuple(Origin(f"{prefix}{i}") for i in range(count))
    return Rows(vectors, contexts, shapes, origins, areas=areas)


def bank(rng: np.random.Generator, centres: np.ndarray, classes: int, negatives: int) -> Bank:
    """Up to four exemplars of each class, all of one kind, and negatives of any."""
    labels = np.repeat(np.arange(classes), rng.integers(1, 5, classes))
    return Bank(
        tuple("abcd"[:classes]),
        exemplars(rng, labels % KINDS, centres, "p"),
        labels,
        exemplars(rng, rng.integers(0, KINDS, negatives), centres, "n"),
        SPACE,
    )


def judge(of: Bank, scoring: dict[str, Any] | None = None, **suppression: Any) -> Judge:
    """A judge that sees vectors alone, without a second look."""
    options = ScoringOptions(**({"second_look": 0} | (scoring or {})))
    return make_judge(Gathered(of), options, SuppressionOptions(**suppression), models())
