"""Search over an index of a million regions, and a second run against a first.

    python benchmarks/bench_index.py search [--rows 1000000] [--dim 1024]
    python benchmarks/bench_index.py again [--images 20]

``search`` writes random unit vectors as an index would hold them, reads them once so that they lie in
the page cache, and prints the time to bound all regions (the pass over all of them) beside that of
summing the same bytes, which is what memory allows. ``again`` runs ``detect`` with networks of the real
sizes and random weights on 20 pictures, then again with another threshold and one more exemplar file.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from bench_embeddings import random_backbone
from bench_masks import options, ours
from common import DATA, machine, real_sized_sam, thresholds
from PIL import Image

from searchdet.bank.types import Bank, Origin, Rows, plain_rows
from searchdet.config import ScoringOptions
from searchdet.embeddings import l2_normalize
from searchdet.index.bounds import plain_scores


def vectors(path: Path, rows: int, dim: int) -> np.ndarray:
    """A mapped file of random float16 unit rows."""
    rng = np.random.default_rng(0)
    with path.open("wb") as stream:
        for start in range(0, rows, 20_000):
            block = rng.normal(size=(min(20_000, rows - start), dim)).astype(np.float32)
            stream.write(l2_normalize(block).astype(np.float16).tobytes())
    return np.memmap(path, np.float16, "c", shape=(rows, dim))


def search_bank(dim: int) -> Bank:
    """Five classes of ten random exemplars, and 50 negatives."""
    rng = np.random.default_rng(1)

    def some(count: int) -> Rows:
        unit = l2_normalize(rng.normal(size=(count, dim)).astype(np.float32))
        return plain_rows(unit, [Origin(f"{i}") for i in range(count)])

    labels = np.repeat(np.arange(5), 10)
    return Bank(tuple("abcde"), some(50), labels, some(50))


def search(rows: int, dim: int) -> None:
    bank = search_bank(dim)
    options = ScoringOptions(shape_weight=0.0, context_weight=0.0)
    with tempfile.TemporaryDirectory() as folder:
        whole = vectors(Path(folder) / "vectors", rows, dim)
        flat = torch.from_numpy(whole.reshape(-1).view(np.int64))
        spent: dict[str, list[float]] = {"search": [], "read": []}
        for _ in range(4):
            started = time.perf_counter()
            flat.sum()
            spent["read"].append(time.perf_counter() - started)
            started = time.perf_counter()
            plain_scores(whole, bank, options)
            spent["search"].append(time.perf_counter() - started)
    best = {name: min(times[1:]) for name, times in spent.items()}
    size = rows * dim * 2 / 1e9
    print(
        f"{rows} regions of dimension {dim}, 5 classes, 50 negatives: {best['search']:.2f} s "
        f"({size / best['search']:.1f} GB/s); reading alone {best['read']:.2f} s "
        f"({size / best['read']:.1f} GB/s): {best['read'] / best['search']:.0%} of the memory's rate"
    )


def again(images: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        shutil.copytree(DATA / "screws/positive", root / "positive")
        (root / "images").mkdir()
        for path in sorted((DATA / "screws/images").iterdir())[:images]:
            shutil.copy(path, root / "images")
        held = next((root / "positive").rglob("*.png"), None) or next(
            (root / "positive").rglob("*.jpg")
        )
        kept = held.read_bytes()
        held.unlink()
        words = [*command(root), *real_sizes(root)]
        first = timed(words)
        threshold = timed([*words, "--min-score", "0.4"])
        held.write_bytes(kept)
        both = timed([*words, "--min-score", "0.3"])
    print(f"{images} images, SAM ViT-B and ConvNeXt-B with random weights: first run {first:.1f} s")
    print(f"another threshold {threshold:.1f} s: {threshold / first:.2%}")
    print(f"another threshold and one more exemplar {both:.1f} s: {both / first:.2%}")


def command(root: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "searchdet", "detect", str(root / "images"), "-o", str(root / "out")),
        *("--positive", str(root / "positive"), "--negative", str(DATA / "screws/negative")),
        *("--cache-dir", str(root / "cache")),
    ]


def real_sizes(root: Path) -> list[str]:
    """Files with random weights, and thresholds by which a tenth of the masks survive."""
    sam, backbone = real_sized_sam(), random_backbone("dinov3_convnext_base", "fp32")
    first = next((root / "images").iterdir())
    picture = np.asarray(Image.open(first).convert("RGB"))
    levels = thresholds(ours(sam, options(), "auto"), picture)
    torch.save(sam.state_dict(), root / "sam.pth")
    torch.save(backbone.network.state_dict(), root / "convnext.pth")
    flags = [(f"--{name.replace('_', '-')}", f"{value:.4f}") for name, value in levels.items()]
    return [
        *("--backbone", "dinov3_convnext_base", "--backbone-ckpt", str(root / "convnext.pth")),
        *("--sam-checkpoint", str(root / "sam.pth")),
        *(word for pair in flags for word in pair),
    ]


def timed(words: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["search", "again"])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--images", type=int, default=20)
    chosen = parser.parse_args()
    print(machine())
    if chosen.what == "search":
        search(chosen.rows, chosen.dim)
    else:
        again(chosen.images)


if __name__ == "__main__":
    main()
