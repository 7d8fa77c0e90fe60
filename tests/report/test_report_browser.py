"""The report page in headless Chromium, as a user has it: from a file, with mouse and keyboard."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import reports
import rulecases
from browsing import Opened, expect

from searchdet import report
from searchdet.config import Limits
from searchdet.config.option import pairs
from searchdet.output.folder import read_records
from searchdet.records.thresholds import detections

pytestmark = pytest.mark.browser
TOLD = (
    "score_before_suppression",
    "suppression_factor",
    "score",
    "positive_similarity",
    "margin",
    "class_margin",
)

VERDICTS = {
    "accepted": r"^Accepted, [\d.]+ above its least score",
    "score": r"^Rejected, [\d.]+ below its least score",
    "margin": r"^Rejected, below its least margin",
    "class_margin": r"^Rejected, too close to another class",
    "suppressed": r"^Rejected, suppressed: [\d.]+ below its least score",
}


def expected(folder: Path, limits: Limits) -> list[int]:
    """What ``searchdet export`` would write: detections in all and of each class."""
    found = [item.label for record in read_records(folder) for item in detections(record, limits)]
    return [len(found), found.count("bolt"), found.count("nut")]


def test_sliders_decide_as_export_does(opened: object, tmp_path: Path) -> None:
    made = report.write(reports.make_output(tmp_path))
    view = opened(made.path)
    assert view.counts() == expected(tmp_path, Limits())
    seen = {tuple(view.counts())}
    for text in ("0.31", "0.587123", "-0.2"):
        view.number("score").fill(text)
        limits = Limits(class_min_score=(("bolt", float(text)),))
        assert view.counts() == expected(tmp_path, limits)
        seen.add(tuple(view.counts()))
    for text in ("0.2", "-0.05"):
        view.number("margin", 1).fill(text)
        limits = Limits(class_min_score=(("bolt", -0.2),), class_min_margin=(("nut", float(text)),))
        assert view.counts() == expected(tmp_path, limits)
        seen.add(tuple(view.counts()))
    assert len(seen) == 6, "each of them changed something"
    slider = view.page.get_by_role("slider", name="Least score of bolt")
    slider.focus()
    for _ in range(3):
        slider.press("PageUp")
    value = float(view.number("score").input_value())
    assert value > -0.2
    limits = Limits(class_min_score=(("bolt", value),), class_min_margin=(("nut", -0.05),))
    assert view.counts() == expected(tmp_path, limits)
    tight = min(item.score for record in read_records(tmp_path) for item in record.detections)
    at_it_and_above = []
    for text in (f"{tight:.6f}", f"{tight + 1e-6:.6f}"):
        view.number("score", 0).fill(text)
        view.number("score", 1).fill(text)
        both = (("bolt", float(text)), ("nut", float(text)))
        limits = Limits(class_min_score=both, class_min_margin=(("nut", -0.05),))
        assert view.counts() == expected(tmp_path, limits)
        at_it_and_above.append(view.counts()[0])
    assert at_it_and_above[0] == at_it_and_above[1] + 1
    view.page.get_by_role("button", name="Reset all").click()
    assert view.counts() == expected(tmp_path, Limits())
    view.number("classMargin").fill("0.1")
    assert view.counts() == expected(tmp_path, Limits(class_margin=0.1))
    assert view.counts() != expected(tmp_path, Limits())
    view.number("classMargin").fill("-1")  # not a lead: detect refuses it
    assert view.counts() == expected(tmp_path, Limits(class_margin=0.1))
    for which, text in (("score", "1.5"), ("margin", "-2.5")):
        view.number(which).fill(text)
        assert view.counts() == expected(tmp_path, Limits(class_margin=0.1)), "nor does export take it"
        view.number(which).blur()
        assert view.number(which).input_value() == str(reports.LEAST[which])
    view.number("classMargin").blur()
    assert view.number("classMargin").input_value() == "0.1"
    view.page.get_by_role("button", name="Reset all").click()
    assert view.counts() == expected(tmp_path, Limits())
    assert view.quiet(), view.events


def verdicts(view: Opened) -> dict[str, str]:
    """What the page says of the first candidate of each image, by the image's name."""
    return view.page.evaluate(
        """() => {
          const text = (query) => document.querySelector(query)?.textContent ?? "";
          const found = {}, next = document.querySelector("#after");
          document.querySelector(".card .open").click();
          for (let more = true; more; next.click()) {
            found[text("#viewer-name")] = text("#evidence .why");
            more = !next.disabled;
          }
          document.querySelector("#close").click();
          return found;
        }"""
    )


