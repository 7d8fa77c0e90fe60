"""Annotation files of a small red picture, as labelling tools write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

WIDTH, HEIGHT = 40, 30


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), "red").save(path)
    return path


def shape(label: str, points: list[list[float]], kind: str = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None} | more


def labelme(path: Path, shapes: list[dict[str, Any]], **changes: Any) -> None:
    made = {"imageHeight": HEIGHT, "imageWidth": WIDTH, "imagePath": "x", "shapes": shapes}
    path.write_text(json.dumps(made | changes))


BOX = [[5.0, 6.0], [15.0, 20.0]]
SQUARE = [[5.0, 6.0], [15.0, 6.0], [15.0, 20.0], [5.0, 20.0]]
OTHER = [[20.0, 2.0], [30.0, 2.0], [30.0, 12.0], [20.0, 12.0]]


def dataset(folder: Path, annotations: list[dict[str, Any]]) -> Path:
    picture(folder / "images" / "a.png")
    made = {
        "images": [{"id": 7, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 3, "name": "bolt"}, {"id": 4, "name": "nut"}],
        "annotations": annotations,
    }
    path = folder / "coco.json"
    path.write_text(json.dumps(made))
    return path


def annotation(category: int = 3, **changes: Any) -> dict[str, Any]:
    return {"image_id": 7, "category_id": category, "bbox": [5, 6, 10, 14]} | changes
