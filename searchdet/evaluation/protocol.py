"""AP as public benchmarks print it: by size of the object, with a limit of detections an image, and
with the images that LVIS annotates a class on. pycocotools does the matching."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..annotations import Truth
from ..storage.values import JsonObject
from .metrics import Found, as_results

SIZES = {"": (0, 1e10), "s": (0, 32**2), "m": (32**2, 96**2), "l": (96**2, 1e10)}
"""COCO's small, medium and large objects: areas in pixels of the image, ends included."""
FALSE = "false/absent"


@dataclass(frozen=True, slots=True)
class Federated:
    """What LVIS says of images (Gupta et al. 2019), by class: ``absent``, images on which it is known
    not to be; ``partly``, images on which not all of it is annotated, so that what hits nothing is
    neither right nor wrong. On an image that is in neither and shows none of it, it is not judged."""

    absent: Mapping[str, frozenset[int]] = field(default_factory=dict)
    partly: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Plain JSON values."""
        parts = {"absent": self.absent, "partly": self.partly}
        return {
            name: {label: sorted(images) for label, images in part.items()}
            for name, part in parts.items()
        }


def strongest(found: Iterable[Found], limit: int) -> list[Found]:
    """The ``limit`` detections of an image with the highest scores, over all classes; ties as given."""
    return sorted(found, key=lambda item: -item.score)[:limit]


def average_precision(
    truth: Truth,
    found: Sequence[Found],
    iou: str = "bbox",
    limit: int = 100,
    federated: Federated | None = None,
) -> dict[str, dict[str, float | None]]:
    """By class AP (mean over IoU 0.5 to 0.95), AP50, AP75, APs, APm and APl; None where there is no
    object of it. The mean over classes is what COCO, and with ``federated`` LVIS, calls by that name.

    found: all that count; limit: most detections an image and class. iou: bbox or segm.
    """
    judged = found if federated is None else [f for f in found if _is_judged(f, truth, federated)]
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    if not judged:
        there = _present(truth)
        return {c: dict.fromkeys(names, 0.0 if there[c] else None) for c in truth.labels}
    judge = _judge(truth, as_results(judged, truth, iou), iou, limit, federated)
    curves, levels = judge.eval["precision"], judge.params.iouThrs
    made: dict[str, dict[str, float | None]] = {}
    labels = {truth.category(label): label for label in truth.labels}
    for k, number in enumerate(judge.params.catIds):
        every = {name: _mean(curves[:, :, k, a, 0]) for a, name in enumerate(SIZES)}
        at = {f"{level:.2f}": _mean(curves[t, :, k, 0, 0]) for t, level in enumerate(levels)}
        values = (every[""], at["0.50"], at["0.75"], every["s"], every["m"], every["l"])
        made[labels[number]] = dict(zip(names, values, strict=True))
    return {label: made[label] for label in truth.labels}


def false_per_absent(
    truth: Truth, accepted: Iterable[Found], federated: Federated | None = None
) -> dict[str, float | None]:
    """By class: detections an image on which the class is known not to be; None without such images."""
    absent = _absent(truth, federated)
    alarms = Counter(item.label for item in accepted if item.image_id in absent[item.label])
    return {
        label: alarms[label] / len(absent[label]) if absent[label] else None for label in truth.labels
    }


def _absent(truth: Truth, federated: Federated | None) -> dict[str, frozenset[int]]:
    every = frozenset(truth.names)
    if federated is not None:
        return {label: federated.absent.get(label, frozenset()) & every for label in truth.labels}
    return {label: every - truth.showing(label) for label in truth.labels}


def _present(truth: Truth) -> Counter[str]:
    labels = {truth.category(label): label for label in truth.labels}
    return Counter(labels[a["category_id"]] for a in truth.annotations() if not a["iscrowd"])


def _is_judged(item: Found, truth: Truth, federated: Federated) -> bool:
    return item.image_id in federated.absent.get(item.label, ()) or item.image_id in truth.showing(
        item.label
    )


def _judge(truth: Truth, results: list[Any], iou: str, limit: int, federated: Federated | None) -> Any:
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(io.StringIO()):
        coco = truth.coco(stated=True)
        judge = COCOeval(coco, coco.loadRes([dict(item) for item in results]), iou)
        judge.params.areaRng = [list(bounds) for bounds in SIZES.values()]
        judge.params.areaRngLbl = list(SIZES)
        judge.params.maxDets = [limit]
        judge.evaluate()
        if federated is not None:
            _forgive(judge, truth, federated)
        judge.accumulate()
    return judge


def _forgive(judge: Any, truth: Truth, federated: Federated) -> None:
    """What hits nothing where a class is annotated in part is ignored."""
    partly = {truth.category(label): images for label, images in federated.partly.items()}
    for item in judge.evalImgs:
        if item is not None and item["image_id"] in partly.get(item["category_id"], ()):
            item["dtIgnore"] = np.logical_or(item["dtIgnore"], item["dtMatches"] == 0)


def _mean(curve: Any) -> float | None:
    """Mean precision; None where there is no object, which pycocotools writes as -1."""
    known = curve[curve > -1]
    return float(known.mean()) if known.size else None
