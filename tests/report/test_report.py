"""The report page without a browser: what the file holds, and that no name in it is markup."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import reports
from PIL import Image
from typer.testing import CliRunner
from worlds import RED, draw

from searchdet import report
from searchdet.cli import app
from searchdet.config import Limits
from searchdet.errors import UsageError
from searchdet.images import Bounds, LoadedImage, read_image
from searchdet.masks import rle
from searchdet.output.folder import read_records
from searchdet.output.render import encode_jpeg, exemplar_picture, thumbnail
from searchdet.records.record import ImageRecord, read_record
from searchdet.records.thresholds import detections
from searchdet.report import outlines, pictures
from searchdet.report.page import json_text

pytestmark = pytest.mark.model

DETAILS = {
    "beforeSuppression": "score_before_suppression",
    "suppressionFactor": "suppression_factor",
    "positive": "positive_similarity",
    "negative": "negative_similarity",
    "shape": "shape_similarity",
    "context": "context_similarity",
    "size": "size_similarity",
    "quality": "quality",
    "probability": "probability",
}


class Page(HTMLParser):
    """Elements with their attributes, and the text of script and style elements by id."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.text: dict[str, str] = {}
        self.shown: list[str] = []
        self._inside: str | None = None
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        if tag in ("script", "style"):
            self._inside = dict(attrs).get("id") or tag
            self.text[self._inside] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside is None:
            self.shown.append(data)
        else:
            self.text[self._inside] += data

    @property
    def policy(self) -> str:
        values = [value or "" for name, value in self.attributes if name == "content"]
        return next(value for value in values if "default-src" in value)

    def json(self, name: str) -> dict[str, object]:
        return json.loads(self.text[name])


def unpacked(text: str) -> list[int]:
    values, value, shift = [], 0, 0
    for letter in text:
        bits = outlines.ALPHABET.index(letter)
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            values.append(-((value + 1) >> 1) if value & 1 else value >> 1)
            value = shift = 0
    return values


def rings(text: str) -> list[np.ndarray]:
    """What picture.js draws."""
    values, out = unpacked(text), []
    while values:
        count, values = values[0], values[1:]
        ways = np.asarray(values[: 2 * count]).reshape(-1, 2)
        out.append(np.cumsum(ways, axis=0))
        values = values[2 * count :]
    return out


