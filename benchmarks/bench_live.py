"""A folder judged again after one exemplar more or one less: the board against records of all images.

    python benchmarks/bench_live.py [--images 1000] [--regions 300] [--changes 40]

Makes random regions as wide as those of ``--backbone embedded`` in a folder: a few objects of two
kinds an image, each seen whole and in parts, on masks that lie on each other, and things that are none
of them. Then exemplars come and go in turn, a positive and a negative, and ``Board.view`` is timed: the
first one, which compares all exemplars and finds all overlaps, then the others. Beside it the way
without columns, ``Judge.record`` on a sample of the images, scaled to all. Peak memory is of this
process, mapped files included (Linux).
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import machine
from common import status as memory

# isort: split
import boards  # found by way of common
from runs import SOURCE, models

from searchdet.bank.types import Bank, Origin, Rows, join
from searchdet.embeddings import Descriptors, MaskEmbeddings, l2_normalize
from searchdet.live import Board, Shelf
from searchdet.masks import shape as outline
from searchdet.proposals.types import Proposals
from searchdet.records import ImageInfo
from searchdet.regions import Regions, Space
from searchdet.regions.cache import pack

DIM = 623
SIZE = (480, 640)
LAYOUTS = 20
"""Images whose masks are drawn; the others have the same masks with other contents."""
OBJECTS = 6
SAMPLE = 12


def content(rng: np.random.Generator, layout: Proposals, kinds: np.ndarray) -> Regions:
    """Vectors for the masks of a layout: what lies around ``OBJECTS`` of its boxes is an object."""
    count = len(layout)
    middle = (layout.boxes[:, :2] + layout.boxes[:, 2:]) / 2
    vectors = 0.6 * kinds[0] + 0.8 * unit(rng, count)
    for place in rng.integers(0, count, OBJECTS):
        near = np.flatnonzero(np.linalg.norm(middle - middle[place], axis=1) < 25)
        vectors[near] = kinds[rng.integers(1, 3)] + rng.uniform(0.4, 1, (len(near), 1)) * unit(
            rng, len(near)
        )
    contexts = l2_normalize(0.6 * kinds[0] + 0.8 * unit(rng, count))
    valid = np.ones(count, bool)
    embedded = MaskEmbeddings(l2_normalize(vectors), valid, ~valid)
    return Regions(layout, Descriptors(embedded, contexts, outline.outlines(layout.rles)))


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    return l2_normalize(rng.normal(size=(count, DIM)).astype(np.float32))


def made(folder: Path, images: int, regions: int, kinds: np.ndarray) -> Shelf:
    rng = np.random.default_rng(0)
    layouts = [boards.proposals(rng, regions, SIZE, False) for _ in range(min(LAYOUTS, images))]
    shelf = Shelf.empty(replace(boards.SPACE, dim=DIM), models(), folder)
    for i in range(images):
        info = ImageInfo(f"{i}.png", "0" * 64, SIZE[1], SIZE[0], SOURCE)
        shelf.add(info, pack(content(rng, layouts[i % len(layouts)], kinds)))
    return shelf


def exemplar(rng: np.random.Generator, kinds: np.ndarray, kind: int, name: str) -> Rows:
    rows = boards.exemplars(rng, np.asarray([kind]), kinds, name)
    vectors = l2_normalize(kinds[kind] + 0.5 * unit(rng, 1))
    return replace(rows, vectors=vectors, origins=(Origin(name),))


def banks(kinds: np.ndarray, space: Space, changes: int) -> Iterator[Bank]:
    """Two classes of ten and ten negatives; then one more and one less in turn."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(2), 10)
    positives = join([exemplar(rng, kinds, 1 + c, f"p{i}") for i, c in enumerate(labels)])
    negatives = join([exemplar(rng, kinds, 0, f"n{i}") for i in range(10)])
    bank = Bank(("a", "b"), positives, labels, negatives, space)
    yield bank
    for i in range(changes):
        if i % 4 == 0:
            more = exemplar(rng, kinds, 1, f"x{i}")
            bank = replace(
                bank, positives=join([bank.positives, more]), labels=np.append(bank.labels, 0)
            )
        elif i % 4 == 1:
            bank = replace(bank, negatives=join([bank.negatives, exemplar(rng, kinds, 3, f"y{i}")]))
        elif i % 4 == 2:
            left = np.arange(1, len(bank.labels))
            bank = replace(bank, positives=bank.positives.take(left), labels=bank.labels[left])
        else:
            bank = replace(bank, negatives=bank.negatives.take(np.arange(1, len(bank.negatives))))
        yield bank


CHANGES = ("a positive more", "a negative more", "a positive less", "a negative less")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--regions", type=int, default=300)
    parser.add_argument("--changes", type=int, default=40)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    print(machine())
    kinds = boards.kinds(np.random.default_rng(2), DIM)
    with tempfile.TemporaryDirectory() as scratch:
        shelf = made(Path(scratch), chosen.images, chosen.regions, kinds)
        run(Board(shelf), kinds, chosen.changes)
        shelf.close()


def run(board: Board, kinds: np.ndarray, changes: int) -> None:
    spent: list[tuple[float, float]] = []
    for bank in banks(kinds, board.shelf.space, changes):
        judge = boards.judge(bank)
        started, worked = time.perf_counter(), time.process_time()
        view = board.view(judge)
        spent.append((time.perf_counter() - started, time.process_time() - worked))
    found, images = view.found, len(board.shelf.images)
    print(f"{images} images, {len(view.score)} regions, {len(found)} detections in the last view")
    print(f"first view {1e3 * spent[0][0]:.0f} ms ({1e3 * spent[0][1]:.0f} ms of processor)")
    for i, name in enumerate(CHANGES):
        tell(name, spent[1 + i :: 4])
    tell("any change", spent[1:])
    sample = np.linspace(0, images - 1, min(SAMPLE, images)).astype(int).tolist()
    started = time.perf_counter()
    for i in sample:
        board.record(judge, i)
    whole = (time.perf_counter() - started) / len(sample) * images
    middle = float(np.median([wall for wall, _ in spent[1:]]))
    print(f"records of all images {whole:.1f} s (by {len(sample)} of them): {whole / middle:.0f} x")
    print(f"peak memory {memory('VmHWM') / 1e6:.2f} GB")


def tell(name: str, spent: list[tuple[float, float]]) -> None:
    wall, worked = 1e3 * np.asarray(spent).T
    print(
        f"{name}: median {np.median(wall):.0f} ms, worst {wall.max():.0f} ms "
        f"({np.median(worked):.0f} ms of processor)"
    )


if __name__ == "__main__":
    main()
