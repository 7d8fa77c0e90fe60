"""The report page in headless Chromium; what imports this is skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import REQUIRE_BROWSER

if REQUIRE_BROWSER:
    import playwright.sync_api as sync_api
else:
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[test]'"
    )
expect = sync_api.expect
PATIENCE = 120_000  # milliseconds: no time that a test should take, but one at which it is lost
expect.set_options(timeout=PATIENCE)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
if CHROMIUM is None:
    MISSING = "no Chromium here: apt-get install chromium"
    if REQUIRE_BROWSER:
        raise RuntimeError(MISSING)
    pytest.skip(MISSING, allow_module_level=True)
# Frames and observers of a busy machine: a test that reads what is not drawn yet fails always.
LATE = """
const ask = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (call) => ask(() => setTimeout(call, 150, performance.now()));
window.IntersectionObserver = class extends window.IntersectionObserver {
  constructor(call, options) {
    super((entries, observer) => setTimeout(call, 150, entries, observer), options);
  }
};
"""
# Each card that the page's observer calls near has its picture, or what stands for one.
DRAWN = """() => [...document.querySelectorAll(".card")].every((card) => {
  const { top, bottom } = card.getBoundingClientRect();
  return bottom < -499 || top > innerHeight + 499 || card.querySelector(".pic").childElementCount > 0;
})"""


@contextmanager
def chromium() -> Iterator[object]:
    """A browser that was started."""
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page, and all that it did beside drawing itself: messages, errors, dialogs, requests."""

    def __init__(self, context: object, path: Path) -> None:
        self.events: list[str] = []
        self.path = path
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.add_init_script(LATE)
        self.page.on("console", lambda item: self.events.append(f"console: {item.text}"))
        self.page.on("pageerror", lambda item: self.events.append(f"error: {item}"))
        self.page.on("dialog", lambda item: (self.events.append("dialog"), item.dismiss()))
        self.page.on("request", lambda item: self.events.append(f"request: {item.url}"))
        self.open()

    def open(self) -> None:
        """Open the page, anew where it is open already."""
        self.page.goto(self.path.as_uri())
        self.page.wait_for_selector("html[data-ready]", state="attached")
        self.events.remove(f"request: {self.path.as_uri()}")

    def number(self, which: str, label: int = 0) -> object:
        return self.page.locator(f'input[type=number][data-limit={which}][data-class="{label}"]')

    def counts(self) -> list[int]:
        """Detections in all and of each class, as shown."""
        total = self.page.locator("#total").text_content()
        rows = self.page.locator(".class .count").all()
        shown = sorted((int(row.get_attribute("data-class")), row.text_content()) for row in rows)
        return [int(text.replace(",", "")) for text in (total, *(text for _, text in shown))]

    def drawn(self) -> None:
        """Wait until the cards near the window are drawn."""
        self.page.wait_for_function(DRAWN)

    def quiet(self) -> bool:
        """Whether nothing happened but pictures from the file itself, or from the folder beside it."""
        own = ("request: data:image/jpeg", f"request: {self.path.with_suffix('').as_uri()}-pictures/")
        return not [item for item in self.events if not item.startswith(own)]