def test_the_page_follows_the_cases_of_the_rule(opened: object, tmp_path: Path) -> None:
    """Each case is an image with one candidate, of a class of its own."""
    table = {f"bolt{i:02d}": case for i, case in enumerate(rulecases.cases())}
    for label, case in table.items():
        reports.write(tmp_path, replace(case.record(label), image=f"{label}.png"))
    view = opened(report.write(tmp_path).path)
    view.page.locator("#rejected").select_option("all")
    numbers = {
        row.locator(".title").text_content(): int(row.locator(".count").get_attribute("data-class"))
        for row in view.page.locator("#classes h3").all()
        if row.locator(".title").count()
    }
    view.page.locator(".rest summary").click()
    view.number("score", numbers["nut"]).fill("0.123")  # now the page decides anew, for all classes
    for label, case in table.items():
        if case.given:
            view.number("score", numbers[label]).fill(str(case.limits.min_score))
            view.number("margin", numbers[label]).fill(str(case.limits.min_margin))
    for lead in {case.given.get("class_margin") for case in table.values()}:
        view.number("classMargin").fill("" if lead is None else str(lead))
        said = verdicts(view)
        for label, case in table.items():
            if case.given.get("class_margin") != lead:
                continue
            count = view.page.locator(f'.count[data-class="{numbers[label]}"]').text_content()
            assert count == str(int(case.reason == "accepted")), case.name
            if case.standing.suppression_factor > 0:  # the page lists none of which nothing is left
                why = said[f"{label}.png"]
                assert re.search(VERDICTS[case.reason], why), (case.name, why)
    assert view.quiet(), view.events


def test_records_of_several_runs_keep_their_own_limits(opened: object, tmp_path: Path) -> None:
    reports.make_output(tmp_path, count=2)
    classes = ("bolt", "nut")
    reports.write(tmp_path, reports.record("z.png", classes, reports.run(classes, 0.3, lead=0.1), 8))
    view = opened(report.write(tmp_path).path)
    assert view.counts() == expected(tmp_path, Limits())
    assert view.number("score").input_value() == ""
    assert view.number("score").get_attribute("placeholder") == "varies"
    assert view.number("classMargin").input_value() == ""
    view.number("classMargin").fill("0")
    assert view.counts() == expected(tmp_path, Limits(class_margin=0.0))
    view.number("classMargin").fill("")
    view.number("score", 1).fill("0.5")
    assert view.counts() == expected(tmp_path, Limits(class_min_score=(("nut", 0.5),)))
    view.number("score", 1).fill("")
    assert view.counts() == expected(tmp_path, Limits())


def test_the_flags_mean_what_is_shown(opened: object, tmp_path: Path) -> None:
    label = 'it\'s a "bolt" $HOME=1'
    classes = (label, "nut")
    folder = tmp_path / "an output"
    for i in range(3):
        reports.write(folder, reports.record(f"{i}.png", classes, reports.run(classes), i))
    view = opened(report.write(folder).path)
    flags, command = view.page.locator("#flags"), view.page.locator("#export")
    assert shlex.split(command.text_content()) == ["searchdet", "export", str(folder), "--to", "coco"]
    view.number("score").fill("0.425001")
    view.number("margin").fill("-0.1")
    view.number("margin", 1).fill(str(reports.LEAST["margin"]))  # as in the records: no flag
    view.number("classMargin").fill("0.05")
    words = shlex.split(flags.text_content())
    assert words == [
        *("--class-min-score", f"{label}=0.425001"),
        *("--class-min-margin", f"{label}=-0.1"),
        *("--class-margin", "0.05"),
    ]
    assert shlex.split(command.text_content())[5:] == words
    limits = Limits(
        class_min_score=pairs([words[1]], ""),
        class_min_margin=pairs([words[3]], ""),
        class_margin=float(words[5]),
    )
    found = sum(len(detections(record, limits)) for record in read_records(folder))
    assert view.counts()[0] == found
    elsewhere = opened(report.write(folder, tmp_path / "page.html").path)
    assert elsewhere.page.locator("#export").text_content() == "searchdet export OUT --to coco"


