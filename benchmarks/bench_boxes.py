"""Masks from boxes: IoU of what the embedded proposer finds in a box with the drawn mask it is of.

    python benchmarks/bench_boxes.py [boxes] [voices]

boxes: the mean of each set, and over the sets. voices: what each voter reaches alone and which weights
of them are best, with each set left out in turn. The boxes are those of the drawn masks, in the sets of
../shared/data that have some; PHOTOS=20 looks at so many photographs a set, BOXES=12 at so many boxes a
photograph.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, run_parts

from searchdet.annotations import Drawn, paint, read_truth
from searchdet.images import read_image
from searchdet.masks import rle
from searchdet.proposals import inbox
from searchdet.proposals.regions import IN_BOX, RegionProposer

SETS = ("tools", "fruits_nuts", "nuclei")
PHOTOS, BOXES = (int(os.environ.get(name, "0")) for name in ("PHOTOS", "BOXES"))
WANTED = 0.75


def some(items: list[Any], count: int) -> list[Any]:
    """``count`` of them, evenly spread; all for 0."""
    if not count or len(items) <= count:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def annotated(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray, list[np.ndarray]]]:
    """Photographs with boxes (N, 4) and the drawn masks that they are of."""
    truth = read_truth(folder / "annotations.json")
    by_image: dict[int, list[dict[str, Any]]] = {}
    for item in truth.annotations():
        by_image.setdefault(item["image_id"], []).append(item)
    for number, name in some(list(truth.names.items()), PHOTOS):
        image = read_image(folder / "images" / name).pixels
        items = some(by_image.get(number, []), BOXES)
        drawn = [painted(item, image.shape[:2]) for item in items]
        corners = np.asarray([item["bbox"] for item in items], np.float64).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        yield image, corners, drawn


def painted(item: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    shape = item["segmentation"]
    if isinstance(shape, dict):
        return paint(Drawn(size, "coco", encodings=(shape,)), size)
    return paint(Drawn(size, "coco", polygons=tuple(map(tuple, shape))), size)


def overlap(one: np.ndarray, two: np.ndarray) -> float:
    return float((one & two).sum() / max(1, (one | two).sum()))


def boxes() -> None:
    """The mean IoU of each set."""
    found, proposer = {}, RegionProposer(IN_BOX)
    for name in SETS:
        if not (DATA / name).is_dir():
            print(f"{name}: {DATA / name} is not here, skipped.")
            continue
        values, bare, spent = [], [], 0.0
        for image, corners, drawn in annotated(DATA / name):
            started = time.perf_counter()
            made = rle.decode(proposer.masks_of_boxes(image, corners), image.shape[:2])
            spent += time.perf_counter() - started
            values += [overlap(a, b) for a, b in zip(made, drawn, strict=True)]
            bare += [
                overlap(box_of(corner, image), b) for corner, b in zip(corners, drawn, strict=True)
            ]
        found[name] = float(np.mean(values))
        print(
            f"{name:12} {len(values):5} boxes, mean IoU {found[name]:.3f} (the box itself "
            f"{np.mean(bare):.3f}), at least 0.5: {np.mean(np.asarray(values) >= 0.5):.1%}, "
            f"{1000 * spent / max(1, len(values)):.0f} ms a box",
            flush=True,
        )
    if found:
        value = float(np.mean(list(found.values())))
        print(f"mean over {len(found)} sets {value:.3f}, asked for {WANTED}: {value >= WANTED}")


def box_of(corner: np.ndarray, image: np.ndarray) -> np.ndarray:
    made = np.zeros(image.shape[:2], bool)
    x0, y0, x1, y1 = np.round(corner).astype(int)
    made[max(0, y0) : y1, max(0, x0) : x1] = True
    return made


def voices() -> None:
    """Each voter alone, and the best weights without each set."""
    table: dict[tuple[float, float, float], list[float]] = {}
    names = [name for name in SETS if (DATA / name).is_dir()]
    shares = list(itertools.product((0.0, 1.0), (0.0, 0.5, 1.0, 1.5), (0.0, 0.3, 0.6)))[1:]
    for name in names:
        values: dict[tuple[float, float, float], list[float]] = {share: [] for share in shares}
        for image, corners, drawn in annotated(DATA / name):
            for corner, mask in zip(corners, drawn, strict=True):
                votes, view = voted(image, corner)
                for share in shares:
                    total = np.tensordot(np.asarray(share, np.float32), np.stack(votes), 1)
                    made = inbox.placed(np.float32(total / sum(share)), view, corner, image.shape[:2])
                    values[share].append(overlap(made, mask))
        for share in shares:
            table.setdefault(share, []).append(float(np.mean(values[share])))
    for share, row in sorted(table.items(), key=lambda item: -np.mean(item[1]))[:8]:
        print(f"proposals, cut, ellipse {share}: {np.round(row, 3)} mean {np.mean(row):.4f}")
    for share in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.3)):
        print(f"alone {share}: {np.round(table[share], 3)} mean {np.mean(table[share]):.4f}")
    for i, name in enumerate(names):
        best = max(table, key=lambda share: sum(v for j, v in enumerate(table[share]) if j != i))
        print(f"without {name}: {best}, which reaches {table[best][i]:.3f} on it")


def voted(image: np.ndarray, corner: np.ndarray) -> tuple[list[np.ndarray], inbox.View]:
    view = inbox.view_of(image, corner)
    return inbox.votes_of(view, RegionProposer(IN_BOX).propose), view


def main() -> None:
    run_parts(__doc__, {part.__name__: part for part in (boxes, voices)})


if __name__ == "__main__":
    main()
