"""Label Studio: tasks with predictions, and the labelling set-up they belong to."""

from __future__ import annotations

import json
import os
from typing import ClassVar
from urllib.parse import quote

from ..storage.values import JsonObject
from .job import Job
from .labelled import Detection, Labelled
from .markup import attribute

TASKS, SETUP = "labelstudio.json", "labelstudio.xml"
_POLYGON, _IMAGE, _KIND = "polygon", "image", "polygonlabels"
_URLS = ("http://", "https://", "/data/")


class LabelStudio:
    """``labelstudio.json`` and ``labelstudio.xml``.

    A detection is one polygon, whose holes and parts are joined by bridges of no width: two regions
    would be two annotations. Coordinates are percent of the image. A prediction's own score is its best
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
        regions = [self._region(image, item) for item in image.detections]
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
            "</View>\n"
        )
        return TASKS, SETUP

    def _region(self, image: Labelled, item: Detection) -> JsonObject:
        points = [[_percent(x, image.width), _percent(y, image.height)] for x, y in item.ring.tolist()]
        return {
            "id": f"{self._images}-{item.id}",
            "type": _KIND,
            "from_name": _POLYGON,
            "to_name": _IMAGE,
            "original_width": image.width,
            "original_height": image.height,
            "image_rotation": 0,
            "score": item.score,
            "value": {"points": points, "closed": True, _KIND: [item.label]},
        }


def address(root: str, name: str) -> str:
    """Where Label Studio finds an image. Names are quoted in URLs, not in keys of a storage."""
    link = "/" if root and not root.endswith(("/", "=")) else ""
    plain = not root.startswith(_URLS)
    return f"{root}{link}{name if plain else quote(os.fsencode(name))}"


def _percent(value: float, size: int) -> float:
    return round(min(max(100 * value / size, 0.0), 100.0), 6)
