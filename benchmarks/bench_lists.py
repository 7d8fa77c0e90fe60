"""A share of the lists of an index against the pass over all its regions, up to ten million.

    python benchmarks/bench_lists.py [--rows 1000000] [--dim 512] [--probe 0.05] [--searches 20]

Makes vectors by rule in a file as an index holds them (kept under ``benchmarks/.cache/lists``): 4,000
kinds of things with something in common, 300 regions an image, each region near its kind. Groups them,
which is timed, and ranks the images for random exemplars by both ways in turn, the file in the page
cache: by the bounds of all images, and by the nearest lists, until the hundred best are known.
recall@100 is the share of the hundred best images of the former that the latter gives among its own; of
regions, the share of the hundred nearest ones that lie in the lists looked at. Memory: resident without
mapped files.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from itertools import islice

import numpy as np
from common import ROOT, machine
from common import status as memory

# isort: split
import boards  # found by way of common
from runs import SOURCE, models

from searchdet.bank.build import Gathered
from searchdet.bank.types import Bank, Origin, Rows, plain_rows
from searchdet.config import ScoringOptions, SuppressionOptions
from searchdet.decision import Judge, make_judge
from searchdet.embeddings import l2_normalize
from searchdet.index import lists
from searchdet.index.bounds import image_bounds, plain_scores
from searchdet.index.file import Index, Made
from searchdet.index.probing import probed
from searchdet.index.rows import Indexed
from searchdet.records import ImageInfo
from searchdet.storage.values import Fields

KINDS, OF_IMAGE, BEST, SEVERAL = 4000, 300, 100, 5
FOLDER = ROOT / "benchmarks" / ".cache" / "lists"


def directions(dim: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return l2_normalize(rng.normal(size=(KINDS, dim)) + 0.3).astype(np.float32)


def vectors(rows: int, dim: int) -> np.ndarray:
    """Mapped rows (R, D) float16: the kind of each and as much again that is its own."""
    path = FOLDER / f"vectors-{rows}-{dim}"
    if not path.is_file() or path.stat().st_size != 2 * rows * dim:
        FOLDER.mkdir(parents=True, exist_ok=True)
        kinds, rng = directions(dim), np.random.default_rng(1)
        with path.open("wb") as stream:
            for start in range(0, rows, 20_000):
                count = min(20_000, rows - start)
                own = rng.standard_normal((count, dim), np.float32) / np.float32(dim**0.5)
                block = kinds[rng.integers(0, KINDS, count)] + own
                stream.write(l2_normalize(block).astype(np.float16).tobytes())
    return np.memmap(path, np.float16, "c", shape=(rows, dim))


def grouped(whole: np.ndarray) -> lists.Lists:
    """The lists of the rows, kept beside them."""
    path = FOLDER / f"index-{len(whole)}-{whole.shape[1]}"
    facts = path / "facts.json"
    if not facts.is_file():
        started = time.perf_counter()
        made = lists.build(whole, np.ones(len(whole), bool))
        assert made is not None
        said = dict(lists.save(made, path))
        facts.write_text(json.dumps({**said, "seconds": round(time.perf_counter() - started)}))
    known = json.loads(facts.read_text())
    print(f"{known['count']} lists, made in {known['seconds']} s", flush=True)
    return lists.load(path, Fields(known), whole.shape)


def indexed(whole: np.ndarray) -> Index:
    """An index of which only vectors are there, which is all that images are ranked by."""
    images = [
        Indexed(
            ImageInfo(f"{i}.png", f"{i:064x}", 640, 480, SOURCE), i * OF_IMAGE, OF_IMAGE, Fields({})
        )
        for i in range(len(whole) // OF_IMAGE)
    ]
    arrays = {
        "vectors": whole,
        "valid": np.ones(len(whole), bool),
        "quality": np.zeros(len(whole), "f4"),
    }
    return Index(Made(boards.SPACE, models()), images, arrays, grouped(whole))


def judge(rng: np.random.Generator, kinds: np.ndarray, classes: int) -> Judge:
    """Classes of five exemplars, each class of one kind, and ten negatives of other kinds."""

    def near(of: np.ndarray, name: str) -> Rows:
        own = rng.standard_normal((len(of), kinds.shape[1])) / kinds.shape[1] ** 0.5
        unit = l2_normalize(kinds[of] + own).astype(np.float32)
        return plain_rows(unit, [Origin(f"{name}{i}") for i in range(len(of))])

    chosen = rng.permutation(KINDS)
    labels = np.repeat(np.arange(classes), 5)
    bank = Bank(tuple("abcde"[:classes]), near(chosen[labels], "p"), labels, near(chosen[5:15], "n"))
    scoring = ScoringOptions(shape_weight=0, context_weight=0, second_look=0, min_score=-2.0)
    return make_judge(Gathered(bank), scoring, SuppressionOptions(), models())


def timed(act: Callable[[], list[int]]) -> tuple[float, list[int]]:
    started = time.perf_counter()
    found = act()
    return time.perf_counter() - started, found


def best_of_all(index: Index, of: Judge) -> list[int]:
    best: list[int] = np.argsort(-image_bounds(index, of))[:BEST].tolist()
    return best


def best_of_lists(index: Index, of: Judge, share: float) -> list[int]:
    return [i for _, i in islice(probed(index, of, share), BEST)]


def regions_found(index: Index, of: Judge, share: float) -> float:
    """Share of the hundred nearest regions of each class that the lists hold."""
    assert index.lists is not None
    scores = plain_scores(index.arrays["vectors"], of.bank, of.rule.scoring)
    near = index.lists.near(of.bank.prototypes(), share, len(index))
    best = [np.argpartition(-column, BEST)[:BEST] for column in scores.T]
    return float(np.mean([np.isin(rows, near).mean() for rows in best]))


def compare(index: Index, classes: int, chosen: argparse.Namespace) -> None:
    rng, kinds = np.random.default_rng(2), directions(chosen.dim)
    spent: list[tuple[float, float]] = []
    recall, regions = [], []
    for at in range(chosen.searches):
        of = judge(rng, kinds, classes)
        exact, best = timed(partial(best_of_all, index, of))
        some, got = timed(partial(best_of_lists, index, of, chosen.probe))
        spent.append((exact, some))
        recall.append(np.isin(best, got).mean())
        if at < 5:
            regions.append(regions_found(index, of, chosen.probe))
    exact, some = np.median(spent[1:], axis=0)
    print(
        f"{len(index)} regions, {classes} classes: all {exact:.3f} s, {chosen.probe:.1%} of the lists "
        f"{some:.3f} s: {exact / some:.1f} times; recall@{BEST} of images {np.mean(recall):.4f}, of "
        f"regions {np.mean(regions):.4f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--probe", type=float, default=0.05)
    parser.add_argument("--searches", type=int, default=20)
    chosen = parser.parse_args()
    print(machine())
    whole = vectors(chosen.rows - chosen.rows % OF_IMAGE, chosen.dim)
    index = indexed(whole)
    for classes in (1, SEVERAL):
        compare(index, classes, chosen)
    print(f"resident without mapped files {memory('RssAnon') / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
