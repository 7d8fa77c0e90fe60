"""COCO dataset file from record files: images, annotations with scores, categories. No model needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def dataset(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A COCO dataset of the accepted detections.

    records: JSON values of record files, in the order of the images. Boxes are x, y, width, height;
    segmentation is compressed RLE with text counts; iscrowd is 0; ids start at 1. Failed images are
    left out.
    """
    usable = [record for record in records if record["status"] != "failed"]
    names = sorted({name for record in usable for name in record["classes"]})
    category = {name: number for number, name in enumerate(names, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, record in enumerate(usable, start=1):
        images.append(
            {
                "id": image_id,
                "file_name": record["image"],
                "width": record["width"],
                "height": record["height"],
            }
        )
        for item in record["detections"]:
            x0, y0, x1, y1 = item["bbox"]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category[item["label"]],
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": item["area"],
                    "iscrowd": 0,
                    "score": item["score"],
                    "segmentation": item["segmentation"],
                }
            )
    categories = [{"id": number, "name": name} for name, number in category.items()]
    return {"images": images, "annotations": annotations, "categories": categories}
