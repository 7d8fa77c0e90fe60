"""Full pictures beside the report, and the ground truth in it: what is written, without a browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import exported
import numpy as np
import pytest
import reports
import tifffile
from PIL import Image
from typer.testing import CliRunner

from searchdet import report
from searchdet.annotations.coco import Truth
from searchdet.annotations.frames import turn_mask
from searchdet.cli import app
from searchdet.errors import OutputError, UsageError
from searchdet.masks import rle
from searchdet.output.folder import read_records
from searchdet.records.image import SourceInfo
from searchdet.report import outlines, pictures, pyramid
from searchdet.report.truth import Overlay

EXAMPLES = ["--positive", "in/positive", "--negative", "in/negative"]


def head_of(path: Path) -> dict[str, object]:
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="head">(.*?)</script>', text)[1])


@pytest.mark.parametrize(
    ("size", "count"),
    [((1024, 1024), 1), ((1025, 3), 2), ((4000, 3000), 3), ((1, 1), 1), ((20000, 9), 6)],
)
def test_levels_end_with_one_tile(size: tuple[int, int], count: int) -> None:
    assert pyramid.levels(*size) == count
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    for level in range(count):
        names = [name for name, _ in pyramid.tiles(pixels, level)]
        last = level == count - 1
        assert (len(names) == 1) == last
        assert (pyramid.last(count) in names) == last
        pixels = pyramid.halved(pixels)


def test_tiles_are_the_picture() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (1100, 2100, 3), np.uint8)
    rows: dict[int, list[np.ndarray]] = {}
    for name, tile in pyramid.tiles(pixels, 0):
        assert max(tile.shape) <= pyramid.TILE
        rows.setdefault(int(name.split("-")[1]), []).append(tile)
    assert (np.vstack([np.hstack(row) for row in rows.values()]) == pixels).all()


@pytest.fixture
def large(world: Path) -> Path:
    """The world with one picture that is larger than its thumbnail, searched."""
    with Image.open("in/images/a.png") as image:
        image.resize((1120, 960)).save("in/images/a.png")
    words = ["detect", "in/images", *EXAMPLES, "--proposals", "regions", "-o", "out"]
    assert CliRunner().invoke(app, words).exit_code == 0
    return world


@pytest.mark.model
def test_full_pictures_lie_beside_the_page(large: Path) -> None:
    result = CliRunner().invoke(app, ["report", "out"])
    assert result.exit_code == 0, result.stderr
    assert "out/report-pictures: full pictures" in result.stderr
    images = {item["name"]: item for item in head_of(Path("out/report.html"))["images"]}
    assert "full" not in images["none.png"], "a thumbnail shows all of it"
    full = images["a.png"]["full"]
    assert full["levels"] == 2
    tiles = sorted(path.name for path in (Path("out") / full["folder"]).iterdir())
    assert tiles == ["0-0-0.jpg", "0-0-1.jpg", "1-0-0.jpg"]
    with Image.open(Path("out") / full["folder"] / "0-0-1.jpg") as tile:
        assert tile.size == (96, 960)
        with Image.open("in/images/a.png") as image:
            wanted = np.asarray(image.crop((1024, 0, 1120, 960)), float)
        assert np.abs(np.asarray(tile, float) - wanted).mean() < 4
    policy = re.search(r"img-src ([^;]*);", Path("out/report.html").read_text())[1]
    assert policy == "data: 'self' file:"
    before = {path: path.stat().st_mtime_ns for path in Path("out/report-pictures").rglob("*.jpg")}
    page = Path("out/report.html").read_bytes()
    Path("in/images/a.png").rename("moved.png")
    assert CliRunner().invoke(app, ["report", "out"]).exit_code == 0
    assert Path("out/report.html").read_bytes() == page
    assert before == {path: path.stat().st_mtime_ns for path in before}, "they are not made again"


@pytest.mark.model
def test_a_full_picture_has_the_range_of_its_record(world: Path) -> None:
    """As the thumbnail does; and tiles of another range are not taken for it."""
    pixels = np.full((700, 700, 3), 800, np.uint16)
    pixels[200:400, 200:400] = (3000, 600, 600)
    tifffile.imwrite("deep.tif", pixels, photometric="rgb", metadata=None)
    grounds = []
    for limits in ("0,1600", "0,3200"):
        words = ["detect", "deep.tif", *EXAMPLES, "-o", "out", "--value-range", limits]
        assert CliRunner().invoke(app, words).exit_code in (0, 6)
        assert CliRunner().invoke(app, ["report", "out"]).exit_code == 0
        (shown,) = head_of(Path("out/report.html"))["images"]
        with Image.open(Path("out") / shown["full"]["folder"] / "0-0-0.jpg") as tile:
            grounds.append(np.asarray(tile, float)[10, 10].mean())
    assert grounds == pytest.approx([127, 63], abs=3)


@pytest.mark.model
def test_the_name_of_a_page_is_no_part_of_an_address(large: Path) -> None:
    for name in ("a#1?.html", "b:c 50%.html", "ü.html"):
        result = CliRunner().invoke(app, ["report", "out", "-o", name])
        assert result.exit_code == 0, result.stderr
        images = {item["name"]: item for item in head_of(Path(name))["images"]}
        address = images["a.png"]["full"]["folder"]
        assert not set(address) & set("#?: "), address
        assert Path(unquote(address), "0-0-0.jpg").is_file()


@pytest.mark.model
def test_small_pictures_are_there_too_where_thumbnails_get_smaller(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "BUDGET", 1000)
    report.write(Path("out"))
    images = head_of(Path("out/report.html"))["images"]
    assert [image["full"]["levels"] for image in images] == [2, 1]


@pytest.mark.model
def test_a_picture_that_is_another_one_is_not_shown(large: Path) -> None:
    Image.new("RGB", (1120, 960)).save("in/images/a.png")
    result = CliRunner().invoke(app, ["report", "out"])
    assert result.exit_code == 0
    assert "1 that cannot be zoomed into (--images DIR)" in result.stderr
    assert not Path("out/report-pictures").exists()
    none = CliRunner().invoke(app, ["report", "out", "--no-full-pictures"])
    assert "zoomed" not in none.stderr


@pytest.mark.model
def test_a_link_leads_no_picture_out_of_the_folder(large: Path) -> None:
    (large / "elsewhere").mkdir()
    Path("out/report-pictures").symlink_to(large / "elsewhere")
    with pytest.raises(OutputError, match="leads out"):
        report.write(Path("out"))
    assert not list((large / "elsewhere").iterdir())


@pytest.mark.parametrize(("size", "fine"), [((512, 300), 1), ((1024, 9), 1), ((4000, 3000), 4)])
def test_outlines_of_large_pictures_have_steps_of_a_pixel(size: tuple[int, int], fine: int) -> None:
    assert outlines.fineness(*size) == fine
    assert fine * outlines.UNITS >= max(size)
    small = np.zeros((size[1], size[0]), bool)
    small[3:9, 3:9] = True
    text = outlines.text_of(rle.encode(small), outlines.scale_of(*size), fine)
    assert len(text) >= 9


def truth_of(folder: Path, masks: bool, **change: object) -> Truth:
    """The first detection of each image, a crowd over the second, and one object alone."""
    images, objects = [], []
    for number, record in enumerate((r for r in read_records(folder) if not r.failed), start=1):
        size = {"width": record.width, "height": record.height} | change
        images.append({"id": number, "file_name": record.image, **size})
        for k, item in enumerate(record.detections[:2]):
            x0, y0, x1, y1 = item.bbox
            made = {"image_id": number, "category_id": ("bolt", "nut").index(item.label) + 1}
            made |= {"bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": k}
            objects.append(made | ({"segmentation": item.segmentation} if masks else {}))
    names = [{"id": 1, "name": "bolt"}, {"id": 2, "name": "nut"}]
    return Truth({"images": images, "annotations": objects, "categories": names})


@pytest.mark.model
@pytest.mark.parametrize("masks", [True, False])
def test_the_page_holds_the_truth_and_what_lies_on_it(tmp_path: Path, masks: bool) -> None:
    folder = reports.make_output(tmp_path)
    made = report.write(folder, truth=truth_of(folder, masks))
    head = head_of(made.path)
    assert head["iou"] == 0.5
    for image in head["images"]:
        if image["status"] == "failed":
            continue
        truth = image["truth"]
        assert truth["crowd"] == [1]
        assert truth["classes"] == [0, 1]
        triples = list(zip(*[iter(truth["pairs"])] * 3, strict=True))
        assert (0, 0, 1_000_000) in triples
        for j, k, iou in triples:
            assert image["label"][j] == truth["label"][k]
            assert 500_000 <= iou <= 1_000_000
    plain = head_of(report.write(folder).path)
    assert plain["iou"] is None
    assert not any("truth" in image for image in plain["images"])


@pytest.mark.model
def test_a_truth_of_other_sizes_or_damaged_is_refused(tmp_path: Path) -> None:
    folder = reports.make_output(tmp_path)
    with pytest.raises(UsageError, match="in the ground truth"):
        report.write(folder, truth=truth_of(folder, False, width=7))
    (tmp_path / "t.json").write_text("{}")
    result = CliRunner().invoke(app, ["report", str(folder), "--truth", str(tmp_path / "t.json")])
    assert result.exit_code == 2
    record = next(item for item in read_records(folder) if not item.failed)
    truth = Truth({"images": [], "annotations": [], "categories": []})
    assert Overlay.of(truth).annotated(record, record.candidates) is None


@pytest.mark.parametrize("orientation", [1, 5, 6, 7, 8])
@pytest.mark.parametrize("masks", [False, True])
def test_a_truth_of_the_stored_frame_lies_on_the_upright_picture(
    orientation: int, masks: bool, caplog: pytest.LogCaptureFixture
) -> None:
    mark = np.zeros((40, 60), bool)
    mark[5:25, 8:38] = True
    made = exported.record("a.jpg", [("nut", turn_mask(mark, orientation), 0.9)])
    made = replace(made, source=SourceInfo(1, orientation, (60, 40)))
    shape = [[8, 5, 38, 5, 38, 25, 8, 25]] if masks else None
    item = {"id": 4, "image_id": 1, "category_id": 2, "bbox": [8, 5, 30, 20], "segmentation": shape}
    over = Overlay.of(
        Truth(
            {
                "images": [{"id": 1, "file_name": "a.jpg", "height": 40, "width": 60}],
                "categories": [{"id": 2, "name": "nut"}],
                "annotations": [item],
            }
        )
    )
    found = over.annotated(made, made.candidates)
    assert found is not None
    assert [pair[2] for pair in found.pairs] == [1.0]
    over.notes.tell()
    assert ("EXIF" in caplog.text) == (orientation > 1)