def test_the_page_holds_everything_and_may_reach_nothing(tmp_path: Path) -> None:
    made = report.write(reports.make_output(tmp_path))
    page = Page(made.path)
    assert made.path == tmp_path / "report.html"
    assert (made.images, made.left_out, made.without_picture) == (6, 0, 2)
    policy = dict(part.split(" ", 1) for part in page.policy.split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["img-src"] == "data:"
    for kind in ("script", "style"):
        digest = hashlib.sha256(page.text[kind].encode()).digest()
        assert policy[f"{kind}-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"
    text = made.path.read_text(encoding="utf-8")
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|file://|url\((?!#)|@import", text)
    for name, value in page.attributes:
        assert not name.startswith("on"), name
        assert name != "style"
        assert name not in ("src", "srcset")
        assert name != "href" or value in ("data:,", "#gallery")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", page.text["script"]
    )
    assert page.text["t1"].startswith("/9j/"), "a JPEG in base64"
    assert "t0" not in page.text, "the failed image has none"
    assert {"e0", "e1"} <= page.text.keys()


def test_hostile_names_are_no_markup(tmp_path: Path) -> None:
    hostile = Page(report.write(reports.make_hostile(tmp_path / "hostile")).path)
    plain = Page(report.write(reports.make_plain(tmp_path / "plain")).path)
    assert hostile.tags == plain.tags
    assert hostile.tags["img"] == 0
    assert hostile.text["script"] == plain.text["script"]
    assert "".join(hostile.shown) == "".join(plain.shown)
    head = hostile.json("head")
    assert head["classes"] == [reports.HOSTILE_CLASS, "nut"]
    assert [item["name"] for item in head["images"]] == [
        reports.HOSTILE_IMAGE,
        f"z{reports.HOSTILE_IMAGE}",
    ]
    assert head["exemplars"][0] == reports.HOSTILE_EXEMPLAR
    nasty = "</script><!--<script>&\u2028\u2029\udcff"
    text = json_text({"a": nasty})
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": nasty}


def test_equal_records_give_equal_bytes_and_no_full_path(tmp_path: Path) -> None:
    one = report.write(reports.make_output(tmp_path / "one")).path.read_bytes()
    two = report.write(reports.make_output(tmp_path / "two")).path.read_bytes()
    assert one == two
    assert report.write(tmp_path / "one").path.read_bytes() == one
    assert str(tmp_path).encode() not in one
    elsewhere = report.write(tmp_path / "one", tmp_path / "page.html").path.read_bytes()
    assert elsewhere != one, "the page may name its folder only while it lies in it"


def test_numbers_arrive_as_they_are_stored_and_the_hopeless_stay_out(tmp_path: Path) -> None:
    page = Page(report.write(reports.make_output(tmp_path)).path)
    images = page.json("head")["images"]
    records = list(read_records(tmp_path))
    assert [record.status for record in records] == ["failed", *["ok"] * 5]
    for i, record in enumerate(records):
        if record.failed:
            assert images[i]["error"] == ["decode", "broken.png: cut short."]
            continue
        loose = detections(record, Limits(min_score=-2, min_margin=-2, class_margin=0))
        stored = page.json(f"d{i}") | {"id": images[i]["id"]}
        assert sorted(stored["id"]) == sorted(item.id for item in loose)
        assert images[i]["left"] == len(record.candidates) - len(loose) > 0
        known = {item.id: item for item in record.candidates}
        for k, number in enumerate(stored["id"]):
            item = known[number]
            for column, name in DETAILS.items():
                value = stored[column][k]
                assert (None if value is None else value / 1_000_000) == getattr(item, name)
            for column, name in (
                ("score", "score"),
                ("margin", "margin"),
                ("classMargin", "class_margin"),
            ):
                value = images[i][column][k]
                assert (None if value is None else value / 1_000_000) == getattr(item, name)
            assert stored["box"][4 * k : 4 * k + 4] == list(item.bbox)


@pytest.mark.parametrize("size", [(90, 120), (700, 500), (3000, 2000)])
def test_outlines_are_the_masks(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    scale = outlines.scale_of(size[1], size[0])
    small = cv2.resize(
        rng.normal(size=(9, 9)).astype(np.float32), size[::-1], interpolation=cv2.INTER_CUBIC
    )
    thin = np.zeros(size, bool)
    thin[size[0] // 2 : size[0] // 2 + 1 + size[0] // 100, 5:-5] = True
    ring = np.zeros(size, np.uint8)
    cv2.circle(ring, (size[1] // 2, size[0] // 2), size[0] // 3, 1, size[0] // 8)
    for mask, least in ((small > 0.4, 0.93), (ring.astype(bool), 0.93), (thin, 0.3)):
        text = outlines.text_of(rle.encode(mask), scale)
        assert set(text) <= set(outlines.ALPHABET)
        grid = (round(size[0] * scale), round(size[1] * scale))
        canvas = np.zeros(grid, np.uint8)
        cv2.fillPoly(canvas, [ring.astype(np.int32) for ring in rings(text)], 1)
        wanted = cv2.resize(mask.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA) >= 0.5
        drawn = canvas.astype(bool)
        assert (drawn & wanted).sum() / (drawn | wanted).sum() > least
    assert outlines.text_of(rle.encode(np.zeros(size, bool)), scale) == ""
    values = np.asarray([0, -1, 1, 15, -16, 16, 1023, -70000])
    assert unpacked(outlines.packed(values)) == values.tolist()


def test_candidates_far_below_are_boxes_only(tmp_path: Path) -> None:
    page = Page(report.write(reports.make_output(tmp_path)).path)
    found = zip(page.json("head")["images"][1]["score"], page.json("d1")["outline"], strict=True)
    least = reports.LEAST["score"]
    kinds = {(score / 1_000_000 >= least - 0.25, outline != "") for score, outline in found}
    assert kinds == {(True, True), (False, False)}


def test_pictures_come_from_the_images_where_thumbnails_are_missing(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--positive", "in/positive", "--negative", "in/negative", "--proposals", "regions"]
    folder = ["in/images", "--recursive", "-o", "out"]
    assert CliRunner().invoke(app, ["detect", *folder, *words]).exit_code == 0
    with Image.open(world / "out/thumbnails/deep/a.png.jpg") as image:
        assert image.size == (140, 120)
    shown = sorted(
        path.relative_to(world / "out/exemplars") for path in (world / "out").rglob("1.png.jpg")
    )
    assert [path.as_posix() for path in shown] == ["negative/1.png.jpg", "positive/red/1.png.jpg"]
    whole = report.write(Path("out")).path.read_bytes()
    (world / "out/thumbnails/deep/a.png.jpg").unlink()
    (world / "out/thumbnails/a.png.jpg").write_bytes(b"no picture")
    assert report.write(Path("out")).without_picture == 2
    result = CliRunner().invoke(app, ["report", "out", "--images", "in/images"])
    assert result.exit_code == 0, result.stderr
    assert "3 images" in result.stderr
    assert (world / "out/report.html").read_bytes() == whole
    Image.fromarray(draw([RED], 9)).save(world / "in/images/a.png")
    result = CliRunner().invoke(app, ["report", "out", "--images", "in/images"])
    assert "is another image" in result.stderr
    assert "1 without a picture" in result.stderr


def test_the_command_and_its_refusals(tmp_path: Path) -> None:
    out = str(reports.make_output(tmp_path / "out"))
    result = CliRunner().invoke(
        app, ["report", out, "-o", str(tmp_path / "p.html"), "--max-images", "2"]
    )
    assert result.exit_code == 0, result.stderr
    assert "2 images" in result.stderr
    assert "4 left out" in result.stderr
    page = Page(tmp_path / "p.html")
    assert len(page.json("head")["images"]) == 2
    assert page.json("head")["leftOut"] == 4
    assert "d2" not in page.text
    assert CliRunner().invoke(app, ["report", str(tmp_path)]).exit_code == 2
    (tmp_path / "empty/records").mkdir(parents=True)
    assert CliRunner().invoke(app, ["report", str(tmp_path / "empty")]).exit_code == 2
    (tmp_path / "file").write_text("x")
    refused = CliRunner().invoke(app, ["report", out, "-o", str(tmp_path / "file/p.html")])
    assert refused.exit_code == 5


def test_a_picture_that_was_searched_is_shown_whatever_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = reports.make_output(tmp_path / "out", count=1)
    shutil.rmtree(folder / "thumbnails")
    path = folder / "records/deep/0.png.json"
    record = read_record(path)
    assert record is not None
    image = tmp_path / "in/deep/0.png"
    image.parent.mkdir(parents=True)
    Image.new("RGB", (record.width, record.height)).save(image)
    sha256 = hashlib.sha256(image.read_bytes()).hexdigest()
    path.write_text(path.read_text().replace(record.sha256, sha256))

    def limited(path: Path, most: int = 10, given: Bounds | None = None) -> LoadedImage:
        return read_image(path, most, given)

    monkeypatch.setattr(pictures, "MAX_PIXELS", 10, raising=False)
    monkeypatch.setattr(pictures, "read_image", limited)
    made = report.write(folder, shown=report.Pictures(tmp_path / "in", full=False))
    assert (made.images, made.without_picture) == (2, 1)  # of the one that failed


def test_records_are_gone_through_as_the_caller_wants(tmp_path: Path) -> None:
    seen = []

    def advance(records: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
        for record in records:
            yield record
            seen.append(record.image)

    made = report.write(reports.make_output(tmp_path), advance=advance)
    assert len(seen) == made.images > 1


def test_names_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = reports.make_output(tmp_path / "out", count=1)
    (tmp_path / "secret.jpg").write_bytes(b"\xff\xd8secret")
    path = folder / "records/deep/0.png.json"
    path.write_text(path.read_text().replace('"deep/0.png"', '"../../secret"'))
    assert report.write(folder, shown=report.Pictures(tmp_path)).without_picture == 2
    for name in ("../x", "/etc/x", "a/../../x"):
        assert pictures.below(folder, name) is None
    with pytest.raises(UsageError):
        report.write(tmp_path / "absent")


def test_pictures_get_smaller_where_they_are_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8)
    found = [encode_jpeg(noise), None, encode_jpeg(noise[:200])]
    assert pictures.within_budget(found) == found
    total = sum(len(item) for item in found if item)
    monkeypatch.setattr(pictures, "BUDGET", total // 3)
    small = pictures.within_budget([*found, b"\xff\xd8broken"])
    assert small[1] is None
    assert small[3] is None
    assert sum(len(item) for item in small if item) <= total // 3


def test_small_pictures_keep_shape_and_show_the_mask() -> None:
    wide = np.full((300, 900, 3), 200, np.uint8)
    assert thumbnail(wide).shape == (171, 512, 3)
    assert thumbnail(wide[:, :400]).shape == (300, 400, 3)
    mask = np.zeros((300, 900), bool)
    mask[140:150, 800:840] = True
    with Image.open(io.BytesIO(exemplar_picture(wide, mask))) as image:
        assert image.size == (120, 90), "around the mask, not the whole photo"
        assert np.asarray(image)[45, 60].mean() > 180
        assert np.asarray(image)[5, 5].mean() < 110
    with Image.open(io.BytesIO(exemplar_picture(wide, np.ones_like(mask)))) as image:
        assert image.size == (192, 64)
        assert abs(float(np.asarray(image).mean()) - 200) < 2
