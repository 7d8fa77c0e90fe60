"""What readers of exported files ask for, by the file: numbers, names, marks and lists."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import unicodedata
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from exported import ALL, blob, drawn, export, iou, read, record, ring, save, square
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from profiles import examples
from pycocotools.coco import COCO
from worlds import tree_hash

from searchdet.annotations.frames import turn_mask
from searchdet.errors import UsageError
from searchdet.exports import yolonames
from searchdet.masks import rle
from searchdet.records.image import SourceInfo

SIZE = (40, 60)


def truth(path: Path, names: dict[str, int], classes: dict[str, int], **size: int) -> Path:
    size = size or {"height": SIZE[0], "width": SIZE[1]}
    found = {
        "images": [{"id": number, "file_name": name, **size} for name, number in names.items()],
        "categories": [{"id": number, "name": name} for name, number in classes.items()],
        "annotations": [
            {
                "id": 7,
                "image_id": next(iter(names.values())),
                "category_id": next(iter(classes.values())),
                "bbox": [8, 5, 12, 12],
                "area": 144,
                "iscrowd": 0,
            }
        ],
    }
    path.write_text(json.dumps(found))
    return path


def two(folder: Path) -> Path:
    first = record("a/x.jpg", [("nut", square(), 0.9), ("bolt", ring(), 0.8)], sha256="1" * 64)
    return save(folder, first, record("b/y.jpg", [("bolt", square(), 0.7)]))


def test_coco_takes_the_numbers_of_the_users_own_truth(tmp_path: Path) -> None:
    path = truth(tmp_path / "t.json", {"x.jpg": 812, "b/y.jpg": 5, "z.jpg": 6}, {"bolt": 31, "nut": 4})
    out = two(tmp_path / "out")
    export(out, ["coco"], ids_from=path)
    results = read(out / "coco_results.json")
    assert [(r["image_id"], r["category_id"]) for r in results] == [(812, 4), (812, 31), (5, 31)]
    loaded = COCO(str(path)).loadRes(str(out / "coco_results.json"))  # it asserts that ids are known
    assert len(loaded.anns) == 3
    data = read(out / "coco.json")
    assert {i["id"]: i["file_name"] for i in data["images"]} == {812: "x.jpg", 5: "b/y.jpg"}
    assert {c["name"]: c["id"] for c in data["categories"]} == {"bolt": 31, "nut": 4}
    mine = COCO(str(out / "coco.json"))
    assert sorted(a["image_id"] for a in mine.anns.values()) == [5, 812, 812]


def test_class_names_may_be_composed_differently(tmp_path: Path) -> None:
    names = {form: unicodedata.normalize(form, "größe й") for form in ("NFC", "NFD")}
    for one, two in (("NFC", "NFD"), ("NFD", "NFC")):
        path = truth(tmp_path / "t.json", {"x.jpg": 8}, {names[one]: 31})
        out = save(tmp_path / one, record("x.jpg", [(names[two], square(), 0.9)]))
        export(out, ["coco"], ids_from=path)
        assert [item["category_id"] for item in read(out / "coco_results.json")] == [31]


def test_what_the_truth_has_not_is_named_once_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = truth(tmp_path / "t.json", {"a/x.jpg": 3}, {"bolt": 1})
    out = two(tmp_path / "out")
    with caplog.at_level(logging.WARNING, "searchdet"):
        export(out, ["coco"], ids_from=path)
    (told,) = [row.getMessage() for row in caplog.records]
    assert "t.json: has no image 'b/y.jpg' and no class 'nut'" in told
    assert "2 detections" in told
    assert [r["score"] for r in read(out / "coco_results.json")] == [0.8]
    assert [i["id"] for i in read(out / "coco.json")["images"]] == [3]


@pytest.mark.parametrize(
    ("names", "classes", "says"),
    [
        ({"q.jpg": 1}, {"nut": 1}, "has no image of the records; it has 'q.jpg', they have"),
        (
            {"a/x.jpg": 1},
            {"Nut": 1},
            "has no class of the records; it has 'Nut', they have",
        ),
    ],
)
def test_a_truth_of_something_else_is_refused(
    tmp_path: Path, names: dict[str, int], classes: dict[str, int], says: str
) -> None:
    out = two(tmp_path / "out")
    with pytest.raises(UsageError, match=says):
        export(out, ["coco"], ids_from=truth(tmp_path / "t.json", names, classes))
    assert not (out / "coco.json").exists()


def test_images_of_the_truth_are_of_one_record_and_of_its_size(tmp_path: Path) -> None:
    path = truth(tmp_path / "t.json", {"x.jpg": 3}, {"nut": 1})
    out = save(tmp_path / "out", record("a/x.jpg", classes=["nut"]), record("b/x.jpg", classes=["nut"]))
    with pytest.raises(UsageError, match=r"a/x\.jpg and b/x\.jpg would both be its image 3"):
        export(out, ["coco"], ids_from=path)
    path = truth(tmp_path / "t.json", {"x.jpg": 3}, {"nut": 1}, height=60, width=40)
    one = save(tmp_path / "one", record("x.jpg", classes=["nut"]))
    with pytest.raises(UsageError, match=r"'x\.jpg'\) is 40x60, x\.jpg was searched at 60x40"):
        export(one, ["coco"], ids_from=path)


@pytest.mark.parametrize("polygons", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_coco_is_in_the_frame_of_the_users_own_truth(
    tmp_path: Path, orientation: int, polygons: bool, caplog: pytest.LogCaptureFixture
) -> None:
    mark = ring()[:, :50].copy()
    upright = turn_mask(mark, orientation)
    one = record("x.jpg", [("nut", upright, 0.9)])
    one = replace(one, source=SourceInfo(1, orientation, mark.shape[::-1]))
    out = save(tmp_path / "out", one)
    path = truth(tmp_path / "t.json", {"x.jpg": 3}, {"nut": 1}, height=40, width=50)
    with caplog.at_level(logging.WARNING, "searchdet"):
        export(out, ["coco"], ids_from=path, polygons=polygons)
    stored = orientation in (1, 5, 6, 7, 8)  # else the size does not say the frame
    assert ("EXIF" in caplog.text) == (orientation > 1)
    (image,), (item,) = read(out / "coco.json")["images"], read(out / "coco.json")["annotations"]
    wanted = mark if stored else upright
    assert (image["height"], image["width"]) == wanted.shape
    shape = item["segmentation"]
    got = drawn(shape, wanted.shape) if polygons else rle.decode([shape], wanted.shape)[0]
    assert iou(got, wanted) > 0.99
    y, x = np.nonzero(wanted)
    assert item["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
    assert read(out / "coco_results.json")[0]["bbox"] == item["bbox"]


def test_a_truth_of_neither_frame_says_both(tmp_path: Path) -> None:
    one = replace(record("x.jpg", [("nut", square(), 0.9)]), source=SourceInfo(1, 6, (40, 60)))
    out = save(tmp_path / "out", one)
    path = truth(tmp_path / "t.json", {"x.jpg": 3}, {"nut": 1}, height=41, width=60)
    with pytest.raises(UsageError, match=r"is 60x41, .* 60x40 \(40x60 before its EXIF rotation\)"):
        export(out, ["coco"], ids_from=path)


def test_coco_names_what_readers_ask_for_and_images_that_some_take_for_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = save(tmp_path, record("a/x.jpg"), record("b/x.jpg"), record("c.d.jpg"), record("c.jpg"))
    export(out, ["coco"])
    assert list(read(out / "coco.json")) == ["info", "licenses", "annotations", "images", "categories"]
    assert read(out / "coco.json")["licenses"] == []
    assert not caplog.records
    save(tmp_path, record("a/x.png"))
    with caplog.at_level(logging.WARNING, "searchdet"):
        export(out, ["coco"])
    assert "coco.json: 1 images differ" in caplog.text
    assert "a/x.jpg and a/x.png" in caplog.text


def test_yolo_boxes(tmp_path: Path) -> None:
    out = save(tmp_path, record("x.jpg", [("nut", ring(), 0.9), ("bolt", square(), 0.8)]))
    export(out, ["yolo"], yolo_boxes=True)
    rows = [line.split() for line in (out / "yolo/labels/train/x.txt").read_text().splitlines()]
    assert [(row[0], len(row)) for row in rows] == [("1", 5), ("0", 5)]
    values = np.array([row[1:] for row in rows], float) * (60, 40, 60, 40)
    assert values == pytest.approx(np.array([[25, 15, 30, 20], [14, 11, 12, 12]]), abs=1e-4)


def numbers(folder: Path, split: str = "train") -> dict[str, set[str]]:
    """What each class name is numbered in the label files, by the table of scores beside them."""
    with (folder / f"yolo/scores-{split}.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    found: dict[str, set[str]] = {}
    for row in rows:
        path = folder / f"yolo/labels/{split}" / Path(row["image"]).with_suffix(".txt")
        line = path.read_text().splitlines()[int(row["line"]) - 1]
        found.setdefault(row["label"], set()).add(line.split()[0])
    return found


def test_yolo_classes_keep_the_numbers_that_data_yaml_gave_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    to = tmp_path / "to"
    first = save(tmp_path / "1", record("m.jpg", [("nut", square(), 0.8), ("screw", square(), 0.8)]))
    export(first, ["yolo"], target=to)
    assert not caplog.records
    odd = 'a"\\\n\udcff😀'
    second = save(tmp_path / "2", record("b.jpg", [(odd, square(), 0.8), ("screw", square(), 0.7)]))
    with caplog.at_level(logging.WARNING, "searchdet"):
        export(second, ["yolo"], target=to, split="val")
    assert "data.yaml: classes keep the numbers that it gave them" in caplog.text
    assert "0 'nut', 1 'screw', 2 " in caplog.text
    about = yaml.safe_load(
        (to / "yolo/data.yaml").read_text(encoding="utf-8", errors="surrogateescape")
    )
    assert about["names"] == {0: "nut", 1: "screw", 2: odd}
    assert (about["train"], about["val"]) == ("images/train", "images/val")
    assert numbers(to, "train") == {"nut": {"0"}, "screw": {"1"}}
    assert (to / "yolo/labels/val/b.txt").read_text().splitlines()[1].startswith("1 ")
    before = tree_hash(to)
    export(second, ["yolo"], target=to, split="val")
    assert tree_hash(to) == before


def test_records_of_different_classes_in_one_folder_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = save(tmp_path, record("b.jpg", [("nut", square(), 0.8)], classes=["bolt"]))
    save(tmp_path, record("c.jpg", [("screw", square(), 0.8)], classes=["nut"]))
    with caplog.at_level(logging.WARNING, "searchdet"):
        export(out, ["yolo"])
    assert "2 different sets of classes" in caplog.text
    assert "0 'bolt', 1 'nut', 2 'screw'" in caplog.text
    save(tmp_path, record("a.jpg", [("anchor", square(), 0.8)]))  # which comes first now
    export(out, ["yolo"])
    assert numbers(out) == {"nut": {"1"}, "screw": {"2"}, "anchor": {"3"}}


def test_a_data_yaml_of_another_hand_is_refused(tmp_path: Path) -> None:
    out = save(tmp_path, record("a.jpg", [("nut", square(), 0.8)]))
    (out / "yolo").mkdir()
    for text in ("names: [bolt]\n", "path: .\nnames:\n  1: bolt\n", "x: 1\nnames:\n  0: bolt\n", ""):
        (out / "yolo/data.yaml").write_text(text)
        with pytest.raises(UsageError, match=r"data\.yaml: is not as `export` writes it"):
            export(out, ["yolo"])
        assert (out / "yolo/data.yaml").read_text() == text


@settings(max_examples=examples(200), deadline=None)
@given(names=st.lists(st.text(), unique=True))
def test_names_in_data_yaml_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    path = tmp_path_factory.mktemp("yaml") / "data.yaml"
    path.write_text("train: x\n" + yolonames.written(names), encoding="utf-8")
    assert yolonames.read(path) == tuple(names)


def test_voc_has_its_classes_and_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture = tmp_path / "in/a/x.jpg"
    picture.parent.mkdir(parents=True)
    Image.new("RGB", SIZE[::-1]).save(picture)
    digest = hashlib.sha256(picture.read_bytes()).hexdigest()
    found = [("гайка", square(), 0.8), ("nut", ring(), 0.7)]
    out = save(tmp_path / "out", record("a/x.jpg", found, sha256=digest))
    export(out, ["voc"], images=tmp_path / "in")
    assert (out / "voc/JPEGImages/a/x.jpg").read_bytes() == picture.read_bytes()
    assert (out / "voc/labelmap.txt").read_text(encoding="utf-8").splitlines() == [
        "# label:color_rgb:parts:actions",
        "background:0,0,0::",
        "nut:128,0,0::",
        "гайка:0,128,0::",
    ]
    root = ET.parse(out / "voc/Annotations/a/x.xml").getroot()
    found_scores = [(item.findtext("name"), item.findtext("value")) for item in root.iter("attribute")]
    assert found_scores == [("score", "0.8"), ("score", "0.7")]
    other = save(tmp_path / "other", record("b.jpg", [("a:b", square(), 0.8), ("bolt", square(), 0.7)]))
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "searchdet"):
        export(other, ["voc"], target=out, split="val")
    listed = (out / "voc/labelmap.txt").read_text(encoding="utf-8")
    assert [line.split(":")[0] for line in listed.splitlines()[2:]] == ["nut", "гайка", "bolt"]
    assert "'a:b' cannot stand in it" in caplog.text


def test_csv_has_a_byte_order_mark_where_it_is_asked_for(tmp_path: Path) -> None:
    out = save(tmp_path, record("фото 😀.jpg", [("гайка", square(), 0.8)]))
    export(out, ["csv"])
    plain = (out / "detections.csv").read_bytes()
    export(out, ["csv"], csv_bom=True)
    assert (out / "detections.csv").read_bytes() == b"\xef\xbb\xbf" + plain
    with (out / "detections.csv").open(newline="", encoding="utf-8-sig") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["image"], row["label"]) == ("фото 😀.jpg", "гайка")


def test_labelme_polygons_hold_masks_with_holes(tmp_path: Path) -> None:
    masks = {"ring": ring(SIZE), "wild": blob(4, SIZE, grain=3), "plain": square(SIZE)}
    out = save(tmp_path, record("x.png", [(name, mask, 0.8) for name, mask in masks.items()]))
    export(out, ["labelme"], polygons=True)
    shapes = read(out / "labelme/x.json")["shapes"]
    assert {shape["shape_type"] for shape in shapes} == {"polygon"}
    for name, mask in masks.items():
        rings = [shape["points"] for shape in shapes if shape["label"] == name]
        assert all(len(set(map(tuple, one))) == len(one) for one in rings)
        assert iou(drawn([np.ravel(one) for one in rings], SIZE), mask) >= 0.99


def test_the_same_options_give_the_same_files(tmp_path: Path) -> None:
    out = two(tmp_path / "out")
    path = truth(tmp_path / "t.json", {"x.jpg": 812, "b/y.jpg": 5}, {"bolt": 31, "nut": 4})
    for target in ("one", "two", "two"):
        export(
            out,
            ALL,
            target=tmp_path / target,
            polygons=True,
            yolo_boxes=True,
            csv_bom=True,
            ids_from=path,
        )
    assert tree_hash(tmp_path / "one") == tree_hash(tmp_path / "two")
