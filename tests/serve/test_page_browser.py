"""The page of ``searchdet serve`` in Chromium, before a stand-in for its program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import fakeserve
import pytest
from browsing import PATIENCE, expect
from fakeloop import LEAST, Fake
from fakeshots import Shot, Thing, shots

pytestmark = pytest.mark.browser
HOSTILE = '"><img src=x onerror=alert(1)>'
PIXEL = """(kind) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 20;
  return new Promise((go) => canvas.toBlob((blob) => {
    const data = new DataTransfer();
    data.items.add(new File([blob], "one.png", { type: "image/png" }));
    const event = kind === "paste" ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
      : new DragEvent("drop", { dataTransfer: data, bubbles: true });
    document.body.dispatchEvent(event);
    go();
  }));
}"""
WIDE = "document.documentElement.scrollWidth > innerWidth"
SMALL = """() => [...document.querySelectorAll("button, select, input, summary, .rows label")]
    .filter((item) => {
  const { width, height } = item.getBoundingClientRect();
  const inside = item.closest(".rows label, .switch, .toggle, .exemplar");
  return item.checkVisibility() && width > 0 && !inside && (height < 43.5 || width < 43.5) &&
    !item.closest(".links");
}).map((item) => item.id || item.className || item.textContent)"""


class Seen:
    """A page, and what it said that it should not have."""

    def __init__(self, context: object, address: str) -> None:
        self.page, self.trouble = context.new_page(), []
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", lambda item: self.trouble.append(item.text))
        self.page.on("pageerror", lambda item: self.trouble.append(str(item)))
        self.page.on("dialog", lambda item: (self.trouble.append("dialog"), item.dismiss()))
        self.page.goto(address)
        self.page.wait_for_selector("html[data-ready]", state="attached")

    def open(self, place: int) -> None:
        """One picture large."""
        self.page.locator("#gallery .open").nth(place).click()
        self.listed()

    def listed(self) -> None:
        expect(self.page.locator("#list li").first).to_be_visible()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def said(self, text: str | re.Pattern[str]) -> None:
        """Wait until the line of what changed says this."""
        expect(self.page.locator("#said")).to_contain_text(text)

    def point(self, thing: Thing, shot: Shot) -> tuple[float, float]:
        """Where the middle of an object is in the window."""
        a, d, e, f = self.page.evaluate(
            """() => { const m = document.querySelector("#shown svg").getScreenCTM();
                return [m.a, m.d, m.e, m.f]; }"""
        )
        unit = 1024 / max(shot.size)
        return a * thing.x * unit + e, d * thing.y * unit + f


Start = Callable[..., tuple[Fake, Callable[..., Seen]]]


@pytest.fixture
def served(browser: object) -> Iterator[Start]:
    """Starts a stand-in, and gives what opens its page."""
    servers, contexts = [], []

    def start(fake: Fake) -> tuple[Fake, Callable[..., Seen]]:
        servers.append(fakeserve.Server(fake))

        def look(**options: object) -> Seen:
            contexts.append(
                browser.new_context(**({"viewport": {"width": 1400, "height": 900}} | options))
            )
            return Seen(contexts[-1], servers[-1].address)

        return fake, look

    yield start
    for context in contexts:
        context.close()
    for server in servers:
        server.close()


def test_verdicts_by_key_and_button(served: Start) -> None:
    fake, look = served(Fake(shots(6)))
    seen = look()
    seen.open(1)
    rows = seen.page.locator("#list li")
    first = rows.nth(0).locator(".num").text_content()
    assert rows.nth(0).get_attribute("aria-selected") == "true"
    seen.press("n")
    seen.said(re.compile(r"Wrong: (bolt|nut) \d+ → \d+ in 1 picture"))
    chosen = seen.page.locator("#list li[aria-selected=true]")
    expect(chosen.locator(".num")).not_to_have_text(first)
    expect(seen.page.locator("#list li.out .said.wrong")).to_have_text("✗")
    assert fake.posted[-1] == {
        "kind": "judge", "image": "shelf/0001.jpg", "row": 12, "verdict": "wrong", "label": None
    }  # fmt: skip
    seen.press("u")
    seen.said("Undone: ")
    expect(seen.page.locator("#list li .said.wrong")).to_have_count(0)
    assert rows.nth(0).locator(".num").text_content() == first
    seen.press("Control+y")
    seen.said("Done again: ")
    expect(seen.page.locator("#list li .said.wrong")).to_have_count(1)
    own = chosen.locator(".what").text_content()
    seen.page.locator(f".of-class:not([data-class={own}])").click()
    seen.said("It is ")
    assert fake.posted[-1]["verdict"] == "other"
    seen.page.locator("#list").focus()
    seen.press("Enter")
    seen.said("Right: ")
    assert fake.posted[-1]["verdict"] == "right"
    expect(seen.page.locator("#list-note")).to_have_text(re.compile("2 of"))
    seen.press("Escape")
    expect(seen.page.locator("#viewer")).to_be_hidden()
    expect(seen.page.locator("#gallery .open").nth(1)).to_be_focused()
    assert seen.trouble == []


def missed(served: Start) -> tuple[Fake, Seen, Shot, int]:
    """The second of three pictures, open, and a thing in it that was not found."""
    fake, look = served(Fake(shots(3)))
    seen = look()
    shot = fake.shots[1]
    row = next(i for i, item in enumerate(shot.things) if item.score < LEAST and not item.inner)
    seen.open(1)
    return fake, seen, shot, row


def test_a_click_with_shift_takes_the_likeliest_region_at_once(served: Start) -> None:
    fake, seen, shot, row = missed(served)
    seen.page.keyboard.down("Shift")
    seen.page.mouse.click(*seen.point(shot.things[row], shot))
    seen.page.keyboard.up("Shift")
    seen.said("An exemplar of bolt: ")
    first = fake.at(1, shot.things[row].x, shot.things[row].y)["regions"][0]["row"]
    assert fake.posted[-1] == {"kind": "pick", "image": shot.name, "row": first, "label": "bolt"}
    expect(seen.page.locator("#offer-words")).to_be_hidden()
    assert seen.trouble == []


def test_what_was_not_found_is_offered_and_taken(served: Start) -> None:
    fake, seen, shot, row = missed(served)
    seen.page.mouse.click(*seen.point(shot.things[row], shot))
    words = seen.page.locator("#offer-words")
    expect(words).to_contain_text("1 of 2 regions here")
    seen.press("Tab")
    expect(words).to_contain_text("2 of 2 regions here")
    seen.page.mouse.wheel(0, 100)
    expect(words).to_contain_text("1 of 2 regions here")
    seen.press("Escape")
    expect(words).to_be_hidden()
    expect(seen.page.locator("#viewer")).to_be_visible()
    seen.page.wait_for_timeout(1000)  # else it is the second click of a double one
    seen.page.mouse.click(*seen.point(shot.things[row], shot))
    expect(words).to_be_visible()
    expect(words).to_contain_text("1 of 2")
    seen.press("Shift+Tab", "Enter")
    seen.said("An exemplar of bolt: ")
    assert fake.posted[-1] == {"kind": "pick", "image": shot.name, "row": row, "label": "bolt"}
    # by keys alone: a point, moved, and taken as a negative
    seen.press("p", "ArrowLeft", "ArrowRight")
    expect(seen.page.locator("#stage .cross")).to_have_count(1)
    box = seen.page.locator("#shown svg").get_attribute("viewBox")
    middle = [float(x) for x in box.split(" ")]
    thing = shot.things[0]
    step = middle[2] * 0.02
    across = round((thing.x * 1024 / 640 - 512) / step)
    down = round((thing.y * 1024 / 640 - 384) / step)
    seen.press(*["ArrowRight" if across > 0 else "ArrowLeft"] * abs(across))
    seen.press(*["ArrowDown" if down > 0 else "ArrowUp"] * abs(down), "Enter")
    expect(words).to_contain_text("1 of 2 regions here")
    seen.press("n")
    seen.said("A negative exemplar: ")
    assert fake.posted[-1] == {"kind": "pick", "image": shot.name, "row": 1, "label": None}
    assert seen.trouble == []


def test_a_box_is_drawn_by_drag_and_by_keys(served: Start) -> None:
    fake, look = served(Fake(shots(3)))
    seen = look()
    shot = fake.shots[1]
    seen.open(1)
    x, y = seen.point(Thing("", 320, 240, 1, 0), shot)
    seen.page.keyboard.down("b")
    seen.page.mouse.move(x, y)
    seen.page.mouse.down()
    seen.page.mouse.move(x + 90, y + 60, steps=3)
    seen.page.mouse.up()
    seen.page.keyboard.up("b")
    seen.said("An exemplar of bolt was drawn: ")
    posted = fake.posted[-1]
    assert (posted["kind"], posted["label"], posted["image"]) == ("draw", "bolt", shot.name)
    assert posted["box"][:2] == pytest.approx([320, 240], abs=1.5)
    assert posted["box"][2] > 340
    expect(seen.page.locator("#box")).to_have_attribute("aria-pressed", "false")
    seen.page.locator("#box").click()
    seen.press("ArrowRight", "ArrowLeft", "Shift+ArrowDown")
    expect(seen.page.locator("#stage .boxed")).to_have_count(1)
    seen.press("n")
    seen.said("A negative exemplar was drawn: ")
    assert fake.posted[-1]["label"] is None
    seen.press("Escape")
    expect(seen.page.locator("#box")).to_have_attribute("aria-pressed", "false")
    expect(seen.page.locator("#viewer")).to_be_visible()
    assert seen.trouble == []


def test_pictures_are_pasted_dropped_and_chosen(served: Start) -> None:
    fake, look = served(Fake(shots(2)))
    seen = look()
    seen.page.evaluate(PIXEL, "paste")
    seen.said("A picture of bolt: ")
    assert (fake.posted[-1]["kind"], fake.posted[-1]["label"]) == ("paste", "bolt")
    seen.page.keyboard.press("Shift+Digit0")
    expect(seen.page.locator("#exemplars-title")).to_have_text("Negative exemplars")
    seen.page.evaluate(PIXEL, "drop")
    seen.said("A picture of a negative: ")
    assert fake.posted[-1]["label"] is None
    expect(seen.page.locator("#exemplars .exemplar")).to_have_count(1)
    seen.page.locator("input[name=current]").nth(1).check()
    picture = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": fake.shots[1].picture(256)}
    seen.page.locator("#file").set_input_files(picture)
    seen.said("A picture of nut: ")
    seen.page.locator("#file").set_input_files(
        {"name": "a.txt", "mimeType": "text/plain", "buffer": b"x"}
    )
    seen.said("That is no picture.")
    expect(seen.page.locator("#exemplars .exemplar")).to_have_count(2)
    seen.page.locator("#exemplars .exemplar").nth(1).hover()
    seen.page.locator("#exemplars .gone").nth(1).click()
    seen.said("An exemplar was removed: ")
    expect(seen.page.locator("#exemplars .exemplar")).to_have_count(1)
    seen.page.locator(".toggle").click()
    seen.said("The second pass is on: ")
    expect(seen.page.locator("#second-effect")).to_contain_text("3 gained, 1 lost")
    seen.page.locator("input[name=current]").nth(0).check()
    expect(seen.page.locator("#exemplars .pseudo")).to_have_count(1)
    expect(seen.page.locator("#exemplars .pseudo .gone")).to_have_count(0)
    assert seen.trouble == []


def test_classes_are_added_renamed_and_merged(served: Start) -> None:
    _, look = served(Fake(shots(3)))
    seen = look()
    name, ok = seen.page.locator("#class-name"), seen.page.locator("#class-ok")
    seen.page.locator("#add-class").click()
    expect(name).to_be_focused()
    name.fill("bolt")
    expect(ok).to_be_disabled()
    name.fill("bad")
    seen.press("Enter")
    seen.said("bad is no name for a class; choose another.")
    seen.trouble.clear()  # the browser's own line of a status 400
    seen.page.locator("#add-class").click()
    name.fill("screw")
    seen.press("Enter")
    seen.said("screw is a class now: ")
    expect(seen.page.locator("#exemplars-title")).to_have_text("Exemplars of screw")
    seen.page.get_by_role("button", name="Rename or merge screw").click()
    name.fill("nut")
    expect(seen.page.locator("#class-note")).to_contain_text(
        "All exemplars of screw become exemplars of nut."
    )
    expect(ok).to_have_text("Merge")
    name.fill("washer")
    expect(ok).to_have_text("Rename")
    ok.click()
    seen.said("screw is washer now: ")
    expect(seen.page.locator("#exemplars-title")).to_have_text("Exemplars of washer")
    seen.page.locator('[data-class="bolt"]').drag_to(seen.page.locator('.row[data-class="nut"]'))
    expect(name).to_have_value("nut")
    ok.click()
    seen.said("bolt is nut now: ")
    expect(seen.page.locator(".row .title")).to_have_text(["nut", "washer", "None of them"])
    assert seen.trouble == []


def test_two_tabs_see_each_other_and_a_lost_connection_comes_back(
    served: Start, browser: object
) -> None:
    fake, look = served(Fake(shots(4)))
    one, two = look(), look()
    before = two.page.locator("#total").text_content()
    one.open(1)
    one.press("n")
    one.said("Wrong: ")
    expect(two.page.locator("#total")).not_to_have_text(before)
    expect(two.page.locator(".card.moved")).to_have_count(1)
    one.press("u")
    expect(two.page.locator("#total")).to_have_text(before)
    assert one.trouble == two.trouble == []
    fake.closed = True
    expect(two.page.locator("#lost")).to_be_visible()
    fake.closed = False
    fake.apply(
        {"kind": "judge", "image": "shelf/0002.jpg", "row": 0, "verdict": "wrong", "label": None}
    )
    expect(two.page.locator("#lost")).to_be_hidden()
    expect(two.page.locator(".card .mark.right")).to_have_count(1)


def test_a_thousand_pictures_keep_their_place(served: Start) -> None:
    small = shots(12)
    many = [Shot(f"{i:04d}.jpg", small[1].size, small[i % 11 + 1].things) for i in range(1000)]
    fake, look = served(Fake(many))
    seen = look()
    expect(seen.page.locator("#listed")).to_have_text("1,000 pictures")
    assert seen.page.locator(".card").count() < 60
    seen.page.locator("#gallery .open").first.focus()
    seen.press("End")
    last = seen.page.locator('.open[aria-label^="0999.jpg"]')
    expect(last).to_be_focused()
    assert last.evaluate("(item) => item.closest('li').getAttribute('aria-posinset')") == "1000"
    assert seen.page.locator(".card").count() < 60
    seen.press(*["ArrowUp"] * 7)
    key = seen.page.evaluate("document.activeElement.getAttribute('aria-label').slice(0, 8)")
    place = seen.page.evaluate("document.activeElement.getBoundingClientRect().top")
    fake.apply({"kind": "judge", "image": "0500.jpg", "row": 0, "verdict": "wrong", "label": None})
    expect(seen.page.locator("#review-words")).to_contain_text("1 judged")
    seen.page.locator("#order").select_option("changed")
    held = seen.page.locator(f'.open[aria-label^="{key}"]')
    expect(held).to_have_count(1)
    assert held.evaluate("(item) => item.getBoundingClientRect().top") == pytest.approx(place, abs=2)
    assert seen.trouble == []


def test_what_to_look_at_next(served: Start) -> None:
    fake, look = served(Fake(shots(5)))
    seen = look()
    seen.page.locator("#view label").nth(1).click()
    cards = seen.page.locator("#queue .card")
    expect(cards.first).to_be_visible()
    labels = cards.locator(".open").evaluate_all(
        "(all) => all.map((item) => item.getAttribute('aria-label'))"
    )
    assert all(re.search("the line|between two classes|unlike all exemplars", text) for text in labels)
    cards.first.locator(".open").focus()
    seen.press("y")
    seen.said("Right: ")
    assert fake.posted[-1]["verdict"] == "right"
    expect(cards.first.locator(".open")).not_to_have_attribute("aria-label", labels[0])
    second = cards.first.locator(".open").get_attribute("aria-label")
    cards.first.locator("[data-say=wrong]").click()
    seen.said("Wrong: ")
    expect(cards.first.locator(".open")).not_to_have_attribute("aria-label", second)
    expect(seen.page.locator("#review-words")).to_have_text("2 judged, 58 in doubt")
    cards.first.locator(".open").click()
    seen.listed()
    place = seen.page.locator("#viewer-place").text_content()
    seen.press("y")
    expect(seen.page.locator("#viewer-place")).not_to_have_text(place)
    expect(seen.page.locator("#right")).to_be_enabled()
    seen.press("n")
    expect(seen.page.locator("#review-hint")).to_contain_text("You can stop here.")
    assert len(fake.posted) == 4
    assert seen.trouble == []


def test_by_keyboard_alone(served: Start) -> None:
    fake, look = served(Fake(shots(8)))
    seen = look()
    seen.press("Tab")
    expect(seen.page.locator(".skip")).to_be_focused()
    seen.press("Enter")
    for _ in range(12):
        seen.press("Tab")
        if seen.page.evaluate("document.activeElement.closest('#gallery') !== null"):
            break
    seen.press("ArrowRight", "?")
    expect(seen.page.locator("#keys")).to_be_visible()
    seen.press("Escape")
    expect(seen.page.locator("#keys")).to_be_hidden()
    expect(seen.page.locator("#gallery .open").nth(1)).to_be_focused()
    seen.press("Enter")
    seen.listed()
    expect(seen.page.locator("#list")).to_be_focused()
    seen.press("j", "j", "k", "y")
    seen.said("Right: ")
    seen.press("ArrowRight")
    expect(seen.page.locator("#viewer-name")).to_have_text("shelf/0002.jpg")
    seen.listed()
    seen.press("2")
    expect(seen.page.locator("#review-words")).to_contain_text("2 judged")
    seen.press("Escape")
    expect(seen.page.locator("#gallery .open").nth(2)).to_be_focused()
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert seen.page.evaluate(outline) == "solid"
    assert len(fake.posted) == 2
    assert seen.trouble == []


def test_a_picture_that_cannot_be_used_is_not_waited_for(served: Start) -> None:
    failed = [{"name": "bad.png", "code": "decode", "message": "It cannot be read."}]
    fake, look = served(Fake(shots(3), failed=failed, total=5))
    seen = look()
    expect(seen.page.locator("#indexing")).to_be_visible()
    fake.total = 4
    seen.page.reload()
    expect(seen.page.locator("#failed-part")).to_be_visible()
    expect(seen.page.locator("#indexing")).to_be_hidden()


def test_hostile_names_are_text(served: Start) -> None:
    fake = Fake(
        shots(2, (HOSTILE, "nut"), HOSTILE + "{}.jpg"),
        start={HOSTILE: [HOSTILE], "nut": ["good/nut.jpg"]},
        failed=[{"name": HOSTILE, "code": "decode", "message": HOSTILE}],
    )
    _, look = served(fake)
    seen = look()
    expect(seen.page.locator(".row .title").first).to_have_text(HOSTILE)
    seen.open(0)
    seen.press("n")
    seen.said("Wrong: ")
    seen.press("Escape")
    seen.page.get_by_role("button", name=f"Rename or merge {HOSTILE}").click()
    expect(seen.page.locator("#class-title")).to_have_text(f"Rename {HOSTILE}")
    assert seen.page.locator("img[src=x]").count() == 0
    assert not seen.page.evaluate(WIDE)
    assert seen.trouble == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_small_screen_has_room_for_all(served: Start, scheme: str) -> None:
    _, look = served(Fake(shots(4), total=9))
    seen = look(viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    page = seen.page
    expect(page.locator("#gallery .card").first).to_be_visible()
    assert not page.evaluate(WIDE)
    assert page.evaluate(SMALL) == []
    page.locator("#side-button").click()
    expect(page.locator("#side")).to_be_visible()
    assert page.evaluate(SMALL) == []
    seen.press("Escape")
    expect(page.locator("#side")).to_be_hidden()
    seen.open(1)
    page.locator("#wrong").click()
    seen.said("Wrong: ")
    assert not page.evaluate(WIDE)
    assert page.evaluate(SMALL) == []
    assert page.evaluate("document.querySelector('#viewer').scrollWidth") <= 390
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) < 380) == (scheme == "dark")
    assert seen.trouble == []


def test_without_an_exemplar_the_page_says_how_to_begin(served: Start) -> None:
    fake, look = served(Fake(shots(2), start={}))
    seen = look()
    expect(seen.page.locator("#total")).to_have_text("0")
    seen.page.locator("#gallery .open").nth(1).click()
    expect(seen.page.locator("#evidence")).to_contain_text("There is no exemplar yet.")
    shot = fake.shots[1]
    seen.page.mouse.click(*seen.point(shot.things[0], shot))
    expect(seen.page.locator("#offer-words")).to_contain_text("1 of 2 regions here")
    seen.press("Tab", "Enter")  # the first class is asked for
    seen.page.locator("#class-name").fill("ring")
    seen.press("Enter")
    seen.said("An exemplar of ring: ")
    assert fake.posted[-1] == {"kind": "pick", "image": shot.name, "row": 0, "label": "ring"}
    assert seen.trouble == []
