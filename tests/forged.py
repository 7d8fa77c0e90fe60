"""Records and a ground truth to be spoiled."""

from __future__ import annotations

import json
from typing import Any

import reports
from annotated import annotation

from searchdet.annotations.coco import Truth


def ref_truth(segmentation: Any) -> Truth:
    return Truth(
        {
            "images": [{"id": 7, "file_name": "1.png", "width": 120, "height": 90}],
            "categories": [{"id": 3, "name": "bolt"}],
            "annotations": [annotation(segmentation=segmentation)],
        }
    )


def judged(name: str) -> dict[str, Any]:
    classes = ("bolt",)
    return json.loads(reports.record(name, classes, reports.run(classes), 1).to_bytes())