def elements(view: Opened) -> dict[str, int]:
    """How many elements of each kind there are once everything was opened."""
    view.page.locator("#rejected").select_option("all")
    view.drawn()
    view.page.locator(".card .open").first.click()
    view.page.locator("#list li").first.click()
    return view.page.evaluate(
        "() => { const counts = {};"
        " for (const item of document.querySelectorAll('*'))"
        "   counts[item.localName] = (counts[item.localName] || 0) + 1;"
        " return counts; }"
    )


def test_hostile_names_stay_text(opened: object, tmp_path: Path) -> None:
    hostile = opened(report.write(reports.make_hostile(tmp_path / "a")).path)
    plain = opened(report.write(reports.make_plain(tmp_path / "b")).path)
    counts = elements(hostile)
    assert counts == elements(plain)
    text = hostile.page.locator("body").inner_text()
    assert reports.HOSTILE_CLASS in text
    assert reports.HOSTILE_IMAGE in text
    hostile.page.keyboard.press("Escape")
    hostile.page.locator("input[value=single]").check(force=True)
    hostile.page.locator("#find").fill("<img")
    hostile.page.locator("#listed", has_text="candidates").wait_for()
    assert hostile.page.locator(".card").count() > 5
    assert hostile.quiet(), hostile.events
    assert plain.quiet(), plain.events


def test_a_script_from_elsewhere_would_not_run(opened: object, tmp_path: Path) -> None:
    path = report.write(reports.make_output(tmp_path, count=1)).path
    text = path.read_text(encoding="utf-8")
    added = '<script>document.title = "taken"</script><img src="https://example.com/x.png">'
    path.write_text(text.replace("</main>", f"{added}</main>"), encoding="utf-8")
    view = opened(path)
    assert "taken" not in view.page.title()
    refused = [item for item in view.events if "Content Security Policy" in item]
    assert len(refused) == 2, view.events


def test_evidence_by_mouse_and_by_keyboard(opened: object, tmp_path: Path) -> None:
    folder = reports.make_output(tmp_path)
    view = opened(report.write(folder).path)
    page = view.page
    record = next(item for item in read_records(folder) if item.image == "deep/0.png")
    best = record.detections[0]
    view.drawn()
    card = page.locator(".card", has_text="0.png")
    x0, y0, x1, y1 = best.bbox
    box = card.locator("svg").bounding_box()
    scale = min(box["width"] / record.width, box["height"] / record.height)
    left = box["x"] + (box["width"] - scale * record.width) / 2
    top = box["y"] + (box["height"] - scale * record.height) / 2
    page.mouse.click(left + scale * (x0 + x1) / 2, top + scale * (y0 + y1) / 2)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(page.locator("#viewer-name")).to_have_text("deep/0.png")
    evidence = page.locator("#evidence")
    number = int(re.search(r"id (\d+)", evidence.text_content()).group(1))
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    boxes = {item.id: item.bbox for item in record.detections}
    assert number in boxes
    assert boxes[number][0] <= x < boxes[number][2]
    assert boxes[number][1] <= y < boxes[number][3]
    expect(evidence.locator("img")).to_have_count(2)
    page.keyboard.press("Home")
    expect(evidence).to_contain_text(f"{best.score:.6f}")
    page.keyboard.press("ArrowDown")
    expect(evidence).to_contain_text(f"{record.detections[1].score:.6f}")
    expect(evidence).not_to_contain_text(f"{best.score:.6f}")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer-name")).to_have_text("deep/1.png")
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    assert "1.png" in page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer-name")).to_have_text("deep/0.png")
    expect(page.locator("#list [aria-selected=true]")).to_have_count(1)
    assert view.quiet(), view.events


