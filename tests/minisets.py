"""Miniature copies of public benchmarks, in the layout in which each is downloaded; made by rule."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

UInt8Array = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
Thing = tuple[str, int, int, int]
"""A class, the centre (x, y) and the radius of one thing."""
SIZE = (72, 96)
LOOKS: dict[str, tuple[tuple[int, int, int], str]] = {
    "round": ((200, 40, 40), "disc"),
    "square": ((40, 60, 200), "box"),
    "ring": ((30, 150, 60), "ring"),
    "bar": ((220, 200, 40), "bar"),
}
"""Colour and form of each kind of thing."""


def shape_of(form: str, x: int, y: int, radius: int, size: tuple[int, int] = SIZE) -> BoolArray:
    """The mask (H, W) of a thing."""
    rows, columns = np.ogrid[: size[0], : size[1]]
    away = (columns - x) ** 2 + (rows - y) ** 2
    across, down = np.abs(columns - x), np.abs(rows - y)
    if form == "disc":
        return np.asarray(away <= radius**2)
    if form == "box":
        return np.asarray((across <= radius) & (down <= radius))
    if form == "ring":
        return np.asarray((away <= radius**2) & (away >= (radius / 2) ** 2))
    return np.asarray((across <= radius) & (down <= max(2, radius // 3)))


def ground(seed: int, size: tuple[int, int] = SIZE) -> UInt8Array:
    """A grey, slightly noisy picture."""
    noise = np.random.default_rng(seed).normal(150, 4, (*size, 1))
    return np.repeat(np.clip(noise, 0, 255), 3, axis=2).astype(np.uint8)


def draw(seed: int, things: Sequence[tuple[str, int, int, int]]) -> tuple[UInt8Array, list[BoolArray]]:
    """A picture of things of LOOKS, and the mask of each."""
    picture, masks = ground(seed), []
    for look, x, y, radius in things:
        colour, form = LOOKS[look]
        mask = shape_of(form, x, y, radius)
        picture[mask] = colour
        masks.append(mask)
    return picture, masks


def save(path: Path, picture: npt.NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=95)


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


class Coco:
    """A COCO dataset that grows image by image. classes: name -> look; polygons: with masks."""

    def __init__(self, classes: dict[str, str], polygons: bool, first: int = 1) -> None:
        self.looks, self.polygons = classes, polygons
        self.categories = [{"id": 3 * i + 1, "name": name} for i, name in enumerate(classes)]
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self._first = first

    def add(self, path: Path, name: str, things: Sequence[Thing], **more: Any) -> int:
        """Draw an image with things of the classes; ``name`` is what the dataset calls it."""
        number = self._first + len(self.images)
        picture, masks = draw(number, [(self.looks[label], *rest) for label, *rest in things])
        save(path, picture)
        self.images.append({"id": number, "height": 72, "width": 96, "file_name": name, **more})
        for (label, *_), mask in zip(things, masks, strict=True):
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            x0, y0, x1, y1 = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
            category = next(c["id"] for c in self.categories if c["name"] == label)
            box = [int(x0), int(y0), int(x1 - x0), int(y1 - y0)]
            corners = [[int(v) for v in (x0, y0, x1, y0, x1, y1, x0, y1)]]
            row = {"id": 1000 * self._first + len(self.annotations), "image_id": number}
            row |= {"category_id": category, "bbox": box, "area": int(mask.sum()), "iscrowd": 0}
            self.annotations.append(row | ({"segmentation": corners} if self.polygons else {}))
        return number

    def data(self, label: str | None = None) -> dict[str, Any]:
        """All of it, or the annotations of one class with their images."""
        rows = self.annotations
        if label is not None:
            number = next(c["id"] for c in self.categories if c["name"] == label)
            rows = [item for item in rows if item["category_id"] == number]
        kept = {item["image_id"] for item in rows}
        images = [item for item in self.images if label is None or item["id"] in kept]
        return {"images": images, "annotations": rows, "categories": self.categories}


FSOD = {"person": "round", "dog": "square", "zebra": "ring"}
"""Two novel classes and a base one."""


def fsod(root: Path) -> Path:
    """``datasets`` of TFA: 2 shots, seeds 0 and 1, five test images."""
    test = Coco(FSOD, True)
    scenes: list[list[Thing]] = [
        [("person", 25, 30, 14), ("dog", 70, 40, 12)],
        [("dog", 30, 30, 16)],
        [("person", 60, 36, 20), ("person", 20, 20, 9)],
        [("zebra", 48, 36, 18)],
        [],
    ]
    for number, things in enumerate(scenes):
        name = f"COCO_val2014_{number:012}.jpg"
        test.add(root / "coco/val2014" / name, name, things)
    write(root / "cocosplit/datasplit/5k.json", test.data())
    for seed, folder in ((0, "cocosplit"), (1, "cocosplit/seed1")):
        train = Coco(FSOD, True, 100 * (seed + 1))
        for k, label in enumerate(FSOD):
            for shot in range(2):
                name = f"COCO_train2014_{seed:06}{k:03}{shot:03}.jpg"
                things = [(label, 40 + 6 * shot + seed, 34 + k, 16 - 2 * shot)]
                train.add(root / "coco/trainval2014" / name, name, things)
        for label in FSOD:
            write(root / folder / f"full_box_2shot_{label}_trainval.json", train.data(label))
    return root


LVIS = {"marble": "round", "brick": "square", "bagel": "ring"}


def lvis(root: Path) -> Path:
    """``coco`` and ``lvis``: a class each that is rare, common and frequent."""
    test = Coco(LVIS, True)
    for item, frequency in zip(test.categories, "rcf", strict=True):
        item["frequency"] = frequency
    known: list[tuple[list[Thing], list[int], list[int]]] = [
        ([("marble", 25, 30, 14), ("brick", 70, 40, 12)], [7], []),
        ([("brick", 30, 30, 16), ("brick", 75, 30, 10)], [1], [4]),
        ([("bagel", 48, 36, 18)], [1, 4], []),
        ([("marble", 60, 40, 15), ("bagel", 20, 30, 12)], [], [1]),
    ]
    for number, (things, absent, partly) in enumerate(known):
        name = f"val2017/{number:012}.jpg"
        said = {"neg_category_ids": absent, "not_exhaustive_category_ids": partly}
        test.add(root / "coco" / name, name, things, **said)
    write(root / "lvis/lvis_v1_minival_inserted_image_name.json", test.data())
    train = Coco(LVIS, True, 50)
    for k, label in enumerate(LVIS):
        for shot in range(3):
            name = f"train2017/{k:06}{shot:06}.jpg"
            address = f"http://images.cocodataset.org/{name}"
            train.add(root / "coco" / name, name, [(label, 40 + 5 * shot, 36, 15)], coco_url=address)
            del train.images[-1]["file_name"]
    write(root / "lvis/lvis_v1_train.json", train.data())
    return root


CROSS = {"beetle": "round", "moth": "bar"}


def cdfsod(root: Path, part: str = "ArTaxOr", deeper: bool = False) -> Path:
    """One set of CD-FSOD, boxes alone; 1 published shot, three training images a class. deeper: with
    the folder more that DIOR has."""
    folders = ("train/new_train", "test/new_test") if deeper else ("train", "test")
    train, test = Coco(CROSS, False, 50), Coco(CROSS, False)
    for k, label in enumerate(CROSS):
        for shot in range(3):
            name = f"{label}_{shot}.jpg"
            train.add(root / part / folders[0] / name, name, [(label, 40 + 5 * shot, 36, 16 - k)])
    scenes: list[list[Thing]] = [[("beetle", 30, 30, 14), ("moth", 66, 44, 18)], [("moth", 40, 36, 20)]]
    for number, things in enumerate(scenes):
        test.add(root / part / folders[1] / f"{number}.jpg", f"{number}.jpg", things)
    annotations = root / part / "annotations"
    write(annotations / "train.json", train.data())
    write(annotations / "test.json", test.data())
    first = [
        next(a for a in train.annotations if a["category_id"] == c["id"]) for c in train.categories
    ]
    write(annotations / "1_shot.json", train.data() | {"annotations": first})
    return root


def perseg(root: Path) -> Path:
    """Two objects of three images, and one that the published script leaves out."""
    for k, (name, look) in enumerate((("can", "round"), ("toy", "square"), ("clock", "ring"))):
        for number in range(3):
            picture, (mask,) = draw(10 * k + number, [(look, 30 + 12 * number, 30 + 4 * k, 14)])
            save(root / "Images" / name / f"{number:02}.jpg", picture)
            shown = np.zeros((*SIZE, 3), np.uint8)
            shown[mask] = (128, 0, 0)
            save(root / "Annotations" / name / f"{number:02}.png", shown)
    return root


def _part(seed: int, kind: str, colour: int) -> tuple[UInt8Array, BoolArray]:
    """A plate with a scratch or holes; good without a kind."""
    picture = ground(seed)
    picture[8:64, 8:88] = (colour, colour, 210)
    mask = np.zeros(SIZE, bool)
    if kind == "scratch":
        mask = shape_of("bar", 30 + seed % 30, 30, 12)
    elif kind == "hole":
        mask = shape_of("disc", 30 + seed % 20, 26, 6) | shape_of("disc", 64, 46, 4)
    picture[mask] = (30, 20, 20)
    return picture, mask


def mvtec(root: Path) -> Path:
    """Two categories, two kinds of defects."""
    for k, category in enumerate(("bottle", "tile")):
        place = root / category
        for number in range(4):
            save(place / f"train/good/{number:03}.png", _part(number, "", 90 + 60 * k)[0])
        for number in range(2):
            save(place / f"test/good/{number:03}.png", _part(20 + number, "", 90 + 60 * k)[0])
        for kind in ("scratch", "hole"):
            for number in range(3):
                picture, mask = _part(40 + 7 * number, kind, 90 + 60 * k)
                save(place / f"test/{kind}/{number:03}.png", picture)
                save(place / f"ground_truth/{kind}/{number:03}_mask.png", mask.astype(np.uint8) * 255)
    return root


def visa(root: Path) -> Path:
    """One object; masks hold small numbers, not white."""
    rows = [["object", "split", "label", "image", "mask"]]
    place = "candle/Data"
    for number in range(6):
        name = f"{place}/Images/Normal/{number:04}.JPG"
        save(root / name, _part(number, "", 120)[0])
        rows.append(["candle", "train" if number < 4 else "test", "normal", name, ""])
    for number in range(4):
        picture, mask = _part(40 + 7 * number, ("scratch", "hole")[number % 2], 120)
        name, there = (f"{place}/{kind}/{number:03}" for kind in ("Images/Anomaly", "Masks/Anomaly"))
        save(root / f"{name}.JPG", picture)
        save(root / f"{there}.png", mask.astype(np.uint8) * (1 + number))
        rows.append(["candle", "test", "anomaly", f"{name}.JPG", f"{there}.png"])
    (root / "split_csv").mkdir()
    with (root / "split_csv/1cls.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return root


MAKERS: dict[str, Callable[[Path], Path]] = {
    "coco-fsod": fsod,
    "lvis-minival": lvis,
    "cdfsod-artaxor": cdfsod,
    "cdfsod-dior": lambda root: cdfsod(root, "DIOR", deeper=True),
    "cdfsod-clipart1k": lambda root: cdfsod(root, "clipart1k"),
    "cdfsod-deepfish": lambda root: cdfsod(root, "FISH"),
    "cdfsod-neu-det": lambda root: cdfsod(root, "NEU-DET"),
    "cdfsod-uodd": lambda root: cdfsod(root, "UODD"),
    "perseg": perseg,
    "mvtec-ad": mvtec,
    "visa": visa,
}
