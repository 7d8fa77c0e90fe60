"""Banks and evaluation from the command line, as a user goes through them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner
from worlds import BLUE, RED, draw, tree_hash

from searchdet.bank import file as bankfile
from searchdet.cli import app

pytestmark = pytest.mark.model

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
        (["--bank", "b.safetensors", "--feat-short-side", "256"], "short_side is 256 here"),
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


def photograph(path: Path, colour: tuple[int, int, int], seed: int) -> None:
    """A red square left of the middle, and one of another colour that is nearer to it."""
    picture = draw([(235, 235, 235)] * 3, seed)
    picture[40:80, 62 - 2 * seed : 102 - 2 * seed] = RED
    picture[40:80, 102:142] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


COLOURS = (BLUE, GREEN, (220, 200, 40), (40, 40, 40))


@pytest.mark.parametrize("how", ["auto", "whole"])
def test_a_photo_that_is_added_is_described_as_one_that_is_built(world: Path, how: str) -> None:
    for number, colour in enumerate(COLOURS, start=1):
        photograph(world / f"all/red/{number}.png", colour, number)
        if number < len(COLOURS):
            photograph(world / f"some/red/{number}.png", colour, number)
    words = ["--exemplar-mask", how] if how != "auto" else []  # the default is that of `bank build`
    for name in ("all", "some"):
        built = run("bank", "build", "--positive", name, "-o", f"{name}.safetensors", *words)
        assert built.exit_code == 0, built.stderr
    added = run("bank", "add", "some.safetensors", "--positive", "red", "all/red/4.png", *words)
    assert added.exit_code == 0, added.stderr
    one, two = (bankfile.load(world / f"{name}.safetensors").positives for name in ("all", "some"))
    assert float(one.vectors[3] @ two.vectors[3]) > 0.98
    assert [item.mask_source for item in two.origins] == [how] * 4
    assert one.origins[3].mask == two.origins[3].mask


def test_a_photo_of_a_new_class_is_looked_at_alone(bank: Path) -> None:
    photograph(bank / "one/dark/4.png", COLOURS[3], 4)
    assert run("bank", "build", "--positive", "one", "-o", "one.safetensors").exit_code == 0
    added = run("bank", "add", "b.safetensors", "--positive", "dark", "one/dark/4.png")
    assert added.exit_code == 0, added.stderr
    (alone,) = bankfile.load(bank / "one.safetensors").positives.vectors
    known = bankfile.load(bank / "b.safetensors")
    assert float(known.positives.vectors[known.labels == 0][0] @ alone) == pytest.approx(1, abs=1e-6)
    wrong = run("bank", "add", "b.safetensors", "--negative", "one/dark/4.png", "--exemplar-mask", "x")
    assert wrong.exit_code == 2
    assert "--exemplar-mask" in wrong.stderr


def test_an_annotation_beside_a_photo_that_is_added_is_used(bank: Path) -> None:
    photograph(bank / "all/red/1.png", BLUE, 1)
    corners = {"shape_type": "rectangle", "points": [[60, 40], [100, 80]]}
    shapes = [{"label": "red", **corners}, {"label": "blue", **corners}]
    value = {"imageHeight": 120, "imageWidth": 200, "shapes": shapes}
    (bank / "all/red/1.json").write_text(json.dumps(value))
    assert run("bank", "build", "--positive", "all", "-o", "all.safetensors").exit_code == 0
    words = ["bank", "add", "b.safetensors", "--positive"]
    assert run(*words, "red", "all/red/1.png").exit_code == 0
    (one,) = bankfile.load(bank / "all.safetensors").positives.vectors
    added = bankfile.load(bank / "b.safetensors").positives
    assert added.origins[-1].mask_source == "boxed"
    assert added.vectors[-1] @ one == pytest.approx(1, abs=1e-6)
    other = run(*words, "green", "all/red/1.png")
    assert other.exit_code == 4
    assert "no shape labelled 'green'" in other.stderr


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
    assert same["negative_similarity"] > 0.999
    assert same["score_before_suppression"] < alarm["score_before_suppression"] - 0.1
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
