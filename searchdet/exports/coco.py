"""COCO: a whole dataset with scores, and the list of results that evaluators take."""

from __future__ import annotations

import json
import logging
from json.encoder import encode_basestring_ascii
from posixpath import splitext
from typing import Any, ClassVar

from ..storage.files import Stream, collision_key
from .ids import Counted, Given, Ids
from .job import Job
from .labelled import Detection, Labelled

log = logging.getLogger(__name__)
DATASET, RESULTS = "coco.json", "coco_results.json"
_HEAD = '{"info": {"description": "Detections of searchdet"}, "licenses": [], "annotations": ['


class Coco:
    """``coco.json`` and ``coco_results.json``.

    Boxes are x, y, width, height; segmentation is compressed RLE with text counts, or polygons; iscrowd
    is 0, as evaluators leave crowds out; ids start at 1, or are those of the file of ``--ids-from``.
    """

    uses: ClassVar[tuple[str, ...]] = ("--polygons", "--ids-from")
    mirrors: ClassVar[bool] = False

    def __init__(self, job: Job) -> None:
        self._job = job
        given = job.options.ids_from
        self._ids: Ids = Counted(job.classes) if given is None else Given(given, job.classes)
        self._dataset, self._results = job.stream(DATASET), job.stream(RESULTS)
        self._dataset.write(_HEAD)
        self._results.write("[")
        self._images: list[str] = []
        self._found = self._left_out = 0
        self._stems: set[int] = set()
        self._alike: list[str] = []

    def add(self, image: Labelled) -> None:
        place = self._ids.image(image)
        if place is None:
            self._left_out += len(image.detections)
            return
        number, name, image = place
        self._note_stem(name)
        about = {"id": number, "file_name": name, "width": image.width, "height": image.height}
        self._images.append(_line(about))
        results, own = [], []
        for item in image.detections:
            category = self._ids.category(item.label)
            if category is None:
                self._left_out += 1
                continue
            lead = "\n" if self._found == 0 else ",\n"
            self._found += 1
            result = self._result(item, number, category)
            results.append(f"{lead}{{{result}}}")
            own.append(f'{lead}{{"id": {self._found}, {result}, "area": {item.area}, "iscrowd": 0}}')
        self._results.write("".join(results))
        self._dataset.write("".join(own))

    def finish(self) -> tuple[str, ...]:
        self._ids.finish(self._left_out)
        self._warn_of_stems()
        self._results.write("\n]\n")
        self._dataset.write('\n],\n"images": [')
        _list(self._dataset, self._images)
        self._dataset.write('],\n"categories": [')
        _list(self._dataset, [_line(item) for item in self._ids.categories()])
        self._dataset.write("]}\n")
        return DATASET, RESULTS

    def _note_stem(self, name: str) -> None:
        """Hashes alone, as names are many."""
        stem = hash(_stem(name))
        if stem in self._stems:
            self._alike.append(name)
        self._stems.add(stem)

    def _warn_of_stems(self) -> None:
        """CVAT and datumaro know an image by its name without the suffix."""
        if self._alike:
            names = (str(json.loads(line)["file_name"]) for line in self._images)
            other = next(name for name in names if _stem(name) == _stem(self._alike[0]))
            log.warning(
                "%s: %d images differ from another in their suffix alone (%s and %s, ...). CVAT and "
                "datumaro take such images for one: rename one of each, and run `detect` again.",
                self._job.folder / DATASET,
                len(self._alike),
                other,
                self._alike[0],
            )

    def _result(self, item: Detection, image: int, category: int) -> str:
        """A result as the inside of a JSON object. Finite numbers look the same in JSON and Python; an
        encoder of objects would take most of the time of an export."""
        if self._job.options.polygons:
            shape = _line([[round(v, 4) for v in part.ring.ravel().tolist()] for part in item.parts])
        else:
            size, counts = item.segmentation["size"], item.segmentation["counts"]
            shape = f'{{"size": [{size[0]}, {size[1]}], "counts": {encode_basestring_ascii(counts)}}}'
        x, y, w, h = item.xywh
        return (
            f'"image_id": {image}, "category_id": {category}, '
            f'"bbox": [{x!r}, {y!r}, {w!r}, {h!r}], "score": {item.score!r}, "segmentation": {shape}'
        )


def _stem(name: str) -> str:
    return collision_key(splitext(name)[0])


def _line(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _list(stream: Stream, lines: list[str]) -> None:
    for number, line in enumerate(lines):
        stream.write(("\n" if number == 0 else ",\n") + line)
    stream.write("\n")
