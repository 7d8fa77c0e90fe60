"""Masks: segment-anything's own generator against ours, same weights, image, points and thresholds.

    python benchmarks/bench_masks.py agreement     # small test SAM, generated scenes and photographs
    python benchmarks/bench_masks.py encoder       # ViT-B
    python benchmarks/bench_masks.py decoder       # ViT-B, 1024 points, 30 % surviving
    python benchmarks/bench_masks.py generator     # ViT-B, 1800x1200, everything and guided
    python benchmarks/bench_masks.py memory        # ViT-B, 4000x3000
    python benchmarks/bench_masks.py precision     # bf16 against fp32, small test SAM

Random weights of the real size; thresholds are quantiles of what the weights give.
"""

from __future__ import annotations

import copy
import functools
import subprocess
import sys
from typing import Any

import numpy as np
import torch
from common import (
    SURVIVING,
    TINY_SAM,
    matrix_rates,
    means,
    partners,
    peak_above,
    photographs,
    real_sized_sam,
    run_parts,
    scene,
    thresholds,
)

from searchdet.config import ProposalOptions
from searchdet.proposals.prompts import grid
from searchdet.proposals.sam import SamProposer
from searchdet.proposals.sam.decoder import PointDecoder
from searchdet.proposals.sam.encoder import ImageEncoder
from searchdet.proposals.sam.weights import load_sam
from searchdet.records.models import WeightsInfo
from searchdet.weights import Compute, Lazy, resolve


def options(**changes: Any) -> ProposalOptions:
    plain: dict[str, Any] = {"name": "sam", "min_area": 0.0, "max_area": 100.0, "scored_masks": 100_000}
    return ProposalOptions(**(plain | changes))


def ours(sam: Any, chosen: ProposalOptions, precision: str, device: str = "auto") -> SamProposer:
    lazy = Lazy(WeightsInfo("random", "", "Meta", None), lambda: sam)
    return SamProposer(lazy, chosen, resolve(device, precision))


def stock(sam: Any, chosen: ProposalOptions) -> Any:
    from segment_anything import SamAutomaticMaskGenerator

    return SamAutomaticMaskGenerator(
        sam,
        points_per_side=chosen.points_per_side,
        points_per_batch=64,
        pred_iou_thresh=chosen.pred_iou_thresh,
        stability_score_thresh=chosen.stability_score_thresh,
        crop_n_layers=chosen.crop_layers,
        output_mode="coco_rle",
    )


def agreement() -> None:
    sam = load_sam(TINY_SAM, Compute("cpu", "fp32")).get()
    pictures = {f"scene {seed}": scene(512, 640, seed) for seed in range(8)} | photographs()
    for layers in (0, 1):
        chosen = options(
            pred_iou_thresh=0.7, stability_score_thresh=0.8, points_per_side=24, crop_layers=layers
        )
        first, second = stock(sam, chosen), ours(sam, chosen, "fp32")
        tally = np.zeros(4, int)
        for name, image in pictures.items():
            theirs = [item["segmentation"] for item in first.generate(image)]
            mine = list(second.propose(image).rles)
            found = (len(theirs), partners(theirs, mine), len(mine), partners(mine, theirs))
            tally += found
            pairs = f"stock {found[0]:4} ({found[1]:4} paired)  ours {found[2]:4} ({found[3]:4})"
            print(f"  {name:44} {pairs}")
        shares = (tally[1] / tally[0], tally[3] / tally[2])
        print(
            f"agreement, crop layers {layers}: {shares[0]:.4f} of {tally[0]} stock masks and "
            f"{shares[1]:.4f} of {tally[2]} of ours have a partner with IoU >= 0.99"
        )


def encoder() -> None:
    sam = real_sized_sam()
    image = torch.randn(1, 3, 1024, 1024)
    fast = {name: ImageEncoder(sam.image_encoder, Compute("cpu", name)) for name in ("fp32", "bf16")}
    with torch.inference_mode():
        wanted = sam.image_encoder(image)
        for name, network in fast.items():
            gap = (network(image) - wanted).abs().max() / wanted.abs().max()
            print(f"encoder {name}: largest relative difference to stock fp32 {gap:.2g}")
        calls = {"stock": lambda: sam.image_encoder(image)}
        spent = means(calls | {n: lambda f=f: f(image) for n, f in fast.items()}, 3, 20)
    rates, work = matrix_rates(), encoder_gflop()
    print(f"encoder stock fp32: {spent['stock']:.2f} s")
    for name in fast:
        share = work / rates[name] / spent[name]
        print(
            f"encoder {name}: {spent[name]:.2f} s, {spent['stock'] / spent[name]:.2f}x stock; "
            f"{work:.0f} GFLOP at {rates[name]:.0f} GFLOP/s would be {work / rates[name]:.2f} s "
            f"({share:.0%} of that limit)"
        )


def encoder_gflop() -> float:
    """Operations of ViT-B at 1024: linear layers, four global and eight windowed attentions."""
    tokens, dim = 4096, 768
    linear = 12 * 24 * tokens * dim * dim
    attention = 4 * 4 * tokens * tokens * dim + 8 * 25 * 4 * 196 * 196 * dim
    return (linear + attention) / 1e9


