"""``--scale`` from the command line: what it needs and writes, and the same by index and bank."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result
from worlds import RED, call, draw

from searchdet.bank import file as bankfile
from searchdet.cli import app


def run(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result


def records(out: str) -> dict[str, dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted(Path(out, "records").rglob("*.json"))]
    return {item["image"]: item for item in found}


@pytest.fixture
def drawn(world: Path) -> Path:
    """The world with masks beside its positive examples, of 40 x 60 pixels, and an image with a red
    square of that size beside one of a ninth."""
    for name in ("1", "2"):
        path = world / f"in/positive/red/{name}.png"
        Image.fromarray(draw([RED], int(name))).save(path)
        mask = np.zeros((120, 80), np.uint8)
        mask[30:90, 20:60] = 255
        Image.fromarray(mask).save(path.with_name(f"{name}.mask.png"))
    picture = draw([RED, (235, 235, 235)], 9)
    picture[50:70, 94:108] = RED
    Image.fromarray(picture).save(world / "in/images/two.png")
    return world


def test_whole_pictures_say_nothing_of_sizes(world: Path) -> None:
    result = call("in/images/a.png", "--no-save", "--exemplar-mask", "whole", "--scale", "same")
    assert result.exit_code == 2
    assert "how large the object is" in result.stderr


def test_a_smaller_object_loses_as_the_record_says(drawn: Path) -> None:
    given = ("in/images/two.png", "--format", "none", "--min-score", "-2", "--suppression", "box_nms")
    call(*given, "-o", "any", "--scale", "any")
    call(*given, "-o", "same", "--scale", "same")
    plain, sized = (records(out)["in/images/two.png"] for out in ("any", "same"))
    assert not any("size_similarity" in item for item in plain["detections"] + plain["rejected"])
    before = {item["id"]: item for item in plain["detections"] + plain["rejected"]}
    seen = 0
    for item in sized["detections"] + sized["rejected"]:
        if item["score_before_suppression"] is None or item["id"] not in before:
            continue
        away = abs(np.log(item["area"] / 2400)) / np.log(1.5)  # of two of one size that is the spread
        wanted = 1 - np.clip((away - 1) / 3, 0, 1)
        assert item["size_similarity"] == pytest.approx(wanted, abs=0.12)  # masks of small copies
        lost = before[item["id"]]["score_before_suppression"] - item["score_before_suppression"]
        assert lost == pytest.approx(0.1 * (1 - item["size_similarity"]), abs=3e-6)
        seen += 1
    assert seen > 20
    assert sized["scoring"]["scale"] == "same"


def test_by_default_the_best_candidate_says_whether_sizes_count(drawn: Path) -> None:
    given = ("in/images/two.png", "--format", "none", "--min-score", "-2", "--suppression", "box_nms")
    call(*given, "-o", "any", "--scale", "any")
    call(*given, "-o", "auto")
    plain, auto = (records(out)["in/images/two.png"] for out in ("any", "auto"))
    assert auto["scoring"]["scale"] == "auto"
    assert auto["best_sizes"] == {"red": pytest.approx(1, abs=0.01)}
    assert plain["best_sizes"] == {}
    before = {item["id"]: item for item in plain["detections"] + plain["rejected"]}
    lost = []
    for item in auto["detections"] + auto["rejected"]:
        if item["score_before_suppression"] is not None and item["id"] in before:
            less = before[item["id"]]["score_before_suppression"] - item["score_before_suppression"]
            wanted = max(auto["best_sizes"]["red"] - item["size_similarity"], 0)
            assert less == pytest.approx(0.1 * wanted, abs=3e-6)
            lost.append(less)
    assert len(lost) > 20
    assert max(lost) > 0.05


@pytest.mark.parametrize("scale", ["auto", "same"])
def test_banks_and_indexes_know_sizes(drawn: Path, scale: str) -> None:
    examples = ("--positive", "in/positive", "--negative", "in/negative")
    run("bank", "build", *examples, "-o", "b.safetensors")
    held = bankfile.load(Path("b.safetensors"))
    assert held.positives.sizes.tolist() == [2400.0, 2400.0]
    assert held.knows_sizes
    run("index", "in/images", "-o", "idx", "--keep", "0")
    run("search", "idx", "--bank", "b.safetensors", "--scale", scale, "-o", "found")
    words = ("--bank", "b.safetensors", "--scale", scale, "--prompting", "everything")
    run("detect", "in/images", *words, "--second-look", "0", "-o", "out")
    made = records("out")
    for name, record in records("found").items():
        assert record["detections"] == made[name]["detections"]
    assert records("found")
