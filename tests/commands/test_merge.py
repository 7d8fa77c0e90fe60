"""Shards of a run, finished: datasets of all records, and what is not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from searchdet.cli import app

pytestmark = pytest.mark.model
QUICK = ("--backbone", "filterbank", "--proposals", "regions")
DETECT = ("detect", "in", "--positive", "red", *QUICK)


def call(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.stderr
    return result


@pytest.fixture
def sharded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight images with a red square each, and the records of three shards of them."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for i in range(8):
        picture = Image.new("RGB", (60, 48), (20, 90, 20 + i))
        picture.paste((255, 0, 0), (8 + i, 10, 28 + i, 30))
        picture.save(f"in/{i}.png")
    Path("red").mkdir()
    Image.new("RGB", (20, 20), (255, 0, 0)).save("red/a.png")
    for i in (1, 2, 3):
        call(*DETECT, "-o", "out", "--shard", f"{i}/3", "--format", "none")
    return tmp_path


def test_all_shards_give_what_one_process_gives(sharded: Path) -> None:
    assert not Path("out/coco.json").exists()
    said = call("merge", "out", "in", "--format", "coco,csv").stderr
    assert "8 records: " in said
    assert "WARNING" not in said
    call(*DETECT, "-o", "one", "--format", "coco,csv")
    for name in ("coco.json", "detections.csv"):
        assert (Path("out") / name).read_bytes() == (Path("one") / name).read_bytes()
    run, one = (json.loads((Path(out) / "run.json").read_text()) for out in ("out", "one"))
    assert run["counts"] == one["counts"]
    assert run["settings"] == one["settings"]
    assert run["merged"]["missing"] == []
    assert Path("out/report.html").exists() is False
    call("merge", "out", "--report")
    assert Path("out/report.html").is_file()


def test_it_says_which_image_has_no_record(sharded: Path) -> None:
    for name in ("2", "5"):
        Path(f"out/records/{name}.png.json").unlink()
    result = call("merge", "out", "in", code=3)
    assert "without a record: 2.png, 5.png" in result.stderr
    assert json.loads(Path("out/run.json").read_text())["merged"]["missing"] == ["2.png", "5.png"]
    assert call("merge", "out").exit_code == 0, "without the images nobody knows of them"
    said = json.loads(call("merge", "out", "in", "--json", code=3).stdout)
    assert (said["missing"], said["counts"], said["settings"]) == (["2.png", "5.png"], {"ok": 6}, [6])


def test_it_says_what_failed_and_what_was_named_by_nobody(sharded: Path) -> None:
    Path("in/3.png").write_bytes(b"no picture")
    call(*DETECT, "-o", "out", "--shard", "1/1", "--format", "none", code=3)
    Path("in/7.png").unlink()
    result = call("merge", "out", "in", code=3)
    assert "failed: 3.png" in result.stderr
    assert "of no image that was named: 7.png" in result.stderr


def test_shards_by_other_settings_are_told_apart(sharded: Path) -> None:
    call(
        "detect",
        "in/4.png",
        "--root",
        "in",
        "--positive",
        "red",
        *QUICK,
        "-o",
        "out",
        "--negative-weight",
        "0.5",
        "--format",
        "none",
    )
    result = call("merge", "out", "in", code=3)
    assert "searched with other settings or examples than most: 4.png" in result.stderr


def test_examples_within_the_images_are_none_of_them(sharded: Path) -> None:
    shutil.move("red", "in/red")
    detect = ("detect", "in", "-r", "--positive", "in/red", *QUICK, "-o", "deep", "--format", "none")
    call(*detect)
    assert "without a record: red/a.png" in call("merge", "deep", "in", "-r", code=3).stderr
    call("merge", "deep", "in", "-r", "--positive", "in/red")


def test_what_cannot_be_read_and_nothing_at_all_are_not_whole(sharded: Path) -> None:
    Path("out/records/2.png.json").write_text('{"schema": ')
    result = call("merge", "out", code=3)
    assert "1 files are no records" in result.stderr
    assert json.loads(Path("out/run.json").read_text())["merged"]["unread"] == 1
    for path in Path("out/records").rglob("*.json"):
        path.unlink()
    assert "0 records" in call("merge", "out", code=3).stderr


def test_no_shard_has_run_yet(sharded: Path) -> None:
    shutil.rmtree("out")
    assert "has no folder `records`" in call("merge", "out", "in", code=2).stderr