def decoder() -> None:
    sam = real_sized_sam()
    embedding = torch.randn(1, 256, 64, 64)
    every = torch.from_numpy(grid(32)).double() * 1024
    place = sam.prompt_encoder.get_dense_pe()
    fast = PointDecoder(sam)

    def stock_batch(points: torch.Tensor) -> Any:
        labels = torch.ones(len(points), 1, dtype=torch.int)
        sparse, dense = sam.prompt_encoder((points[:, None], labels), None, None)
        return sam.mask_decoder(embedding, place, sparse, dense, True)

    def stock_all(points: torch.Tensor) -> None:
        for start in range(0, len(points), 64):
            stock_batch(points[start : start + 64])

    def ours_all(points: torch.Tensor, threshold: float) -> None:
        side = fast.image_side(embedding)
        for start in range(0, len(points), 8):
            decoded = fast.decode(side, points[start : start + 8])
            good = decoded.quality > threshold
            for prompt in good.any(1).nonzero()[:, 0].tolist():
                fast.logits(side, decoded, prompt, good[prompt].nonzero()[:, 0].tolist())

    with torch.inference_mode():
        side = fast.image_side(embedding)
        decoded = fast.decode(side, every[:64])
        masks, quality = stock_batch(every[:64])
        logits = fast.logits(side, decoded, 5, [0, 1, 2])
        gap = (logits - masks[5]).abs().max() / masks[5].abs().max()
        other = (decoded.quality - quality).abs().max() / quality.abs().max()
        print(f"decoder: largest relative difference of logits {gap:.2g}, of predicted IoU {other:.2g}")
        best = torch.cat([fast.decode(side, part).quality.max(1).values for part in every.split(64)])
        threshold = float(best.quantile(1 - SURVIVING))
        spent = means(
            {"stock": lambda: stock_all(every), "ours": lambda: ours_all(every, threshold)}, 2, 30
        )
    print(
        f"decoder, 1024 points, {SURVIVING:.0%} surviving: stock fp32 in batches of 64 "
        f"{spent['stock']:.1f} s, ours {spent['ours']:.2f} s: {spent['stock'] / spent['ours']:.1f}x"
    )


def generator() -> None:
    sam = real_sized_sam()
    image = scene(1200, 1800)
    chosen = options(**thresholds(ours(sam, options(), "auto"), image), scored_masks=300)
    print("thresholds", chosen.pred_iou_thresh, chosen.stability_score_thresh)
    everything = ours(sam, chosen, "auto")
    precise = ours(sam, chosen, "fp32")
    promise = np.random.default_rng(0).random((24, 36)).astype(np.float32)
    theirs = stock(sam, chosen)
    sizes: dict[str, int] = {}

    def run(name: str, call: Any) -> Any:
        def timed() -> None:
            sizes[name] = len(call())

        return timed

    calls = {
        "everything, auto": run("everything, auto", lambda: everything.propose(image)),
        "guided, auto": run("guided, auto", lambda: everything.propose(image, promise)),
        "everything, fp32": run("everything, fp32", lambda: precise.propose(image)),
        "stock": run("stock", lambda: theirs.generate(image)),
    }
    spent = means(calls, 2, 30)
    for name, seconds in spent.items():
        ratio = spent["stock"] / seconds
        print(f"generator 1800x1200, {name}: {seconds:.1f} s, {ratio:.1f}x stock, {sizes[name]} masks")


def memory() -> None:
    for name in ("ours", "stock"):
        script = [sys.executable, __file__, f"memory-{name}"]
        subprocess.run(script, check=True)


def memory_of(name: str) -> None:
    sam = real_sized_sam()
    image = scene(3000, 4000)
    chosen = options(
        **thresholds(ours(sam, options(), "fp32"), image), points_per_side=8, scored_masks=300
    )
    if name == "ours":
        for precision in ("auto", "fp32"):
            proposer = ours(sam, chosen, precision)
            gigabytes = peak_above(functools.partial(proposer.propose, image))
            print(f"peak memory above the weights, 4000x3000, ours {precision}: {gigabytes:.2f} GB")
        return
    generator = stock(sam, chosen)
    gigabytes = peak_above(lambda: generator.generate(image))
    print(f"peak memory above the weights, 4000x3000, stock: {gigabytes:.2f} GB")


def precision() -> None:
    """Box mAP of bf16 masks with the fp32 masks as ground truth, generated scenes, test SAM."""
    from contextlib import redirect_stdout
    from io import StringIO

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    sam = load_sam(TINY_SAM, Compute("cpu", "fp32")).get()
    chosen = options(pred_iou_thresh=0.7, stability_score_thresh=0.8, points_per_side=16, min_area=0.1)
    exact = ours(copy.deepcopy(sam), chosen, "fp32")
    rough = ours(copy.deepcopy(sam), chosen, "bf16")
    truth: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "mask"}]}
    results: list[dict[str, Any]] = []
    for number in range(1, 25):
        image = scene(256, 256, 10_000 + number)
        truth["images"].append({"id": number, "width": 256, "height": 256})
        for found, into in ((exact.propose(image), None), (rough.propose(image), results)):
            for box, quality in zip(found.boxes, found.quality, strict=True):
                x0, y0, x1, y1 = (float(v) for v in box)
                item = {"image_id": number, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}
                if into is None:
                    extra = {"id": len(truth["annotations"]) + 1, "area": (x1 - x0) * (y1 - y0)}
                    truth["annotations"].append(item | extra | {"iscrowd": 0})
                else:
                    into.append(item | {"score": float(quality)})
    with redirect_stdout(StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    print(f"box mAP of bf16 against fp32 ({len(results)} masks): {judge.stats[0]:.4f}")


def main() -> None:
    parts = {
        "agreement": agreement,
        "encoder": encoder,
        "decoder": decoder,
        "generator": generator,
        "memory": memory,
        "memory-ours": lambda: memory_of("ours"),
        "memory-stock": lambda: memory_of("stock"),
        "precision": precision,
    }
    run_parts(__doc__, parts)


if __name__ == "__main__":
    main()
