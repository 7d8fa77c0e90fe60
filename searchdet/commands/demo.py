"""The demonstration: photographs that come with scikit-image, exemplars cut from the same picture.

The expected objects were measured by hand on the photographs: discs (x, y, radius) in pixels.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..batch import runner as batch
from ..config import Examples, ProposalOptions, ScoringOptions, Settings
from ..detector import Detector
from ..images import Scan, discover
from ..masks.rle import decode
from ..output import Output
from ..records import ImageRecord
from ..storage import files, kinds

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
Disc = tuple[int, int, int]
Box = tuple[int, int, int, int]

_COINS: tuple[Disc, ...] = (
    (335, 44, 29), (155, 51, 23), (215, 51, 23), (276, 52, 20), (44, 54, 21), (100, 56, 19),
    (271, 119, 25), (45, 124, 20), (205, 124, 20), (336, 125, 19), (102, 126, 19), (154, 127, 19),
    (347, 187, 32), (212, 193, 24), (274, 194, 22), (102, 196, 22), (44, 197, 19), (154, 198, 19),
    (46, 260, 28), (172, 261, 27), (301, 263, 25), (244, 263, 24), (114, 266, 21), (358, 268, 22),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    """One photograph: its class, the discs that are there, which of them are exemplars, negatives.

    negatives: boxes x0, y0, x1, y1 of the photograph that show what is not meant.
    """

    photograph: str
    label: str
    discs: tuple[Disc, ...]
    exemplars: tuple[int, ...]
    negatives: tuple[Box, ...]


SCENES: dict[str, Scene] = {
    "coins": Scene(
        "coins",
        "coin",
        _COINS,
        (2, 8, 13),
        ((0, 80, 60, 100), (120, 150, 330, 165), (180, 85, 250, 100), (0, 225, 380, 232)),
    ),
    "chelsea": Scene(
        "chelsea",
        "eye",
        ((171, 116, 32), (319, 137, 25)),
        (0,),
        ((200, 20, 280, 90), (100, 200, 200, 280), (380, 100, 450, 200), (210, 220, 270, 270)),
    ),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scene expected and what was found at IoU 0.5; seconds from start to written files."""

    name: str
    label: str
    expected: int
    found: int
    false: int
    seconds: float
    overlay: Path

    def sentence(self) -> str:
        """For a person."""
        return (
            f"{self.name}: found {self.found} of {self.expected} {self.label}s at IoU >= 0.5, "
            f"{self.false} false, in {self.seconds:.1f} s; see {self.overlay}."
        )


def run(name: str, output: Path) -> Outcome:
    """Write a scene's exemplars, detect, save, compare. Raises OutputError or KeyError."""
    scene = SCENES[name]
    image = _photograph(scene.photograph)
    folder = output / name
    picture = folder / f"{name}.png"
    _write_exemplars(scene, image, folder)
    files.write_bytes(picture, _png(image))
    settings = Settings(proposals=ProposalOptions("regions"), scoring=ScoringOptions())
    detector = Detector.build(Examples(folder / "positive", folder / "negative"), settings)
    target = Output(folder / "out", overwrite=True)
    queries = discover([str(picture)], Scan(root=folder))
    (result,) = list(batch.run(detector, queries, target))
    target.finish({"schema": kinds.RUN_SCHEMA, "settings": detector.run_info().to_json()})
    found, false = compare(result.record, scene, image.shape[:2])
    drawn = folder / "out" / "overlays" / f"{picture.name}.jpg"
    return Outcome(name, scene.label, len(scene.discs), found, false, result.seconds, drawn)


def compare(record: ImageRecord, scene: Scene, size: tuple[int, int]) -> tuple[int, int]:
    """(discs found, detections that hit nothing): best first, each disc once, mask IoU >= 0.5."""
    truth = [_disc(size, disc) for disc in scene.discs]
    free = set(range(len(truth)))
    false = 0
    for item in record.detections:
        mask = decode([item.segmentation], size)[0]
        hits = [k for k in sorted(free) if _iou(mask, truth[k]) >= 0.5]
        if hits:
            free.discard(hits[0])
        else:
            false += 1
    return len(truth) - len(free), false


def _photograph(name: str) -> UInt8Array:
    from skimage import data

    image = np.asarray(getattr(data, name)(), np.uint8)
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def _write_exemplars(scene: Scene, image: UInt8Array, folder: Path) -> None:
    height, width = image.shape[:2]
    for number, index in enumerate(scene.exemplars, start=1):
        x, y, radius = scene.discs[index]
        reach = round(radius * 1.15)
        rows = slice(max(0, y - reach), min(height, y + reach))
        columns = slice(max(0, x - reach), min(width, x + reach))
        mask = _disc((height, width), scene.discs[index])[rows, columns]
        base = folder / "positive" / scene.label
        files.write_bytes(base / f"{number:02}.png", _png(image[rows, columns]))
        files.write_bytes(base / f"{number:02}.mask.png", _png(mask.astype(np.uint8) * 255))
    for number, (x0, y0, x1, y1) in enumerate(scene.negatives, start=1):
        files.write_bytes(folder / "negative" / f"{number:02}.png", _png(image[y0:y1, x0:x1]))


def _disc(size: tuple[int, int], disc: Disc) -> BoolArray:
    x, y, radius = disc
    rows, columns = np.ogrid[: size[0], : size[1]]
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)


def _iou(one: BoolArray, two: BoolArray) -> float:
    return float((one & two).sum() / max(1, (one | two).sum()))


def _png(array: UInt8Array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()
