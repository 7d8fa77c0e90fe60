"""Records and a ground truth to be spoiled."""

from __future__ import annotations

from typing import Any

import reports
from annotated import annotation

from searchdet.annotations.coco import Truth
from searchdet.records import ImageRecord


def ref_truth(segmentation: Any) -> Truth:
    return Truth(
        {
            "images": [{"id": 7, "file_name": "1.png", "width": 120, "height": 90}],
            "categories": [{"id": 3, "name": "bolt"}],
            "annotations": [annotation(segmentation=segmentation)],
        }
    )


def judged(name: str) -> ImageRecord:
    classes = ("bolt",)
    return reports.record(name, classes, reports.run(classes), 1)
