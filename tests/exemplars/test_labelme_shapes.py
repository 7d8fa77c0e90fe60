"""LabelMe and X-AnyLabeling files: shapes of all kinds, sizes, encodings, and what is left out."""

from __future__ import annotations

import base64
import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import BOX, HEIGHT, OTHER, SQUARE, WIDTH, labelme, picture, shape
from PIL import Image

from searchdet.annotations import Notes
from searchdet.errors import ExemplarError
from searchdet.exemplars import Exemplar, find_file, find_negatives, find_positives, load

MARK = np.zeros((HEIGHT, WIDTH), bool)
MARK[6:20, 5:15] = True


def put(root: Path, shapes: list[dict[str, Any]], name: str = "1", **changes: Any) -> Path:
    picture(root / "pos" / "bolt" / f"{name}.png")
    labelme(root / "pos" / "bolt" / f"{name}.json", shapes, **changes)
    return root / "pos"


def only(root: Path) -> Exemplar:
    (made,) = load(find_positives(root))
    return made


CORNERS = [SQUARE, SQUARE[::-1], SQUARE[1:] + SQUARE[:1], BOX, BOX[::-1], [SQUARE[1], SQUARE[3]]]


@pytest.mark.parametrize("points", CORNERS)
def test_a_rectangle_is_the_box_of_all_its_points(tmp_path: Path, points: list[list[float]]) -> None:
    assert (only(put(tmp_path, [shape("bolt", points, "rectangle")])).mask == MARK).all()


@pytest.mark.parametrize("kind", ["polygon", "oriented_rectangle", "rotation", "quadrilateral", None])
def test_outlines_of_other_kinds(tmp_path: Path, kind: str | None) -> None:
    made = shape("bolt", SQUARE) | {"shape_type": kind, "direction": 0.5, "difficult": False}
    assert (only(put(tmp_path, [made])).mask == MARK).all()


def test_a_rectangle_and_a_polygon_of_a_group_are_one(tmp_path: Path) -> None:
    both = [shape("bolt", SQUARE, "rectangle", group_id=1), shape("bolt", OTHER, group_id=1)]
    assert int(only(put(tmp_path, both)).mask.sum()) == 140 + 100


