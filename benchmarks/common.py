"""What the benchmarks share: alternating timings, peak memory, models of the real sizes, scenes."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from searchdet.images.read import read_image

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
TINY_SAM = ROOT / "tests" / "assets" / "tiny_sam.pth"
sys.path.insert(0, str(ROOT / "tests"))
SURVIVING = 0.3
"""Share of the points that thresholds let a mask survive of."""
SETS = ("screws", "tools", "fruits_nuts", "nuclei", "bsd_pitting", "cards", "thermal")


def alternate(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Seconds of the fastest call of each, all called in turn, ``rounds`` times."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def means(calls: dict[str, Callable[[], Any]], rounds: int, least: float) -> dict[str, float]:
    """Mean seconds of each call. All in turn, ``rounds`` times, and in each turn as often as fills
    ``least`` seconds: where a processor is slow for half a minute, the fastest of a few calls says
    more about luck the shorter a call is."""
    spent, made = dict.fromkeys(calls, 0.0), dict.fromkeys(calls, 0)
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            while time.perf_counter() - started < least:
                call()
                made[name] += 1
            spent[name] += time.perf_counter() - started
    return {name: spent[name] / made[name] for name in calls}


def peak_above(call: Callable[[], Any]) -> float:
    """GB of resident memory that a call needs at its worst above what was there before (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    call()
    return (status("VmHWM") - before) / 1e6


def status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return float(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {name}")


def matrix_rates() -> dict[str, float]:
    """GFLOP/s of a 4096 x 4096 matrix product."""
    a = torch.randn(4096, 4096)
    b = a.bfloat16()
    spent = alternate({"fp32": lambda: a @ a, "bf16": lambda: b @ b}, 3)
    return {name: 2 * 4096**3 / seconds / 1e9 for name, seconds in spent.items()}


def real_sized_sam(variant: str = "vit_b") -> Any:
    """segment-anything's model with random weights, changed so that points give different masks."""
    from segment_anything import sam_model_registry

    torch.manual_seed(0)
    sam = sam_model_registry[variant]().eval()
    for name, value in sam.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            torch.nn.init.normal_(value, std=0.05)
        elif "mask_decoder.transformer" in name and name.endswith("proj.weight"):
            value.data.mul_(3)
        elif "hypernetworks" in name:
            value.data.mul_(2)
    return sam


def partners(one: list[Any], two: list[Any]) -> int:
    """How many of ``one`` have a partner in ``two`` with IoU >= 0.99."""
    from pycocotools import mask as coco

    if not one or not two:
        return 0
    overlaps = np.asarray(coco.iou(one, two, [0] * len(two)))
    return int((overlaps.max(axis=1) >= 0.99).sum())


def thresholds(proposer: Any, image: np.ndarray) -> dict[str, float]:
    """Quantiles of predicted IoU and stability of a point-prompted proposer, so that ``SURVIVING`` of
    the points have a mask that survives: about a tenth of all masks."""
    from searchdet.proposals.prompts import grid

    network = proposer._generator.network
    size = (image.shape[0], image.shape[1])
    state = network.encode(image)
    points = network.points(grid(8) * [[size[1], size[0]]], size)
    quality, stable = [], []
    for part in points.split(8):
        answer = network.decode(state, part)
        quality.append(answer.quality.max(1).values)
        for prompt in range(len(part)):
            logits = network.logits(state, answer, prompt, [0, 1, 2])
            inner, outer = ((logits > level).sum((1, 2)).double() for level in (1.0, -1.0))
            stable.append((inner / outer)[outer > 0])  # an empty mask is no matter of stability
    return {
        "pred_iou_thresh": min(1.0, max(0.0, float(torch.cat(quality).quantile(1 - SURVIVING)))),
        "stability_score_thresh": float(torch.cat(stable).quantile(0.2)),
    }


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A generated picture (height, width, 3) uint8 with many flat shapes."""
    from scenes import make_scene

    tile = 400
    rows = []
    for y in range(-(-height // tile)):
        row = [make_scene(seed + 100 * y + x, size=tile).image for x in range(-(-width // tile))]
        rows.append(np.concatenate(row, axis=1))
    return np.ascontiguousarray(np.concatenate(rows)[:height, :width])


def photographs() -> dict[str, np.ndarray]:
    """Real photographs: those that come with scikit-image, and the first of each annotated set."""
    from skimage import data

    found = {name: np.asarray(getattr(data, name)()) for name in ("coffee", "chelsea", "astronaut")}
    for name in SETS:
        folder = DATA / name / "images"
        if not folder.is_dir():
            print(f"{name}: {folder} is not here, skipped.")
            continue
        path = sorted(folder.iterdir())[0]
        found[f"{name}/{path.name}"] = read_image(path).pixels
    return found


def machine() -> str:
    """One line about where the figures come from."""
    name = platform.processor() or platform.machine()
    return (
        f"{name}, {os.cpu_count()} cores, torch {torch.__version__}, {torch.get_num_threads()} threads"
    )


def run_parts(about: str | None, parts: dict[str, Callable[[], None]], hidden: str = "-") -> None:
    """Run the parts that the command line names, or all whose name has no ``hidden`` in it."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    chosen = parser.parse_args().parts or [name for name in parts if hidden not in name]
    unknown = [name for name in chosen if name not in parts]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; choose from {', '.join(parts)}")
    print(machine())
    for name in chosen:
        parts[name]()
