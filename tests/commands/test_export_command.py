"""``searchdet export`` and ``detect --format``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from exported import read, record, save, square
from typer.testing import CliRunner
from worlds import tree_hash

from searchdet.cli import app
from searchdet.exports import formats


def call(*words: str) -> object:
    return CliRunner().invoke(app, list(words))


def detect(*words: str) -> object:
    more = ["--positive", "in/positive", "--negative", "in/negative", "--proposals", "regions"]
    return call("detect", "in/images", "-r", "--root", "in/images", *more, *words)


def test_export_writes_what_detect_writes_and_needs_no_model(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert detect("-o", "out", "--format", "coco,csv,labelme").exit_code == 0
    assert not (world / "out/yolo").exists()
    before = tree_hash(world / "in")
    monkeypatch.setattr("searchdet.backbones.load", None)
    result = call(
        "export", "out", "--to", "coco,csv,labelme,yolo", "-o", "again", "--images", "in/images"
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "3 images, 2 detections of red" in result.stderr
    for part in ("coco.json", "coco_results.json", "detections.csv", "labelme/deep/a.json"):
        assert (world / "out" / part).read_bytes() == (world / "again" / part).read_bytes()
    for name in ("a.png", "deep/a.png", "none.png"):
        original = (world / "in/images" / name).read_bytes()
        assert (world / "again/yolo/images/train" / name).read_bytes() == original
    assert tree_hash(world / "in") == before


def test_detect_writes_coco_unless_told(world: Path) -> None:
    assert detect("-o", "one").exit_code == 0
    assert (world / "one/coco.json").is_file()
    assert detect("-o", "two", "--format", "none").exit_code == 0
    assert sorted(p.name for p in (world / "two").iterdir() if p.is_file()) == ["run.json"]
    result = detect("-o", "three", "--format", "coco,cocoo")
    assert result.exit_code == 2
    assert "'cocoo'" in result.stderr
    assert not (world / "three").exists()


def test_two_images_for_one_label_file_are_refused_before_anything_runs(world: Path) -> None:
    (world / "in/images/a.jpg").write_bytes((world / "in/images/a.png").read_bytes())
    result = detect("-o", "out", "--format", "csv,voc")
    assert result.exit_code == 2
    assert "a.jpg and a.png" in result.stderr
    assert not list((world / "out").rglob("*.json"))
    assert detect("-o", "out", "--format", "csv").exit_code == 0


def test_limits_and_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for n in range(4):
        rejected = [("nut", square(), 0.3, "score")]
        save(Path("out"), record(f"{n}.jpg", [("bolt", square(), 0.5 + n / 10)], rejected))
    for words, count in (
        ([], 4),
        (["--min-score", "0.65"], 2),
        (["--min-score", "-1"], 8),
        (["--class-min-score", "nut=0.2"], 8),
        (["--min-score", "1", "--class-min-score", "bolt=0.75"], 1),
    ):
        result = call("export", "out", "--to", "coco", "--json", *words)
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["detections"] == count
        assert len(read(Path("out/coco.json"))["annotations"]) == count


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--to", "cocoo"], "coco, yolo"),
        (["--to", "none"], "names no format"),
        (["--to", "coco,"], "no format ''"),
        (["--min-score", "7"], "--min-score is 7; it must lie between -2 and 1"),
        (["--min-score", "nan"], "--min-score is nan"),
        (["--class-min-score", "nut=inf"], "--class-min-score of nut is inf"),
        (["--min-margin", "-2.5"], "--min-margin is -2.5; it must lie between -2 and 2"),
        (["--class-min-margin", "nut=3"], "--class-min-margin of nut is 3"),
        (["--class-margin", "-1"], "--class-margin is -1; it must lie between 0 and 2"),
        (["--class-min-score", "bolt"], "NAME=VALUE"),
        (["--class-min-score", "bot=0.5"], "There are nut"),
        (["--class-min-margin", "nutt=0.5"], "Did you mean 'nut'"),
        (["--images", "out"], "yolo, labelme and voc"),
        (["--to", "yolo", "--images", "absent"], "no such folder"),
        (["--to", "csv", "--polygons"], "coco and labelme only"),
        (["--yolo-parts"], "yolo only"),
        (["--image-root", "x"], "labelstudio only"),
        (["--to", "yolo", "--ids-from", "x.json"], "coco only"),
        (["--ids-from", "absent.json"], "absent.json: cannot be read"),
        (["--yolo-boxes"], "yolo only"),
        (["--to", "yolo", "--yolo-boxes", "--yolo-parts"], "exclude each other"),
        (["--csv-bom"], "csv only"),
        (["--to", "yolo", "--split", "../x"], "--split"),
        (["--to", "yolo", "--split", "images"], "--split"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save(Path("out"), record("a.jpg", [("nut", square(), 0.8)]))
    result = call("export", "out", "-o", "to", *words)
    assert result.exit_code == 2, result.stderr
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not [path for path in tmp_path.rglob("to/*") if path.is_file()]


def test_no_records_is_an_error(tmp_path: Path) -> None:
    assert call("export", str(tmp_path)).exit_code == 2
    (tmp_path / "records").mkdir()
    result = call("export", str(tmp_path))
    assert result.exit_code == 2
    assert "holds no record" in result.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    out = save(tmp_path / "out", record("a.jpg"))
    (tmp_path / "to").write_text("a file")
    assert call("export", str(out), "-o", str(tmp_path / "to")).exit_code == 5


def test_format_names() -> None:
    assert formats("COCO, csv,coco") == ("coco", "csv")
    assert formats("none") == ()
