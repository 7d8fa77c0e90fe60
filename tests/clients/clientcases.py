"""Records and images that exports for other tools' readers are made of: what is hard for readers.

Masks with holes, of several parts and a pixel thin; a photo that is stored turned (EXIF); names in
Cyrillic and with emoji; an image without detections.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from exported import export, record, save
from PIL import Image

Mask = npt.NDArray[np.bool_]
SIZE = (120, 160)
CLASSES = ("bolt", "гайка", "ring 🔩")
TURNED = 6
"""The EXIF orientation of a photo that viewers turn to the right."""


@dataclass(frozen=True)
class Item:
    """One detection: what every reader should find again. box: xyxy in pixels."""

    label: str
    score: float
    mask: Mask

    @property
    def box(self) -> tuple[float, float, float, float]:
        y, x = np.nonzero(self.mask)
        return float(x.min()), float(y.min()), float(x.max() + 1), float(y.max() + 1)


@dataclass(frozen=True)
class Case:
    """Images, exports of their records, and what was exported. numbered: with the numbers of ``truth``,
    a COCO file of the user's own. items: by image name."""

    images: Path
    plain: Path
    polygons: Path
    boxes: Path
    numbered: Path
    truth: Path
    items: dict[str, tuple[Item, ...]]
    size: dict[str, tuple[int, int]]


def _disc(y: float, x: float, radius: float, size: tuple[int, int] = SIZE) -> Mask:
    rows, columns = np.indices(size)
    found: Mask = np.hypot(rows - y, columns - x) <= radius
    return found


def _line(slope: float, thick: int) -> Mask:
    rows, columns = np.indices(SIZE)
    found: Mask = (rows - 10 - (slope * columns).astype(int)) % SIZE[0] < thick
    found &= (columns > 12) & (columns < 140) & (rows > 5) & (rows < 110)
    return found


def _items() -> dict[str, tuple[Item, ...]]:
    ring, eye = _disc(50, 60, 40) & ~_disc(50, 60, 25), _disc(50, 60, 12)
    holes = _disc(60, 80, 55) & ~_disc(40, 60, 12) & ~_disc(70, 100, 9) & ~_disc(85, 70, 6)
    parts = _disc(30, 30, 18) | _disc(80, 40, 14) | _disc(60, 120, 25)
    tall = (SIZE[1], SIZE[0])
    return {
        "ring 1.png": (
            Item("гайка", 0.91, ring),
            Item("bolt", 0.83, ring | eye),
            Item("bolt", 0.5123, holes),
        ),
        "фото 😀.jpg": (
            Item("гайка", 0.77, _disc(90, 60, 35, tall) & ~_disc(90, 60, 15, tall)),
            Item("ring 🔩", 0.31, _disc(40, 30, 20, tall)),
        ),
        "parts.jpg": (Item("ring 🔩", 0.66, parts), Item("bolt", -0.05, _disc(100, 20, 8))),
        "thin.png": (
            Item("bolt", 0.9, _line(0.31, 1)),
            Item("bolt", 0.8, _line(0.0, 1)),
            Item("гайка", 0.7, _disc(60, 80, 40) & ~_disc(60, 80, 39)),
        ),
        "empty.png": (),
    }


def make(folder: Path, below: str = "") -> Case:
    """The case with all its files. below: a folder that image names begin with, such as ``"a/"``."""
    items = {below + name: found for name, found in _items().items()}
    images, out = folder / "images", folder / "out"
    size = {}
    for number, (name, found) in enumerate(items.items()):
        size[name] = found[0].mask.shape if found else SIZE
        digest = _picture(images / name, size[name], number)
        made = [(item.label, item.mask, item.score) for item in found]
        save(out, record(name, made, size=size[name], classes=CLASSES, sha256=digest))
    truth = _truth(folder / "truth.json", size)
    kinds = (folder / kind for kind in ("plain", "polygons", "boxes", "numbered"))
    case = Case(images, *kinds, truth, items, size)
    for split in ("train", "val"):
        export(out, target=case.plain, images=images, split=split)
        export(out, ["yolo"], target=case.boxes, images=images, split=split, yolo_boxes=True)
    export(out, ["coco", "labelme"], target=case.polygons, images=images, polygons=True)
    export(out, ["coco"], target=case.numbered, ids_from=truth)
    return case


def _truth(path: Path, size: dict[str, tuple[int, int]]) -> Path:
    """A COCO file of the same images with numbers of its own, and an image and a class more."""
    every = {**dict(reversed(size.items())), "other.png": SIZE}
    images = [
        {"id": 1000 - 7 * n, "file_name": name, "height": h, "width": w}
        for n, (name, (h, w)) in enumerate(every.items())
    ]
    categories = [{"id": 90 - 3 * n, "name": name} for n, name in enumerate(("screw", *CLASSES))]
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": []}))
    return path


def _picture(path: Path, size: tuple[int, int], seed: int) -> str:
    """Write a picture that is (H, W) when it is viewed; its hash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    exif = Image.Exif()
    if path.name.startswith("фото"):
        exif[0x0112] = TURNED
        pixels = np.rot90(pixels)
    Image.fromarray(pixels).save(path, exif=exif)
    return hashlib.sha256(path.read_bytes()).hexdigest()