def test_the_sum_and_the_suppression_are_told(opened: object, tmp_path: Path) -> None:
    folder = reports.make_output(tmp_path, count=1)
    view = opened(report.write(folder).path)
    page = view.page
    page.locator("#rejected").select_option("all")
    page.locator(".card .open").last.click()
    record = next(item for item in read_records(folder) if item.status != "failed")
    weak = next(
        item for item in record.rejected if 0 < item.suppression_factor < 1 and (item.score or 0) > 0.1
    )
    shown = page.locator(f"#list li:has-text('{weak.score:.3f}')")
    shown.first.click()
    text = page.locator("#evidence").text_content().replace("\u2212", "-")
    for name in TOLD:
        assert f"{getattr(weak, name):.6f}" in text, name
    assert f"{-0.3 * max(weak.negative_similarity, 0):.6f}" in text
    assert record.levels[weak.label] != 0
    assert f"{-0.2 * record.levels[weak.label]:.6f}" in text
    assert f"Loses {round(100 * (1 - weak.suppression_factor))}\u202f%" in text
    assert "candidate 0" in text
    before = view.counts()[0]
    page.get_by_role("button", name="from here").click()
    limits = Limits(class_min_score=((weak.label, weak.score),))
    assert view.counts() == expected(folder, limits) != [before]
    page.get_by_role("button", name="Reject up to here").click()
    limits = Limits(class_min_score=((weak.label, round(weak.score + 1e-6, 6)),))
    assert view.counts() == expected(folder, limits)
    expect(page.locator("#evidence .why")).to_have_text(re.compile("^Rejected"))


def test_evidence_follows_the_sliders(opened: object, tmp_path: Path) -> None:
    view = opened(report.write(reports.make_output(tmp_path, count=1)).path)
    page = view.page
    rules = page.locator("#evidence table", has_text="must reach").locator("tbody")
    gap = next(item for item in read_records(tmp_path) if item.detections).detections[0].class_margin
    page.locator("#rejected").select_option("all")

    def look(*words: str) -> None:
        """Wait for the words in the rules of the best candidate, in their order."""
        view.drawn()
        page.locator(".card", has_text="0.png").locator(".open").click()
        page.keyboard.press("Home")
        text = ".*".join(map(re.escape, words))
        expect(rules).to_have_text(re.compile(f"^{text}$"))

    def close(lead: str, least: str) -> None:
        page.keyboard.press("Escape")
        for which, value in (("classMargin", lead), ("score", least), ("margin", "-0.5")):
            for label in range(1 if which == "classMargin" else 2):
                view.number(which, label).fill(value)

    look("Score", "\u2265 0.45\u2713Margin", "\u2265 0.05\u2713")
    assert gap > 0.001
    close("0.001", "-1")
    look(
        "Score",
        "\u2265 \u22121\u2713Margin",
        "\u2265 \u22120.5\u2713Class margin",
        "\u2265 0.001\u2713",
    )
    close("2", "-1")
    look("Score", "\u2713Margin", "\u2713Class margin", "< 2\u2717")
    why = page.locator("#evidence .why")
    expect(why).to_have_text(re.compile("^Rejected, too close to another class"))


def test_evidence_follows_a_lead_taken_away(opened: object, tmp_path: Path) -> None:
    classes = ("bolt", "nut")
    made = reports.record("z.png", classes, reports.run(classes, 0.3, lead=0.1), 8)
    reports.write(tmp_path, made)
    view = opened(report.write(tmp_path).path)
    rules = view.page.locator("#evidence table", has_text="must reach")
    for limit, count in (("", 3), ("0", 2)):
        view.number("classMargin").fill(limit)
        view.drawn()
        view.page.locator(".card .open").first.click()
        expect(rules.locator("tbody tr")).to_have_count(count)
        view.page.keyboard.press("Escape")


