"""Masks from LabelMe and COCO files: every object is an exemplar, and what is unclear is an error."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import BOX, HEIGHT, OTHER, SQUARE, WIDTH, annotation, dataset, labelme, picture, shape
from PIL import Image
from pycocotools import mask as coco

from searchdet.errors import ExemplarError
from searchdet.exemplars import find_coco, find_negatives, find_positives, load


def test_each_shape_is_an_exemplar_with_its_mask(tmp_path: Path) -> None:
    picture(tmp_path / "pos" / "bolt" / "1.png")
    shapes = [shape("bolt", SQUARE), shape("bolt", OTHER), shape("nut", SQUARE)]
    labelme(tmp_path / "pos" / "bolt" / "1.json", shapes)
    found = load(find_positives(tmp_path / "pos"))
    assert [item.name for item in found] == ["pos/bolt/1.png#1", "pos/bolt/1.png#2"]
    assert [item.mask_source for item in found] == ["labelme"] * 2
    for item, (x0, y0, x1, y1) in zip(found, ((5, 6, 15, 20), (20, 2, 30, 12)), strict=True):
        wanted = np.zeros((HEIGHT, WIDTH), bool)
        wanted[y0:y1, x0:x1] = True
        assert (item.mask == wanted).all()


def test_in_a_flat_folder_the_labels_are_the_classes(tmp_path: Path) -> None:
    picture(tmp_path / "pos" / "1.png")
    labelme(tmp_path / "pos" / "1.json", [shape("bolt", SQUARE), shape("nut", OTHER)])
    assert [item.label for item in find_positives(tmp_path / "pos")] == ["bolt", "nut"]
    picture(tmp_path / "pos" / "2.png")
    with pytest.raises(ExemplarError, match=r"2\.png has no LabelMe file"):
        find_positives(tmp_path / "pos")


def test_shapes_of_a_group_are_one_object(tmp_path: Path) -> None:
    picture(tmp_path / "neg" / "1.png")
    both = [shape("a", SQUARE, group_id=3), shape("a", OTHER, group_id=3), shape("a", OTHER)]
    labelme(tmp_path / "neg" / "1.json", both)
    one, two = load(find_negatives(tmp_path / "neg"))
    assert one.label is None
    assert int(one.mask.sum()) == 140 + 100
    assert int(two.mask.sum()) == 100


def test_rectangles_circles_and_bitmaps(tmp_path: Path) -> None:
    picture(tmp_path / "neg" / "1.png")
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 3), 255, np.uint8)).save(buffer, "PNG")
    bitmap = base64.b64encode(buffer.getvalue()).decode()
    shapes = [
        shape("a", BOX, "rectangle"),
        shape("a", [[20.0, 15.0], [28.0, 15.0]], "circle"),
        shape("a", [[7.0, 9.0], [9.0, 12.0]], "mask", mask=bitmap),
    ]
    labelme(tmp_path / "neg" / "1.json", shapes)
    box, disc, stamp = load(find_negatives(tmp_path / "neg"))
    assert int(box.mask.sum()) == 140
    assert int(disc.mask.sum()) == pytest.approx(np.pi * 64, rel=0.03)
    assert stamp.mask[9:13, 7:10].all()
    assert int(stamp.mask.sum()) == 12


@pytest.mark.parametrize(
    ("shapes", "changes", "says"),
    [
        ([], {}, "no shape"),
        ([shape("bolt", SQUARE)], {"imageHeight": 31}, "annotation is for 40x31"),
        ([shape("bolt", SQUARE[:2])], {}, "three points"),
        ([shape("bolt", SQUARE, "line")], {}, "has no area"),
        ([shape("nut", SQUARE)], {}, "no shape labelled 'bolt'"),
        ([shape("bolt", BOX, "mask", mask="%%%")], {}, "broken bitmap"),
        ([shape("bolt", BOX, "mask", mask=base64.b64encode(b"no png").decode())], {}, "broken bitmap"),
        ([{"label": "bolt"}], {}, "lacks 'points'"),
        ([shape("bolt", [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])], {}, "is empty"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_file(
    tmp_path: Path, shapes: list[dict[str, Any]], changes: dict[str, Any], says: str
) -> None:
    picture(tmp_path / "pos" / "bolt" / "1.png")
    labelme(tmp_path / "pos" / "bolt" / "1.json", shapes, **changes)
    with pytest.raises(ExemplarError, match=says) as caught:
        load(find_positives(tmp_path / "pos"))
    assert str(tmp_path / "pos" / "bolt" / "1") in caught.value.one_line()


@pytest.mark.parametrize("text", ["", "[", "3", "[]", '{"shapes": 5}', "\x00\xff", "[" * 100_000])
def test_broken_json_is_an_exemplar_error(tmp_path: Path, text: str) -> None:
    picture(tmp_path / "neg" / "1.png")
    (tmp_path / "neg" / "1.json").write_text(text, encoding="latin-1")
    with pytest.raises(ExemplarError, match=r"1\.json"):
        find_negatives(tmp_path / "neg")


def test_two_masks_for_one_image_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "neg" / "1.png")
    labelme(tmp_path / "neg" / "1.json", [shape("a", SQUARE)])
    Image.new("L", (WIDTH, HEIGHT), 255).save(tmp_path / "neg" / "1.mask.png")
    with pytest.raises(ExemplarError, match="has both"):
        find_negatives(tmp_path / "neg")


def test_coco_polygons_encodings_and_boxes(tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[3:9, 4:12] = 1
    packed = coco.encode(np.asfortranarray(mask))
    plain = {"size": [HEIGHT, WIDTH], "counts": [4 * HEIGHT + 3]}
    for column in range(8):
        plain["counts"] += [6, 24] if column < 7 else [6, HEIGHT * WIDTH - (11 * HEIGHT + 9)]
    assert sum(plain["counts"]) == HEIGHT * WIDTH
    path = dataset(
        tmp_path,
        [
            annotation(segmentation=[[float(v) for point in SQUARE for v in point]]),
            annotation(4, segmentation={"size": packed["size"], "counts": packed["counts"].decode()}),
            annotation(4, segmentation=plain),
            annotation(),
            annotation(iscrowd=1),
        ],
    )
    found = load(find_coco(path))
    assert [item.label for item in found] == ["bolt", "nut", "nut", "bolt"]
    assert [item.mask_source for item in found] == ["coco", "coco", "coco", "box"]
    assert [int(item.mask.sum()) for item in found] == [140, 48, 48, 140]
    assert (found[1].mask == mask.astype(bool)).all()
    assert (found[2].mask == mask.astype(bool)).all()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image_id": 8}, "no annotation to use"),
        ({"category_id": 9}, "no annotation to use"),
        ({"segmentation": [[1.0, 2.0]]}, "three points"),
        ({"segmentation": {"size": [2, 2], "counts": "11"}}, "cannot be drawn"),
        ({"iscrowd": 1}, "no annotation to use"),
    ],
)
def test_coco_files_that_cannot_be_used(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    path = dataset(tmp_path, [annotation(**changes)])
    with pytest.raises(ExemplarError, match=says):
        load(find_coco(path))


def test_a_coco_image_that_is_not_there_is_named_with_its_folder(tmp_path: Path) -> None:
    path = dataset(tmp_path, [annotation()])
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(ExemplarError, match=r"'a\.png' is not in") as caught:
        find_coco(path, tmp_path / "elsewhere")
    assert "--positive-images" in caught.value.one_line()
    with pytest.raises(ExemplarError, match="cannot be read"):
        find_coco(tmp_path / "absent.json")
