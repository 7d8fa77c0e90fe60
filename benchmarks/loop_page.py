"""A labeller's hand on the page of `searchdet serve`, in Chromium; the server is in this process."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, ViewportSize, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from searchdet.config import Examples
from searchdet.serve.desk import Desk

SIZE = ViewportSize(width=1400, height=900)
NUMBER = """(row) => import("/assets/stage.js").then(({ stage }) =>
    (stage.image ? stage.image.id.indexOf(row) : -1))"""
CHOSEN = """async () => {
    const { look } = await import("/assets/look.js");
    const { stage } = await import("/assets/stage.js");
    return look.shown && stage.chosen >= 0 ? [stage.image.name, stage.image.id[stage.chosen]] : [];
}"""
SHOWN = "() => import('/assets/look.js').then((window) => window.look.shown)"
TRIES = 6
PATIENCE = 60.0
"""Seconds that a click may take until what it does is there."""


class PageHand:
    """Clicks on the page. What it clicks on is looked up in the session, as a person would see it."""

    def __init__(self, page: Page, desk: Desk) -> None:
        self.page, self.desk = page, desk
        self.spent: list[float] = []

    def found(self) -> list[tuple[int, int, str]]:
        from bench_loop import detections

        with self.desk.lock:
            return detections(self.desk.session)

    def next(self) -> tuple[int, int, str] | None:
        with self.desk.lock:
            offers = self.desk.session.review(count=1)
        return None if not offers else (offers[0].i, offers[0].row, offers[0].label)

    def draw(self, item: Any) -> None:
        self._open(item.image)
        self.page.locator("#current").select_option(label=item.label)
        x0, y0, x1, y1 = item.drawn
        self._until(lambda: self._held_b())
        self.page.mouse.move(*self._place(item.image, x0, y0))
        self.page.mouse.down()
        self.page.mouse.move(*self._place(item.image, x1, y1), steps=5)
        self._act(self.page.mouse.up)
        self.page.keyboard.up("b")

    def _held_b(self) -> bool:
        """Hold B; whether a box can be drawn now, which it cannot while a picture is loaded."""
        self.page.keyboard.up("b")
        self.page.locator("#list").focus()
        self.page.keyboard.down("b")
        return self.page.locator("#box").get_attribute("aria-pressed") == "true"

    def judge(self, image: int, row: int, verdict: str, label: str | None) -> None:
        if self.next() is not None and self.next()[:2] == (image, row):  # type: ignore[index]
            self._open_asked(image, row)
        else:
            self._open(image)
            self._until(lambda: self._choose(image, row))
        button = f'#as [data-class="{label}"]' if verdict == "other" else f"#{verdict}"
        self._act(self.page.locator(button).click)

    def name_classes(self, labels: Sequence[str]) -> None:
        """Add the classes, which the page asks for by name."""
        for label in labels:
            self.page.locator("#add-class").click()
            self.page.locator("#class-name").fill(label)
            self._act(lambda: self.page.keyboard.press("Enter"))

    def _number(self, row: int) -> int:
        """Which of the candidates of the open picture a region is, -1 for none."""
        made: int = self.page.evaluate(NUMBER, row)
        return made

    def _is_chosen(self, image: int, row: int) -> bool:
        there: list[Any] = self.page.evaluate(CHOSEN)
        return there == [self.desk.shelf.images[image].image.name, row]

    def _choose(self, image: int, row: int) -> bool:
        """Click on a candidate in the list; whether it is chosen, as the list may change meanwhile."""
        item = self.page.locator(f"#row{self._number(row)}")
        if item.is_visible():
            with suppress(PlaywrightTimeout):
                item.click(timeout=2000)
        return self._is_chosen(image, row)

    def _open_asked(self, image: int, row: int) -> None:
        """Open what the page asks about from its list, again where that moved under the hand."""
        for _ in range(TRIES):
            self._close()
            self.page.locator("#view label").nth(1).click()
            card = self.page.locator(
                "#queue .card", has=self.page.locator(f'[data-of="{image}#{row}"]')
            )
            card.locator(".open").click()
            with suppress(TimeoutError):
                self._until(lambda: self._is_chosen(image, row), patience=10.0)
                return
        raise RuntimeError("what is asked about cannot be opened")

    def _close(self) -> None:
        if self.page.locator("#viewer").is_visible():
            self.page.locator("#close").click()

    def _open(self, image: int) -> None:
        name = self.desk.shelf.images[image].image.name
        viewer = self.page.locator("#viewer-name")
        if self.page.locator("#viewer").is_visible() and viewer.get_attribute("title") == name:
            return
        self._close()
        self.page.locator("#view label").nth(0).click()
        self.page.locator("#find").fill(name)
        card = self.page.locator("#gallery .card", has=self.page.locator(f'[title="{name}"]'))
        card.locator(".open").click()
        self._until(lambda: viewer.get_attribute("title") == name)
        self.page.wait_for_function(SHOWN)

    def _place(self, image: int, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the open picture is in the window."""
        a, d, e, f = self.page.evaluate(
            """() => { const m = document.querySelector("#shown svg").getScreenCTM();
                return [m.a, m.d, m.e, m.f]; }"""
        )
        info = self.desk.shelf.images[image].image
        unit = 1024 / max(info.width, info.height)
        return a * x * unit + e, d * y * unit + f

    def _act(self, do: Any) -> None:
        """Do something that is an event, and wait until the page shows what came of it."""
        before = self.desk.session.version
        started = time.perf_counter()
        do()
        self._until(lambda: self.desk.session.version > before)
        self.page.wait_for_load_state("networkidle")
        self.spent.append(time.perf_counter() - started)

    def _until(self, true: Any, patience: float = PATIENCE) -> None:
        started = time.perf_counter()
        while not true():
            if time.perf_counter() - started > patience:
                raise TimeoutError("the page does not answer")
            self.page.wait_for_timeout(20)


@contextmanager
def opened_page(images: Path, index: Path, examples: Examples | None = None) -> Iterator[PageHand]:
    """The page before a session of a folder, from an index."""
    from served import serving

    from searchdet.config import Settings
    from searchdet.images import discover
    from searchdet.output import Output
    from searchdet.serve.opening import Job

    with tempfile.TemporaryDirectory() as out, sync_playwright() as playwright:
        job = Job(
            discover([str(images)]), examples, Settings(), Output(Path(out), ()), index, (str(images),)
        )
        with serving(job) as running:
            path = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))))
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            page = browser.new_page(viewport=SIZE)
            page.set_default_timeout(PATIENCE * 1000)
            page.goto(running.address.url)
            page.wait_for_selector("html[data-ready]", state="attached")
            page.locator("#indexing").wait_for(state="hidden")
            yield PageHand(page, running.desk)
            browser.close()
