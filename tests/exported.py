"""Records for the tests of exports, and what their files give when they are read by others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco
from runs import models, run_info
from scipy import ndimage

from searchdet.config import ScoringOptions
from searchdet.exports import FORMATS, Options, Summary, write
from searchdet.masks import rle
from searchdet.output.folder import read_records
from searchdet.records.candidate import Candidate
from searchdet.records.record import ImageRecord

Labelled = tuple[str, np.ndarray, float]
ALL = tuple(FORMATS)


def candidate(number: int, label: str, mask: np.ndarray, score: float, reason: str) -> Candidate:
    code = rle.encode(mask)
    y, x = np.nonzero(mask)
    return Candidate(
        id=number,
        label=label,
        reason=reason,
        bbox=(float(x.min()), float(y.min()), float(x.max()) + 1, float(y.max()) + 1),
        area=int(mask.sum()),
        quality=0.9,
        score=score,
        probability=max(0.0, min(1.0, score)),
        score_before_suppression=score,
        suppression_factor=0.0 if reason == "suppressed" else 1.0,
        positive_similarity=score,
        negative_similarity=None,
        shape_similarity=None,
        context_similarity=None,
        margin=None,
        class_margin=None,
        nearest_positive=None,
        nearest_negative=None,
        suppressed_by=None,
        segmentation=code,
    )


def record(
    name: str,
    found: Sequence[Labelled] = (),
    rejected: Sequence[tuple[str, np.ndarray, float, str]] = (),
    size: tuple[int, int] = (40, 60),
    classes: Sequence[str] | None = None,
    sha256: str | None = None,
) -> ImageRecord:
    """A record with detections and rejected candidates; size (H, W) where there are none of either.
    sha256: of the content; by default each name has its own."""
    sha256 = (
        hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest() if sha256 is None else sha256
    )
    items = [(*item, "accepted") for item in found] + list(rejected)
    names = tuple(sorted({item[0] for item in items} | set(classes or ())))
    if items:
        size = items[0][1].shape
    run = run_info(names, scoring=ScoringOptions(), made_by=models("resnet101", "sam"))
    made = tuple(candidate(i, *item) for i, item in enumerate(items))
    status = "ok" if found else "empty"
    levels = dict.fromkeys(names, 0.25)
    return ImageRecord(name, status, size[1], size[0], sha256, made, names, run, levels=levels)


def save(folder: Path, *records: ImageRecord) -> Path:
    """An output folder of `detect`."""
    for number, item in enumerate(records):
        safe = item.image if ".." not in item.image and item.image[0] != "/" else f"odd{number}"
        path = folder / "records" / f"{safe}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(item.to_bytes())
    return folder


def export(
    folder: Path, formats: Sequence[str] = ALL, target: Path | None = None, **options: Any
) -> Summary:
    chosen = Options(tuple(formats), **options)
    found = read_records(folder, rejected=chosen.limits.given)
    return write(target or folder, found, chosen)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda word: 1 / 0)


def blob(
    seed: int, size: tuple[int, int] = (48, 64), grain: float = 4.0, share: float = 0.3
) -> np.ndarray:
    """A mask with parts and holes; a small grain gives noise."""
    field = np.random.default_rng(seed).normal(size=size)
    field = ndimage.gaussian_filter(field, grain) if grain else field
    return field > np.quantile(field, 1 - share)


def ring(size: tuple[int, int] = (40, 60)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[5:25, 10:40] = True
    mask[10:18, 18:30] = False
    return mask


def square(size: tuple[int, int] = (40, 60), y: int = 5, x: int = 8, side: int = 12) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def drawn(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> np.ndarray:
    """The union of polygons x0, y0, x1, ... as pycocotools draws it."""
    codes = coco.frPyObjects([list(map(float, ring)) for ring in polygons], *size)
    return coco.decode(coco.merge(codes)).astype(bool)


def iou(one: np.ndarray, two: np.ndarray) -> float:
    return float((one & two).sum() / max(1, (one | two).sum()))
