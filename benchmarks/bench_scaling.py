"""How time grows with points, masks, exemplars and image size.

    python benchmarks/bench_scaling.py [points] [masks] [exemplars] [size] [suppression]

Points with the small test SAM, size with the embedded proposer and backbone; exponent 1 is linear
growth from the first row to the last.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from common import TINY_SAM, alternate, matrix_rates, run_parts, scene

from searchdet import backbones
from searchdet.bank.types import Bank, Origin, Rows, plain_rows
from searchdet.config import BackboneOptions, EmbeddingOptions, ProposalOptions, ScoringOptions
from searchdet.embeddings import Descriptors, MaskEmbeddings, describe, l2_normalize
from searchdet.masks.coverage import Masks
from searchdet.masks.shape import outlines_of
from searchdet.proposals import load
from searchdet.proposals.sam import SamProposer
from searchdet.proposals.sam.weights import load_sam
from searchdet.scoring import score_regions
from searchdet.suppression import diffuse, merge, mutual, nms, overlaps
from searchdet.weights.devices import Compute, resolve

DIM, CLASSES = 1024, 100


def table(title: str, calls: Mapping[int, Callable[[], Any]], rounds: int = 3) -> dict[int, float]:
    """Time all, print each and the exponent between the ends."""
    spent = alternate({str(n): call for n, call in calls.items()}, rounds)
    counts = list(calls)
    for n in counts:
        print(f"  {title} {n:6}: {spent[str(n)]:.4f} s")
    growth = math.log(spent[str(counts[-1])] / spent[str(counts[0])]) / math.log(counts[-1] / counts[0])
    print(f"{title} {counts[0]} to {counts[-1]}: exponent {growth:.2f}")
    return {n: spent[str(n)] for n in counts}


def points() -> None:
    sam = load_sam(TINY_SAM, Compute("cpu", "fp32"))
    image = scene(600, 800)
    calls = {}
    for side in (8, 16, 32):
        options = ProposalOptions("sam", points_per_side=side)
        proposer = SamProposer(sam, options, resolve("cpu", "fp32"))
        calls[side * side] = functools.partial(proposer.propose, image)
    table("points", calls, 2)


def masks() -> None:
    image = scene(1200, 1800)
    feature_map = backbones.load(BackboneOptions()).feature_map(image)
    found = load(ProposalOptions("regions"), "cpu", "fp32").propose(image)

    def described(count: int) -> None:
        some = Masks.of([found.rles[i % len(found)] for i in range(count)], found.mask_size)
        describe(feature_map, some, outlines_of(some.runs, some.count), EmbeddingOptions())

    table("masks", {n: functools.partial(described, n) for n in (1, 10, 100, 1000)})


def exemplars() -> None:
    rng = np.random.default_rng(0)

    def unit_rows(count: int) -> Rows:
        vectors = l2_normalize(rng.normal(size=(count, DIM)).astype(np.float32))
        return plain_rows(vectors, [Origin(f"{i}.png") for i in range(count)])

    regions = unit_rows(300)
    embedded = MaskEmbeddings(regions.vectors, np.ones(300, bool), np.zeros(300, bool))
    found = Descriptors(embedded, regions.contexts, regions.outlines)
    options = ScoringOptions(shape_weight=0.0, context_weight=0.0)
    classes = tuple(f"{i:03}" for i in range(CLASSES))
    against = unit_rows(50)
    banks = {
        n: Bank(classes, unit_rows(n), np.arange(n) % CLASSES, against) for n in (100, 1000, 10_000)
    }
    calls = {n: functools.partial(score_regions, found, b, options) for n, b in banks.items()}
    spent = table("exemplars", calls)
    largest = banks[10_000].positives.vectors
    bare = alternate({"bare": lambda: regions.vectors @ largest.T}, 5)["bare"]
    work = 2 * 300 * 10_000 * DIM / 1e9
    print(
        f"scoring 300 regions against 10,000 exemplars of {CLASSES} classes: {spent[10_000]:.4f} s, "
        f"{spent[10_000] / bare:.2f}x the bare product ({bare:.4f} s; "
        f"{work / matrix_rates()['fp32']:.4f} s at the matrix rate)"
    )


def suppression() -> None:
    """300 proposals: how they lie on each other, and each of the three ways."""
    options = ProposalOptions("regions", scored_masks=300)
    found = load(options, "cpu", "fp32").propose(scene(1200, 1800))
    count = len(found)
    rng = np.random.default_rng(0)
    vectors = l2_normalize(rng.normal(size=(count, DIM)).astype(np.float32))
    labels, order = np.zeros(count, np.int64), np.arange(count)
    masks = Masks.of(found.rles, found.mask_size)
    lying = overlaps(masks)
    pairs = lying.pairs
    ways: dict[str, Callable[[], Any]] = {
        "runs of the masks": lambda: Masks.of(found.rles, found.mask_size),
        "overlaps": lambda: overlaps(masks),
        "merge": lambda: merge(pairs(), mutual(vectors, pairs()), labels, order),
        "diffusion": lambda: diffuse(pairs(), labels, order, 0.3, 0.5),
        "nms": lambda: nms(lying, labels, order, 0.5, 0.5),
    }
    for name, seconds in alternate(ways, 5).items():
        print(f"suppression of {count} proposals, {name}: {1000 * seconds:.1f} ms")


def size() -> None:
    backbone = backbones.load(BackboneOptions())
    proposer = load(ProposalOptions("regions"), "cpu", "fp32")

    def both(image: np.ndarray) -> None:
        proposer.propose(image)
        backbone.feature_map(image)

    images = {side: scene(side * 3 // 4, side) for side in (512, 1024, 2048, 4096)}
    table("long side", {side: functools.partial(both, image) for side, image in images.items()}, 2)


def main() -> None:
    parts = {"points": points, "masks": masks, "exemplars": exemplars, "size": size}
    parts["suppression"] = suppression
    run_parts(__doc__, parts)


if __name__ == "__main__":
    main()
