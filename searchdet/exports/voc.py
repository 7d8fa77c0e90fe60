"""Pascal VOC: one XML file an image, boxes only."""

from __future__ import annotations

import logging
import math
from pathlib import Path, PurePosixPath
from typing import ClassVar

from ..errors import UsageError
from ..storage import files
from .job import Job, Mirror, copy_image
from .labelled import Detection, Labelled
from .markup import text

log = logging.getLogger(__name__)
FOLDER, LABELS = "voc", "labelmap.txt"
_HEAD = "# label:color_rgb:parts:actions\nbackground:0,0,0::\n"


class Voc:
    """``voc/Annotations/<image>.xml``, the list ``voc/ImageSets/Main/<split>.txt``, the classes in
    ``voc/labelmap.txt`` and, with --images, ``voc/JPEGImages/<image>``.

    Boxes count pixels from 1 and include the last one, as VOC does. Scores are in an element of their
    own, which most readers pass over, and in the attribute ``score``, as CVAT writes attributes.
    """

    uses: ClassVar[tuple[str, ...]] = ("--images",)
    mirrors: ClassVar[bool] = True

    def __init__(self, job: Job) -> None:
        self._job = job
        self._mirror = Mirror(job, f"{FOLDER}/Annotations", ".xml")
        self._before = _listed(job.folder / FOLDER / LABELS)
        self._labels = job.stream(f"{FOLDER}/{LABELS}")
        self._list = job.stream(f"{FOLDER}/ImageSets/Main/{job.options.split}.txt")

    def add(self, image: Labelled) -> None:
        if len(image.name.splitlines()) > 1:
            raise UsageError(
                f"{image.name!r} has a line break, which a list of VOC cannot hold.",
                "Rename the image, or leave out voc.",
            )
        path = self._mirror.path(image.name)
        copy_image(self._job, image, f"{FOLDER}/JPEGImages/{image.name}")
        files.write_bytes(path, _annotation(image).encode())
        self._list.write(f"{PurePosixPath(image.name).with_suffix('')}\n")

    def finish(self) -> tuple[str, ...]:
        self._mirror.warn_of_others()
        self._labels.write(self._label_map())
        return (f"{FOLDER}/",)

    def _label_map(self) -> str:
        """CVAT's list of classes: name, colour, parts and actions between colons. Those of another
        subset stay."""
        names = tuple(dict.fromkeys((*self._before, *self._job.classes.names)))
        odd = [name for name in names if ":" in name or name != name.strip() or name[:1] in ("", "#")]
        odd += [name for name in names if len(name.splitlines()) > 1]
        if odd:
            log.warning(
                "%s: the classes %s cannot stand in it, as it has names between colons, one a line. "
                "Rename their folders of examples before CVAT is to read it.",
                self._job.folder / FOLDER / LABELS,
                ", ".join(repr(name) for name in dict.fromkeys(odd)),
            )
        lines = [f"{name}:{_colour(n)}::\n" for n, name in enumerate(names, 1) if name not in odd]
        return f"{_HEAD}{''.join(lines)}"


def _listed(path: Path) -> list[str]:
    """The classes of a list that an earlier export wrote."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if not text.startswith(_HEAD):
        return []
    return [line.partition(":")[0] for line in text.removeprefix(_HEAD).splitlines()]


def _colour(number: int) -> str:
    """The colour of a class in VOC: its bits, by turns, are the highest of red, green and blue."""
    parts = [0, 0, 0]
    for bit in range(24):
        parts[bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
    return ",".join(map(str, parts))


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
        f"  <attributes><attribute><name>score</name><value>{item.score}</value></attribute>"
        "</attributes>\n"
        f"  <bndbox><xmin>{math.floor(x0) + 1}</xmin><ymin>{math.floor(y0) + 1}</ymin>"
        f"<xmax>{math.ceil(x1)}</xmax><ymax>{math.ceil(y1)}</ymax></bndbox>\n </object>\n"
    )
