"""Writes serve.png, the stills of the page of `searchdet serve` that the README shows. Needs Playwright
and Chromium.

    python docs/make_loop.py

From nothing but photographs, as a user would: a coin is clicked on and taken, all pictures are judged
by it, what is no coin is said to be none, and the page asks on.
"""

from __future__ import annotations

import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from make_picture import photographs
from PIL import Image
from playwright.sync_api import Page, sync_playwright

TARGET = Path(__file__).with_name("serve.png")
SIZE = (1120, 700)
COIN, PIXELS = (0.267, 0.417), range(1000, 1900)
"""Where a coin lies in the first tray, as shares of its width and height, and how large it is."""


def still(page: Page) -> Image.Image:
    page.wait_for_timeout(4000)  # until all that is in the window was drawn
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def stills(page: Page) -> list[Image.Image]:
    made = []
    page.locator("#add-class").click()
    page.locator("#class-name").fill("coin")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="tray-1.jpg").first.click()
    page.locator("#shown svg").wait_for()
    page.wait_for_timeout(2000)  # until the picture fills its place
    area = page.locator("#shown svg").bounding_box()
    page.mouse.click(area["x"] + COIN[0] * area["width"], area["y"] + COIN[1] * area["height"])
    words = page.locator("#offer-words", has_text="regions here")
    words.wait_for()
    while int(re.sub(r"\D", "", words.text_content().split(":")[1])) not in PIXELS:
        page.keyboard.press("Tab")
    made.append(still(page))
    page.keyboard.press("Enter")
    page.locator("#said", has_text="An exemplar of coin").wait_for()
    made.append(still(page))
    page.keyboard.press("Escape")
    made.append(still(page))
    page.locator("#view label").nth(1).click()
    made.append(still(page))
    return made


def visit(address: str) -> list[Image.Image]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="light")
        page.set_default_timeout(120_000)
        page.goto(address)
        page.wait_for_selector("html[data-ready]", state="attached")
        page.locator("#indexing").wait_for(state="hidden")
        made = stills(page)
        browser.close()
    return made


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        photographs(folder / "photos")
        words = [sys.executable, "-m", "searchdet", "serve", "photos", "--no-config"]
        words += ["-o", "out", "--port", "0", "--no-open", "--proposals", "regions"]
        with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                address = next(
                    found[0] for line in server.stdout if (found := re.search(r"http://\S+", line))
                )
                made = visit(address)
            finally:
                server.send_signal(signal.SIGTERM)
    sheet = Image.new("RGB", (2 * SIZE[0] + 20, 2 * SIZE[1] + 20), "#808080")
    for i, one in enumerate(made):
        sheet.paste(one, ((i % 2) * (SIZE[0] + 20), (i // 2) * (SIZE[1] + 20)))
    sheet.resize((sheet.width * 2 // 3, sheet.height * 2 // 3), Image.Resampling.LANCZOS).quantize(
        256
    ).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
    print(TARGET)
