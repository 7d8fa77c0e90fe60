"""Detections against annotated images: COCO figures, proposal recall, false alarms, best threshold.

Takes and gives plain values; pycocotools does the matching. A class can be judged on a part of the
images only, for sets that are annotated for one class here and for another there.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from ..annotations import Truth
from ..errors import UsageError
from ..masks.rle import Rle

FloatArray = npt.NDArray[np.float64]
MAX_DETECTIONS = 300
"""Detections an image that count, best first; COCO's 100 is too few for images full of cells."""
MATCH_IOU = 0.5
_CURVE = ("ap", "ap50", "ap75", "ar", "best_f1", "best_threshold")
_DECISION = ("precision", "recall", "f1")


@dataclass(frozen=True, slots=True)
class Found:
    """One candidate. box: xyxy in pixels, exclusive maximum; mask: COCO run-length encoding.

    accepted: whether it is a detection; the others only lengthen the precision-recall curve.
    """

    image_id: int
    label: str
    score: float
    box: tuple[float, float, float, float]
    mask: Rle | None = None
    accepted: bool = True


class Result(TypedDict, total=False):
    """A candidate as pycocotools takes it; it leaves ``accepted`` alone."""

    image_id: int
    category_id: int
    score: float
    bbox: list[float]
    accepted: bool
    segmentation: Rle


