"""COCO files as tools write them: ids, sizes, boxes, crowds, names and encodings."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import HEIGHT, SQUARE, WIDTH, annotation, dataset, picture
from PIL import Image
from pycocotools import mask as coco

from searchdet.annotations import Notes
from searchdet.errors import ExemplarError
from searchdet.exemplars import Exemplar, find_coco, load

MARK = np.zeros((HEIGHT, WIDTH), bool)
MARK[6:20, 5:15] = True
POLYGON = [[v for point in SQUARE for v in point]]


def codes() -> tuple[dict[str, Any], dict[str, Any]]:
    """Run lengths as text and as numbers."""
    packed = coco.encode(np.asfortranarray(MARK.astype(np.uint8)))
    edges = np.flatnonzero(np.diff(MARK.T.ravel().astype(int), prepend=0))
    counts = np.diff([0, *edges, MARK.size]).tolist()
    size = [HEIGHT, WIDTH]
    return {"size": size, "counts": packed["counts"].decode()}, {"size": size, "counts": counts}


TEXT, NUMBERS = codes()


def changed(folder: Path, change: Callable[[dict[str, Any]], None], *items: dict[str, Any]) -> Path:
    path = dataset(folder, list(items) or [annotation(segmentation=POLYGON)])
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    return path


def only(path: Path, **options: Any) -> Exemplar:
    (made,) = load(find_coco(path, **options))
    return made


def _text_ids(value: dict[str, Any]) -> None:
    value["images"][0]["id"] = value["annotations"][0]["image_id"] = "a"
    value["categories"][0]["id"] = value["annotations"][0]["category_id"] = "x"


def _mixed_ids(value: dict[str, Any]) -> None:
    value["images"][0]["id"], value["annotations"][0]["image_id"] = "7", 7
    value["categories"][0]["id"], value["annotations"][0]["category_id"] = 3.0, "3"


def _no_size(value: dict[str, Any]) -> None:
    del value["images"][0]["width"]


def _null_size(value: dict[str, Any]) -> None:
    value["images"][0] |= {"width": None, "height": 0}


def _no_box(value: dict[str, Any]) -> None:
    del value["annotations"][0]["bbox"]


def _empty_box(value: dict[str, Any]) -> None:
    value["annotations"][0]["bbox"] = []


def _flat(value: dict[str, Any]) -> None:
    value["annotations"][0]["segmentation"] = POLYGON[0]


def _bare(value: dict[str, Any]) -> None:
    for name in ("bbox", "area", "iscrowd", "id"):
        value["annotations"][0].pop(name, None)


def _shape(make: Callable[[], object]) -> Callable[[dict[str, Any]], None]:
    def change(value: dict[str, Any]) -> None:
        value["annotations"][0] |= {"segmentation": make(), "bbox": None}

    return change


def _spaces(value: dict[str, Any]) -> None:
    value["categories"][0]["name"] = f" {value['categories'][0]['name']}\t"
    value["images"][0]["file_name"] += " "


SHAPES = [
    _shape(lambda: [[list(point) for point in SQUARE]]),
    _shape(lambda: [list(point) for point in SQUARE]),
    _shape(lambda: [TEXT]),
    _shape(lambda: TEXT | {"size": [str(HEIGHT), str(WIDTH)]}),
    _shape(lambda: NUMBERS | {"counts": [float(n) for n in NUMBERS["counts"]]}),
    _shape(lambda: NUMBERS | {"counts": list(map(str, NUMBERS["counts"]))}),
    _shape(lambda: TEXT | {"counts": repr(TEXT["counts"].encode())}),
    _spaces,
]
FORMS = [*SHAPES, _text_ids, _mixed_ids, _no_size, _null_size, _no_box, _empty_box, _flat, _bare]


@pytest.mark.parametrize("change", FORMS)
def test_forms_that_tools_write(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    made = only(changed(tmp_path, change))
    assert (made.label, made.name) == ("bolt", "a.png#1")
    assert (made.mask == MARK).all()


@pytest.mark.parametrize("shape", [TEXT, NUMBERS])
def test_the_box_is_that_of_the_mask(tmp_path: Path, shape: dict[str, Any]) -> None:
    assert (only(changed(tmp_path, _no_box, annotation(segmentation=shape))).mask == MARK).all()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_encodings_of_the_file(tmp_path: Path, encoding: str) -> None:
    path = changed(tmp_path, lambda value: None)
    path.write_text(path.read_text(), encoding=encoding)
    assert (only(path).mask == MARK).all()


@pytest.mark.parametrize(
    "name", ["images\\a.png", "..\\..\\media\\a.png", "/data/local-files/?d=x/a.png", "set/val/a.png"]
)
def test_names_of_other_machines(tmp_path: Path, name: str) -> None:
    path = changed(tmp_path, lambda value: value["images"][0].update(file_name=name))
    assert only(path).name == "a.png#1"
    assert only(path, images=tmp_path).name == "images/a.png#1"


def test_two_names_for_one_file_are_refused(tmp_path: Path) -> None:
    def change(value: dict[str, Any]) -> None:
        value["images"][0]["file_name"] = "x/a.png"
        value["images"].append({"id": 8, "file_name": "y/a.png"})
        value["annotations"][1]["image_id"] = 8

    path = changed(tmp_path, change, annotation(), annotation())
    with pytest.raises(ExemplarError, match=r"'x/a\.png' and 'y/a\.png' would both be"):
        find_coco(path)


def test_categories_of_one_name_are_one_class(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def change(value: dict[str, Any]) -> None:
        value["categories"].append({"id": 9, "name": "bolt"})

    with caplog.at_level(logging.WARNING):
        found = load(find_coco(changed(tmp_path, change, annotation(), annotation(9))))
    assert [item.label for item in found] == ["bolt", "bolt"]
    assert "share the name" in caplog.text


def test_ids_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    def change(value: dict[str, Any]) -> None:
        value["images"].append({"id": 7, "file_name": "b.png"})

    with pytest.raises(ExemplarError, match=r"coco\.json has the id 7 twice: 'a\.png' and 'b\.png'"):
        find_coco(changed(tmp_path, change))


@pytest.mark.parametrize("shape", [TEXT, NUMBERS])
def test_a_file_of_crowds_alone_has_objects(
    tmp_path: Path, shape: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    path = dataset(tmp_path, [annotation(segmentation=shape, iscrowd=1)] * 3)
    with caplog.at_level(logging.WARNING):
        found = load(find_coco(path))
    assert len(found) == 3
    assert all((item.mask == MARK).all() for item in found)
    assert "iscrowd 1 are taken for objects" in caplog.text
    assert ": 3 (first: annotation 1 of " in caplog.text
    with pytest.raises(ExemplarError, match="no annotation to use"):
        find_coco(path, crowds="ignored")


def test_crowds_beside_objects_are_counted_or_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items = [annotation(segmentation=POLYGON), annotation(segmentation=NUMBERS, iscrowd=1, id=77)]
    path = dataset(tmp_path, items)
    with caplog.at_level(logging.WARNING):
        assert len(find_coco(path)) == 1
    assert "iscrowd 1 are left out: 1 (first: annotation 77 of " in caplog.text
    caplog.clear()
    assert len(load(find_coco(path, crowds="objects"))) == 2
    assert len(find_coco(path, crowds="ignored")) == 1
    assert not caplog.records
    notes = Notes(strict=True)
    find_coco(path, notes=notes)
    with pytest.raises(ExemplarError, match="annotation 77"):
        notes.tell()


def test_annotations_of_nothing_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = dataset(tmp_path, [annotation(image_id=8, id=5), annotation(), annotation(99)])
    with caplog.at_level(logging.WARNING):
        assert [item.name for item in find_coco(path)] == ["a.png#2"]
    (told,) = caplog.records
    assert ": 2 (first: annotation 5 of " in told.getMessage()
    assert "of image 8" in told.getMessage()


@pytest.mark.parametrize("segmentation", [POLYGON, None])
def test_a_drawing_of_the_stored_frame_is_turned(
    tmp_path: Path, segmentation: object, caplog: pytest.LogCaptureFixture
) -> None:
    path = dataset(tmp_path, [annotation(segmentation=segmentation)])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT), "red").save(tmp_path / "images" / "a.png", exif=exif)
    with caplog.at_level(logging.WARNING):
        made = only(path)
    assert (made.mask == MARK.T[:, ::-1]).all()
    assert "EXIF rotation" in caplog.text


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ([annotation(id=12, bbox=None)], "annotation 12 of .* has no 'bbox'"),
        ([annotation(id=12, bbox=[1, 2, 3])], "annotation 12 of .* cannot be used"),
        ([annotation(), annotation(id="q", segmentation=[[1, 2, 3, 4]])], "annotation 'q' of"),
        ([annotation(id=12, segmentation={"size": [2, 2], "counts": "11"})], "annotation 12 of"),
        (
            [annotation(id=12, segmentation={"size": [2, 2], "counts": "11"}, bbox=None)],
            "annotation 12",
        ),
        ([annotation(id=12, category_id=None)], "annotation 12"),
        ([annotation(id=12, segmentation=json.dumps(POLYGON))], "annotation 12 of .* is a str"),
        ([annotation(id=12, segmentation=[TEXT, TEXT])], "annotation 12 of .* list of encodings"),
        ([annotation(id=12, segmentation={"counts": "1"})], "annotation 12 of .* has no size"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_named(
    tmp_path: Path, items: list[dict[str, Any]], says: str
) -> None:
    path = dataset(tmp_path, items)
    with pytest.raises(ExemplarError, match=says) as caught:
        load(find_coco(path))
    assert str(path) in caught.value.message
    assert "Error" not in caught.value.message


def test_a_size_of_another_image_is_refused_by_annotation(tmp_path: Path) -> None:
    path = dataset(tmp_path, [annotation(id=12)])
    Image.new("RGB", (9, 9)).save(tmp_path / "images" / "a.png")
    with pytest.raises(ExemplarError, match=r"annotation 12 of .*a\.png.*40x30, the image is 9x9"):
        load(find_coco(path))
    picture(tmp_path / "images" / "a.png")
    assert len(load(find_coco(path))) == 1


@pytest.mark.parametrize("value", [None, "", "  "])
def test_names_that_are_none_are_refused(tmp_path: Path, value: str | None) -> None:
    for part, field in (("categories", "name"), ("images", "file_name")):
        if (part, value) == ("images", "  "):
            continue  # a file may be called so

        def unnamed(found: dict[str, Any], part: str = part, field: str = field) -> None:
            found[part][0][field] = value

        folder = tmp_path / part
        folder.mkdir()
        with pytest.raises(ExemplarError, match=rf"1 of .*a\.json has no '{field}'|1 of .* has no"):
            find_coco(changed(folder, unnamed))


def test_annotations_that_stand_twice_count_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    item = annotation(id=5, segmentation=POLYGON)
    with caplog.at_level(logging.WARNING):
        assert len(find_coco(changed(tmp_path, lambda _: None, item, dict(item)))) == 1
    assert "a second time" in caplog.text
    caplog.clear()
    other = annotation(id=5, segmentation=TEXT)  # numbered again for each image, say
    assert len(find_coco(changed(tmp_path, lambda _: None, item, other))) == 2
    assert not caplog.records


def test_another_encoding_of_the_text_is_said(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda _: None)
    path.write_bytes(path.read_text().replace("bolt", "b\u00f6lt").encode("latin-1"))
    with pytest.raises(ExemplarError, match=r"its text is not UTF-8, at byte \d+"):
        find_coco(path)
