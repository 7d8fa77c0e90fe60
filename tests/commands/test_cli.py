from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner
from worlds import BLUE, RED, call, draw

from searchdet.cli import app
from searchdet.storage import files
from searchdet.version import __version__

pytestmark = pytest.mark.model


def test_one_image_gives_a_record_a_picture_and_a_coco_file(world: Path) -> None:
    result = call("in/images/a.png", "-o", "out")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "1 red" in result.stderr
    assert "no SAM checkpoint" in result.stderr.replace("No", "no")
    record = json.loads((world / "out/records/in/images/a.png.json").read_text())
    assert record["proposer"]["fallback"] is True
    assert record["detections"][0]["label"] == "red"
    x0, y0, x1, y1 = record["detections"][0]["bbox"]
    assert abs(x0 - 20) < 4
    assert abs(x1 - 60) < 4
    assert abs(y0 - 30) < 4
    assert abs(y1 - 90) < 4
    with Image.open(world / "out/overlays/in/images/a.png.jpg") as picture:
        assert picture.size == (140, 120)
    data = json.loads((world / "out/coco.json").read_text())
    assert len(data["annotations"]) == 1
    run = json.loads((world / "out/run.json").read_text())
    assert run["counts"] == {"ok": 1}
    assert run["versions"]["torch"]


def test_a_folder_mirrors_its_paths_and_a_loop_fills_one_output(world: Path) -> None:
    assert call("in/images", "--recursive", "-o", "one").exit_code == 0
    records = world / "one/records"
    names = sorted(path.relative_to(records).as_posix() for path in records.rglob("*.json"))
    assert names == ["a.png.json", "deep/a.png.json", "none.png.json"]
    for name in ("a.png", "deep/a.png", "none.png"):
        assert call(f"in/images/{name}", "--root", "in/images", "-o", "two").exit_code == 0
    for part in ("records/a.png.json", "records/deep/a.png.json", "coco.json"):
        assert (world / "one" / part).read_bytes() == (world / "two" / part).read_bytes()


def test_json_lines_and_no_save(world: Path) -> None:
    result = call("in/images/*.png", "--json", "--no-save")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["image"] for line in lines] == ["in/images/a.png", "in/images/none.png"]
    assert [line["status"] for line in lines] == ["ok", "empty"]
    assert not (world / "searchdet-out").exists()