@dataclass(frozen=True, slots=True)
class Region:
    """One proposal of an image, as ``Found`` without a class."""

    quality: float
    box: tuple[float, float, float, float]
    mask: Rle | None = None


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Figures of one class; None where there is nothing to measure.

    Of all candidates: ap, mean over IoU 0.5 to 0.95; ar, mean recall over the same with at most 300 an
    image; best_f1 at best_threshold, the highest at IoU 0.5 that any score threshold gives, chosen with
    the labels. Of the accepted ones: precision, recall, f1 at IoU 0.5; false_per_absent, detections an
    image without the class.
    """

    label: str
    images: int
    instances: int
    ap: float | None
    ap50: float | None
    ap75: float | None
    ar: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    best_f1: float | None
    best_threshold: float | None
    false_per_absent: float | None


def evaluate(truth: Truth, found: Sequence[Found], iou: str = "bbox") -> list[ClassFigures]:
    """Figures of every class of the truth. Raises UsageError for a label that it does not have."""
    unknown = sorted({item.label for item in found} - set(truth.labels))
    if unknown:
        raise UsageError(f"the ground truth has no class {unknown[0]!r}.", "Rename the folder or it.")
    if iou == "segm":
        truth.require_masks()
    coco = truth.coco()
    results = as_results(found, truth, iou)
    return [_figures(truth, coco, label, results, iou) for label in truth.labels]


def mean(figures: Sequence[ClassFigures], name: str) -> float | None:
    """Mean of one figure over the classes that have it."""
    values = [getattr(item, name) for item in figures if getattr(item, name) is not None]
    return float(np.mean(values)) if values else None


def proposal_recall(
    truth: Truth,
    regions: Mapping[int, Sequence[Region]],
    ious: Sequence[float] = (0.5, 0.75),
    limit: int = 300,
) -> dict[float, float | None]:
    """Share of the annotated objects (boxes) with a proposal of at least each IoU, mean over classes;
    None where there is no object.

    regions: proposals by image id, best first; the first ``limit`` count. Crowds do not.
    """
    from pycocotools import mask as coco

    shares = []
    annotated = truth.coco()
    for label in truth.labels:
        best = []
        for image_id in truth.image_ids[label]:
            ids = annotated.getAnnIds(imgIds=[image_id], catIds=[truth.category(label)], iscrowd=0)
            boxes = [item["bbox"] for item in annotated.loadAnns(ids)]
            given = [_xywh(item.box) for item in regions.get(image_id, ())[:limit]]
            if boxes and given:
                overlap = coco.iou(np.asarray(given, float), np.asarray(boxes, float), [0] * len(boxes))
                best += np.asarray(overlap).max(axis=0).tolist()
            else:
                best += [0.0] * len(boxes)
        if best:
            shares.append([float(np.mean(np.asarray(best) >= level)) for level in ious])
    if not shares:
        return dict.fromkeys(ious)
    means = np.mean(shares, axis=0)
    return {level: float(value) for level, value in zip(ious, means, strict=True)}


def as_results(found: Sequence[Found], truth: Truth, iou: str) -> list[Result]:
    """Candidates as pycocotools takes them. Raises UsageError for ``segm`` where one has no mask."""
    return [_result(item, truth, iou) for item in found]


def _figures(truth: Truth, coco: Any, label: str, results: list[Result], iou: str) -> ClassFigures:
    images = truth.image_ids[label]
    category = truth.category(label)
    chosen = set(images)
    own = [item for item in results if item["category_id"] == category and item["image_id"] in chosen]
    accepted = [item for item in own if item["accepted"]]
    ids = coco.getAnnIds(imgIds=images, catIds=[category], iscrowd=False)
    with_class = {item["image_id"] for item in coco.loadAnns(ids)}
    absent = [number for number in images if number not in with_class]
    alarms = sum(item["image_id"] not in with_class for item in accepted)
    values: dict[str, float | None] = dict.fromkeys(_CURVE + _DECISION)
    if ids:
        values |= _curve(coco, own, images, category, iou)
        values |= _decision(coco, accepted, images, category, iou)
    values["false_per_absent"] = alarms / len(absent) if absent else None
    return ClassFigures(label=label, images=len(images), instances=len(ids), **values)


def _curve(
    coco: Any, own: list[Result], images: list[int], category: int, iou: str
) -> dict[str, float | None]:
    """Figures of all candidates of a class that is there."""
    if not own:
        return dict.fromkeys(_CURVE, 0.0) | {"best_threshold": None}
    judge = _judge(coco, own, images, category, iou)
    with redirect_stdout(io.StringIO()):
        judge.accumulate()
    curve = judge.eval["precision"][:, :, 0, 0, 0]
    levels = judge.params.iouThrs
    right, scores, wanted = _matches(judge)
    hits = np.cumsum(right[np.argsort(-scores, kind="stable")])
    best, threshold = _best_f1(hits, np.sort(scores)[::-1], wanted)
    return {
        "ap": float(curve.mean()),
        "ap50": float(curve[np.isclose(levels, 0.5)].mean()),
        "ap75": float(curve[np.isclose(levels, 0.75)].mean()),
        "ar": float(judge.eval["recall"][:, 0, 0, 0].mean()),
        "best_f1": best,
        "best_threshold": threshold,
    }


def _decision(
    coco: Any, accepted: list[Result], images: list[int], category: int, iou: str
) -> dict[str, float | None]:
    """Figures of the accepted candidates of a class that is there."""
    if not accepted:
        return {"precision": None, "recall": 0.0, "f1": 0.0}
    right, _, wanted = _matches(_judge(coco, accepted, images, category, iou))
    hits = int(right.sum())
    return {
        "precision": hits / len(right) if len(right) else None,
        "recall": hits / wanted,
        "f1": 2 * hits / (len(right) + wanted),
    }


def _judge(coco: Any, own: list[Result], images: list[int], category: int, iou: str) -> Any:
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(io.StringIO()):
        judge = COCOeval(coco, coco.loadRes([dict(item) for item in own]), iou)
        judge.params.imgIds = images
        judge.params.catIds = [category]
        judge.params.areaRng = [[0, 1e10]]
        judge.params.areaRngLbl = ["all"]
        judge.params.maxDets = [MAX_DETECTIONS]
        judge.evaluate()
    return judge


def _matches(judge: Any) -> tuple[npt.NDArray[np.bool_], FloatArray, int]:
    """Right or wrong and score of every detection that counts at IoU 0.5, and the objects there are."""
    level = int(np.argmin(np.abs(judge.params.iouThrs - MATCH_IOU)))
    right, scores, wanted = [], [], 0
    for item in judge.evalImgs:
        if item is None:
            continue
        counts = ~item["dtIgnore"][level].astype(bool)
        right.append((item["dtMatches"][level] > 0)[counts])
        scores.append(np.asarray(item["dtScores"], float)[counts])
        wanted += int((np.asarray(item["gtIgnore"]) == 0).sum())
    return np.concatenate(right), np.concatenate(scores), wanted


def _best_f1(hits: npt.NDArray[Any], scores: FloatArray, wanted: int) -> tuple[float, float | None]:
    """The best F1 over score thresholds, and that threshold."""
    if not len(hits):
        return 0.0, None
    values = 2 * hits / (np.arange(1, len(hits) + 1) + wanted)
    last = np.r_[scores[1:] < scores[:-1], True]  # a threshold takes equal scores together
    at = int(np.argmax(np.where(last, values, -1)))
    return float(values[at]), float(scores[at])


def _result(item: Found, truth: Truth, iou: str) -> Result:
    made: Result = {
        "image_id": item.image_id,
        "category_id": truth.category(item.label),
        "score": item.score,
        "bbox": _xywh(item.box),
        "accepted": item.accepted,
    }
    if iou == "segm":
        if item.mask is None:
            raise UsageError("a detection has no mask, so masks cannot be evaluated.")
        made["segmentation"] = item.mask
    return made


def _xywh(box: Sequence[float]) -> list[float]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]
