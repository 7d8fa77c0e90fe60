"""SAM-HQ: the authors' own mask generator against ours, same weights, image, points and thresholds.

    python benchmarks/bench_hq.py generator     # ViT-B, 1800x1200, 1024 points: ratio of time
    python benchmarks/bench_hq.py memory        # ViT-B, 1800x1200: ratio of peak memory
    python benchmarks/bench_hq.py agreement     # the small test SAM with random further weights
    python benchmarks/bench_hq.py small-sizes   # generator and memory on that one: a try of the script

Random weights of the real size; thresholds are quantiles of what the weights give.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import means, peak_above, photographs, run_parts, scene

from searchdet.config import ProposalOptions
from searchdet.proposals.prompts import grid
from searchdet.proposals.sam_hq import HqProposer
from searchdet.proposals.sam_hq.network import HqNetwork, VitEncoder
from searchdet.proposals.sam_hq.weights import load_hq
from searchdet.records import WeightsInfo
from searchdet.weights import Compute, Lazy, resolve

SURVIVING = 0.3
ASKED_TIME, ASKED_MEMORY = 8, 0.1
FP32 = Compute("cpu", "fp32")


def options(**changes: Any) -> ProposalOptions:
    plain: dict[str, Any] = {"min_area": 0.0, "max_area": 100.0, "scored_masks": 100_000}
    return ProposalOptions("sam_hq", **(plain | changes))


def pair(small: bool) -> tuple[Any, Any]:
    """The authors' network and ours, with equal weights."""
    from hqs import hq_package, save, trained_hq

    torch.manual_seed(0)
    theirs = trained_hq() if small else shaken(hq_package().sam_model_registry["vit_b"]())
    with tempfile.TemporaryDirectory() as folder:
        path = save(theirs, Path(folder) / "hq.pth")
        return theirs.eval(), load_hq(path, FP32).get()


def shaken(sam: Any) -> Any:
    """Random weights, changed so that points give different masks."""
    for name, value in sam.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            torch.nn.init.normal_(value, std=0.05)
        elif "mask_decoder.transformer" in name and name.endswith("proj.weight"):
            value.data.mul_(3)
        elif "hypernetworks" in name or "hf_mlp" in name:
            value.data.mul_(2)
    return sam


def authors(sam: Any, chosen: ProposalOptions) -> Any:
    from hqs import hq_package

    return hq_package().SamAutomaticMaskGenerator(
        sam,
        points_per_side=chosen.points_per_side,
        points_per_batch=64,
        pred_iou_thresh=chosen.pred_iou_thresh,
        stability_score_thresh=chosen.stability_score_thresh,
        crop_n_layers=chosen.crop_layers,
        output_mode="coco_rle",
    )


def ours(sam: Any, chosen: ProposalOptions, precision: str) -> HqProposer:
    lazy = Lazy(WeightsInfo("random", "", "Meta", None), lambda: sam)
    return HqProposer(lazy, chosen, resolve("cpu", precision))


def thresholds(sam: Any, image: np.ndarray) -> dict[str, float]:
    """Quantiles of predicted IoU and stability so that 30 % of the points pass the first."""
    network = HqNetwork(sam, VitEncoder(sam.image_encoder, FP32), FP32)
    size = (image.shape[0], image.shape[1])
    points = network.points(grid(8).astype(np.float64) * [size[1], size[0]], size)
    state = network.encode(image)
    quality, stable = [], []
    for start in range(0, len(points), 8):
        part = points[start : start + 8]
        answer = network.decode(state, part)
        quality.append(answer.quality[:, 0])
        for prompt in range(len(part)):
            logits = network.logits(state, answer, {prompt: [0]})
            inner, outer = ((logits > level).sum((1, 2)).double() for level in (1.0, -1.0))
            stable.append(inner / outer.clamp(min=1))
    return {
        "pred_iou_thresh": max(0.0, float(torch.cat(quality).quantile(1 - SURVIVING))),
        "stability_score_thresh": float(torch.cat(stable).quantile(0.2)),
    }


def generator(small: bool = False) -> None:
    theirs, mine = pair(small)
    image = scene(256, 384) if small else scene(1200, 1800)
    side = 8 if small else 32
    chosen = options(**thresholds(mine, image), points_per_side=side)
    stock = authors(theirs, chosen)
    made = {name: ours(mine, chosen, name) for name in ("auto", "fp32")}
    calls: dict[str, Any] = {"authors": lambda: stock.generate(image)}
    calls |= {name: lambda p=proposer: p.propose(image) for name, proposer in made.items()}
    spent = means(calls, 2, 1 if small else 30)
    what = f"SAM-HQ {'small' if small else 'ViT-B'} {image.shape[1]}x{image.shape[0]}, {side**2} points"
    print(f"{what}: the authors' {spent['authors']:.2f} s")
    for name in made:
        ratio = spent["authors"] / spent[name]
        print(f"{what}: ours {name} {spent[name]:.2f} s, {ratio:.1f}x (asked: {ASKED_TIME}x)")


def memory(small: bool = False) -> None:
    """Each in a process of its own: memory that one freed would serve the other."""
    peaks = {}
    for name in ("ours", "authors"):
        words = [sys.executable, __file__, f"memory-{name}{'-small' if small else ''}"]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        peaks[name] = float(done.stdout.split()[-1])
    share = peaks["ours"] / peaks["authors"]
    print(
        f"peak memory above the weights: the authors' {peaks['authors']:.3f} GB, ours "
        f"{peaks['ours']:.3f} GB, {share:.3f} of it (asked: {ASKED_MEMORY})"
    )


def memory_of(name: str, small: bool) -> None:
    theirs, mine = pair(small)
    image = scene(256, 384) if small else scene(1200, 1800)
    chosen = options(**thresholds(mine, image), points_per_side=8)
    if name == "ours":
        proposer = ours(mine, chosen, "fp32")
        print(peak_above(lambda: proposer.propose(image)))
        return
    stock = authors(theirs, chosen)
    print(peak_above(lambda: stock.generate(image)))


def agreement() -> None:
    """Share of masks with a partner at IoU >= 0.99."""
    from pycocotools import mask as coco

    theirs, mine = pair(small=True)
    chosen = options(pred_iou_thresh=0.7, stability_score_thresh=0.8, points_per_side=24)
    stock, proposer = authors(theirs, chosen), ours(mine, chosen, "fp32")
    tally = np.zeros(4, int)
    for image in [*(scene(256, 320, seed) for seed in range(8)), *photographs().values()]:
        one = [item["segmentation"] for item in stock.generate(image)]
        two = list(proposer.propose(image).rles)
        table = np.asarray(coco.iou(one, two, [0] * len(two))).reshape(len(one), len(two)) >= 0.99
        tally += (len(one), int(table.any(1).sum()), len(two), int(table.any(0).sum()))
    print(
        f"agreement: {tally[1] / tally[0]:.4f} of the authors' {tally[0]} masks and "
        f"{tally[3] / tally[2]:.4f} of our {tally[2]} have a partner with IoU >= 0.99"
    )


def small_sizes() -> None:
    generator(small=True)
    memory(small=True)


def main() -> None:
    parts: dict[str, Any] = {"generator": generator, "memory": memory, "agreement": agreement}
    for name in ("ours", "authors"):
        for size in ("", "-small"):
            parts[f"memory-{name}{size}"] = lambda n=name, s=bool(size): memory_of(n, s)
    run_parts(__doc__, parts | {"small-sizes": small_sizes})


if __name__ == "__main__":
    main()
