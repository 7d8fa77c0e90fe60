"""One feature map for N masks against N crops that are encoded again, ConvNeXt-B of the real size.

    python benchmarks/bench_embeddings.py maps        # 1, 10, 100, 300 masks from one map, and crops
    python benchmarks/bench_embeddings.py precision   # bf16 against fp32

Random weights. Crops are what the program that searchdet re-creates did: the box of each mask, resized
to a square and sent through the network, one global average each. The time of 6 crops is
scaled to the number of masks.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from common import alternate, matrix_rates, run_parts, scene

from searchdet.backbones import SPECS
from searchdet.backbones.network import NetworkBackbone
from searchdet.config import EmbeddingOptions, ProposalOptions
from searchdet.embeddings import MaskEmbeddings, describe
from searchdet.masks.coverage import Masks
from searchdet.masks.shape import outlines_of
from searchdet.proposals import Proposals, load
from searchdet.records.models import WeightsInfo
from searchdet.weights import Lazy, resolve

COUNTS = (1, 10, 100, 300)
SAMPLE = 6
SIDES = (224, 768)
"""Of the squares; 224 is what classifiers are used to, 768 what the map is made at."""


def random_backbone(
    name: str, precision: str, device: str = "cpu", short_side: int | None = None
) -> NetworkBackbone:
    """A backbone of the real size with random weights. short_side: None for its own."""
    torch.manual_seed(0)
    spec = SPECS[name]
    network = spec.build(spec, {}).eval().requires_grad_(False)
    for value in network.parameters():
        if value.ndim > 1:
            torch.nn.init.kaiming_normal_(value)
        elif value.abs().max() < 1e-3:  # layer scale and biases: let the blocks matter
            torch.nn.init.normal_(value, std=0.2)
    lazy = Lazy(WeightsInfo("random", "", "timm", None), lambda: network)
    network.to(device)
    return NetworkBackbone(spec, lazy, resolve(device, precision), short_side or spec.short_side)


def masks_of(image: np.ndarray, count: int) -> Proposals:
    """Proposals of an image, repeated up to ``count``."""
    found = load(ProposalOptions("regions"), "cpu", "fp32").propose(image)
    return found.take(np.arange(count) % len(found))


def embed(backbone: NetworkBackbone, image: np.ndarray, found: Proposals) -> MaskEmbeddings:
    """What ``searchdet.regions.describe`` does with proposals."""
    feature_map = backbone.feature_map(image)
    masks = Masks.of(found.rles, found.mask_size)
    return describe(
        feature_map, masks, outlines_of(masks.runs, masks.count), EmbeddingOptions()
    ).embedded


def crops(backbone: NetworkBackbone, image: np.ndarray, found: Proposals, side: int) -> None:
    """The box of each mask, resized to a square, encoded again, in the faster batch of the two."""
    batch = 1 if side > 256 else len(found)
    for start in range(0, len(found), batch):
        parts = []
        for x0, y0, x1, y1 in found.boxes[start : start + batch].astype(int):
            part = cv2.resize(image[y0:y1, x0:x1], (side, side), interpolation=cv2.INTER_CUBIC)
            parts.append(normalised(part))
        with torch.inference_mode(), backbone.compute.autocast():
            backbone.network.forward_features(torch.cat(parts)).mean((2, 3))


def normalised(part: np.ndarray) -> torch.Tensor:
    """(1, 3, side, side) float32; the exact mean does not matter for time."""
    return torch.from_numpy(part).permute(2, 0, 1)[None].float() / 127.5 - 1


def maps() -> None:
    image = scene(1200, 1800)
    every = masks_of(image, max(COUNTS))
    some = every.take(np.arange(SAMPLE))
    for precision in ("fp32", "bf16"):
        backbone = random_backbone("dinov3_convnext_base", precision)
        calls: dict[str, Any] = {
            str(n): lambda n=n, b=backbone: embed(b, image, every.take(np.arange(n))) for n in COUNTS
        }
        calls |= {f"crops {n}": lambda n=n, b=backbone: crops(b, image, some, n) for n in SIDES}
        spent = alternate(calls, 2)
        for n in COUNTS:
            own = spent[str(n)]
            line = (
                f"embeddings {precision}, {n:3} masks: {own:.3f} s, {own / spent['1']:.2f}x of 1 mask"
            )
            for side in SIDES:
                crop = n * spent[f"crops {side}"] / SAMPLE
                line += f"; {n} crops of {side}x{side} {crop:.1f} s, {crop / own:.1f}x"
            print(line)
        limit(backbone, image, spent["1"], precision)


def limit(backbone: NetworkBackbone, image: np.ndarray, seconds: float, precision: str) -> None:
    """Share of the matrix rate that the network reaches."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        backbone.network.forward_features(backbone.prepare(image))
    work, rate = counter.get_total_flops() / 1e9, matrix_rates()[precision]
    print(
        f"embeddings {precision}: {work:.0f} GFLOP at {rate:.0f} GFLOP/s would be {work / rate:.2f} s "
        f"({work / rate / seconds:.0%} of that limit)"
    )


def precision() -> None:
    for name in ("dinov3_convnext_base", "dinov3_vits16"):
        cosines = []
        exact, rough = (random_backbone(name, kind) for kind in ("fp32", "bf16"))
        for seed in range(4):
            image = scene(600, 800, seed)
            found = masks_of(image, 100)
            one, two = embed(exact, image, found), embed(rough, image, found)
            cosines.append((one.vectors * two.vectors).sum(1)[one.valid & two.valid])
        every = np.concatenate(cosines)
        print(
            f"{name}: cosine of bf16 to fp32 over {len(every)} masks: least {every.min():.5f}, "
            f"mean {every.mean():.5f}"
        )


def main() -> None:
    parts = {"maps": maps, "precision": precision}
    run_parts(__doc__, parts)


if __name__ == "__main__":
    main()
