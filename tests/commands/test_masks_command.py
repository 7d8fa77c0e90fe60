"""``searchdet masks``: a COCO file of boxes to one of masks, and nothing else of it changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pointed
import pytest
from PIL import Image
from typer.testing import CliRunner, Result
from worlds import tree_hash

from searchdet.annotations import read_truth
from searchdet.cli import app
from searchdet.masks import rle
from searchdet.proposals.regions import RegionProposer

pytestmark = pytest.mark.model
SIZE = (120, 160)


def disc(x: int, y: int, radius: int = 18) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)


A, B = disc(40, 60), disc(110, 50)


def photo(path: Path, orientation: int = 1) -> None:
    pixels = np.full((*SIZE, 3), (225, 225, 220), np.float64)
    pixels[A], pixels[B] = (190, 50, 40), (40, 60, 190)
    pixels += np.random.default_rng(0).normal(0, 2, pixels.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, exif=exif)


def value(**changes: Any) -> dict[str, Any]:
    ring = [[5.0, 6.0, 15.0, 6.0, 15.0, 20.0]]
    crowd = {"size": list(SIZE), "counts": [0, SIZE[0] * SIZE[1]]}
    return {
        "info": {"year": 2020, "by": "näme"},
        "licenses": [{"id": 4}],
        "images": [
            {"id": 7, "file_name": r"C:\data\deep\a.png", "width": 160, "height": 120, "extra": [1]},
            {"id": "b", "file_name": "b.png"},
        ],
        "categories": [{"id": 3, "name": "disc", "supercategory": "x", "color": "#f00"}],
        "annotations": [
            {
                "id": 11,
                "image_id": 7,
                "category_id": 3,
                "bbox": [22, 42, 37, 37],
                "area": 1369,
                "note": 1,
            },
            {"id": 12, "image_id": 7, "category_id": 3, "bbox": [92.0, 32, 37, 37], "segmentation": []},
            {"id": 13, "image_id": 7, "category_id": 3, "bbox": [5, 6, 10, 14], "segmentation": ring},
            {"id": 14, "image_id": 7, "category_id": 3, "iscrowd": 1, "segmentation": crowd},
            {"id": "x", "image_id": "b", "category_id": 3, "bbox": [300, 300, 5, 5]},
        ],
    } | changes


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    photo(Path("in/images/deep/a.png"))
    photo(Path("in/images/b.png"))
    Path("in/boxes.json").write_text(json.dumps(value()))
    return tmp_path


def call(*words: str) -> Result:
    base = [
        "masks",
        "in/boxes.json",
        "--images",
        "in/images",
        "-o",
        "masks.json",
        "--cache-dir",
        "cache",
    ]
    before = tree_hash(Path("in"))
    done = CliRunner().invoke(app, [*base, "--proposals", "regions", *words])
    assert tree_hash(Path("in")) == before, "an input was changed"
    return done


def written() -> dict[str, Any]:
    return dict(json.loads(Path("masks.json").read_text()))


def overlap(item: dict[str, Any], wanted: np.ndarray) -> float:
    shape = item["segmentation"]
    mask = rle.decode([shape], tuple(shape["size"]))[0]
    return float((mask & wanted).sum() / (mask | wanted).sum())


def test_boxes_get_masks_and_all_else_stays(folder: Path) -> None:
    done = call()
    assert done.exit_code == 0, done.stderr
    made, before = written(), value()
    assert overlap(made["annotations"][0], A) > 0.9
    assert overlap(made["annotations"][1], B) > 0.9
    assert [item.get("mask_source") for item in made["annotations"]] == ["regions"] * 2 + [None] * 3
    for item, old in zip(made["annotations"], before["annotations"], strict=True):
        if item.pop("mask_source", None):
            del item["segmentation"]
            old.pop("segmentation", None)
        assert item == old
    assert made == before
    assert "2 masks of boxes by `regions`; kept 1 masks and 1 crowds; 1 boxes without" in done.stderr
    assert "Boxes in which no object stands out stay boxes: 1 (first: annotation 'x'" in done.stderr
    assert read_truth(Path("masks.json")).objects == 4


def test_an_annotation_that_stands_twice_moves_no_mask(folder: Path) -> None:
    rows = value()["annotations"]
    Path("in/boxes.json").write_text(json.dumps(value(annotations=[rows[0], rows[0], *rows[1:]])))
    done = call()
    assert done.exit_code == 0, done.stderr
    made = written()["annotations"]
    assert overlap(made[0], A) > 0.9
    assert "segmentation" not in made[1], "the copy counts once"
    assert overlap(made[2], B) > 0.9


def test_a_second_run_looks_at_no_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call().exit_code == 0
    first = Path("masks.json").read_bytes()

    def refuse(self: object, *more: object) -> None:
        raise AssertionError("it was looked at again")

    monkeypatch.setattr(RegionProposer, "propose", refuse)
    assert call().exit_code == 0
    assert Path("masks.json").read_bytes() == first, "equal inputs, equal bytes"


def test_what_was_stopped_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = value()
    images["annotations"][4]["bbox"] = [22, 42, 37, 37]
    Path("in/boxes.json").write_text(json.dumps(images))
    photo(Path("in/images/b.png"), 3)
    real, seen = RegionProposer.masks_of_boxes, []

    def once(self: RegionProposer, image: np.ndarray, boxes: np.ndarray) -> list[rle.Rle]:
        seen.append(len(boxes))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return real(self, image, boxes)

    monkeypatch.setattr(RegionProposer, "masks_of_boxes", once)
    assert call().exit_code != 0
    assert not Path("masks.json").exists(), "a whole file or none"
    assert call().exit_code == 0
    assert sorted(seen) == [1, 1, 2], "what was done is not done again"


def test_images_that_cannot_be_used_are_told_and_others_go_on(folder: Path) -> None:
    Path("in/images/deep/a.png").write_bytes(b"no image")
    done = call()
    assert done.exit_code == 3
    assert "FAILED (not_an_image)" in done.stderr
    Path("in/images/deep/a.png").unlink()
    done = call()
    assert done.exit_code == 3
    assert "FAILED (missing)" in done.stderr
    assert "--images" in done.stderr
    assert written()["annotations"][0] == value()["annotations"][0]
    Image.new("RGB", (30, 20)).save("in/images/deep/a.png")
    done = call()
    assert done.exit_code == 3
    assert "160x120, the image is 30x20" in done.stderr


def test_boxes_of_the_photo_before_its_rotation_have_masks_of_that_frame(folder: Path) -> None:
    for orientation in (2, 5, 6, 8):
        photo(Path("in/images/deep/a.png"), orientation)
        done = call()
        assert done.exit_code == 0, done.stderr
        assert "EXIF rotation" in done.stderr
        if orientation > 4:
            made = written()["annotations"][:2]
            assert made[0]["segmentation"]["size"] == list(SIZE)
            assert overlap(made[0], A) > 0.9
            assert overlap(made[1], B) > 0.9


def test_previews_are_drawn(folder: Path) -> None:
    rows = value()["annotations"]
    rows[-1]["segmentation"] = []  # of which no mask is found
    Path("in/boxes.json").write_text(json.dumps(value(annotations=rows)))
    assert call("--preview", "seen").exit_code == 0
    assert len(list(Path("seen").glob("*.jpg"))) == 2


def test_what_makes_no_sense_is_refused(folder: Path) -> None:
    for words, said in (
        (["-o", "in/boxes.json"], "is the input"),
        (["-o", "in"], "is the input or a folder"),
        (["--images", "nowhere"], "is no folder"),
        (["--proposals", "masks"], "masks takes no boxes"),
    ):
        done = call(*words)
        assert done.exit_code == 2, done.stderr
        assert said in done.stderr
    for text, said in (
        ("[]", "holds no JSON object"),
        ("{", "is not JSON"),
        ("{}", "no list 'images'"),
    ):
        Path("in/boxes.json").write_text(text)
        done = call()
        assert done.exit_code == 2
        assert said in done.stderr


@pytest.mark.parametrize("name", ["auto", "sam2"])
def test_a_given_file_of_a_network_that_takes_no_boxes_is_refused(folder: Path, name: str) -> None:
    file = pointed.save(pointed.network("sam2"), folder / "sam2")
    done = call("--proposals", name, "--sam-checkpoint", str(file))
    assert done.exit_code == 2, done.stderr
    assert "--proposals sam2 takes no boxes" in done.stderr
    assert not Path("masks.json").exists()
