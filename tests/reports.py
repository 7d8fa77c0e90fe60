"""Output folders for the tests of the report: records with drawn masks and random scores, no model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from runs import run_info

from searchdet.config import ScoringOptions
from searchdet.errors import ImageError
from searchdet.masks import rle
from searchdet.output import render
from searchdet.records.candidate import Candidate, Evidence
from searchdet.records.models import RunInfo
from searchdet.records.record import ImageRecord, failed
from searchdet.records.rule import Standing, reason_of
from searchdet.records.thresholds import limits_of

SIZE = (90, 120)
LEAST = {"score": 0.45, "margin": 0.05}
HOSTILE_IMAGE = '"><img src=x onerror=1>.png'
HOSTILE_CLASS = "</script><b>x"
HOSTILE_EXEMPLAR = "positive/<svg onload=alert(1)>'&\u2028.png"


def run(classes: tuple[str, ...], least: float = LEAST["score"], lead: float = 0.0) -> RunInfo:
    """What records of a run say of it."""
    scoring = ScoringOptions(min_margin=LEAST["margin"], class_margin=lead, second_look=3)
    return run_info(classes, least, scoring)


def candidate(
    number: int, classes: tuple[str, ...], rule: RunInfo, rng: np.random.Generator
) -> Candidate:
    """A rectangle with random numbers, and the verdict that the rule gives."""
    x, y = (int(rng.integers(0, n - 30)) for n in SIZE[::-1])
    width, height = (int(n) for n in rng.integers(8, 30, 2))
    mask = np.zeros(SIZE, bool)
    mask[y : y + height, x : x + width] = True
    label = str(rng.choice(classes))
    raw = round(float(rng.normal(0.42, 0.12)), 6)
    kept = float(rng.choice([0.0, 1.0, 1.0, round(float(rng.uniform()), 6)]))
    score = round(raw * kept, 6) if raw > 0 else raw
    neg = round(float(rng.uniform(-0.1, 0.9)), 6)
    margin = None if number % 7 == 3 else round(float(rng.normal(0.1, 0.15)), 6)
    gap = round(float(rng.uniform(0, 0.3)), 6) if len(classes) > 1 else None
    standing = Standing(raw, score, kept, margin, gap)
    limits = limits_of(classes, rule.scoring, rule.thresholds)
    return Candidate(
        id=number,
        label=label,
        reason=reason_of(standing, limits[label]),
        bbox=(x, y, x + width, y + height),
        area=width * height,
        quality=0.9,
        score=score,
        probability=0.5,
        score_before_suppression=raw,
        suppression_factor=kept,
        positive_similarity=round(raw + 0.3 * max(neg, 0), 6),
        negative_similarity=neg,
        shape_similarity=0.9 if number % 2 else None,
        context_similarity=None,
        margin=margin,
        class_margin=gap,
        nearest_positive=Evidence("positive/bolt/1.png", 0.9),
        nearest_negative=Evidence("negative/1.png", neg),
        suppressed_by=0 if kept < 1 else None,
        segmentation=rle.encode(mask),
        flags=("subcell",) if number == 2 else (),
    )


def record(name: str, classes: tuple[str, ...], rule: RunInfo, seed: int) -> ImageRecord:
    """A record of 40 candidates and one that is invalid."""
    rng = np.random.default_rng(seed)
    made = [candidate(i, classes, rule, rng) for i in range(40)]
    nothing = dict.fromkeys(
        (
            "score",
            "probability",
            "score_before_suppression",
            "positive_similarity",
            "negative_similarity",
            "shape_similarity",
            "context_similarity",
            "margin",
            "class_margin",
        )
    )
    empty = {"label": None, "reason": "invalid", "nearest_positive": None, "nearest_negative": None}
    plain = {name: getattr(made[0], name) for name in Candidate.__dataclass_fields__}
    made.append(Candidate(**{**plain, **nothing, **empty, "id": 40, "suppression_factor": 1.0}))
    made.sort(key=lambda item: (not item.accepted, -(item.score if item.score is not None else -9)))
    status = "ok" if made[0].accepted else "empty"
    said = {"levels": {label: 0.1 * i - 0.05 for i, label in enumerate(classes)}, "looked_at": 3}
    return ImageRecord(name, status, SIZE[1], SIZE[0], "ab" * 32, tuple(made), classes, rule, **said)


def write(folder: Path, item: ImageRecord, picture: bool = True) -> None:
    """The record's file, and a thumbnail."""
    path = folder / "records" / f"{item.image}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(item.to_bytes())
    if picture:
        path = folder / "thumbnails" / f"{item.image}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
        pixels = np.stack([x * 2, y * 2, 255 - x], axis=2).astype(np.uint8)
        path.write_bytes(render.encode_jpeg(pixels))


def make_output(folder: Path, classes: tuple[str, ...] = ("bolt", "nut"), count: int = 5) -> Path:
    """An output folder: some images, one that failed, one without a thumbnail, two exemplars."""
    rule = run(classes)
    for i in range(count):
        write(folder, record(f"deep/{i}.png", classes, rule, i), picture=i != 1)
    write(folder, failed("broken.png", ImageError("decode", "broken.png: cut short.")), picture=False)
    for name in ("positive/bolt/1.png", "negative/1.png"):
        path = folder / "exemplars" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = np.ones((20, 30), bool)
        path.write_bytes(render.exemplar_picture(np.full((20, 30, 3), 90, np.uint8), mask))
    return folder


def make_hostile(folder: Path) -> Path:
    """Records whose names are markup."""
    return _named(folder, HOSTILE_IMAGE, HOSTILE_CLASS, HOSTILE_EXEMPLAR)


def make_plain(folder: Path) -> Path:
    """The same records as ``make_hostile`` makes, with names that mean nothing."""
    return _named(folder, "image.png", "class", "positive/exemplar.png")


def _named(folder: Path, image: str, label: str, exemplar: str) -> Path:
    classes = (label, "nut")
    made = record(image, classes, run(classes), 3)
    near = Evidence(exemplar, 0.8)
    items = tuple(
        replace(item, nearest_positive=near, flags=(label,)) if item.label else item
        for item in made.candidates
    )
    write(folder, replace(made, candidates=items))
    error = ImageError(label, f"{image}: {exemplar}")
    write(folder, failed(f"z{image}", error), picture=False)
    return folder
