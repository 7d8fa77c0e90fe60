"""An exporter of one's own: one class, and one entry in ``FORMATS``.

python examples/own_exporter.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

from pictures import make

from searchdet import Detector, exports
from searchdet.exports.job import Job
from searchdet.exports.labelled import Labelled


class Boxes:
    """``boxes.txt``: a line a detection; pixels, the maximum exclusive."""

    uses: ClassVar[tuple[str, ...]] = ()
    mirrors: ClassVar[bool] = False

    def __init__(self, job: Job) -> None:
        self._out = job.stream("boxes.txt")

    def add(self, image: Labelled) -> None:
        for item in image.detections:
            box = " ".join(f"{value:g}" for value in item.box)
            self._out.write(f"{image.name} {box} {item.score:.3f} {item.label}\n")

    def finish(self) -> tuple[str, ...]:
        return ("boxes.txt",)


def main(folder: Path) -> None:
    exports.FORMATS["boxes"] = Boxes
    photo = make(folder)
    detector = Detector.from_folders(folder / "positive", folder / "negative", proposals="regions")
    records = [detector.detect(photo)]
    done = exports.write(folder / "dataset", records, exports.Options(("boxes", "csv")))
    print(f"{', '.join(done.written)}: {done.detections} detections")
    print((folder / "dataset" / "boxes.txt").read_text(), end="")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(scratch))
