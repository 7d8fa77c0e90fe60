"""Label Studio: tasks with predictions, and the labelling set-up they belong to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import quote

from ..storage.values import JsonObject, JsonValue
from .job import Job
from .labelled import Detection, Labelled
from .markup import attribute

TASKS, SETUP = "labelstudio.json", "labelstudio.xml"
_POLYGON, _BOX, _IMAGE = "polygon", "box", "image"
_URLS = ("http://", "https://", "/data/")


class LabelStudio:
    """``labelstudio.json`` and ``labelstudio.xml``.

    A mask is a polygon, with its holes cut out through slits; a mask of several parts is a box that
    holds a polygon for each. Coordinates are percent of the image. A prediction's own score is its best
    one, cut to 0..1 as Label Studio refuses others; each region keeps its score.
    """

    uses: ClassVar[tuple[str, ...]] = ("--image-root",)
    mirrors: ClassVar[bool] = False

    def __init__(self, job: Job) -> None:
        self._job = job
        self._tasks, self._setup = job.stream(TASKS), job.stream(SETUP)
        self._tasks.write("[")
        self._images = 0

    def add(self, image: Labelled) -> None:
        self._tasks.write("\n" if self._images == 0 else ",\n")
        self._images += 1
        regions = [region for item in image.detections for region in self._regions(image, item)]
        best = max((item.score for item in image.detections), default=0.0)
        found = {"model_version": image.model, "score": min(max(best, 0.0), 1.0), "result": regions}
        task = {
            "data": {"image": address(self._job.options.image_root, image.name)},
            "predictions": [found] if regions else [],
        }
        self._tasks.write(json.dumps(task, allow_nan=False))

    def finish(self) -> tuple[str, ...]:
        self._tasks.write("\n]\n")
        labels = "".join(f"  <Label value={attribute(n)}/>\n" for n in self._job.classes.names)
        self._setup.write(
            f'<View>\n <Image name="{_IMAGE}" value="$image"/>\n'
            f' <PolygonLabels name="{_POLYGON}" toName="{_IMAGE}">\n{labels} </PolygonLabels>\n'
            f' <RectangleLabels name="{_BOX}" toName="{_IMAGE}">\n{labels} </RectangleLabels>\n'
            "</View>\n"
        )
        return TASKS, SETUP

    def _regions(self, image: Labelled, item: Detection) -> Iterator[JsonObject]:
        own = f"{self._images}-{item.id}"
        parent = {}
        if len(item.parts) > 1:
            x, y, w, h = item.xywh
            box = {
                "x": _percent(x, image.width),
                "y": _percent(y, image.height),
                "width": _percent(w, image.width),
                "height": _percent(h, image.height),
                "rotation": 0,
            }
            yield _region(image, item, own, box, "rectanglelabels")
            parent = {"parentID": own}
        for number, part in enumerate(item.parts):
            points = [
                [_percent(x, image.width), _percent(y, image.height)] for x, y in part.ring.tolist()
            ]
            value: JsonObject = {"points": points, "closed": True}
            name = f"{own}-{number}" if parent else own
            yield _region(image, item, name, value, "polygonlabels") | parent


def address(root: str, name: str) -> str:
    """Where Label Studio finds an image. Names are quoted in URLs, not in keys of a storage."""
    link = "/" if root and not root.endswith(("/", "=")) else ""
    plain = not root.startswith(_URLS)
    return f"{root}{link}{name if plain else quote(os.fsencode(name))}"


def _region(
    image: Labelled, item: Detection, own: str, value: JsonObject, kind: str
) -> dict[str, JsonValue]:
    return {
        "id": own,
        "type": kind,
        "from_name": _POLYGON if kind == "polygonlabels" else _BOX,
        "to_name": _IMAGE,
        "original_width": image.width,
        "original_height": image.height,
        "image_rotation": 0,
        "score": item.score,
        "value": {**value, kind: [item.label]},
    }


def _percent(value: float, size: int) -> float:
    return round(min(max(100 * value / size, 0.0), 100.0), 5)
