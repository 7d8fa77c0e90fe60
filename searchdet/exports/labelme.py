"""LabelMe, which X-AnyLabeling reads too: one JSON file an image, to lie beside it."""

from __future__ import annotations

import base64
import io
from pathlib import PurePosixPath
from typing import ClassVar

from ..storage import files
from ..storage.values import JsonObject
from .job import Job, Mirror, copy_image
from .labelled import Detection, Labelled

FOLDER = "labelme"
VERSION = "6.3.1"
"""The LabelMe whose files these are."""


class LabelMe:
    """``labelme/<image>.json``: polygons, and a bitmap for a mask with holes; with --polygons this is a
    polygon too, its holes cut out through slits, as X-AnyLabeling knows no bitmaps. The parts of a
    mask share a group_id. Scores are in a key of their own, which editors keep."""

    uses: ClassVar[tuple[str, ...]] = ("--images", "--polygons")
    mirrors: ClassVar[bool] = True

    def __init__(self, job: Job) -> None:
        self._job = job
        self._mirror = Mirror(job, FOLDER, ".json")

    def add(self, image: Labelled) -> None:
        path = self._mirror.path(image.name)
        shapes: list[JsonObject] = []
        group = 0
        for item in image.detections:
            group += len(item.parts) > 1
            shapes += self._shapes(item, group if len(item.parts) > 1 else None)
        copy_image(self._job, image, f"{FOLDER}/{image.name}")
        value: JsonObject = {
            "version": VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": PurePosixPath(image.name).name,
            "imageData": None,
            "imageHeight": image.height,
            "imageWidth": image.width,
        }
        files.write_json(path, value)

    def finish(self) -> tuple[str, ...]:
        self._mirror.warn_of_others()
        return (f"{FOLDER}/",)

    def _shapes(self, item: Detection, group: int | None) -> list[JsonObject]:
        if not self._job.options.polygons and any(part.holes for part in item.parts):
            return [_shape(item, None, "mask", *_bitmap(item))]
        rings = [part.ring.round(4).tolist() for part in item.parts]
        return [_shape(item, group, "polygon", ring, None) for ring in rings]


def _shape(
    item: Detection, group: int | None, kind: str, points: list[list[float]], mask: str | None
) -> JsonObject:
    chance = "" if item.probability is None else f"probability {item.probability:.3f}"
    return {
        "label": item.label,
        "points": points,
        "group_id": group,
        "description": chance,
        "shape_type": kind,
        "flags": {},
        "mask": mask,
        "score": item.score,
    }


def _bitmap(item: Detection) -> tuple[list[list[float]], str]:
    """First and last pixel of the mask's box, and the mask in it as base64 PNG."""
    from PIL import Image

    mask, (y, x) = item.window
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    last = [x + mask.shape[1] - 1, y + mask.shape[0] - 1]
    return [[x, y], last], base64.b64encode(buffer.getvalue()).decode("ascii")
