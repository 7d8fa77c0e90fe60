"""Dataset files of records, read back by what reads such files."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import tracemalloc
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
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from worlds import tree_hash

from searchdet import exports
from searchdet.annotations.coco import Truth
from searchdet.annotations.labelme import read_labelme
from searchdet.annotations.shapes import paint
from searchdet.config import Limits
from searchdet.errors import OutputError, UsageError
from searchdet.evaluation.scorecard import scorecard
from searchdet.exports import markup, yolonames
from searchdet.masks import rle
from searchdet.output.folder import read_records
from searchdet.records.record import failed
from searchdet.records.thresholds import detections
from searchdet.storage.files import Stream

SIZE = (48, 64)
HOSTILE = ("</script>", "..", "/etc/x", "a\nb", "=cmd()", 'q"\\', "x" * 300, "größe 😀", "\x85\u2028")


def three(folder: Path) -> Path:
    """Two images with the same stem in two folders, one without detections, one that failed."""
    first = record("a/x.jpg", [("nut", blob(1), 0.91), ("bolt", square(SIZE), 0.7)], classes=["nut"])
    second = record("b/x.jpg", [("bolt", blob(2, share=0.1), 0.62)], classes=["nut"])
    empty = record("b/empty.png", size=SIZE, classes=["bolt", "nut"])
    return save(folder, first, second, empty, failed("broken.jpg", UsageError("no")))


def truth_of(folder: Path) -> dict[str, object]:
    """Annotations near, but not at, what `judged` finds; other ids and another order of categories."""
    annotations = []
    for number in range(12):
        for label, seed in (("bolt", 0), ("nut", 100)):
            mask = blob(seed + number, share=0.2)
            mask[:, : 3 * (number % 5)] = False
            mask[30 + 5 * (number % 5) :] = False
            y, x = np.nonzero(mask)
            box = [x.min(), y.min(), x.max() + 1 - x.min(), y.max() + 1 - y.min()]
            annotations.append(
                {
                    "image_id": 900 - number,
                    "category_id": 7 if label == "nut" else 3,
                    "bbox": [int(v) for v in box],
                    "area": int(mask.sum()),
                    "iscrowd": 0,
                    "segmentation": rle.encode(mask),
                }
            )
    images = [
        {"id": 900 - n, "file_name": f"{n}.png", "height": SIZE[0], "width": SIZE[1]} for n in range(12)
    ]
    categories = [{"id": 7, "name": "nut"}, {"id": 3, "name": "bolt"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def judged(folder: Path) -> Path:
    rng = np.random.default_rng(5)
    made = []
    for n in range(12):
        found = [("bolt", blob(n, share=0.2), rng.uniform()), ("nut", blob(100 + n, share=0.2), 0.4)]
        found += [("nut", blob(200 + n), rng.uniform())] * (n % 2)
        made.append(record(f"{n}.png", found, [("bolt", blob(n), 0.9, "suppressed")]))
    return save(folder, *made)


@pytest.mark.parametrize("polygons", [False, True])
def test_coco_evaluates_to_the_figures_of_the_records(tmp_path: Path, polygons: bool) -> None:
    out = judged(tmp_path)
    export(out, ["coco"], polygons=polygons)
    truth, mine = Truth(truth_of(out)), COCO(str(out / "coco.json"))
    card = scorecard(truth, list(read_records(out)))
    image = {item["id"]: truth.image_id(item["file_name"]) for item in mine.loadImgs(mine.getImgIds())}
    category = {item["id"]: truth.category(item["name"]) for item in mine.loadCats(mine.getCatIds())}
    results = [
        item | {"image_id": image[item["image_id"]], "category_id": category[item["category_id"]]}
        for item in read(out / "coco_results.json")
    ]
    assert len(results) == len(mine.anns) == 30
    for kind in ("bbox", "segm"):
        loaded = truth.coco().loadRes([dict(item) for item in results])
        for row in card.figures[kind]:
            judge = COCOeval(truth.coco(), loaded, kind)
            judge.params.catIds = [truth.category(row.label)]
            judge.params.maxDets = [1, 10, 300]
            judge.evaluate()
            judge.accumulate()
            ap = judge.eval["precision"][:, :, 0, 0, 2].mean()
            assert 0.05 < row.ap < 0.95
            assert ap == pytest.approx(row.ap, abs=0.03 if polygons and kind == "segm" else 1e-9)


def test_coco_polygons_draw_the_masks_and_nothing_else_differs(tmp_path: Path) -> None:
    out = three(tmp_path)
    export(out, ["coco"])
    plain = read(out / "coco.json")
    assert [item["file_name"] for item in plain["images"]] == ["a/x.jpg", "b/empty.png", "b/x.jpg"]
    assert [item["name"] for item in plain["categories"]] == ["bolt", "nut"]
    export(out, ["coco"], polygons=True)
    drawing = read(out / "coco.json")
    for one, two in zip(plain["annotations"], drawing["annotations"], strict=True):
        mask = coco.decode(one.pop("segmentation")).astype(bool)
        assert one["iscrowd"] == 0
        assert one["area"] == mask.sum()
        assert one["bbox"] == coco.toBbox(rle.encode(mask)).tolist()
        assert iou(drawn(two.pop("segmentation"), SIZE), mask) >= 0.99
        assert one == two
    listed = read(out / "coco_results.json")
    assert [item["score"] for item in listed] == [0.91, 0.7, 0.62]


def yolo_lines(path: Path, size: tuple[int, int]) -> list[tuple[int, list[np.ndarray]]]:
    rows = []
    for line in path.read_text().splitlines():
        number, *values = line.split(" ")
        points = np.array(values, float).reshape(-1, 2)
        assert len(points) >= 3
        assert points.min() >= 0
        assert points.max() <= 1
        rows.append((int(number), points * (size[1], size[0])))
    return rows


@pytest.mark.parametrize("parts", [False, True])
def test_yolo_polygons_draw_the_masks(tmp_path: Path, parts: bool) -> None:
    found = [("nut", blob(seed, grain=g), 0.9) for seed in range(8) for g in (0.8, 2, 5)]
    out = save(tmp_path, record("x.y.jpg", [*found, ("bolt", ring(SIZE), 0.5)]))
    export(out, ["yolo"], yolo_parts=parts)
    rows = yolo_lines(out / "yolo/labels/train/x.y.txt", SIZE)
    with (out / "yolo/scores-train.csv").open(newline="") as stream:
        scores = list(csv.DictReader(stream))
    assert [int(row["line"]) for row in scores] == list(range(1, len(rows) + 1))
    assert (len(rows) == len(found) + 1) is not parts
    assert rows[0][0] == 1
    assert rows[-1][0] == 0
    if parts:
        for label, mask, _ in found[:1]:
            count = len(rle_parts(mask))
            assert [row["label"] for row in scores][:count] == [label] * count
        return
    for (label, mask, _), (number, points) in zip(
        [*found, ("bolt", ring(SIZE), 0.5)], rows, strict=True
    ):
        assert number == ["bolt", "nut"].index(label)
        assert iou(drawn([points.ravel()], SIZE), mask) >= 0.99


def rle_parts(mask: np.ndarray) -> list[object]:
    from searchdet.masks.polygons import parts

    return list(parts(mask))


def test_yolo_names_subsets_and_background(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = save(
        tmp_path / "out",
        record("in/images/x.jpg", [(name, square(), 0.8) for name in HOSTILE]),
        record("plain.jpg", classes=HOSTILE),
    )
    with caplog.at_level(logging.WARNING, "searchdet"):
        export(out, ["yolo"], target=tmp_path / "to")
    assert "images_" in caplog.text
    root = tmp_path / "to/yolo"
    assert (root / "labels/train/plain.txt").read_bytes() == b""
    about = yaml.safe_load((root / "data.yaml").read_text(encoding="utf-8"))
    assert list(about) == ["path", "train", "names"]  # readers take what is named twice twice
    assert about["path"] is None  # Ultralytics then takes the folder of the file
    assert about["train"] == "images/train"
    assert about["names"] == dict(enumerate(sorted(HOSTILE)))
    picture = root / "images/train/in/images_/x.jpg"  # and looks for labels like this
    label = Path("/labels/".join(str(picture).rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt")
    assert len(label.read_text().splitlines()) == len(HOSTILE)

    export(out, ["yolo"], target=tmp_path / "to", split="val")
    about = yaml.safe_load((root / "data.yaml").read_text(encoding="utf-8"))
    assert (about["train"], about["val"]) == ("images/train", "images/val")


def test_images_are_copied_and_must_be_those_that_were_searched(tmp_path: Path) -> None:
    source = tmp_path / "in/deep/x.png"
    source.parent.mkdir(parents=True)
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    made = record("deep/x.png", [("nut", blob(3), 0.8)], sha256=digest)
    out = save(tmp_path / "out", made)
    before = tree_hash(tmp_path / "in")
    export(out, ["yolo", "labelme"], images=tmp_path / "in")
    for copy in ("yolo/images/train/deep/x.png", "labelme/deep/x.png"):
        assert (out / copy).read_bytes() == source.read_bytes()
    assert read(out / "labelme/deep/x.json")["imagePath"] == "x.png"
    assert tree_hash(tmp_path / "in") == before
    source.write_bytes(source.read_bytes() + b" ")
    with pytest.raises(UsageError, match="not the image that was searched"):
        export(out, ["yolo"], images=tmp_path / "in", target=tmp_path / "new")
    source.unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        export(out, ["labelme"], images=tmp_path / "in", target=tmp_path / "new")
    assert not [path for path in (tmp_path / "new").rglob("*") if path.is_file()]


def test_labelme_groups_are_masks_not_classes(tmp_path: Path) -> None:
    first, second = square(SIZE) | square(SIZE, 30, 40), square(SIZE, 30, 4) | square(SIZE, 4, 40)
    out = save(tmp_path, record("x.png", [("nut", first, 0.8), ("nut", second, 0.7)]))
    export(out, ["labelme"])
    back = read_labelme(out / "labelme/x.json")
    for (_, thing), mask in zip(back, (first, second), strict=True):
        assert (paint(thing, SIZE) == mask).all()


def test_labelme_files_follow_its_rules_and_read_back(tmp_path: Path) -> None:
    two = square(SIZE) | square(SIZE, 30, 40)
    masks = {"hole": ring(SIZE), "two": two, "one": square(SIZE), "wild": blob(4, grain=3)}
    out = save(tmp_path, record("a/x.png", [(k, m, 0.8) for k, m in masks.items()]))
    export(out, ["labelme"])
    value = read(out / "labelme/a/x.json")
    assert list(value) == [
        *("version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth")
    ]
    assert (value["imagePath"], value["imageData"]) == ("x.png", None)
    assert (value["imageHeight"], value["imageWidth"]) == SIZE
    groups: dict[str, list[object]] = {}
    for shape in value["shapes"]:
        assert shape["score"] == 0.8
        assert shape["description"] == "probability 0.800"
        assert all(len(p) == 2 for p in shape["points"])
        assert (shape["shape_type"] == "mask") is (shape["mask"] is not None)
        assert len(shape["points"]) == 2 if shape["mask"] else len(shape["points"]) >= 3
        groups.setdefault(shape["label"], []).append(shape["group_id"])
    assert groups["one"] == groups["hole"] == [None]
    assert len(groups["two"]) == 2
    assert len(set(groups["two"])) == 1
    hole = next(shape for shape in value["shapes"] if shape["label"] == "hole")
    assert hole["points"] == [[10, 5], [39, 24]]  # the last pixel, not the one after it
    back = [(label, paint(thing, SIZE)) for label, thing in read_labelme(out / "labelme/a/x.json")]
    assert [label for label, _ in back] == list(masks)
    for label, mask in back:
        same = iou(mask, masks[label])
        assert same >= 0.99 if label == "wild" else same == 1


def test_labelstudio_tasks(tmp_path: Path) -> None:
    two = square(SIZE) | square(SIZE, 30, 40)
    found = [("nut", two, 1.2), ("bolt", ring(SIZE), -0.1), ("nut", blob(3), 0.5)]
    out = save(tmp_path, record("a b/ü#1%.jpg", found), record("none.jpg", classes=['<&">\n']))
    export(out, ["labelstudio"])
    first, second = read(out / "labelstudio.json")
    assert first["data"]["image"] == "/data/local-files/?d=a%20b/%C3%BC%231%25.jpg"
    assert second["predictions"] == []
    (prediction,) = first["predictions"]
    assert prediction["model_version"] == "searchdet-resnet101-sam"
    assert prediction["score"] == 1.0  # Label Studio takes 0 to 1 only
    setup = ET.fromstring((out / "labelstudio.xml").read_text())
    tags = {tag.get("name"): tag for tag in setup}
    labels = [label.get("value") for label in tags["polygon"]]
    assert labels == ["bolt", "nut", '<&">\n']
    regions = prediction["result"]
    assert len({region["id"] for region in regions}) == len(regions) == len(found)  # one a detection
    for region, (label, mask, score) in zip(regions, found, strict=True):
        assert tags[region["from_name"]].tag.lower() == region["type"] == "polygonlabels"
        assert (region["original_height"], region["original_width"]) == SIZE
        assert region["value"]["polygonlabels"] == [label]
        assert region["score"] == score
        points = np.array(region["value"]["points"])
        assert points.min() >= 0
        assert points.max() <= 100
        assert iou(drawn([(points * (0.64, 0.48)).ravel()], SIZE), mask) >= 0.99


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("", "a b/x#.jpg"),
        ("s3://bucket/set", "s3://bucket/set/a b/x#.jpg"),
        ("https://host/set/", "https://host/set/a%20b/x%23.jpg"),
        ("/data/local-files/?d=set", "/data/local-files/?d=set/a%20b/x%23.jpg"),
    ],
)
def test_labelstudio_addresses(tmp_path: Path, root: str, expected: str) -> None:
    out = save(tmp_path, record("a b/x#.jpg"))
    export(out, ["labelstudio"], image_root=root)
    assert read(out / "labelstudio.json")[0]["data"]["image"] == expected


def test_voc_boxes_and_text(tmp_path: Path) -> None:
    out = save(tmp_path, record("a/x & y.jpg", [("<b>&\r", square(), 0.8)]), record("b/x & y.jpg"))
    export(out, ["voc"], split="val")
    found = ET.parse(out / "voc/Annotations/a/x & y.xml").getroot()
    assert found.findtext("filename") == "x & y.jpg"
    assert [found.findtext(f"size/{k}") for k in ("width", "height", "depth")] == ["60", "40", "3"]
    assert found.findtext("object/name") == "<b>&\r"
    box = [int(found.findtext(f"object/bndbox/{k}") or 0) for k in ("xmin", "ymin", "xmax", "ymax")]
    assert box == [9, 6, 20, 17]  # columns 8 to 19, counted from 1
    listed = (out / "voc/ImageSets/Main/val.txt").read_text()
    assert listed == "a/x & y\nb/x & y\n"
    for name, label in (("a\nb.jpg", "nut"), ("x.jpg", "a\x01b")):
        with pytest.raises(UsageError, match=r"line break|XML"):
            export(save(tmp_path / label, record(name, [(label, square(), 0.8)])), ["voc"])


def test_csv_is_safe_and_round_trips(tmp_path: Path) -> None:
    names = [f"{sign}1+1{n}.jpg" for n, sign in enumerate(("=", "+", "-", "@", "\t", "\r"))]
    names += ['two\nlines, "quoted".jpg', "plain.jpg"]
    labels = ["\0nul", "=nut"]
    made = [record(name, [(labels[0], square(), -0.5), (labels[1], square(), 0.25)]) for name in names]
    export(save(tmp_path, *made), ["csv"])
    data = (tmp_path / "detections.csv").read_bytes()
    assert b"\r\n" not in data
    with (tmp_path / "detections.csv").open(newline="", encoding="utf-8") as stream:
        head, *rows = csv.reader(stream)
    assert head == [
        *("image", "label", "score", "probability", "x", "y", "w", "h", "area", "image_max_score")
    ]
    assert len(rows) == 2 * len(names)
    assert {row[0].removeprefix("'") for row in rows} == set(names)
    assert {row[1].removeprefix("'") for row in rows} == set(labels)
    for image, label, *_ in rows:
        assert image[0] not in "=+-@\t\r\n\0"
        assert label[0] not in "=+-@\t\r\n\0"
    assert rows[0][2:] == ["-0.5", "0.0", "8", "5", "12", "12", "144", "0.25"]
    assert b",-0.5,0.0,8,5,12,12,144,0.25\n" in data


@settings(max_examples=examples(200), deadline=None)
@given(st.text())
def test_any_text_stays_itself_in_yaml_and_xml(name: str) -> None:
    assert yaml.safe_load(f"names:\n  0: {yolonames.quoted(name)}\n") == {"names": {0: name}}
    try:
        inner, outer = markup.text(name), markup.attribute(name)
    except UsageError:
        assert any(ord(sign) < 32 or sign in "\ufffe\uffff" for sign in name)
        return
    read_back = ET.fromstring(f"<a b={outer}>{inner}</a>")
    assert (read_back.text or "", read_back.get("b")) == (name, name)


def test_hostile_classes_go_through_every_format(tmp_path: Path) -> None:
    out = save(tmp_path / "out", record("x.jpg", [(name, square(), 0.8) for name in HOSTILE]))
    export(out, target=tmp_path / "to")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "to"]
    assert [c["name"] for c in read(tmp_path / "to/coco.json")["categories"]] == sorted(HOSTILE)
    assert [s["label"] for s in read(tmp_path / "to/labelme/x.json")["shapes"]] == list(HOSTILE)
    root = ET.parse(tmp_path / "to/voc/Annotations/x.xml").getroot()
    assert [item.text for item in root.findall("object/name")] == list(HOSTILE)


@pytest.mark.parametrize("name", ["../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "..", "a\0b", "c:\\x.jpg"])
def test_no_name_leaves_the_folder(tmp_path: Path, name: str) -> None:
    out = tmp_path / "deep/out"
    (out / "records").mkdir(parents=True)
    data = json.loads(record("x.jpg", [("nut", square(), 0.8)]).to_bytes()) | {"image": name}
    (out / "records/x.json").write_text(json.dumps(data))
    before = tree_hash(tmp_path)
    for one in ALL:
        with pytest.raises(UsageError, match="could leave"):
            export(out, [one])
    assert tree_hash(tmp_path) == before or not [
        p for p in tmp_path.rglob("*.*") if p.suffix != ".json"
    ]


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    out = save(tmp_path / "out", record("a/x.jpg", [("nut", square(), 0.8)]))
    (tmp_path / "away").mkdir()
    (out / "labelme").mkdir()
    (out / "labelme/a").symlink_to(tmp_path / "away")
    with pytest.raises(UsageError, match="a link leads out"):
        export(out, ["labelme"])
    assert not list((tmp_path / "away").iterdir())


@pytest.mark.parametrize("one", ["yolo", "labelme", "voc"])
def test_two_images_for_one_label_file_are_refused(tmp_path: Path, one: str) -> None:
    out = save(tmp_path, record("a/x.jpg"), record("a/x.png"), record("b/x.png"))
    with pytest.raises(UsageError, match=r"a/x\.jpg and a/x\.png"):
        export(out, [one])
    export(out, ["coco", "csv", "labelstudio"])
    assert len(read(out / "coco.json")["images"]) == 3
    assert not list(out.rglob("*.tmp"))


def test_images_that_are_renamed_to_the_name_of_another_are_refused(tmp_path: Path) -> None:
    """A folder called images becomes images_ in YOLO, where there may be one already."""
    out = save(tmp_path, record("images/x.jpg"), record("images_/x.jpg"))
    with pytest.raises(UsageError, match=r"images/x\.jpg and images_/x\.jpg would both"):
        export(out, ["yolo"])


def test_everything_at_once_and_again(tmp_path: Path) -> None:
    out = three(tmp_path / "out")
    found = export(out, target=tmp_path / "one")
    assert (found.images, found.detections, found.failed) == (3, 3, 1)
    assert set(found.written) == {
        *("coco.json", "coco_results.json", "detections.csv", "labelstudio.json", "labelstudio.xml"),
        *("yolo/", "labelme/", "voc/"),
    }
    names = {path.relative_to(tmp_path / "one").as_posix() for path in (tmp_path / "one").rglob("*.*")}
    for name in ("a/x", "b/x", "b/empty"):
        assert f"yolo/labels/train/{name}.txt" in names
        assert f"labelme/{name}.json" in names
        assert f"voc/Annotations/{name}.xml" in names
    for one in reversed(ALL):  # one by one, and over files that are there
        export(out, [one], target=tmp_path / "two")
    export(out, target=tmp_path / "two")
    assert tree_hash(tmp_path / "one") == tree_hash(tmp_path / "two")


def test_nothing_found_goes_through_every_format(tmp_path: Path) -> None:
    out = save(tmp_path, record("x.jpg", classes=["nut"]))
    found = export(out)
    assert (found.images, found.detections) == (1, 0)
    data = read(out / "coco.json")
    assert len(data["images"]) == 1
    assert data["annotations"] == read(out / "coco_results.json") == []
    assert COCO(str(out / "coco.json")).getCatIds() == [1]
    assert len((out / "detections.csv").read_text().splitlines()) == 1
    assert read(out / "labelme/x.json")["shapes"] == []
    assert (out / "yolo/labels/train/x.txt").read_bytes() == b""
    assert ET.parse(out / "voc/Annotations/x.xml").find("object") is None
    exports.write(tmp_path / "none", [], exports.Options(ALL))
    assert read(tmp_path / "none/coco.json")["categories"] == []
    assert yaml.safe_load((tmp_path / "none/yolo/data.yaml").read_text())["names"] == {}


@pytest.mark.parametrize(
    "limits",
    [
        Limits(min_score=0.0),
        Limits(min_score=0.65),
        Limits(min_score=1.0),
        Limits(class_min_score=(("nut", 0.1),)),
    ],
)
def test_limits_give_what_they_give_elsewhere(tmp_path: Path, limits: Limits) -> None:
    for n in range(6):
        rejected = [("nut", blob(n), 0.1 * n, "score"), ("nut", square(SIZE), 0.9, "suppressed")]
        save(tmp_path, record(f"{n}.jpg", [("bolt", square(SIZE), 0.5 + 0.1 * n)], rejected))
    wanted = [item for row in read_records(tmp_path) for item in detections(row, limits)]
    found = export(tmp_path, limits=limits)
    assert found.detections == len(wanted) != 6
    written = read(tmp_path / "coco_results.json")
    assert [item["score"] for item in written] == [item.score for item in wanted]
    lines = [p.read_text() for p in (tmp_path / "yolo/labels").rglob("*.txt")]
    assert sum(text.count("\n") for text in lines) == len(wanted)


def test_labels_of_an_earlier_export_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    export(three(tmp_path))
    assert "not exported" not in caplog.text
    (tmp_path / "records/a/x.jpg.json").unlink()
    with caplog.at_level(logging.WARNING, "searchdet"):
        export(tmp_path)
    told = [row.message for row in caplog.records]
    assert len(told) == 3
    assert all("1 files of images that are not exported (a/x." in text for text in told)


BROKEN = [
    ("width", 0),
    ("classes", None),
    ("status", None),
    ("sha256", 3),
    ("detections", [{}]),
    ("detections.label", "other"),
    ("detections.bbox", [1, 2, 3]),
    ("detections.segmentation", {"size": [3, 3], "counts": "4"}),
    ("detections.segmentation", {"size": [40, 60], "counts": ""}),
    ("detections.segmentation", {"size": [40, 60], "counts": "11ooo"}),
    ("detections.segmentation", rle.encode(np.ones((40, 80), bool)) | {"size": [40, 60]}),
]


@pytest.mark.parametrize(("key", "value"), BROKEN)
def test_a_damaged_record_is_an_error_and_leaves_no_dataset(
    tmp_path: Path, key: str, value: object
) -> None:
    save(tmp_path, record("a.jpg", [("nut", square(), 0.8)]), record("b.jpg", [("nut", square(), 0.8)]))
    path = tmp_path / "records/b.jpg.json"
    data = json.loads(path.read_bytes())
    if "." in key:
        data["detections"][0][key.split(".")[1]] = value
    elif value is None:
        del data[key]
    else:
        data[key] = value
    path.write_text(json.dumps(data))
    wanted = r"b\.jpg\.json: |'b\.jpg' is damaged"
    with pytest.raises(UsageError, match=wanted):
        export(tmp_path)
    if key != "detections.segmentation":  # which the table does not show
        with pytest.raises(UsageError, match=wanted):
            export(tmp_path, ("csv",))
    assert not list(tmp_path.glob("*.*"))
    assert not list(tmp_path.rglob("*.tmp"))


def test_two_records_of_one_image_are_refused(tmp_path: Path) -> None:
    row = record("a.jpg")
    with pytest.raises(UsageError, match="two records"):
        exports.write(tmp_path, [row, row], exports.Options(("coco",)))


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep/x.txt"
    with Stream(path) as stream:
        stream.write("old")
    for name in ("fsync", "replace", "open"):
        with monkeypatch.context() as patch:
            patch.setattr(f"os.{name}", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
            with pytest.raises(OutputError, match="No space left"), Stream(path) as stream:
                stream.write("new")
    with pytest.raises(ValueError, match="surrogates"), Stream(path) as stream:
        stream.write("new\ud800")
    assert [item.name for item in path.parent.iterdir()] == ["x.txt"]
    assert path.read_text() == "old"
    with Stream(path) as stream:
        stream.write("\udcff")
    assert path.read_bytes() == b"\xff"
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.slow
def test_memory_does_not_grow_with_the_records(tmp_path: Path) -> None:
    row = record("x.jpg", [("nut", blob(1), 0.8)], [("nut", blob(n), 0.1, "score") for n in range(30)])
    assert len(row.to_line()) > 15_000

    def peak(count: int) -> int:
        rows = (replace(row, image=f"{n}.jpg") for n in range(count))
        tracemalloc.start()
        exports.write(tmp_path / str(count), rows, exports.Options(("coco", "csv", "labelstudio")))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    growth = (peak(90) - peak(30)) / 60
    assert growth < 1000, f"{growth:.0f} bytes a record"  # a name, its line and a hash of it
