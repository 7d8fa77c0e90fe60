"""Pictures of hexagons (bolts) and discs (nuts), with the regions that could be found on them."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from searchdet.masks import rle


@dataclass(frozen=True)
class Thing:
    """An object of a picture: its class, its middle and radius, and its first score."""

    label: str
    x: float
    y: float
    radius: float
    score: float
    inner: bool = False


@dataclass
class Shot:
    """A picture and its regions, an outer and an inner one of each object."""

    name: str
    size: tuple[int, int]
    things: list[Thing]
    masks: dict[int, np.ndarray] = field(default_factory=dict)
    codes: dict[int, rle.Rle] = field(default_factory=dict)
    pictures: dict[int, bytes] = field(default_factory=dict)

    def polygon(self, row: int) -> list[tuple[float, float]]:
        item = self.things[row]
        count = 6 if item.label == "bolt" and not item.inner else 32
        angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
        return [
            (item.x + item.radius * float(np.cos(a)), item.y + item.radius * float(np.sin(a)))
            for a in angles
        ]

    def mask(self, row: int) -> np.ndarray:
        if row not in self.masks:
            self.masks[row] = self.drawn(row)
        return self.masks[row]

    def drawn(self, row: int) -> np.ndarray:
        image = Image.new("1", self.size)
        ImageDraw.Draw(image).polygon(self.polygon(row), fill=1)
        return np.asarray(image)

    def code(self, row: int) -> rle.Rle:
        if row not in self.codes:
            self.codes[row] = rle.encode(self.mask(row))
        return self.codes[row]

    def picture(self, side: int) -> bytes:
        """The picture as a JPEG."""
        if side not in self.pictures:
            self.pictures[side] = self.painted(side)
        return self.pictures[side]

    def painted(self, side: int) -> bytes:
        width, height = self.size
        y, x = np.mgrid[0:height, 0:width]
        ground = np.stack([96 + x * 40 / width, 100 + y * 30 / height, 108 - x * 20 / width], axis=2)
        image = Image.fromarray(ground.astype(np.uint8))
        pen = ImageDraw.Draw(image)
        for row, item in enumerate(self.things):
            shade = (
                (56, 58, 62)
                if item.inner
                else (176, 172, 160)
                if item.label == "bolt"
                else (148, 152, 160)
            )
            pen.polygon(self.polygon(row), fill=shade, outline=(50, 50, 54))
        if side and max(self.size) > side:
            image.thumbnail((side, side))
        return jpeg(image)


def jpeg(image: Image.Image) -> bytes:
    kept = io.BytesIO()
    image.save(kept, "JPEG", quality=88)
    return kept.getvalue()


def shots(
    count: int, names: tuple[str, str] = ("bolt", "nut"), title: str = "shelf/{:04d}.jpg"
) -> list[Shot]:
    """Pictures with five to nine objects each, the first one larger than a screen."""
    made = []
    for i in range(count):
        rng = np.random.default_rng(i)
        size = (2400, 1600) if i == 0 else (640, 480)
        things = []
        for k in range(int(rng.integers(5, 10))):
            x = size[0] * (0.12 + 0.19 * (k % 5))
            y = size[1] * (0.25 + 0.45 * (k // 5)) + float(rng.uniform(-20, 20))
            radius = size[0] * float(rng.uniform(0.05, 0.075))
            label = names[int(rng.integers(2))]
            things.append(Thing(label, x, y, radius, round(float(rng.uniform(0.3, 0.8)), 6)))
            things.append(Thing(label, x, y, radius * 0.4, 0.12, True))
        made.append(Shot(title.format(i), size, things))
    return made


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1
