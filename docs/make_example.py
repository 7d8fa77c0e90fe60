"""Writes example.jpg, the picture of the README: what is given, and what comes out.

    python docs/make_example.py

The coins of `searchdet demo`: three positive and four negative exemplars, and the overlay of `detect`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from searchdet.commands import demo

TARGET = Path(__file__).with_name("example.jpg")
SIZE, MARGIN = (1200, 560), 40
PAPER, INK, GREY = (250, 249, 247), (26, 26, 26), (110, 106, 100)
TILE, GAP = 92, 12
TITLE = "what `searchdet detect` finds, with no training"


def search(folder: Path) -> Path:
    """The folder of the coins, searched."""
    demo.run("coins", folder)
    return folder / "coins"


def row(sheet: Image.Image, title: str, files: list[Path], top: int) -> None:
    """A title, and below it small pictures side by side."""
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, top), title, INK, ImageFont.load_default(22))
    for i, path in enumerate(files):
        picture = Image.open(path).convert("RGB")
        picture = ImageOps.fit(picture, (TILE, TILE), Image.Resampling.BICUBIC)
        sheet.paste(picture, (MARGIN + i * (TILE + GAP), top + 38))


def arrow(sheet: Image.Image, left: int, right: int, height: int) -> None:
    pen = ImageDraw.Draw(sheet)
    pen.line((left, height, right - 12, height), GREY, 4)
    pen.polygon(((right, height), (right - 16, height - 9), (right - 16, height + 9)), GREY)


def draw(coins: Path) -> Image.Image:
    sheet = Image.new("RGB", SIZE, PAPER)
    positive = [p for p in sorted((coins / "positive/coin").glob("*.png")) if ".mask" not in p.name]
    negative = sorted((coins / "negative").glob("*.png"))
    row(sheet, "three positive exemplars", positive, 120)
    row(sheet, "four negative exemplars", negative, 300)
    found = Image.open(coins / "out/overlays/coins.png.jpg").convert("RGB")
    height = SIZE[1] - 2 * MARGIN - 38
    found = found.resize((round(found.width * height / found.height), height), Image.Resampling.LANCZOS)
    left = SIZE[0] - MARGIN - found.width
    arrow(sheet, MARGIN + 4 * (TILE + GAP) + 20, left - 24, SIZE[1] // 2)
    pen = ImageDraw.Draw(sheet)
    pen.text((left, MARGIN - 4), TITLE, INK, ImageFont.load_default(22))
    sheet.paste(found, (left, MARGIN + 38))
    return sheet


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        draw(search(Path(scratch))).save(TARGET, quality=88, subsampling=0)
    print(TARGET)
