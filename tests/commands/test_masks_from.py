"""``--masks-from``: proposals of other tools in ``detect`` and ``index``, and their memory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from places import QUICK
from typer.testing import CliRunner, Result
from worlds import RED, draw

from searchdet.cli import app
from searchdet.detector import Detector
from searchdet.masks import rle
from searchdet.records import read_record
from searchdet.regions import known_regions

SQUARE = (slice(30, 90), slice(20, 60))


def mask(rows: slice, columns: slice, size: tuple[int, int] = (120, 140)) -> np.ndarray:
    made = np.zeros(size, bool)
    made[rows, columns] = True
    return made


def save(folder: Path, name: str, *masks: np.ndarray) -> None:
    path = folder / f"{name}.masks.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, masks=np.stack(masks))


def call(*words: str) -> Result:
    examples = ["--positive", "in/positive", "--negative", "in/negative"]
    return CliRunner().invoke(app, ["detect", *words, *examples, "--cache-dir", "cache"])


def record(name: str) -> dict[str, Any]:
    return dict(json.loads(Path(f"out/records/{name}.json").read_text()))


@pytest.fixture
def masks(cold_world: Path) -> Path:
    folder = cold_world / "given"
    save(folder, "in/images/a", mask(*SQUARE), mask(slice(30, 90), slice(80, 120)))
    return folder


def test_detect_judges_the_masks_that_were_given(masks: Path) -> None:
    words = ["in/images/a.png", "--proposals", "masks", "--masks-from", "given", "-o", "out"]
    done = call(*words)
    assert done.exit_code == 0, done.stderr
    made = record("in/images/a.png")
    assert made["proposals"]["count"] == made["proposals"]["given"] == 2
    assert made["proposer"]["name"] == "masks"
    assert made["proposer"]["weights"]["file"] == "given"
    assert made["proposer"]["fallback"] is False
    assert "masks_from" not in made["proposer"]["options"]
    (found,) = made["detections"]
    assert found["bbox"] == [20, 30, 60, 90]
    assert found["segmentation"]["counts"] == rle.encode(mask(*SQUARE))["counts"]
    assert "No SAM checkpoint" not in done.stderr
    assert "cannot act" not in done.stderr


def test_an_image_without_masks_fails_by_name_and_others_go_on(masks: Path) -> None:
    words = ["in/images", "--masks-from", "given", "-o", "out"]
    done = call(*words)
    assert done.exit_code == 3
    assert "none.png: FAILED (masks) none.png: --masks-from given has nothing" in done.stderr
    assert record("none.png")["status"] == "failed"
    assert record("none.png")["error"]["code"] == "masks"
    assert len(record("a.png")["detections"]) == 1


def test_masks_that_changed_are_read_again(masks: Path) -> None:
    words = ["in/images/a.png", "--masks-from", "given", "-o", "out", "--overwrite"]
    assert call(*words).exit_code == 0
    before = record("in/images/a.png")
    save(masks, "in/images/a", mask(slice(30, 90), slice(80, 120)))
    assert call(*words).exit_code == 0
    after = record("in/images/a.png")
    assert after["proposals"]["count"] == 1
    assert after["settings_sha256"] != before["settings_sha256"]


def test_equal_pictures_of_two_names_have_their_own_masks(masks: Path) -> None:
    shutil.copy("in/images/a.png", "in/images/b.png")
    save(masks, "in/images/b", mask(slice(32, 80), slice(22, 58)))
    for _ in range(2):
        done = call(
            *("in/images/a.png", "in/images/b.png", "--masks-from", "given", "-o", "out"), "--overwrite"
        )
        assert done.exit_code == 0, done.stderr
        boxes = [record(f"in/images/{name}.png")["detections"][0]["bbox"] for name in "ab"]
        assert boxes == [[20, 30, 60, 90], [22, 32, 58, 80]]


def test_regions_behind_a_record_are_known(masks: Path) -> None:
    assert call("in/images/a.png", "--masks-from", "given", "-o", "out").exit_code == 0
    made = read_record(Path("out/records/in/images/a.png.json"))
    assert made is not None
    assert made.run is not None
    detector = Detector.from_folders("in/positive", "in/negative", backbone=QUICK, masks_from=masks)
    space = detector.bank.space
    assert space is not None
    found = known_regions(Path("cache"), made, made.run, space)
    assert found is not None
    assert len(found.regions.proposals) == 2


def test_an_index_holds_the_masks_that_were_given(masks: Path) -> None:
    words = ["index", "in/images", "-o", "idx", "--masks-from", "given", "--cache-dir", "cache"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 3
    assert "none.png: FAILED (masks)" in done.stderr
    assert "1 image, 2 regions" in done.stderr
    examples = ["--positive", "in/positive", "--negative", "in/negative", "--cache-dir", "cache"]
    found = CliRunner().invoke(app, ["search", "idx", *examples])
    assert found.exit_code == 0, found.stderr
    assert found.stdout.startswith("0.") or found.stdout.startswith("1.")
    assert "20,30,60,90\ta.png" in found.stdout


def test_masks_among_the_images_are_no_images(masks: Path) -> None:
    values = mask(*SQUARE).astype(np.uint8)
    for path in ("in/images/given/in/images/a.png", "in/images/given/deep.png"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)
    done = call("in/images", "-r", "--masks-from", "in/images/given", "-o", "out")
    names = [p.relative_to("out/records").as_posix() for p in Path("out/records").rglob("*.json")]
    assert sorted(names) == ["a.png.json", "deep/a.png.json", "none.png.json"], done.stderr


def test_examples_are_looked_for_as_ever(masks: Path) -> None:
    """The object in a photo without a mask comes from the embedded proposer, whatever proposes."""
    Path("photos/red").mkdir(parents=True)
    for i in (1, 2):
        Image.fromarray(draw([RED], 20 + i)).save(f"photos/red/{i}.png")
    words = ["detect", "in/images/a.png", "--positive", "photos", "--masks-from", "given", "-o", "out"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert len(record("in/images/a.png")["exemplars"]["auto_masks"]) == 2


def test_what_cannot_act_is_said(masks: Path) -> None:
    for more in (["--masks-from", "given"], ["--masks-dataset", "x.json"]):
        done = call("in/images/a.png", "--proposals", "regions", "-o", "out", *more)
        assert done.exit_code == 0, done.stderr
        assert f"{more[0]} {more[1]} (`regions` does not read it" in done.stderr
    done = call("in/images/a.png", "--proposals", "masks", "-o", "out")
    assert done.exit_code == 2
    assert "--proposals masks needs masks. Name them: --masks-from" in done.stderr
