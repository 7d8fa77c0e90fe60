"""``eval --masks``: pixels against mask files, by an independent count."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from searchdet.cli import app
from searchdet.errors import UsageError
from searchdet.evaluation.masks import Pixels, mask_card
from searchdet.masks import rle
from searchdet.records import ImageRecord
from searchdet.records.candidate import Candidate

SIZE = (20, 30)


def square(x: int, y: int, side: int) -> np.ndarray:
    made = np.zeros(SIZE, bool)
    made[y : y + side, x : x + side] = True
    return made


def record(image: str, *found: np.ndarray, rejected: np.ndarray | None = None) -> ImageRecord:
    masks = [(mask, "accepted") for mask in found]
    masks += [(rejected, "min_score")] if rejected is not None else []
    items = tuple(
        Candidate(
            *(i, "pit", reason, (0.0, 0.0, 1.0, 1.0), int(mask.sum()), 0.5, 0.5, 0.5, 0.5, 1.0),
            *(0.5, None, None, None, None, None, None, None, None, rle.encode(mask)),
        )
        for i, (mask, reason) in enumerate(masks)
    )
    return ImageRecord(image, "ok" if found else "empty", SIZE[1], SIZE[0], "0" * 64, items, ("pit",))


def save(path: Path, mask: np.ndarray, value: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * value).save(path)


def test_figures_are_those_of_the_union_of_accepted_masks(tmp_path: Path) -> None:
    true = square(4, 4, 8)
    save(tmp_path / "a" / "1_mask.png", true)
    found = (square(4, 4, 4), square(6, 6, 10))
    row = mask_card([record("a/1.jpg", *found, rejected=~true)], tmp_path).images["a/1.jpg"]
    both = {(y, x) for mask in found for y, x in zip(*np.nonzero(mask), strict=True)}
    wanted = set(zip(*np.nonzero(true), strict=True))
    figures = row.figures()
    assert figures["iou"] == pytest.approx(len(both & wanted) / len(both | wanted))
    assert figures["dice"] == pytest.approx(2 * len(both & wanted) / (len(both) + len(wanted)))
    assert figures["precision"] == pytest.approx(len(both & wanted) / len(both))
    assert figures["recall"] == pytest.approx(len(both & wanted) / len(wanted))


@pytest.mark.parametrize("name", ["1.png", "1_mask.png", "1-gt.bmp", "1.mask.png", "1_MASK.tif"])
@pytest.mark.parametrize("value", [255, 1])
def test_masks_are_paired_by_relative_name(name: str, value: int, tmp_path: Path) -> None:
    save(tmp_path / "b" / name, square(0, 0, 5), value)
    save(tmp_path / "c" / name, square(9, 9, 5), value)
    card = mask_card([record("b/1.jpg", square(0, 0, 5)), record("c/1.jpg")], tmp_path)
    assert card.images == {"b/1.jpg": Pixels(25, 0, 0), "c/1.jpg": Pixels(0, 0, 25)}


def test_means_leave_out_what_shows_nothing_and_count_false_alarms(tmp_path: Path) -> None:
    save(tmp_path / "hit.png", square(0, 0, 4))
    save(tmp_path / "missed.png", square(0, 0, 4))
    for name in ("clean", "alarm"):
        save(tmp_path / f"{name}.png", np.zeros(SIZE, bool))
    records = [record("hit.jpg", square(0, 0, 4)), record("missed.jpg"), record("clean.jpg")]
    records += [record("alarm.jpg", square(2, 2, 2)), record("unknown.jpg")]
    card = mask_card(records, tmp_path)
    assert card.mean() == {"iou": 0.5, "dice": 0.5, "precision": 1.0, "recall": 0.5}
    assert (card.clean, card.alarmed) == (("clean.jpg", "alarm.jpg"), ["alarm.jpg"])
    assert card.unmasked == ("unknown.jpg",)
    assert card.total() == Pixels(16, 4, 16)
    assert "unknown.jpg" in mask_card(records, tmp_path, empty=True).clean


def test_what_cannot_be_paired_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        mask_card([record("a.jpg")], tmp_path / "no")
    save(tmp_path / "b.png", square(0, 0, 4))
    with pytest.raises(UsageError, match="no mask there"):
        mask_card([record("a.jpg")], tmp_path)
    save(tmp_path / "b_mask.png", square(0, 0, 4))
    with pytest.raises(UsageError, match="masks of one image"):
        mask_card([record("b.jpg")], tmp_path)
    (tmp_path / "b_mask.png").unlink()
    Image.new("L", (5, 5)).save(tmp_path / "b.png")
    with pytest.raises(UsageError, match="5x5"):
        mask_card([record("b.jpg")], tmp_path)


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_prints_the_table(tmp_path: Path) -> None:
    made = run(
        *("detect", _picture(tmp_path), "--positive", tmp_path / "pos", "--backbone", "filterbank"),
        *("--no-cache", "--save", "none", "--format", "none", "-o", tmp_path / "out"),
    )
    assert made.exit_code == 0, made.output
    save(tmp_path / "masks" / "photo_gt.png", square(0, 0, 20))
    shown = run("eval", tmp_path / "out", "--masks", tmp_path / "masks", "--json")
    assert shown.exit_code == 0, shown.output
    row = json.loads(shown.stdout)["images"]["photo.png"]
    assert set(row) == {"iou", "dice", "precision", "recall"}
    for words in (
        ("eval", tmp_path / "out"),
        ("eval", "truth.json", tmp_path / "out", "--masks", tmp_path / "masks"),
        ("eval", "truth.json", tmp_path / "out", "--no-mask-is-empty"),
    ):
        assert run(*words).exit_code == 2


def _picture(folder: Path) -> Path:
    pixels = np.full((*SIZE, 3), 220, np.uint8)
    pixels[square(4, 4, 9)] = (200, 30, 30)
    (folder / "pos" / "red").mkdir(parents=True)
    Image.fromarray(pixels[2:16, 2:16]).save(folder / "pos" / "red" / "1.png")
    Image.fromarray(pixels).save(folder / "photo.png")
    return folder / "photo.png"
