"""Pascal VOC: one XML file an image, boxes only."""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import ClassVar

from ..errors import UsageError
from ..storage import files
from .job import Job, Mirror
from .labelled import Detection, Labelled
from .markup import text

FOLDER = "voc"


class Voc:
    """``voc/Annotations/<image>.xml`` and the list ``voc/ImageSets/Main/<split>.txt``.

    Boxes count pixels from 1 and include the last one, as VOC does. Scores are in an element of their
    own, which readers of VOC pass over.
    """

    uses: ClassVar[tuple[str, ...]] = ()
    mirrors: ClassVar[bool] = True

    def __init__(self, job: Job) -> None:
        self._mirror = Mirror(job, f"{FOLDER}/Annotations", ".xml")
        self._list = job.stream(f"{FOLDER}/ImageSets/Main/{job.options.split}.txt")

    def add(self, image: Labelled) -> None:
        if len(image.name.splitlines()) > 1:
            raise UsageError(
                f"{image.name!r} has a line break, which a list of VOC cannot hold.",
                "Rename the image, or leave out voc.",
            )
        files.write_bytes(self._mirror.path(image.name), _annotation(image).encode())
        self._list.write(f"{PurePosixPath(image.name).with_suffix('')}\n")

    def finish(self) -> tuple[str, ...]:
        self._mirror.warn_of_others()
        return (f"{FOLDER}/",)


def _annotation(image: Labelled) -> str:
    path = PurePosixPath(image.name)
    return (
        f"<annotation>\n <folder>{text(path.parent.as_posix())}</folder>\n"
        f" <filename>{text(path.name)}</filename>\n"
        f" <size><width>{image.width}</width><height>{image.height}</height><depth>3</depth></size>\n"
        " <segmented>0</segmented>\n"
        f"{''.join(_object(item) for item in image.detections)}</annotation>\n"
    )


def _object(item: Detection) -> str:
    x0, y0, x1, y1 = item.box
    return (
        f" <object>\n  <name>{text(item.label)}</name>\n  <pose>Unspecified</pose>\n"
        "  <truncated>0</truncated>\n  <difficult>0</difficult>\n"
        f"  <score>{item.score}</score>\n"
        f"  <bndbox><xmin>{math.floor(x0) + 1}</xmin><ymin>{math.floor(y0) + 1}</ymin>"
        f"<xmax>{math.ceil(x1)}</xmax><ymax>{math.ceil(y1)}</ymax></bndbox>\n </object>\n"
    )
