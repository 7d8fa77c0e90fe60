"""Pictures for the examples, so that they need no files: coloured discs and squares on grey."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

RED, BLUE = (200, 40, 40), (40, 60, 200)


def draw(discs: list[tuple[int, int]], squares: list[tuple[int, int]], seed: int) -> Image.Image:
    """A picture of 240 x 160 pixels with red discs and blue squares at these places."""
    noise = np.random.default_rng(seed).normal(225, 3, (160, 240, 3))
    picture = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for x, y in discs:
        pen.ellipse((x - 18, y - 18, x + 18, y + 18), fill=RED)
    for x, y in squares:
        pen.rectangle((x - 16, y - 16, x + 16, y + 16), fill=BLUE)
    return picture


def make(folder: Path) -> Path:
    """``positive/disc``, ``negative`` and ``photo.png`` below a folder; gives the photo's path."""
    positive, negative = folder / "positive" / "disc", folder / "negative"
    positive.mkdir(parents=True)
    negative.mkdir()
    for i, place in enumerate([(60, 80), (120, 60), (180, 90)]):
        draw([place], [], i).save(positive / f"{i}.png")
        mask = Image.new("L", (240, 160))
        x, y = place
        ImageDraw.Draw(mask).ellipse((x - 18, y - 18, x + 18, y + 18), fill=255)
        mask.save(positive / f"{i}.mask.png")
    draw([], [(120, 80)], 3).crop((96, 56, 144, 104)).save(negative / "square.png")
    photo = folder / "photo.png"
    draw([(50, 50), (180, 110)], [(120, 80), (60, 120)], 4).save(photo)
    return photo
