"""A board that judges every image by ``judge.record``: the reference of the quick one; and a shelf."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from runs import PREPROCESSING, SOURCE, models

from searchdet.bank.likeness import likeness
from searchdet.bank.types import Bank, Origin, Rows
from searchdet.config import EmbeddingOptions
from searchdet.decision import Judge
from searchdet.decision.told import told_of
from searchdet.embeddings import Descriptors, MaskEmbeddings, l2_normalize
from searchdet.index import file as index
from searchdet.index.file import Index
from searchdet.index.rows import Indexed
from searchdet.live.view import Found, View
from searchdet.masks import shape as outline
from searchdet.proposals.types import from_masks
from searchdet.records import ImageInfo, ImageRecord, ModelInfo
from searchdet.regions import Regions, Space
from searchdet.regions.cache import pack
from searchdet.scoring import scene_of, scores_of

DIM = 16
SIZE = (24, 32)
SPACE = Space("x", None, PREPROCESSING, EmbeddingOptions(), DIM)


class SlowShelf:
    """An index, or the first of its images while the others are to come."""

    def __init__(self, found: Index, shown: int | None = None) -> None:
        self._index = found
        self.arrays = found.arrays
        self.space: Space = found.space
        self.models: ModelInfo = found.models
        good = found.made.good
        self.normality = None if good is None else good.normality(found.space.dim)
        self.source = "" if good is None else good.source
        self.images: list[Indexed] = list(found.images[:shown])
        self._known: dict[int, Regions] = {}

    @property
    def ends(self) -> np.ndarray:
        rows = self.images[-1].start + self.images[-1].count if self.images else 0
        return np.asarray([*(item.start for item in self.images), rows], np.int64)

    def add(self) -> None:
        self.images.append(self._index.images[len(self.images)])

    def regions(self, image: int, rows: np.ndarray | None = None) -> Regions:
        if image not in self._known:
            self._known[image] = self._index.regions(self.images[image])
        every = self._known[image]
        if rows is None:
            return every
        return Regions(every.proposals.take(rows), every.described.take(rows))


class SlowBoard:
    def __init__(self, shelf: SlowShelf) -> None:
        self.shelf = shelf

    def prepare(self, bank: Bank, scoring: object) -> None:
        """Nothing is kept."""

    def record(self, judge: Judge, image: int, also: Sequence[int] = ()) -> ImageRecord:
        return judge.record(self.shelf.images[image].image, self.shelf.regions(image), also=also)

    def view(self, judge: Judge) -> View:
        options = judge.rule.scoring
        parts, found = [], []
        for i in range(len(self.shelf.images)):
            described = self.shelf.regions(i).sized()
            alike = likeness(described, judge.bank, options)
            scene = scene_of(alike, options, np.asarray(judge.rule.usual))
            content = self.shelf.images[i].image.content
            said = judge.gathered.said.get(content)
            told = told_of(said, self.shelf.regions(i), judge.bank)
            scores = scores_of(alike, judge.bank, options, scene, told)
            parts.append((scores.label, scores.score, scores.gap))
            classes = judge.bank.classes
            for item in self.record(judge, i).detections:
                found.append((i, item.id, classes.index(item.label or ""), item.score))
        columns = zip(*found, strict=True) if found else ((), (), (), ())
        image, row, label, score = columns
        kinds = (np.int64, np.int64, np.int64, np.float64)
        both = zip((image, row, label, score), kinds, strict=True)
        whole = [np.concatenate([np.zeros(0), *column]) for column in zip(*parts, strict=True)]
        return View(
            whole[0].astype(np.int64),
            whole[1],
            whole[2],
            tuple(judge.rule.limits(judge.bank.classes)),
            Found(*(np.asarray(values, kind) for values, kind in both)),
        )


def made(path: Path, counts: list[int], seed: int = 0) -> Index:
    """An index of random regions around three directions, which are the classes; each image has squares
    that lie apart, some of them twice."""
    rng = np.random.default_rng(seed)
    centres = np.eye(3, DIM, dtype=np.float32)
    images = []
    for number, count in enumerate(counts):
        masks = np.zeros((count, *SIZE), bool)
        for i in range(count):
            y, x = divmod(i % 12, 4)
            masks[i, 8 * y : 8 * y + 6 - i // 12, 8 * x : 8 * x + 6] = True
        found = from_masks(list(masks), (0.9 - 0.01 * np.arange(count)).tolist(), SIZE)
        kinds = rng.integers(0, 4, count)
        near = np.concatenate([centres, rng.normal(size=(1, DIM)).astype(np.float32) / 4])[kinds]
        vectors = l2_normalize(near + 0.12 * rng.normal(size=(count, DIM)).astype(np.float32))
        valid = np.ones(count, bool)
        valid[count // 2 : count // 2 + 1] = count < 6
        vectors[~valid] = 0
        embedded = MaskEmbeddings(vectors, valid, np.zeros(count, bool))
        contexts = l2_normalize(rng.normal(size=(count, DIM)).astype(np.float32))
        outlines = rng.random((count, outline.DIM)).astype(np.float32)
        info = ImageInfo(f"{number}.png", f"{number:064x}", SIZE[1], SIZE[0], SOURCE)
        images.append((info, pack(Regions(found, Descriptors(embedded, contexts, outlines)))))
    index.write(path, images, index.Made(SPACE, models()))
    return index.load(path)


def start_bank(classes: tuple[str, ...] = ("a", "b"), negatives: int = 1) -> Bank:
    """Two exemplars of each class, near the directions of the shelf, and negatives near the third."""
    rng = np.random.default_rng(9)

    def rows(kinds: list[int], prefix: str) -> Rows:
        near = np.eye(3, DIM, dtype=np.float32)[kinds].reshape(-1, DIM)
        count = len(kinds)
        vectors = l2_normalize(near + 0.1 * rng.normal(size=(count, DIM)).astype(np.float32))
        contexts = l2_normalize(rng.normal(size=(count, DIM)).astype(np.float32))
        origins = tuple(Origin(f"{prefix}{i}", f"{i:064x}") for i in range(count))
        shapes = rng.random((count, outline.DIM)).astype(np.float32)
        return Rows(vectors, contexts, shapes, origins)

    labels = [c for c in range(len(classes)) for _ in range(2)]
    positives = rows(labels, "p")
    return Bank(classes, positives, np.asarray(labels), rows([2] * negatives, "n"), SPACE)
