"""What --save draws: each kind against the masks of its record, pixel for pixel where it has them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from exported import record
from PIL import Image
from worlds import call, tree_hash

from searchdet.config.pictures import KINDS
from searchdet.errors import UsageError
from searchdet.images.walk import WRITTEN
from searchdet.output.folder import pictures
from searchdet.output.pictures import drawn
from searchdet.output.render import class_colour, semantic, side_by_side
from searchdet.records import ImageRecord

SIZE = (40, 60)
WHOLE = [name for name, kind in KINDS.items() if not kind.many and name != "anomaly"]


def block(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


CAT, DOG = block(5, 25, 5, 30), block(15, 35, 20, 50)
GREY = np.full((*SIZE, 3), 90, np.uint8)


def two() -> ImageRecord:
    """A cat that lies on a dog, and a cat that was rejected."""
    gone = [("cat", block(0, 3, 50, 60), 0.3, "score")]
    return record("a.png", [("cat", CAT, 0.9), ("dog", DOG, 0.8)], gone, SIZE)


def made(name: str, of: ImageRecord, image: np.ndarray = GREY) -> np.ndarray:
    ((place, data),) = drawn((name,), image, of, None)
    assert (place.folder, place.suffix) == (KINDS[name].folder, KINDS[name].suffix)
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture)


def test_every_kind_is_known_by_name_and_lies_in_a_folder_of_a_run() -> None:
    assert pictures(",".join(KINDS)) == tuple(KINDS)
    assert {kind.folder for kind in KINDS.values()} <= WRITTEN
    assert len({kind.folder for kind in KINDS.values()}) == len(KINDS)
    with pytest.raises(UsageError, match="side-by-side"):
        pictures("sidebyside")


def test_union_is_what_lies_under_any_detection() -> None:
    assert ((made("union", two()) > 0) == (CAT | DOG)).all()
    assert not made("union", record("a.png", [], (), SIZE, classes=["cat"])).any()


def test_semantic_has_the_number_of_the_class_and_its_colour_the_better_on_top() -> None:
    wanted = np.zeros(SIZE, int)
    wanted[DOG], wanted[CAT] = 2, 1
    of = two()
    assert of.classes == ("cat", "dog")
    assert (made("semantic", of) == wanted).all()
    with Image.open(io.BytesIO(semantic(of))) as picture:
        assert picture.mode == "P"
        seen = np.asarray(picture.convert("RGB"))
    colours = np.asarray([(0, 0, 0), class_colour("cat"), class_colour("dog")])
    assert (seen == colours[wanted]).all()


def test_semantic_of_more_classes_than_a_byte_counts_has_two() -> None:
    names = [f"{i:03}" for i in range(300)]
    got = made("semantic", record("a.png", [("299", CAT, 0.9)], (), SIZE, classes=names))
    assert got.max() == 300
    assert ((got == 300) == CAT).all()


def test_contours_leave_all_but_the_outlines_as_it_is() -> None:
    got = made("contours", two(), GREY).astype(int)
    changed = np.abs(got - 90).max(axis=2) > 40  # the rest is what JPEG makes of it
    from scipy.ndimage import binary_dilation, binary_erosion

    rim = np.zeros(SIZE, bool)
    for mask in (CAT, DOG):
        rim |= binary_dilation(mask, iterations=3) & ~binary_erosion(mask, iterations=4)
    assert not (changed & ~rim).any()
    edge = CAT & ~binary_erosion(CAT)
    assert changed[edge].mean() > 0.9


def test_original_is_the_picture_as_it_was_searched() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    assert (made("original", two(), noise) == noise).all()


@pytest.mark.parametrize("size", [(40, 60), (60, 40), (40, 80), (40, 81), (500, 900)])
def test_side_by_side_has_both_and_a_line_between(size: tuple[int, int]) -> None:
    one, other = np.zeros((*size, 3), np.uint8), np.full((*size, 3), 7, np.uint8)
    got = side_by_side(one, other)
    height, width = size
    if width > 2 * height:
        assert got.shape[1] == width
        got, height, width = got.transpose(1, 0, 2), width, height
    assert (got[:, :width] == 0).all()
    assert (got[:, -width:] == 7).all()
    assert (got[:, width:-width] == 255).all()
    assert got.shape == (height, 2 * width + max(4, min(size) // 100), 3)


def test_pictures_that_are_there_are_not_drawn_again_and_others_are(world: Path) -> None:
    save = ["--save", ",".join(WHOLE), "--cache-dir", "cache"]
    first = call("in/images/a.png", "-o", "out", *save)
    assert "done before" not in first.stderr
    drawn_ones = {kind: world / "out" / KINDS[kind].folder / "in/images" for kind in WHOLE}
    assert all((folder / f"a.png{KINDS[kind].suffix}").is_file() for kind, folder in drawn_ones.items())
    before = tree_hash(world / "out")
    assert "done before" in call("in/images/a.png", "-o", "out", *save).stderr
    after = json.loads((world / "out/run.json").read_text())
    assert after["known"] == 1
    for kind, folder in drawn_ones.items():
        (folder / f"a.png{KINDS[kind].suffix}").unlink()
        assert "done before" not in call("in/images/a.png", "-o", "out", *save).stderr, kind
        assert (folder / f"a.png{KINDS[kind].suffix}").is_file()
    (world / "out/run.json").unlink()
    assert before
