"""COCO: a whole dataset with scores, and the list of results that evaluators take."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import Any, ClassVar

from ..storage.files import Stream
from .job import Job
from .labelled import Detection, Labelled

DATASET, RESULTS = "coco.json", "coco_results.json"


class Coco:
    """``coco.json`` and ``coco_results.json``.

    Boxes are x, y, width, height; segmentation is compressed RLE with text counts, or polygons; iscrowd
    is 0, as evaluators leave crowds out; ids start at 1.
    """

    uses: ClassVar[tuple[str, ...]] = ("--polygons",)
    mirrors: ClassVar[bool] = False

    def __init__(self, job: Job) -> None:
        self._job = job
        self._dataset, self._results = job.stream(DATASET), job.stream(RESULTS)
        self._dataset.write('{"info": {"description": "Detections of searchdet"}, "annotations": [')
        self._results.write("[")
        self._images: list[str] = []
        self._found = 0

    def add(self, image: Labelled) -> None:
        number = len(self._images) + 1
        about = {"id": number, "file_name": image.name, "width": image.width, "height": image.height}
        self._images.append(_line(about))
        results, own = [], []
        for item in image.detections:
            lead = "\n" if self._found == 0 else ",\n"
            self._found += 1
            result = self._result(item, number)
            results.append(f"{lead}{{{result}}}")
            own.append(f'{lead}{{"id": {self._found}, {result}, "area": {item.area}, "iscrowd": 0}}')
        self._results.write("".join(results))
        self._dataset.write("".join(own))

    def finish(self) -> tuple[str, ...]:
        names = enumerate(self._job.classes.names, start=1)
        categories = [_line({"id": number, "name": name}) for number, name in names]
        self._results.write("\n]\n")
        self._dataset.write('\n],\n"images": [')
        _list(self._dataset, self._images)
        self._dataset.write('],\n"categories": [')
        _list(self._dataset, categories)
        self._dataset.write("]}\n")
        return DATASET, RESULTS

    def _result(self, item: Detection, image: int) -> str:
        """A result as the inside of a JSON object. Finite numbers look the same in JSON and Python; an
        encoder of objects would take most of the time of an export."""
        if self._job.options.polygons:
            shape = _line([[round(v, 4) for v in part.ring.ravel().tolist()] for part in item.parts])
        else:
            size, counts = item.segmentation["size"], item.segmentation["counts"]
            shape = f'{{"size": [{size[0]}, {size[1]}], "counts": {encode_basestring_ascii(counts)}}}'
        x, y, w, h = item.xywh
        return (
            f'"image_id": {image}, "category_id": {self._job.classes.number(item.label) + 1}, '
            f'"bbox": [{x!r}, {y!r}, {w!r}, {h!r}], "score": {item.score!r}, "segmentation": {shape}'
        )


def _line(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _list(stream: Stream, lines: list[str]) -> None:
    for number, line in enumerate(lines):
        stream.write(("\n" if number == 0 else ",\n") + line)
    stream.write("\n")
