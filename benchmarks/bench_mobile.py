"""MobileSAM: its own generator against ours, same weights, image, points and thresholds.

    python benchmarks/bench_mobile.py encoder      # beside ViT-B's, fp32 and bf16
    python benchmarks/bench_mobile.py generator    # everything, 1800x1200
    python benchmarks/bench_mobile.py agreement    # masks with a partner in the other's

Random weights of the real size, changed so that points give different masks (``tests/mobiles.py``);
thresholds are quantiles of what the weights give. TINY=1 tries it out with a small configuration.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from common import matrix_rates, means, partners, real_sized_sam, run_parts, scene, thresholds
from mobiles import ours as rebuilt
from mobiles import package, pointed, shaken, small_mobile_sam

from searchdet.config import ProposalOptions
from searchdet.proposals.mobile_sam import MobileSamProposer
from searchdet.proposals.mobile_sam.encoder import TinyEncoder
from searchdet.proposals.sam.encoder import ImageEncoder
from searchdet.records import WeightsInfo
from searchdet.weights import Compute, Lazy, resolve

TINY = os.environ.get("TINY", "") == "1"
ROUNDS, LEAST = (1, 0.1) if TINY else (2, 30.0)
PER_SIDE = 8 if TINY else 32
SIZE = (120, 180) if TINY else (1200, 1800)
PRECISIONS = ("fp32", "bf16")


def weights() -> Any:
    """MobileSAM's own modules with random weights."""
    torch.manual_seed(0)
    if TINY:
        return pointed(small_mobile_sam())
    return pointed(shaken(package().sam_model_registry["vit_t"]()))


def ours(own: Any, precision: str, **changes: Any) -> MobileSamProposer:
    plain: dict[str, Any] = {"min_area": 0.0, "max_area": 100.0, "scored_masks": 100_000}
    options = ProposalOptions("mobile_sam", **(plain | {"points_per_side": PER_SIDE} | changes))
    lazy = Lazy(WeightsInfo("random", "", "MobileSAM", None), lambda: own)
    return MobileSamProposer(lazy, options, resolve("auto", precision))


def stock(sam: Any, chosen: dict[str, float]) -> Any:
    return package().SamAutomaticMaskGenerator(
        sam, points_per_side=PER_SIDE, points_per_batch=64, output_mode="coco_rle", **chosen
    )


def encoder() -> None:
    sam = weights()
    own = rebuilt(sam).image_encoder
    side = own.img_size
    image = torch.randn(1, 3, side, side)
    fast = {name: TinyEncoder(own, Compute("cpu", name)) for name in PRECISIONS}
    calls: dict[str, Callable[[], Any]] = {"its own": lambda: sam.image_encoder(image)}
    with torch.inference_mode():
        wanted = sam.image_encoder(image)
        for name, network in fast.items():
            gap = float((network(image) - wanted).abs().max() / wanted.abs().max())
            print(f"MobileSAM encoder {name}: largest relative difference to its own {gap:.2g}")
            calls[name] = partial(network, image)
        if not TINY:
            large = real_sized_sam().image_encoder
            for name in PRECISIONS:
                calls[f"ViT-B {name}"] = partial(ImageEncoder(large, Compute("cpu", name)), image)
        spent = means(calls, ROUNDS, LEAST)
    for name, seconds in spent.items():
        print(f"encoder, {name}: {seconds:.3f} s, {spent['its own'] / seconds:.2f}x its own")
    if not TINY:
        for name in PRECISIONS:
            print(f"encoder {name}: {spent[f'ViT-B {name}'] / spent[name]:.1f}x faster than ViT-B's")
        print("matrix rates, GFLOP/s", {name: round(rate) for name, rate in matrix_rates().items()})


def generator() -> None:
    sam = weights()
    own, image = rebuilt(sam), scene(*SIZE)
    chosen = thresholds(ours(own, "auto"), image)
    print("thresholds", chosen)
    fast = {name: ours(own, name, **chosen) for name in ("auto", "fp32")}
    theirs = stock(sam, chosen)
    sizes: dict[str, int] = {}

    def run(name: str, call: Callable[[], Any]) -> Callable[[], None]:
        def timed() -> None:
            sizes[name] = len(call())

        return timed

    calls = {name: run(name, partial(proposer.propose, image)) for name, proposer in fast.items()}
    calls["its own"] = run("its own", lambda: theirs.generate(image))
    spent = means(calls, ROUNDS, LEAST)
    for name, seconds in spent.items():
        ratio = spent["its own"] / seconds
        print(
            f"MobileSAM everything {SIZE[1]}x{SIZE[0]}, {PER_SIDE} points a side, {name}: "
            f"{seconds:.1f} s, {ratio:.1f}x its own, {sizes[name]} masks (asked: 5x)"
        )


def agreement() -> None:
    sam = weights()
    own = rebuilt(sam)
    tally = np.zeros(4, int)
    for seed in range(2 if TINY else 4):
        image = scene(*SIZE, seed)
        chosen = thresholds(ours(own, "fp32"), image)
        theirs = [item["segmentation"] for item in stock(sam, chosen).generate(image)]
        mine = list(ours(own, "fp32", **chosen).propose(image).rles)
        tally += (len(theirs), partners(theirs, mine), len(mine), partners(mine, theirs))
    shares = tally[1] / max(1, tally[0]), tally[3] / max(1, tally[2])
    print(
        f"agreement: {shares[0]:.4f} of {tally[0]} masks of its own generator and {shares[1]:.4f} of "
        f"{tally[2]} of ours have a partner with IoU >= 0.99 (asked: 0.99)"
    )


def main() -> None:
    run_parts(__doc__, {"encoder": encoder, "generator": generator, "agreement": agreement})


if __name__ == "__main__":
    main()
