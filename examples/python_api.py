"""The detector from Python: example folders in, detections out.

python examples/python_api.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from pictures import make

from searchdet import Detector


def main(folder: Path) -> None:
    photo = make(folder)
    detector = Detector.from_folders(folder / "positive", folder / "negative", proposals="regions")
    record = detector.detect(photo)
    print(f"{len(record.detections)} detections, {len(record.rejected)} rejected candidates")
    for item in record.detections:
        x0, y0, x1, y1 = item.bbox
        print(f"{item.label} {item.score:.3f} at x {x0:g} to {x1:g}, y {y0:g} to {y1:g}")
    best = record.rejected[0]
    print(f"the best of the rest: score {best.score:.3f}, rejected by {best.reason}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(scratch))