def test_filters_search_and_the_review_queue(opened: object, tmp_path: Path) -> None:
    folder = reports.make_output(tmp_path)
    view = opened(report.write(folder).path)
    page, cards = view.page, view.page.locator(".card")
    expect(cards).to_have_count(6)
    expect(page.locator("#listed")).to_have_text("6 images")
    page.locator("#status").select_option("failed")
    expect(cards).to_have_count(1)
    expect(cards).to_contain_text("broken.png: cut short.")
    page.locator("#status").select_option("all")
    page.locator("#find").fill("DEEP/3")
    expect(cards).to_have_count(1)
    page.locator("#find").fill("no such")
    expect(page.locator("#nothing")).to_be_visible()
    page.locator("#find").fill("")
    expect(cards).to_have_count(6)
    records = [item for item in read_records(folder) if item.status != "failed"]
    page.locator("#order").select_option("best")
    best = max(records, key=lambda item: max((d.score for d in item.detections), default=-9))
    expect(cards.first).to_contain_text(best.image.split("/")[1])
    page.locator("input[value=single]").check(force=True)
    page.locator("#rejected").select_option("near")
    page.locator("#order").select_option("doubt")
    every = [item for record in records for item in (*record.detections, *record.rejected)]
    doubt = [
        abs(min(item.score - 0.45, (9 if item.margin is None else item.margin) - 0.05))
        for item in every
        if item.score is not None and item.suppression_factor > 0
    ]
    nearest = [item for item in every if item.score is not None and item.suppression_factor > 0][
        int(min(range(len(doubt)), key=doubt.__getitem__))
    ]
    expect(cards.first).to_contain_text(f"{nearest.label} {nearest.score:.3f}")
    page.locator("#class").select_option(label="nut")
    view.drawn()
    expect(page.locator(".gallery")).not_to_contain_text("bolt")
    view.number("score", 1).fill("0.1")
    page.locator("#status").select_option("changed")
    expect(cards).not_to_have_count(0)
    assert view.quiet(), view.events


def luminance(colour: str) -> float:
    return sum(int(n) for n in re.findall(r"\d+", colour)[:3]) / 765


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 640), (768, 1024)])
def test_it_fits_every_screen(
    opened: object, tmp_path: Path, scheme: str, width: int, height: int
) -> None:
    made = report.write(reports.make_output(tmp_path))
    phone = {"is_mobile": True, "has_touch": True} if width < 500 else {}
    view = opened(made.path, viewport={"width": width, "height": height}, color_scheme=scheme, **phone)
    page = view.page
    fits = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(fits)
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    ink = page.evaluate("() => getComputedStyle(document.body).color")
    assert (luminance(ground) > 0.9) == (scheme == "light")
    assert abs(luminance(ground) - luminance(ink)) > 0.7
    if width < 900:
        side = page.locator("#side")
        expect(side).not_to_be_visible()
        page.locator("#side-button").click()
        expect(side).to_be_visible()
        view.number("score").fill("0.2")
        page.keyboard.press("Escape")
        expect(side).not_to_be_visible()
    page.locator(".card .open").last.click()
    assert page.evaluate(fits)
    assert page.evaluate(
        "() => { const d = document.getElementById('viewer'); const box = d.getBoundingClientRect();"
        " return d.scrollWidth <= d.clientWidth && box.left >= 0 && box.right <= innerWidth; }"
    )
    assert view.quiet(), view.events


def test_pictures_are_drawn_near_the_window_only(opened: object, tmp_path: Path) -> None:
    view = opened(report.write(reports.make_output(tmp_path, count=80)).path)
    page = view.page
    view.drawn()
    assert 4 <= page.locator(".card svg").count() < 40
    page.keyboard.press("End")
    page.locator(".card .open").first.focus()
    page.keyboard.press("End")
    expect(page.locator(".card").last.locator("svg, .blank").first).to_be_attached()
    expect(page.locator(".card").first.locator("svg, .blank")).to_have_count(0)
    view.drawn()
    assert page.locator(".card svg").count() < 40
    heights = page.evaluate(
        "() => new Set([...document.querySelectorAll('.card')].map((card) => card.offsetHeight)).size"
    )
    assert heights == 1, "an empty card is as high as a drawn one"