def test_models_are_loaded_once_for_many_images(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from searchdet import backbones

    calls = []
    real = backbones.load
    monkeypatch.setattr(backbones, "load", lambda *given: calls.append(1) or real(*given))
    assert call("in/images", "--recursive", "--no-save").exit_code == 0
    assert calls == [1]


def corrupt(world: Path) -> None:
    (world / "in/images/none.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")


def blocked(world: Path) -> None:
    (world / "out").write_text("a file")


def weights(world: Path) -> None:
    torch.save({"stem.0.weight": torch.ones(96, 3, 4, 4)}, world / "w.pth")


def empty_class(world: Path) -> None:
    (world / "in/positive/blue").mkdir()


@pytest.mark.parametrize(
    ("prepare", "words", "code", "says"),
    [
        (None, ["in/images/absent.png"], 2, "no such file"),
        (None, ["in/images/*.webp"], 2, "no file matches"),
        (None, ["in/positive"], 2, "--recursive"),
        (None, ["in/images/a.png", "--pos-agg", "median"], 2, "mean_topk"),
        (None, ["in/images/a.png", "--backbone", "dinov4"], 2, "dinov3_convnext_base"),
        (None, ["in/images/a.png", "--device", "cuda:99", "--backbone", "resnet101"], 4, "resnet101"),
        (None, ["in/images/a.png", "in/images/deep/a.png", "--root", "in/images/deep"], 2, "--root"),
        (corrupt, ["in/images/none.png", "in/images/a.png"], 3, "none.png"),
        (empty_class, ["in/images/a.png"], 4, "blue"),
        (None, ["in/images/a.png", "--positive", "in/nothing"], 4, "in/nothing"),
        (None, ["in/images/a.png", "--negative", "in/images/none.png"], 4, "is a file"),
        (None, ["in/images/a.png", "--backbone", "dinov3_convnext_base"], 4, "--backbone-ckpt"),
        (
            None,
            ["in/images/a.png", "--backbone", "dinov3_convnext_base", "--dinov3-ckpt", "no.pth"],
            4,
            "no.pth",
        ),
        (
            weights,
            ["in/images/a.png", "--backbone", "dinov3_convnext_base", "--dinov3-ckpt", "w.pth"],
            4,
            "w.pth",
        ),
        (weights, ["in/images/a.png", "--sam-checkpoint", "w.pth"], 4, "w.pth"),
        (None, ["in/images/a.png", "--proposals", "sam"], 4, "sam_vit_b_01ec64.pth"),
        (blocked, ["in/images/a.png"], 5, "out"),
        (None, ["in/images/none.png", "--fail-if-empty"], 6, "nothing found"),
        (None, ["in/images/none.png"], 0, "nothing found"),
    ],
)
def test_exit_codes_and_one_line(
    world: Path, prepare: object, words: list[str], code: int, says: str
) -> None:
    if prepare is not None:
        prepare(world)
    result = call(*words, "-o", "out")
    assert result.exit_code == code, result.stderr
    assert says in result.stderr
    if code not in (0, 3, 6):
        lines = [line for line in result.stderr.splitlines() if not line.startswith("WARNING")]
        assert len(lines) == 1
        assert lines[0].startswith("error: ")
        assert result.stdout == ""
        assert not list(Path().rglob("*.tmp"))
        assert not Path("out").is_dir() or not any(p.is_file() for p in Path("out").rglob("*"))


def test_a_failed_image_is_recorded_and_the_rest_goes_on(world: Path) -> None:
    corrupt(world)
    result = call("in/images", "-o", "out")
    assert result.exit_code == 3
    bad = json.loads((world / "out/records/none.png.json").read_text())
    assert bad["status"] == "failed"
    assert bad["error"]["code"] in ("decode", "not_an_image")
    assert json.loads((world / "out/records/a.png.json").read_text())["status"] == "ok"
    assert len(json.loads((world / "out/coco.json").read_text())["images"]) == 1


def test_two_images_of_one_name_never_overwrite_each_other(world: Path) -> None:
    for folder in ("x", "y"):
        (world / "far" / folder).mkdir(parents=True)
    Image.fromarray(draw([RED], 8)).save(world / "far/x/i.png")
    Image.fromarray(draw([BLUE], 9)).save(world / "far/y/i.png")
    os.chdir(world / "in")
    Path("in").symlink_to(".")
    common = ["--positive", "positive", "-o", "../out", "--proposals", "regions"]
    invoke = CliRunner().invoke
    assert invoke(app, ["detect", "../far/x/i.png", *common]).exit_code == 0
    again = invoke(app, ["detect", "../far/y/i.png", *common])
    assert again.exit_code == 5
    assert "--root" in again.stderr
    assert invoke(app, ["detect", "../far/y/i.png", *common, "--overwrite"]).exit_code == 0
    both = invoke(app, ["detect", "../far/x/i.png", "../far/y/i.png", *common])
    assert both.exit_code == 2


def test_a_full_disk_leaves_no_partial_file(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync
    count = {"left": 3}

    def full(handle: int) -> None:
        count["left"] -= 1
        if count["left"] < 0:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(files.os, "fsync", full)
    result = call("in/images", "-o", "out")
    assert result.exit_code == 5
    assert "No space left" in result.stderr
    assert not list((world / "out").rglob("*.tmp"))
    for path in (world / "out").rglob("*.json"):
        json.loads(path.read_text())


def test_environment_variables_set_options_and_flags_win(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHDET_MIN_SCORE", "0.99")
    monkeypatch.setenv("SEARCHDET_FEAT_SHORT_SIDE", "96")
    result = call("in/images/a.png", "--json", "--no-save")
    record = json.loads(result.stdout)
    assert record["scoring"]["min_score"] == 0.99
    assert record["backbone"]["preprocessing"]["short_side"] == 96
    flag = json.loads(call("in/images/a.png", "--json", "--no-save", "--min-score", "0.4").stdout)
    assert flag["scoring"]["min_score"] == 0.4


def test_a_bug_is_one_line_and_exit_1(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from searchdet import images

    def broken(*args: object) -> None:
        raise KeyError("boom")

    monkeypatch.setattr(images, "discover", broken)
    result = call("in/images/a.png")
    assert result.exit_code == 1
    assert "internal error" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.process
def test_version_models_list_and_the_module_entry() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.strip() == f"searchdet {__version__}"
    rows = json.loads(CliRunner().invoke(app, ["models", "list", "--json"]).stdout)
    names = {row["name"] for row in rows}
    assert {"filterbank", "regions", "sam", "dinov3_convnext_base", "dinov2_g", "resnet101"} <= names
    assert CliRunner().invoke(app, ["models", "list"]).exit_code == 0
    done = subprocess.run(
        [sys.executable, "-m", "searchdet", "--version"], capture_output=True, text=True, check=True
    )
    assert __version__ in done.stdout
