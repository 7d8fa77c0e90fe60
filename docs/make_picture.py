"""Writes report.png, the picture of the report that the guides show. Needs Playwright and Chromium.

    python docs/make_picture.py

Photographs that come with scikit-image, some of them mirrored, are searched with the exemplars of
`searchdet demo`; then the page is opened and one threshold is moved, as a user would.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright
from skimage import data
from typer.testing import CliRunner

from searchdet.cli import app
from searchdet.commands import demo

TARGET = Path(__file__).with_name("report.png")
MOVED = ("1", "0.4")
"""Row of the class and the least score that is set; a little above that of the records."""


def photographs(folder: Path) -> None:
    """Two with nothing that is meant, three of the cat, three of the coins."""
    folder.mkdir()
    cat, coins = data.chelsea(), np.stack([data.coins()] * 3, -1)
    made = {
        "astronaut": data.astronaut(),
        "coffee": data.coffee(),
        "chelsea-1": cat,
        "chelsea-2": cat[:, ::-1],
        "chelsea-3": cat[20:280, 60:420],
        "tray-1": coins,
        "tray-2": coins[:, ::-1],
        "tray-3": coins[::-1],
    }
    for name, pixels in made.items():
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{name}.jpg", quality=92)


def search(folder: Path) -> Path:
    """Exemplars of both scenes of the demonstration, the photographs, the page."""
    for name in demo.SCENES:
        demo.run(name, folder / "demo")
        for kind in ("positive", "negative"):
            for found in sorted((folder / "demo" / name / kind).rglob("*.png")):
                within = found.relative_to(folder / "demo" / name / kind)
                target = folder / kind / within.with_name(f"{name}-{within.name}")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(found, target)
    photographs(folder / "photos")
    output = folder / "photos-out"
    words = ["detect", str(folder / "photos"), "-r", "--positive", str(folder / "positive")]
    words += ["--negative", str(folder / "negative"), "-o", str(output), "--proposals", "regions"]
    for call in (words, ["report", str(output)]):
        done = CliRunner().invoke(app, [*call, "--no-config"])
        if done.exit_code:
            raise SystemExit(done.output)
    return output / "report.html"


def picture(page: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        view = browser.new_page(viewport={"width": 1280, "height": 740})
        view.goto(page.as_uri())
        view.wait_for_selector("html[data-ready]", state="attached")
        row, least = MOVED
        view.locator(f'input[type=number][data-limit=score][data-class="{row}"]').fill(least)
        view.evaluate("document.activeElement.blur()")
        view.locator(".card svg").nth(5).wait_for()
        view.wait_for_timeout(1000)  # until all that is in the window was drawn
        shot = view.screenshot()
        browser.close()
    Image.open(io.BytesIO(shot)).convert("RGB").save(TARGET, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        picture(search(Path(scratch)))
    print(TARGET)
