"""Defects: what is proposed, how well it is ranked, and what a clean surface gives.

    python benchmarks/bench_defects.py [surfaces] [methods] [pitting] [terms]

surfaces: 24 synthetic metal surfaces of tests/surfaces.py, good parts alone; and others of the same
rule. Constants were chosen on a third lot. methods: the two methods and the views on the latter.
pitting: bsd_pitting of ../shared/data, each image its own measure; its windows were chosen on every
other image, so the rest is a row of its own. terms: the same with each part left out. COUNT=6 looks at
so many images, evenly spread.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sets
from common import DATA, run_parts
from surfaces import DEFECTS, FINISHES, Surface, benchmark_surfaces, make_surface

from searchdet.annotations import Truth, read_truth
from searchdet.bank import gather
from searchdet.bank.build import Enrolment, Read
from searchdet.config import Examples, settings_from
from searchdet.detector import Detector
from searchdet.evaluation.metrics import Found, Region, evaluate, proposal_recall
from searchdet.exemplars import Exemplar
from searchdet.images import read_image
from searchdet.records import ImageRecord

COUNT = int(os.environ.get("COUNT", "0"))
GOOD = 4
"""Good parts of each finish."""
Named = Sequence[tuple[str, np.ndarray]]


@dataclass(frozen=True)
class Judged:
    """Records of images by their number in the truth, and seconds an image."""

    truth: Truth
    records: dict[int, ImageRecord]
    seconds: float

    def line(self, title: str, only: Iterable[int] | None = None) -> None:
        """Print recall of what is scored, AP50, F1, and detections on an image that shows nothing."""
        rows = self.records if only is None else {n: self.records[n] for n in only}
        truth = self.truth.only(rows)
        regions = {
            n: [Region(float(len(r.candidates) - i), c.bbox) for i, c in enumerate(r.candidates)]
            for n, r in rows.items()
        }
        found = [
            Found(n, c.label, c.score, c.bbox, None, c.accepted)
            for n, r in rows.items()
            for c in r.candidates
            if c.label is not None and c.score is not None and c.suppression_factor > 0
        ]
        figures = evaluate(truth, found)[0]
        shown = {item["image_id"] for item in truth.annotations()}
        clean = [len(rows[n].detections) for n in rows if n not in shown]
        false = f"{np.mean(clean):.2f} of {len(clean)}" if clean else "-"
        recall = proposal_recall(truth, regions)[0.5] or 0.0
        print(
            f"{title:40} recall of 300 {recall:.3f}  AP50 {figures.ap50 or 0:.3f}"
            f"  F1 {figures.f1 or 0:.3f}  false a clean image {false}  {self.seconds:.1f} s",
            flush=True,
        )


def judged(detector: Detector, truth: Truth, images: Named) -> Judged:
    numbers = {name: number for number, name in truth.names.items()}
    started, records = time.perf_counter(), {}
    for name, pixels in images:
        records[numbers[name]] = detector.detect(pixels, name)
    return Judged(truth, records, (time.perf_counter() - started) / len(images))


def held_out() -> tuple[tuple[str, Surface], ...]:
    """Other surfaces of the rule, three clean ones of each finish."""
    plans = [(kind,) * 3 for kind in DEFECTS for _ in range(2)]
    every = [*plans, DEFECTS, (), (), ()]
    return tuple(
        (f"{finish}-{i}", make_surface(finish, 400 + i, plan))
        for finish in FINISHES
        for i, plan in enumerate(every)
    )


def by_good_parts(**options: Any) -> Detector:
    """A detector with ``GOOD`` good parts of each finish and no example."""
    from searchdet.regions import load_models

    settings = settings_from({"proposals": "spots", "scored_masks": 600, "second_look": 0, **options})
    models = load_models(settings)
    good = tuple(
        Exemplar(f"{finish}{i}", None, made, np.ones(made.shape[:2], bool), "whole", "")
        for finish in FINISHES
        for i in range(GOOD)
        for made in (make_surface(finish, i).image,)
    )
    by = Enrolment.of(models.backbone, settings, models.proposer)
    return Detector(models, gather(Read([], normals=good), by), settings)


def truth_of(made: Sequence[tuple[str, Surface]]) -> Truth:
    """As a COCO file says it."""
    images: list[dict[str, Any]] = []
    items: list[dict[str, Any]] = []
    for number, (name, one) in enumerate(made, 1):
        images.append({"id": number, "file_name": name, "height": 288, "width": 384})
        for mask in one.masks:
            y, x = np.nonzero(mask)
            low, high = (int(x.min()), int(y.min())), (int(x.max()) + 1, int(y.max()) + 1)
            box = [*low, high[0] - low[0], high[1] - low[1]]
            row = {"id": len(items) + 1, "image_id": number, "category_id": 1, "bbox": box}
            items.append(row | {"area": int(mask.sum()), "iscrowd": 0})
    held = {"images": images, "annotations": items, "categories": [{"id": 1, "name": "defect"}]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.json"
        path.write_text(json.dumps(held))
        return read_truth(path)


def _surfaces(title: str, made: Sequence[tuple[str, Surface]], **options: Any) -> None:
    found = judged(by_good_parts(**options), truth_of(made), [(n, one.image) for n, one in some(made)])
    found.line(title)


def some(items: Sequence[Any]) -> list[Any]:
    """``COUNT`` of them, evenly spread; all for 0."""
    if not COUNT or len(items) <= COUNT:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, COUNT).round().astype(int)]


def surfaces() -> None:
    """The 24 of the tests, and as many others."""
    _surfaces("24 surfaces", benchmark_surfaces())
    _surfaces("others of the rule", held_out())


def methods() -> None:
    """Methods and views."""
    for method in ("subspace", "nearest"):
        for views in ("none", "flips", "turns"):
            name = f"{method}, {views}"
            _surfaces(name, held_out(), normal_method=method, normal_views=views)
    _surfaces("filterbank, flips", held_out(), backbone="filterbank")


def _pits(title: str, halves: bool = False, **options: Any) -> None:
    folder = DATA / "bsd_pitting"
    examples = Examples(folder / "positive", folder / "negative")
    truth = read_truth(folder / "annotations.json")
    kept = sets.CACHE / sets._code((*sets.SOURCES, "normality"))
    detector = Detector.build(examples, settings_from({**options, "cache": kept}))
    names = some(sorted(truth.names.items()))
    images = [(name, read_image(folder / "images" / name).pixels) for _, name in names]
    found = judged(detector, truth, images)
    found.line(title)
    if halves:
        found.line(f"{title}, windows chosen here", [number for number, _ in names[::2]])
        found.line(f"{title}, not here", [number for number, _ in names[1::2]])


def pitting() -> None:
    """bsd_pitting: K = 5 with its negatives."""
    if not (DATA / "bsd_pitting").is_dir():
        print(f"{DATA / 'bsd_pitting'} is not here, skipped.")
        return
    _pits("--normal-self", True, normal_self=True)


def terms() -> None:
    """What each part gives on bsd_pitting."""
    for weight in (0.0, 0.05, 0.2):
        _pits(f"--normal-self, weight {weight}", True, normal_self=True, normal_weight=weight)
    _pits("--normal-self, --negative-weight 0.6", True, normal_self=True, negative_weight=0.6)
    _pits("--normal-self, 150 looks", True, normal_self=True, second_look=150)
    plain: dict[str, Any] = {"proposals": "spots", "scored_masks": 600}
    _pits("spots, outlines not compared", **plain, shape_weight=0.0)
    _pits("spots", **plain)
    _pits("regions, as without good parts")


def main() -> None:
    run_parts(__doc__, {part.__name__: part for part in (surfaces, methods, pitting, terms)})


if __name__ == "__main__":
    main()
