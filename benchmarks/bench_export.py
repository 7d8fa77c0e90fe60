"""How fast records become datasets, and how much memory that takes.

    python benchmarks/bench_export.py --records 10000 --candidates 300 --to coco

Writes synthetic records of one image (its name and hash changed) into a temporary folder first; needs
about 300 kB a record there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from common import peak_above
from runs import models, run_info
from scipy import ndimage

from searchdet import exports
from searchdet.config import Limits
from searchdet.masks import rle
from searchdet.output.folder import read_records
from searchdet.records.candidate import Candidate, Evidence
from searchdet.records.record import ImageRecord

SIZE = (1200, 1800)
ACCEPTED = 12


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--records", type=int, default=10_000)
    words.add_argument("--candidates", type=int, default=300)
    words.add_argument("--to", default="coco")
    words.add_argument("--min-score", type=float, help="Decide again, which reads the whole records.")
    words.add_argument("--folder", help="Where the temporary folder lies.")
    given = words.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        size = fill(folder, given.records, given.candidates)
        print(f"{given.records} records of {given.candidates} candidates, {size / 1e3:.0f} kB each")
        limits = Limits(min_score=given.min_score)
        options = exports.Options(exports.formats(given.to), limits)
        done = []
        began = time.perf_counter()
        grown = peak_above(
            lambda: done.append(exports.write(folder, read_records(folder, limits.given), options))
        )
        seconds = time.perf_counter() - began
        facts = {
            "to": given.to,
            "images": done[0].images,
            "detections": done[0].detections,
            "seconds": round(seconds, 2),
            "records_per_second": round(done[0].images / seconds),
            "peak_rss_above_start_mb": round(1000 * grown, 1),
        }
        print(json.dumps(facts, indent=1))


def fill(folder: Path, records: int, candidates: int) -> int:
    """Write records that differ by name and hash; the bytes of one."""
    name, sha = "NAME-0123456789", "f" * 64
    data = record(name, sha, candidates).to_bytes()
    for number in range(records):
        own = f"{number // 100:03}/{number:07}.jpg"
        path = folder / "records" / f"{own}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            data.replace(name.encode(), own.encode()).replace(sha.encode(), b"%064x" % number)
        )
    return len(data)


def record(name: str, sha: str, candidates: int) -> ImageRecord:
    """A record of blobs of many sizes, the first ones accepted."""
    rng = np.random.default_rng(0)
    made = tuple(candidate(i, rng) for i in range(candidates))
    run = run_info(("bolt", "nut"), 0.6, made_by=models("dinov3_convnext_base", "sam"))
    levels = {"bolt": 0.3, "nut": 0.2}
    return ImageRecord(name, "ok", SIZE[1], SIZE[0], sha, made, tuple(levels), run, levels=levels)


def candidate(number: int, rng: np.random.Generator) -> Candidate:
    side = int(rng.integers(20, 220))
    window = blob(rng, side)
    y, x = (int(rng.integers(0, size - side)) for size in SIZE)
    code = rle.encode_window(window, (y, x), SIZE)
    x0, y0, x1, y1 = (float(v) for v in rle.boxes([code])[0])
    score = 0.99 - number / 1000
    return Candidate(
        id=number,
        label=("bolt", "nut")[number % 2],
        reason="accepted" if number < ACCEPTED else "score",
        bbox=(x0, y0, x1, y1),
        area=rle.area(code),
        quality=0.93,
        score=score,
        probability=0.8,
        score_before_suppression=score,
        suppression_factor=1.0,
        positive_similarity=score,
        negative_similarity=0.2,
        shape_similarity=0.5,
        context_similarity=0.1,
        margin=0.3,
        class_margin=0.2,
        nearest_positive=Evidence("positive/bolt/0001.jpg", 0.83),
        nearest_negative=Evidence("negative/0001.jpg", 0.21),
        suppressed_by=None,
        segmentation=code,
    )


def blob(rng: np.random.Generator, side: int) -> np.ndarray:
    """A disc with a ragged edge, as SAM draws objects."""
    y, x = np.mgrid[0:side, 0:side]
    noise = ndimage.gaussian_filter(rng.normal(size=(side, side)), 2) * side / 6
    return np.hypot(y - side / 2, x - side / 2) + noise < 0.4 * side


if __name__ == "__main__":
    main()
