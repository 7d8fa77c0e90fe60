"""The page of ``searchdet serve`` in Chromium, before the program itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import served as serving
from browsing import PATIENCE, expect

pytestmark = [pytest.mark.browser, pytest.mark.model]


def test_from_nothing_by_a_click_and_a_verdict(browser: object, cold_world: Path) -> None:
    context, trouble = browser.new_context(viewport={"width": 1400, "height": 900}), []
    with serving.serving(serving.job(cold_world / "in/images", cold_world / "out")) as made:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        # the picture of an exemplar that was taken back meanwhile is gone
        page.on("console", lambda item: "404" in item.text or trouble.append(item.text))
        page.on(
            "response",
            lambda item: item.status < 400 or "/exemplars/" in item.url or trouble.append(item.url),
        )
        page.on("pageerror", lambda item: trouble.append(str(item)))
        page.goto(made.address.url)
        page.wait_for_selector("html[data-ready]", state="attached")
        said = page.locator("#said")
        page.locator("#add-class").click()
        page.locator("#class-name").fill("red")
        page.keyboard.press("Enter")
        expect(said).to_contain_text("red is a class now")
        page.locator("#gallery .open").first.click()
        expect(page.locator("#evidence")).to_contain_text("There is no exemplar yet.")
        a, d, e, f = page.evaluate(
            """() => { const m = document.querySelector("#shown svg").getScreenCTM();
                return [m.a, m.d, m.e, m.f]; }"""
        )
        info = made.desk.shelf.images[0].image
        unit = 1024 / max(info.width, info.height)
        page.mouse.click(a * 40 * unit + e, d * 60 * unit + f)
        expect(page.locator("#offer-words")).to_contain_text("regions here")
        page.keyboard.press("Enter")
        expect(said).to_contain_text(re.compile(r"An exemplar of red: red 0 → [1-9]"))
        expect(page.locator("#list li .said.right, #list li:not(.out)").first).to_be_visible()
        found = page.locator("#total").text_content()
        page.locator("#list").focus()
        page.keyboard.press("n")
        expect(said).to_contain_text("Wrong: ")
        page.keyboard.press("u")
        expect(said).to_contain_text("Undone: ")
        expect(page.locator("#total")).to_have_text(found)
        page.keyboard.press("Escape")
        expect(page.locator("#exemplars img")).to_have_count(1)
        width = "document.querySelector('#exemplars img').naturalWidth"
        expect(page.locator("#exemplars img")).to_be_visible()
        assert page.evaluate(f"() => {width} > 0")
        events = (cold_world / "out" / "verdicts.jsonl").read_text(encoding="utf-8").splitlines()
        assert [re.search(r'"kind": "(\w+)"', line)[1] for line in events[1:]] == [
            *("add_class", "pick", "judge", "undo")
        ]
        context.close()
    assert trouble == []
