"""What a labeller does on the page: zoom in, judge what was found, compare with the truth."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reports
from browsing import Opened, expect
from PIL import Image
from typer.testing import CliRunner
from worlds import RED, draw

from searchdet import report
from searchdet.annotations.coco import Truth
from searchdet.bank import file as bankfile
from searchdet.bank.describe import mask_digest
from searchdet.bank.verdicts import read_verdicts
from searchdet.cli import app
from searchdet.images import digest
from searchdet.masks import rle
from searchdet.output.folder import read_records

pytestmark = pytest.mark.browser
FULL, DEFECT, PLACE = (3000, 4000), 12, (1711, 2903)
"""Size of a photo, side of what is to be seen in it, and where that is, all (down, across)."""


def photo() -> np.ndarray:
    """Grey, with a small square of stripes of one pixel in two colours."""
    rng = np.random.default_rng(3)
    small = rng.integers(90, 150, (FULL[0] // 100, FULL[1] // 100, 1), np.uint8).repeat(3, 2)
    pixels = np.kron(small, np.ones((100, 100, 1), np.uint8))
    y, x = PLACE
    defect = pixels[y : y + DEFECT, x : x + DEFECT]
    defect[:, ::2], defect[:, 1::2] = (230, 30, 20), (20, 30, 120)
    return pixels


def large(folder: Path) -> Path:
    """An output folder with one large photo, in which the defect is found. in/: the photo."""
    (folder / "in").mkdir()
    buffer = io.BytesIO()
    Image.fromarray(photo()).save(buffer, "PNG")
    (folder / "in/a.png").write_bytes(buffer.getvalue())
    made = reports.record("a.png", ("bolt",), reports.run(("bolt",)), 1)
    y, x = PLACE
    mask = rle.encode_window(np.ones((DEFECT, DEFECT), bool), (y, x), FULL)
    box = (x, y, x + DEFECT, y + DEFECT)
    best = replace(made.candidates[0], bbox=box, area=DEFECT**2, segmentation=mask)
    sha256 = digest(buffer.getvalue())
    made = replace(made, width=FULL[1], height=FULL[0], candidates=(best,), sha256=sha256)
    reports.write(folder / "out", made)
    return folder / "out"


def seen(view: Opened) -> np.ndarray:
    """The defect as it is on the screen, a sample from the middle of each of its pixels."""
    corner = view.page.evaluate(
        """([y, x, side]) => {
          const svg = document.querySelector("#shown svg"), unit = 1024 / 4000, by = svg.getScreenCTM();
          const at = (k) => new DOMPoint((x + k) * unit, (y + k) * unit).matrixTransform(by);
          return [at(0).x, at(0).y, at(side).x, at(side).y];
        }""",
        [*PLACE, DEFECT],
    )
    shot = Image.open(io.BytesIO(view.page.screenshot()))
    x0, y0, x1, y1 = corner
    steps = (np.arange(DEFECT) + 0.5) / DEFECT
    across, down = (x0 + steps * (x1 - x0)).astype(int), (y0 + steps * (y1 - y0)).astype(int)
    return np.asarray(shot.convert("RGB"), float)[down][:, across]


def sharp(view: Opened) -> float:
    """How far the defect is, at its worst in the mean of a pixel, from that of the photo."""
    y, x = PLACE
    wanted = photo()[y : y + DEFECT, x : x + DEFECT]
    return float(np.abs(seen(view) - wanted).mean(axis=2).max())


LOADED = """() => [...document.querySelectorAll("#shown image[data-tile^='0-']")].length > 0"""


def test_a_defect_of_12_pixels_is_seen_at_its_own_pixels(opened: object, tmp_path: Path) -> None:
    made = report.write(large(tmp_path), shown=report.Pictures(tmp_path / "in"))
    assert made.beside.name == "report-pictures"
    assert made.without_full == ()
    view = opened(made.path)
    page = view.page
    page.locator(".card .open").first.click()
    expect(page.locator("#zoom-note")).not_to_be_empty()
    page.keyboard.press("m")
    assert sharp(view) > 60, "from afar its stripes are one colour"
    page.keyboard.press("z")
    page.wait_for_function(LOADED)
    page.wait_for_timeout(1500)
    expect(page.locator("#zoom-note")).to_have_text("400\u202f%")
    assert sharp(view) < 30
    near = page.evaluate("document.querySelector('#shown svg').getAttribute('viewBox')")
    page.keyboard.press("0")
    assert page.evaluate("document.querySelector('#shown svg').getAttribute('viewBox')") != near
    assert view.quiet(), view.events


def shown_share(view: Opened) -> float:
    """Of the width of the picture."""
    return view.page.evaluate(
        "() => document.querySelector('#shown svg').getAttribute('viewBox').split(' ')[2] / 1024"
    )


def middle(view: Opened) -> list[float]:
    x, y, width, height = view.page.evaluate(
        "() => document.querySelector('#shown svg').getAttribute('viewBox').split(' ').map(Number)"
    )
    return [x + width / 2, y + height / 2]


def test_wheel_drag_keys_and_double_click_move_the_picture(opened: object, tmp_path: Path) -> None:
    view = opened(report.write(large(tmp_path), shown=report.Pictures(tmp_path / "in")).path)
    page = view.page
    page.locator(".card .open").first.click()
    box = page.locator("#shown svg").bounding_box()
    at = (box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    whole = shown_share(view)
    page.mouse.move(*at)
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(300)
    assert shown_share(view) < 0.6 * whole
    for key, nearer in (("+", True), ("-", False), ("=", True)):
        before = shown_share(view)
        page.keyboard.press(key)
        assert (shown_share(view) < before) == nearer
    before = middle(view)
    page.mouse.down()
    page.mouse.move(at[0] - 90, at[1] - 40, steps=4)
    page.mouse.up()
    after = middle(view)
    assert after[0] > before[0]
    assert after[1] > before[1]
    page.keyboard.press("Shift+ArrowLeft")
    assert middle(view)[0] < after[0]
    page.keyboard.press("0")
    assert shown_share(view) == pytest.approx(whole)
    page.mouse.dblclick(*at)
    expect(page.locator("#zoom-note")).to_have_text("100\u202f%")
    page.mouse.dblclick(*at)
    assert shown_share(view) == pytest.approx(whole)
    for button, nearer in (("Nearer", True), ("Farther", False)):
        before = shown_share(view)
        page.get_by_role("button", name=button).click()
        assert (shown_share(view) < before) == nearer
    assert view.quiet(), view.events


def test_two_fingers_zoom(opened: object, tmp_path: Path) -> None:
    made = report.write(large(tmp_path), shown=report.Pictures(tmp_path / "in"))
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    view = opened(made.path, **phone)
    page = view.page
    page.locator(".card .open").first.click()
    before = shown_share(view)
    touch = page.context.new_cdp_session(page)
    for kind, apart in (("Start", 20), ("Move", 40), ("Move", 90), ("End", None)):
        points = [] if apart is None else [{"x": 195 - apart, "y": 220}, {"x": 195 + apart, "y": 220}]
        touch.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    page.wait_for_timeout(300)
    assert shown_share(view) < before / 2
    assert view.quiet(), view.events


def test_without_full_pictures_nothing_is_beside_the_page(opened: object, tmp_path: Path) -> None:
    out = large(tmp_path)
    assert report.write(out).without_full == ("a.png",)
    made = report.write(out, shown=report.Pictures(tmp_path / "in", full=False))
    assert not made.beside.exists()
    view = opened(made.path)
    view.page.locator(".card .open").first.click()
    expect(view.page.locator("#zoom-note")).to_contain_text("thumbnail")
    assert view.quiet(), view.events


def searched(root: Path) -> list[tuple[str, int]]:
    """out/: two pictures in which at least 20 red squares are found, by image and id."""
    for i in range(2):
        path = root / f"in/many/{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.concatenate([draw([RED] * 6, 10 + i), draw([RED] * 6, 20 + i)])).save(path)
    words = ["detect", "in/many", "-o", "many", "--bank", "bank.safetensors", "--min-score", "0.3"]
    assert CliRunner().invoke(app, words).exit_code == 0
    return [(r.image, item.id) for r in read_records(root / "many") for item in r.detections]


def test_twenty_verdicts_by_keyboard_are_twenty_exemplars(
    opened: object, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = searched(made)
    assert len(found) >= 20
    view = opened(report.write(made / "many").path)
    page = view.page
    page.locator(".card .open").first.click()
    page.keyboard.press("Home")
    keys = "rrwr1wrrr1rwrrrr1rrw"
    for i, key in enumerate(keys, start=1):
        page.keyboard.press(key)
        text = f"{i} of {len(found)} detections judged"
        expect(page.locator(".judge [data-progress]")).to_have_text(text)
    page.keyboard.press("u")
    expect(page.locator(".judge [data-progress]")).to_contain_text("19 of")
    page.keyboard.press("w")
    page.keyboard.press("Escape")
    with page.expect_download() as download:
        page.locator("#save").click()
    assert download.value.suggested_filename == "verdicts.json"
    download.value.save_as("verdicts.json")
    said = json.loads(Path("verdicts.json").read_text())["verdicts"]
    assert len(said) == 20

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model was asked for")

    monkeypatch.setattr("searchdet.backbones.load", refuse)
    before = bankfile.load(Path("bank.safetensors"))
    words = ["bank", "add", "bank.safetensors", "--from-verdicts", "verdicts.json", "--records", "many"]
    added = CliRunner().invoke(app, words)
    assert added.exit_code == 0, added.stderr
    after = bankfile.load(Path("bank.safetensors"))
    positives = after.positives.take(range(len(before.positives), len(after.positives)))
    negatives = after.negatives.take(range(len(before.negatives), len(after.negatives)))
    assert (len(positives), len(negatives)) == (16, 4)
    names = {f"{image}#{number}" for image, number in found}
    assert {*positives.names, *negatives.names} <= names
    assert {item["label"] for item in said} == {"red", None}
    masks = {
        f"{record.image}#{item.id}": mask_digest(
            rle.decode([item.segmentation], (record.height, record.width))[0]
        )[:16]
        for record in read_records(Path("many"))
        for item in record.detections
    }
    for origin in (*positives.origins, *negatives.origins):
        assert origin.mask == masks[origin.name]
    assert view.quiet(), view.events


def test_verdicts_stay_are_read_again_and_undone(opened: object, tmp_path: Path) -> None:
    folder = reports.make_output(tmp_path / "out")
    path = report.write(folder).path
    view = opened(path)
    page = view.page
    note, judged = page.locator("#verdict-note"), page.locator(".review [data-progress]")
    total = view.counts()[0]
    page.locator(".card .open").nth(1).click()
    page.get_by_role("button", name="Right").click()
    page.keyboard.press("2")
    page.locator("#other").select_option(label="A new class\u2026")
    page.locator("#new-name").fill("wash\u00a0er")
    page.get_by_role("button", name="Use").click()
    expect(page.locator(".judge [data-progress]")).to_have_text(f"3 of {total} detections judged")
    page.keyboard.press("Escape")
    with page.expect_download() as download:
        page.locator("#save").click()
    download.value.save_as(tmp_path / "v.json")
    text = (tmp_path / "v.json").read_text()
    said = json.loads(text)["verdicts"]
    assert {item["label"] for item in said} >= {"wash\u00a0er"}
    assert len(read_verdicts(tmp_path / "v.json")) == 3
    view.open()
    expect(judged).to_have_text(f"3 of {total} detections judged")
    page.locator("#status").select_option("judged")
    expect(page.locator(".card")).to_have_count(1)
    page.locator("#status").select_option("all")
    other = opened(path)
    expect(other.page.locator(".review [data-progress]")).to_have_text(
        f"0 of {total} detections judged"
    )
    other.page.locator("#file").set_input_files(tmp_path / "v.json")
    expect(other.page.locator("#verdict-note")).to_have_text("3 verdicts of v.json taken.")
    expect(other.page.locator(".review [data-progress]")).to_have_text(
        f"3 of {total} detections judged"
    )
    for bad, says in (
        ("x", "it is not JSON"),
        ("{}", "no searchdet.verdicts/1"),
        (text.replace("ab" * 32, "cd" * 32), "3 are not of these records"),
        ('{"schema": "searchdet.verdicts/1", "verdicts": [null, 3, {}]}', "3 are not of these records"),
    ):
        (tmp_path / "w.json").write_text(bad)
        page.locator("#file").set_input_files(tmp_path / "w.json")
        expect(note).to_contain_text(says)
        expect(judged).to_have_text(f"3 of {total} detections judged")
    assert view.quiet(), view.events
    assert other.quiet(), other.events


def truth_of(folder: Path) -> Truth:
    """What was found first in each image, and one object more that nothing lies on."""
    images, objects = [], []
    for number, record in enumerate((r for r in read_records(folder) if not r.failed), start=1):
        size = {"width": record.width, "height": record.height}
        images.append({"id": number, "file_name": record.image, **size})
        best = record.detections[0]
        x0, y0, x1, y1 = best.bbox
        for box in ([x0, y0, x1 - x0, y1 - y0], [0, 0, 3, 3]):
            objects.append({"image_id": number, "category_id": 1, "bbox": box, "label": best.label})
    labels = sorted({item["label"] for item in objects})
    for item in objects:
        item["category_id"] = labels.index(item.pop("label")) + 1
    names = [{"id": i, "name": name} for i, name in enumerate(labels, start=1)]
    return Truth({"images": images, "annotations": objects, "categories": names})


def test_the_truth_lies_over_the_pictures(opened: object, tmp_path: Path) -> None:
    folder = reports.make_output(tmp_path)
    view = opened(report.write(folder, truth=truth_of(folder)).path)
    page = view.page
    line = page.locator("#truth-line")
    expect(line).to_contain_text("5 true,")
    expect(line).to_contain_text("5 missed in 5 of 6 images")
    expect(line).to_contain_text("recall 0.500")
    view.drawn()
    expect(page.locator(".card path.missed:not(.under)")).to_have_count(5)
    expect(page.locator(".card", has_text="0.png")).to_contain_text("1 missed")
    page.locator("#truth").uncheck()
    expect(page.locator(".card path.missed")).to_have_count(0)
    page.locator("#truth").check()
    for label in range(2):
        view.number("score", label).fill("1")
    expect(line).to_contain_text("0 true, 0 false alarms, 10 missed")
    expect(page.locator(".review [data-progress]")).to_have_text("0 of 0 detections judged")
    page.get_by_role("button", name="Reset all").click()
    page.locator("#status").select_option("missed")
    expect(page.locator(".card")).to_have_count(5)
    page.locator("input[value=single]").check(force=True)
    page.locator("#status").select_option("false")
    expect(page.locator(".card").first).to_contain_text("false alarm")
    page.locator(".card .open").first.click()
    expect(page.locator("#evidence")).to_contain_text("By the ground truth: a false alarm")
    assert view.quiet(), view.events


def test_scores_classes_and_lists(opened: object, tmp_path: Path) -> None:
    classes = ("bolt", "nut", "crack", "dent", "scratch")
    rule = reports.run(classes)
    for i in range(4):
        made = reports.record(f"{i}.png", classes[:2], rule, i)
        reports.write(tmp_path, replace(made, classes=classes, levels=dict.fromkeys(classes, 0.1)))
    view = opened(report.write(tmp_path).path)
    page = view.page
    counts = page.locator("#classes > .class .count").all_text_contents()
    assert counts == sorted(counts, key=int, reverse=True)
    expect(page.locator(".rest summary")).to_have_text("3 classes without detections")
    expect(page.get_by_text("scratch", exact=True).first).not_to_be_visible()
    view.drawn()
    expect(page.locator(".card").first).to_contain_text("bolt")
    page.locator("input[value=single]").check(force=True)
    page.locator("#rejected").select_option("all")
    page.locator("#low").fill("0.5")
    page.locator("#high").fill("0.55")
    scores = [
        item.score
        for record in read_records(tmp_path)
        for item in record.candidates
        if item.score is not None and 0.5 <= item.score <= 0.55 and item.suppression_factor > 0
    ]
    expect(page.locator("#listed")).to_have_text(f"{len(scores)} candidates")
    for name in ("low", "high"):
        page.locator(f"#{name}").fill("")
    page.locator("input[value=images]").check(force=True)
    page.locator(".card .open").first.click()
    rows = page.locator("#list").evaluate("(list) => list.clientHeight / list.firstChild.offsetHeight")
    assert rows > 6
    assert view.quiet(), view.events


SMALL = """() => [...document.querySelectorAll("button, select, input")]
  .filter((item) => item.offsetParent && !item.closest(".card") && !/radio|checkbox/.test(item.type))
  .filter((item) => Math.min(item.offsetWidth, item.offsetHeight) < 44)
  .map((item) => item.id || item.textContent)"""


def test_on_a_phone_all_is_large_enough_and_in_reach(opened: object, tmp_path: Path) -> None:
    folder = reports.make_output(tmp_path)
    made = report.write(folder, truth=truth_of(folder))
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    view = opened(made.path, **phone)
    page = view.page
    fits = "() => document.documentElement.scrollWidth <= 390"
    page.locator("#more").click()
    assert page.evaluate(SMALL) == []
    assert page.evaluate(fits)
    page.locator("#side-button").click()
    assert page.evaluate(SMALL) == []
    page.keyboard.press("Escape")
    page.locator(".card .open").nth(1).click()
    assert page.evaluate(SMALL) == []
    assert page.evaluate(fits)
    page.get_by_role("button", name="Hide masks").click()
    expect(page.locator("#stage")).to_have_class("stage bare")
    for top in (0, 200, 2000):
        page.evaluate(f"document.querySelector('.viewer-body').scrollTop = {top}")
        assert page.evaluate(
            """() => { const box = document.querySelector("#right").getBoundingClientRect();
              const at = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
              return at !== null && at.id === "right"; }"""
        ), "the verdict is in reach, whatever was scrolled"
    assert view.quiet(), view.events