@pytest.mark.parametrize("kind", ["point", "line", "linestrip", "points", "cuboid", "something new"])
def test_shapes_without_an_area_are_counted(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    points = SQUARE[: 1 if kind == "point" else 2]
    shapes = [shape("bolt", points, kind), shape("bolt", SQUARE), shape("bolt", points, kind)]
    root = put(tmp_path, shapes)
    with caplog.at_level(logging.WARNING):
        made = only(root)
    assert made.name == "pos/bolt/1.png#2"
    (told,) = caplog.records
    assert ": 2 (first: " in told.getMessage()
    assert f"1.json: shape 1 ('bolt', {kind})" in told.getMessage()
    notes = Notes(strict=True)
    find_positives(root, notes)
    with pytest.raises(ExemplarError, match=r"1\.json: shape 1 .*--strict|without an area"):
        notes.tell()


def test_a_file_without_shapes_leaves_its_image_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = put(tmp_path, [])
    put(tmp_path, [shape("bolt", BOX, "line")], "2")
    put(tmp_path, [shape("bolt", SQUARE)], "3")
    for find in (find_positives, find_negatives):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            (made,) = load(find(root))
        assert made.name == "pos/bolt/3.png#1"
        assert "no shape to use are left out: 2 (first: " in caplog.text
        assert "1.png" in caplog.text
    notes = Notes(strict=True)
    find_positives(root, notes)
    with pytest.raises(ExemplarError):
        notes.tell()
    with pytest.raises(ExemplarError, match="no shape to use"):
        find_file(root / "bolt" / "1.png", "bolt/1.png", "bolt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings_of_the_file(tmp_path: Path, encoding: str) -> None:
    root = put(tmp_path, [shape("bolt", SQUARE)], comment="Größe")
    path = root / "bolt" / "1.json"
    path.write_text(json.dumps(json.loads(path.read_text()), ensure_ascii=False), encoding=encoding)
    assert (only(root).mask == MARK).all()


@pytest.mark.parametrize("missing", [("imageWidth",), ("imageHeight",), ("imageWidth", "imageHeight")])
@pytest.mark.parametrize("value", [None, 0, "gone"])
def test_a_missing_size_is_measured(tmp_path: Path, missing: tuple[str, ...], value: object) -> None:
    root = put(tmp_path, [shape("bolt", SQUARE)], **dict.fromkeys(missing))
    path = root / "bolt" / "1.json"
    made = json.loads(path.read_text())
    for name in missing:
        made[name] = value
        if value == "gone":
            del made[name]
    path.write_text(json.dumps(made))
    assert (only(root).mask == MARK).all()


@pytest.mark.parametrize("name", ["1.JSON", "1.Json"])
def test_the_suffix_may_have_any_case(tmp_path: Path, name: str) -> None:
    root = put(tmp_path, [shape("bolt", SQUARE)])
    (root / "bolt" / "1.json").rename(root / "bolt" / name)
    assert only(root).mask_source == "labelme"
    (made,) = load(find_file(root / "bolt" / "1.png", "bolt/1.png", "bolt"))
    assert made.mask_source == "labelme"


NFC, NFD = "й", "и\u0306"


@pytest.mark.parametrize(("folder", "label"), [(NFC, NFD), (NFD, NFC)])
def test_normal_forms_of_a_label_are_equal(tmp_path: Path, folder: str, label: str) -> None:
    picture(tmp_path / "pos" / folder / f"{folder}.png")
    labelme(tmp_path / "pos" / folder / f"{label}.json", [shape(label, SQUARE)])
    assert only(tmp_path / "pos").label == NFC
    flat = find_positives(tmp_path / "pos" / folder)
    assert [item.label for item in flat] == [NFC]
    file = tmp_path / "pos" / folder / f"{folder}.png"
    assert [item.label for item in find_file(file, "x", label)] == [NFC]


def rotated(path: Path, orientation: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, "red").save(path, exif=exif)


def test_a_drawing_of_the_stored_frame_is_turned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = put(tmp_path, [shape("bolt", SQUARE)])
    rotated(root / "bolt" / "1.png", 6)
    with caplog.at_level(logging.WARNING):
        made = only(root)
    assert (made.mask == MARK.T[:, ::-1]).all()
    assert "EXIF rotation" in caplog.text
    assert "1.json" in caplog.text
    labelme(root / "bolt" / "1.json", [shape("bolt", SQUARE)], imageWidth=HEIGHT, imageHeight=WIDTH)
    assert (only(root).mask[6:20, 5:15]).all()


def test_a_drawing_that_reaches_beyond_its_size_is_upright(tmp_path: Path) -> None:
    tall = [[5.0, 6.0], [15.0, 6.0], [15.0, 38.0], [5.0, 38.0]]  # of 30x40, called 40x30
    root = put(tmp_path, [shape("bolt", tall)])
    rotated(root / "bolt" / "1.png", 8)
    made = only(root)
    assert made.mask[6:38, 5:15].all()
    assert int(made.mask.sum()) == 320


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ([shape("bolt", BOX[:1], "rectangle")], r"shape 1 \('bolt', rectangle\).*two corners"),
        ([shape("bolt", SQUARE), shape("bolt", BOX, "rotation")], r"shape 2 .*three points"),
        ([shape("bolt", BOX, "mask")], "shape 1 .*has no mask"),
        ([shape("bolt", BOX[:1], "circle")], "shape 1 .*a circle needs its centre"),
        ([shape("bolt", [], "mask") | {"mask": "iVBOR"}], "shape 1 .*top left corner"),
        ([shape("bolt", BOX, "mask") | {"mask": [[1]]}], "shape 1 .*no mask, which is a PNG"),
        ([shape("bolt", SQUARE) | {"label": "  "}], "shape 1 cannot be used .*lacks 'label'"),
        ([shape("bolt", [{"x": 1, "y": 2}] * 3)], "shape 1 .*no pairs of numbers"),
        ([shape("bolt", [[1, 2, 3]] * 3)], "shape 1 .*no pairs of numbers"),
        ([shape("bolt", ["12"] * 3)], "shape 1 .*no pairs of numbers"),
        ([{"points": SQUARE}], "shape 1 cannot be used .*lacks 'label'"),
        ([shape("bolt", SQUARE) | {"label": None}], "shape 1 cannot be used .*lacks 'label'"),
        (["x"], "shape 1 cannot be used"),
        ([shape("bolt", [["a", 1.0]] * 3)], "shape 1"),
    ],
)
def test_a_shape_that_cannot_be_drawn_is_named(tmp_path: Path, shapes: list[Any], says: str) -> None:
    root = put(tmp_path, shapes)
    with pytest.raises(ExemplarError, match=says) as caught:
        load(find_positives(root))
    assert str(root / "bolt" / "1.json") in caught.value.message
    assert "KeyError" not in caught.value.one_line()


def bitmap(mask: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


@pytest.mark.parametrize(("y", "x"), [(0, 0), (-3, -2), (3, -5), (-20, 0), (10, 30)])
def test_a_bitmap_that_begins_outside_is_cut_off(tmp_path: Path, y: int, x: int) -> None:
    part = np.ones((25, 20), bool)
    part[4:9, 6:9] = False
    item = shape("bolt", [[x, y], [x + 19, y + 24]], "mask") | {"mask": bitmap(part)}
    wanted = np.zeros((HEIGHT + 60, WIDTH + 60), bool)
    wanted[30 + y : 55 + y, 30 + x : 50 + x] = part
    made = only(put(tmp_path, [item]))
    assert (made.mask == wanted[30 : 30 + HEIGHT, 30 : 30 + WIDTH]).all()


def test_a_bitmap_may_be_an_address_of_data(tmp_path: Path) -> None:
    item = shape("bolt", [[5, 6]], "mask")
    item["mask"] = f"data:image/png;base64,{bitmap(np.ones((14, 10)))}"
    assert (only(put(tmp_path, [item])).mask == MARK).all()


@pytest.mark.parametrize("label", [" bolt", "bolt\t", "bolt\n"])
def test_spaces_around_a_label_do_not_count(tmp_path: Path, label: str) -> None:
    made = only(put(tmp_path, [shape(label, SQUARE)]))
    assert (made.label, (made.mask == MARK).all()) == ("bolt", True)


@pytest.mark.parametrize("kind", ["Polygon", "POLYGON"])
def test_kinds_of_shapes_may_have_any_case(tmp_path: Path, kind: str) -> None:
    assert (only(put(tmp_path, [shape("bolt", SQUARE, kind)])).mask == MARK).all()


def test_what_a_file_without_a_shape_to_use_holds_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = put(tmp_path, [shape("bolt", BOX, "ellipse")])
    with pytest.raises(ExemplarError, match="no shape to use"):
        find_positives(root)
    assert "('bolt', ellipse)" in caplog.text
