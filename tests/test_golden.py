"""What small drawn pictures gave when the figures were last looked at; in ``golden.json``.

A change of models or of the decision shows here. Where it is meant, look at the pictures and then write
the file again: ``python tests/test_golden.py``.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from places import QUICK, TINY_SAM
from worlds import make_world

from searchdet.detector import Detector

pytestmark = pytest.mark.model

FILE = Path(__file__).with_name("golden.json")
KINDS: dict[str, dict[str, Any]] = {
    "regions": {"proposals": "regions"},
    "sam": {
        "sam_checkpoint": TINY_SAM,
        "points_per_side": 8,
        "pred_iou_thresh": 0.7,
        "stability_score_thresh": 0.8,
    },
}


def found(root: Path, kind: str) -> dict[str, list[Any]]:
    """Detections of each picture: class, box, score."""
    folders = (root / "in/positive", root / "in/negative")
    detector = Detector.from_folders(*folders, backbone=QUICK, precision="fp32", **KINDS[kind])
    images = sorted((root / "in/images").rglob("*.png"))
    return {
        path.relative_to(root).as_posix(): [
            [item.label, list(item.bbox), round(item.score or 0, 4)]
            for item in detector.detect(path).detections
        ]
        for path in images
    }


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_found_is_what_was_found(world: Path, kind: str) -> None:
    wanted = json.loads(FILE.read_text())[kind]
    got = found(world, kind)
    assert got.keys() == wanted.keys()
    assert any(wanted.values())
    for name, items in got.items():
        assert [item[0] for item in items] == [item[0] for item in wanted[name]]
        for item, known in zip(items, wanted[name], strict=True):
            assert item[1] == pytest.approx(known[1], abs=1)
            assert item[2] == pytest.approx(known[2], abs=2e-3)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    with tempfile.TemporaryDirectory() as folder:
        make_world(Path(folder) / "in")
        values = {kind: found(Path(folder), kind) for kind in sorted(KINDS)}
    FILE.write_text(json.dumps(values, indent=1) + "\n")
