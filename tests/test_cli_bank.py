"""Banks and evaluation from the command line, as a user goes through them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner
from worlds import BLUE, RED, draw, tree_hash

from searchdet import bankfile
from searchdet.cli import app

GREEN = (40, 160, 60)


def run(*words: str) -> object:
    before = tree_hash(Path("in"))
    result = CliRunner().invoke(app, list(words))
    assert tree_hash(Path("in")) == before, "an input was changed"
    return result


@pytest.fixture
def bank(world: Path) -> Path:
    result = run(
        "bank", "build", "--positive", "in/positive", "--negative", "in/negative", "-o", "b.safetensors"
    )
    assert result.exit_code == 0, result.stderr
    assert "2 red; 2 negatives" in result.stderr
    return world


def test_a_bank_finds_what_its_folders_find(bank: Path) -> None:
    folders = ["--positive", "in/positive", "--negative", "in/negative"]
    for name, words in (("one", folders), ("two", ["--bank", "b.safetensors"])):
        result = run("detect", "in/images/a.png", "--proposals", "regions", "-o", name, *words)
        assert result.exit_code == 0, result.stderr
    records = [(bank / n / "records/in/images/a.png.json").read_bytes() for n in ("one", "two")]
    assert records[0] == records[1]
    assert json.loads(records[0])["detections"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--bank", "b.safetensors", "--feat-short-side", "256"], "preprocessing is"),
        (["--bank", "b.safetensors", "--pooling", "topk"], "pooling is"),
        (["--bank", "in/images/a.png"], "searchdet bank build"),
        (["--bank", "absent"], "cannot be read"),
    ],
)
def test_a_bank_that_does_not_fit_is_refused_and_says_why(
    bank: Path, words: list[str], says: str
) -> None:
    result = run("detect", "in/images/a.png", "-o", "out", *words)
    assert result.exit_code == 4
    assert says in result.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "no examples are given"),
        (["--bank", "b", "--positive", "in/positive"], "--bank goes with no other"),
        (["--bank", "b", "--negative", "in/negative"], "--bank goes with no other"),
        (["--positive", "in/positive", "--positive-images", "in"], "--positive-coco"),
    ],
)
def test_examples_that_make_no_sense_are_a_usage_error(
    world: Path, words: list[str], says: str
) -> None:
    result = run("detect", "in/images/a.png", "-o", "out", *words)
    assert result.exit_code == 2
    assert says in result.stderr


def test_show_add_remove_and_audit(bank: Path) -> None:
    Image.fromarray(draw([GREEN], 9)[30:90, 20:60]).save(bank / "green.png")
    added = run("bank", "add", "b.safetensors", "--positive", "green", "green.png")
    assert added.exit_code == 0, added.stderr
    assert "1 green, 2 red; 2 negatives" in added.stderr
    more = run("bank", "add", "b.safetensors", "--negative", "green.png")
    assert "1 green, 2 red; 3 negatives" in more.stderr
    twice = run("bank", "add", "b.safetensors", "--negative", "green.png")
    assert twice.exit_code == 2
    assert "already" in twice.stderr
    shown = run("bank", "show", "b.safetensors")
    assert "filterbank" in shown.stdout
    assert "green/green.png" in shown.stdout
    facts = json.loads(run("bank", "show", "b.safetensors", "--json").stdout)
    assert facts["classes"] == {"green": 1, "red": 2}
    assert {row["name"] for row in facts["exemplars"]} >= {"green/green.png", "negative/green.png"}
    audit = run("bank", "audit", "b.safetensors")
    assert audit.exit_code == 0, audit.stderr
    assert "conflict" in audit.stdout, "the negative is the picture of a positive"
    found = json.loads(run("bank", "audit", "b.safetensors", "--json").stdout)
    flags = {row["name"]: row["flags"] for row in found["exemplars"]}
    assert flags["negative/green.png"] == ["conflict"]
    assert {row["label"] for row in found["classes"]} == {"green", "red"}
    assert run("bank", "remove", "b.safetensors", "green/green.png").exit_code == 0
    assert bankfile.load(bank / "b.safetensors").classes == ("red",)
    unknown = run("bank", "remove", "b.safetensors", "nobody")
    assert unknown.exit_code == 2
    assert "no exemplar 'nobody'" in unknown.stderr


def test_a_false_alarm_of_a_record_becomes_a_negative(bank: Path) -> None:
    base = ["detect", "in/images/a.png", "--bank", "b.safetensors", "--proposals", "regions"]
    assert run(*base, "-o", "out").exit_code == 0
    path = bank / "out/records/in/images/a.png.json"
    record = json.loads(path.read_text())
    alarm = record["detections"][0]
    words = ["bank", "add", "b.safetensors", "--from-record", str(path), str(alarm["id"])]
    assert run(*words).exit_code == 0
    kept = bankfile.load(bank / "b.safetensors")
    assert kept.negatives.names[-1] == f"in/images/a.png#{alarm['id']}"
    again = run(*base, "-o", "again", "--keep-conflicts")
    assert again.exit_code == 0, again.stderr
    after = json.loads((bank / "again/records/in/images/a.png.json").read_text())
    same = next(i for i in after["detections"] + after["rejected"] if i["id"] == alarm["id"])
    assert same["neg"] > 0.999
    assert same["raw"] < alarm["raw"] - 0.1
    label = [*words, "--label", "red"]
    assert "already" in run(*label).stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "nothing to add"),
        (["--negative", "in/negative/1.png", "--label", "x"], "go with --from-record"),
        (["--from-record", "absent.json", "1"], "no such file"),
        (["--from-record", "in/images/a.png", "1"], "--from-record"),
    ],
)
def test_additions_that_make_no_sense(bank: Path, words: list[str], says: str) -> None:
    result = run("bank", "add", "b.safetensors", *words)
    assert result.exit_code == 2, result.stderr
    assert says in result.stderr


def truth(folder: Path) -> None:
    boxes = {"a.png": [20, 30, 40, 60], "deep/a.png": [80, 30, 40, 60], "none.png": None}
    data = {
        "images": [
            {"id": n, "file_name": name, "width": 140, "height": 120}
            for n, name in enumerate(boxes, start=1)
        ],
        "categories": [{"id": 1, "name": "red"}],
        "annotations": [
            {"image_id": n, "category_id": 1, "bbox": box}
            for n, box in enumerate(boxes.values(), start=1)
            if box
        ],
    }
    (folder / "truth.json").write_text(json.dumps(data))


def test_eval_runs_and_reads(bank: Path) -> None:
    truth(bank)
    words = ["eval", "truth.json", "out", "--images", "in/images"]
    result = run(*words, "--bank", "b.safetensors", "--recursive", "--proposals", "regions")
    assert result.exit_code == 0, result.stderr
    assert "3 of 3 images have a record" in result.stdout
    read = run("eval", "truth.json", "out", "--json")
    figures = json.loads(read.stdout)["figures"]["bbox"]["classes"][0]
    assert figures["ap50"] == pytest.approx(1.0)
    assert figures["f1"] == pytest.approx(1.0)
    assert figures["false_per_absent"] == 0
    assert run("eval", "truth.json", "nowhere").exit_code == 2
    stray = run("eval", "truth.json", "out", "--recursive")
    assert stray.exit_code == 2
    assert "give --images" in stray.stderr


def test_coco_files_give_positives(world: Path) -> None:
    truth(world)
    result = run(
        "detect",
        "in/images/a.png",
        *("--positive-coco", "truth.json", "--positive-images", "in/images", "--proposals", "regions"),
        *("-o", "out", "--min-score", "0.4"),
    )
    assert result.exit_code == 0, result.stderr
    record = json.loads((world / "out/records/in/images/a.png.json").read_text())
    assert {item["label"] for item in record["detections"]} == {"red"}


def test_previews_show_the_masks_that_were_looked_for(world: Path) -> None:
    grey = np.full((60, 60, 3), 120, np.uint8)
    for number, colour in ((1, RED), (2, (190, 50, 45))):
        picture = grey.copy()
        picture[15:45, 12 + number : 42 + number] = colour
        Image.fromarray(picture).save(world / f"in/positive/red/{number}.png")
    Image.fromarray(draw([BLUE], 3)).save(world / "in/negative/1.png")
    folders = ["--positive", "in/positive", "--negative", "in/negative", "--proposals", "regions"]
    result = run("detect", "in/images/a.png", "-o", "out", *folders)
    assert result.exit_code == 0, result.stderr
    record = json.loads((world / "out/records/in/images/a.png.json").read_text())
    names = ["positive/red/1.png", "positive/red/2.png"]
    assert record["exemplars"]["auto_masks"] == names
    assert record["exemplars"]["shapes_known"] is True
    for name in names:
        with Image.open(world / f"out/exemplars/{name}.jpg") as shown:
            assert shown.size == (60, 60)
    assert [item["label"] for item in record["detections"]] == ["red"]
    whole = run("detect", "in/images/a.png", "-o", "two", *folders, "--exemplar-mask", "whole")
    assert whole.exit_code == 0
    assert (world / "two/exemplars/positive/red/1.png.jpg").exists()
