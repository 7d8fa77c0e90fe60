"""How many of the detections of ``--prompting everything`` guided prompting keeps, small test SAM.

    python benchmarks/bench_guided.py [--share SHARE] [--images 5] [--sets scenes ...] [--control]

A detection is kept where guided prompting gives one of the same class with a mask IoU of 0.5 or more.
Positive and negative folders of each set are used. The least score is 0.3, so that there is something
to keep: the small SAM, trained on flat shapes, finds few objects in photographs. ``--control`` counts
also what ``everything`` itself keeps with 31 points a side instead of 32: what differs then is chance.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, SETS, TINY_SAM, machine
from PIL import Image

from searchdet.config import ProposalOptions
from searchdet.detector import Detector
from searchdet.records.candidate import Candidate
from searchdet.records.record import ImageRecord

SAM: dict[str, Any] = {"pred_iou_thresh": 0.7, "stability_score_thresh": 0.8}
SAM |= {"precision": "fp32", "min_score": 0.3}


def folders(name: str, scratch: Path) -> tuple[Path, Path, list[Path]] | None:
    """Positive folder, negative folder and images of a set; ``scenes`` are generated."""
    if name == "scenes":
        return generated(scratch)
    if not (DATA / name).is_dir():
        print(f"{name}: {DATA / name} is not here, skipped.")
        return None
    return (
        DATA / name / "positive",
        DATA / name / "negative",
        sorted((DATA / name / "images").iterdir()),
    )


def generated(scratch: Path) -> tuple[Path, Path, list[Path]]:
    """Exemplars cut out of scenes (red and blue shapes; green ones as negatives), eight pictures."""
    from scenes import COLOURS, make_scene

    wanted = {"red": 3, "blue": 3, "green": 3}
    for seed in range(100, 200):
        made = make_scene(seed, size=256, palette=COLOURS)
        for mask, colour in zip(made.masks, made.colours, strict=True):
            if wanted.get(str(colour), 0):
                wanted[colour] -= 1
                base = scratch / ("negative" if colour == "green" else f"positive/{colour}")
                write_exemplar(base / f"{wanted[colour]}.png", made.image, mask)
    (scratch / "images").mkdir()
    for seed in range(8):
        parts = [make_scene(seed * 4 + i, size=320, palette=COLOURS).image for i in range(4)]
        picture = np.concatenate([np.concatenate(parts[:2], 1), np.concatenate(parts[2:], 1)])
        Image.fromarray(picture).save(scratch / "images" / f"{seed}.png")
    return scratch / "positive", scratch / "negative", sorted((scratch / "images").iterdir())


def write_exemplar(path: Path, image: np.ndarray, mask: np.ndarray) -> None:
    """The box of a mask with a margin, and the mask beside it."""
    y, x = np.nonzero(mask)
    part = (slice(max(0, y.min() - 4), y.max() + 5), slice(max(0, x.min() - 4), x.max() + 5))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[part]).save(path)
    Image.fromarray(mask[part].astype(np.uint8) * 255).save(path.with_suffix(".mask.png"))


def kept(wanted: tuple[Candidate, ...], found: tuple[Candidate, ...]) -> int:
    """How many of ``wanted`` have a partner in ``found``."""
    from pycocotools import mask as coco

    count = 0
    for item in wanted:
        same = [other.segmentation for other in found if other.label == item.label]
        if same:
            count += bool(coco.iou([item.segmentation], same, [0] * len(same)).max() >= 0.5)
    return count


def points_asked(record: ImageRecord) -> int:
    """How many points the proposer asked in an image."""
    if record.proposals is None:
        raise ValueError(f"{record.image} failed")
    return int(str(record.proposals.details["points_asked"]))


def tally(name: str, ways: dict[str, dict[str, Any]], images: int, scratch: Path) -> Counter[str]:
    """Detections of the first way on a set, and how many of them each other way keeps.

    ways: settings of the detector, by name.
    """
    given = folders(name, scratch)
    if given is None:
        return Counter()
    positive, negative, paths = given
    rows = np.linspace(0, len(paths) - 1, min(images, len(paths))).round().astype(int)
    shared: dict[str, Any] = SAM | {"sam_checkpoint": TINY_SAM, "proposals": "sam"}
    detectors = {
        way: Detector.from_folders(positive, negative, **shared, **own) for way, own in ways.items()
    }
    counts: Counter[str] = Counter()
    points: Counter[str] = Counter()
    spent = dict.fromkeys(ways, 0.0)
    for row in rows:
        wanted = None
        for way, detector in detectors.items():
            started = time.perf_counter()
            record = detector.detect(paths[row])
            spent[way] += time.perf_counter() - started
            points[way] += points_asked(record)
            wanted = record.detections if wanted is None else wanted
            counts[way] += kept(wanted, record.detections)
    first, *others = ways
    print(f"{name:12} {len(rows):3} images: {first} {counts[first]:4}", end="")
    for way in others:
        share, time_ = points[way] / points[first], spent[way] / spent[first]
        print(f"; {way} keeps {counts[way]:4}, points {share:.3f}, time {time_:.2f}", end="")
    print(flush=True)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--share", type=float, default=ProposalOptions().guided_share)
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--sets", nargs="*", default=["scenes", *SETS])
    parser.add_argument("--control", action="store_true")
    chosen = parser.parse_args()
    ways: dict[str, dict[str, Any]] = {
        "everything": {},
        "guided": {"prompting": "guided", "guided_share": chosen.share},
    }
    if chosen.control:
        ways["another grid"] = {"points_per_side": 31}
    print(machine(), f"share {chosen.share}")
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen.sets:
            total += tally(name, ways, chosen.images, Path(scratch))
    first, *others = ways
    wanted = total[first]
    for way in others:
        print(f"{way} keeps {total[way]} of {wanted} detections: {total[way] / max(wanted, 1):.4f}")


if __name__ == "__main__":
    main()
