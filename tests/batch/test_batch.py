"""A batch that is stopped, split, fed from lists, and run again."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from places import QUICK
from typer.testing import CliRunner, Result
from worlds import BLUE, RED, draw, hang, tree_hash

from searchdet.batch import runner as batch
from searchdet.batch.worker import Overdue
from searchdet.cli import app
from searchdet.detector import Detector
from searchdet.errors import ExemplarError, ImageError, OutputError, ResourceError, SearchdetError
from searchdet.images import Scan, discover
from searchdet.images.shards import shard_of
from searchdet.proposals.regions import RegionProposer
from searchdet.storage import files

pytestmark = pytest.mark.model

EXAMPLES = ["--positive", "in/positive", "--negative", "in/negative"]


def detect(*words: str, code: int = 0, stdin: bytes | None = None) -> Result:
    result = CliRunner().invoke(app, ["detect", *words, *EXAMPLES], input=stdin)
    assert result.exit_code == code, result.stderr
    return result


def lines(result: Result) -> dict[str, str]:
    """What was said of each image."""
    found = (line.split(": ", 1) for line in result.stderr.splitlines() if ": " in line)
    return {name: text for name, text in found if name.endswith(".png")}


def test_a_second_run_searches_nothing_again(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = detect("in/images", "-r", "-o", "out", "--json")
    before = tree_hash(world / "out/records")

    def refuse(*args: object) -> None:
        raise RuntimeError("an image was searched again")

    monkeypatch.setattr(Detector, "describe", refuse)
    again = detect("in/images", "-r", "-o", "out", "--json")
    assert again.stdout == first.stdout
    assert set(lines(again)) == {"a.png", "deep/a.png", "none.png"}
    assert all(text.endswith("[done before]") for text in lines(again).values())
    assert tree_hash(world / "out/records") == before
    assert json.loads((world / "out/run.json").read_text())["known"] == 3


def redone(result: Result) -> set[str]:
    return {name for name, text in lines(result).items() if "done before" not in text}


def test_exactly_what_changed_is_searched_again(world: Path) -> None:
    detect("in/images", "-r", "-o", "out")
    os.utime(world / "in/images/a.png")
    assert redone(detect("in/images", "-r", "-o", "out")) == set()
    Image.fromarray(draw([RED, RED], 77)).save(world / "in/images/a.png")
    assert redone(detect("in/images", "-r", "-o", "out")) == {"a.png"}
    record = world / "out/records/none.png.json"
    record.write_bytes(record.read_bytes()[:-100])
    result = detect("in/images", "-r", "-o", "out")
    assert redone(result) == {"none.png"}
    assert "cannot be read and is made again" in result.stderr
    (world / "out/overlays/deep/a.png.jpg").unlink()
    assert redone(detect("in/images", "-r", "-o", "out")) == {"deep/a.png"}
    assert redone(detect("in/images", "-r", "-o", "out", "--min-score", "0.2")) == {
        "a.png",
        "none.png",
        "deep/a.png",
    }
    assert redone(detect("in/images", "-r", "-o", "out", "--min-score", "0.2")) == set()
    Image.fromarray(draw([BLUE], 8)[30:90, 20:60]).save(world / "in/negative/3.png")
    assert len(redone(detect("in/images", "-r", "-o", "out", "--min-score", "0.2"))) == 3
    assert len(redone(detect("in/images", "-r", "-o", "out", "--min-score", "0.2", "--overwrite"))) == 3


def test_a_failed_image_is_tried_again(world: Path) -> None:
    good = (world / "in/images/none.png").read_bytes()
    (world / "in/images/none.png").write_bytes(b"no image")
    detect("in/images", "-o", "out", code=3)
    detect("in/images", "-o", "out", code=3)
    (world / "in/images/none.png").write_bytes(good)
    assert redone(detect("in/images", "-o", "out")) == {"none.png"}


def test_strict_stops_at_the_first_failure(world: Path) -> None:
    (world / "in/images/a.png").write_bytes(b"no image")
    detect("in/images", "-o", "out", "--strict", code=3)
    assert [p.name for p in (world / "out/records").iterdir()] == ["a.png.json"]
    assert (world / "out/run.json").exists()


def test_two_images_of_one_name_never_replace_each_other(world: Path) -> None:
    other = world / "other"
    other.mkdir()
    Image.fromarray(draw([BLUE], 3)).save(other / "a.png")
    detect("in/images", "-o", "out")
    result = detect("other", "-o", "out", code=5)
    assert "already holds another image" in result.stderr
    detect("other", "-o", "out", "--overwrite")


def test_lists_of_paths(world: Path) -> None:
    names = ["in/images/a.png", "in/images/missing.png", "in/images/deep"]
    (world / "list.txt").write_text("\n".join(names) + "\n\n")
    result = detect("@list.txt", "--no-save", code=3)
    assert "missing.png: FAILED (missing)" in result.stderr
    assert len(lines(result)) == 3
    piped = detect("-", "--no-save", code=3, stdin="\n".join(names).encode())
    nulls = detect("-", "-0", "--no-save", code=3, stdin="\0".join(names).encode())
    assert set(lines(piped)) == set(lines(nulls)) == set(lines(result))
    assert "names no image" in detect("-", code=2, stdin=b"\n").stderr
    assert "cannot be read" in detect("@nowhere", code=2).stderr


def test_names_with_line_feeds_pass_through_nul_lists(world: Path) -> None:
    path = world / "in/images/line\nfeed.png"
    Image.fromarray(draw([RED], 1)).save(path)
    detect("-", "-0", "-o", "out", stdin=os.fsencode(path) + b"\0")
    assert (world / "out/records/in/images/line\nfeed.png.json").exists()


def test_shards_are_the_whole_and_depend_on_the_name_alone(world: Path) -> None:
    for i in range(40):
        Image.new("RGB", (40, 40)).save(world / f"in/images/{i}.png")
    parts = [discover(["in/images"], Scan(shard=(i, 4))) for i in (1, 2, 3, 4)]
    names = [query.name for part in parts for query in part]
    assert sorted(names) == sorted(q.name for q in discover(["in/images"]))
    assert all(len(part) > 2 for part in parts)
    assert [shard_of(name, 4) for name in ("a.png", "b/c.png", "ü")] == [1, 4, 1]
    for wrong in ("0/4", "5/4", "1", "a/b", "1/0"):
        detect("in/images", "--shard", wrong, code=2)


def test_output_cache_and_hidden_folders_are_not_scanned(world: Path) -> None:
    detect("in", "-r", "-o", "in/out", "--cache-dir", "in/cache")
    (world / "in/cache/x").mkdir()
    Image.new("RGB", (40, 40)).save(world / "in/cache/x/x.png")
    (world / "in/.hidden").mkdir()
    Image.new("RGB", (40, 40)).save(world / "in/.hidden/x.png")
    before = len(list((world / "in/out/records").rglob("*.json")))
    detect("in", "-r", "-o", "in/out", "--cache-dir", "in/cache")
    assert len(list((world / "in/out/records").rglob("*.json"))) == before == 3
    other = detect("in", "-r", "-o", "in/other", "--cache-dir", "in/cache")
    assert set(lines(other)) == {"images/a.png", "images/none.png", "images/deep/a.png"}
    said = [line for line in other.stderr.splitlines() if "left out" in line]
    assert said == [
        "WARNING: Folders left out of the search: 2 of examples (in/negative, in/positive), "
        "1 of earlier runs (in/out). Name one to search it."
    ]


def test_linked_folders_only_if_asked_and_loops_end(world: Path) -> None:
    (world / "in/images/loop").symlink_to(world / "in/images")
    (world / "elsewhere").mkdir()
    Image.new("RGB", (40, 40)).save(world / "elsewhere/e.png")
    (world / "in/images/link").symlink_to(world / "elsewhere")
    (world / "in/images/broken.png").symlink_to(world / "nothing.png")
    plain = {q.name for q in discover(["in/images"], Scan(recursive=True))}
    assert plain == {"a.png", "none.png", "deep/a.png", "broken.png"}
    linked = {q.name for q in discover(["in/images"], Scan(recursive=True, follow_symlinks=True))}
    assert linked == plain | {"link/e.png"}
    result = detect("in/images", "--no-save", code=3)
    assert "broken.png: FAILED (missing)" in result.stderr


def test_natural_order(world: Path) -> None:
    for name in ("10.png", "9.png", "x2.png", "x10.png"):
        Image.new("RGB", (40, 40)).save(world / "in/images" / name)
    names = [query.name for query in discover(["in/images"])]
    assert names == ["9.png", "10.png", "a.png", "none.png", "x2.png", "x10.png"]


def test_pictures_of_choice(world: Path) -> None:
    detect("in/images/a.png", "-o", "out", "--save", "overlay,masks,crops,heatmap")
    (mask,) = (world / "out/masks/in/images/a.png").iterdir()
    (crop,) = (world / "out/crops/in/images/a.png").iterdir()
    (heat,) = (world / "out/heatmaps/in/images/a.png").iterdir()
    with Image.open(mask) as picture:
        values = np.asarray(picture)
    record = json.loads((world / "out/records/in/images/a.png.json").read_text())
    assert int((values > 0).sum()) == record["detections"][0]["area"]
    with Image.open(crop) as picture:
        assert picture.mode == "RGBA"
        red, alpha = np.asarray(picture)[..., 0], np.asarray(picture)[..., 3]
    assert red[alpha > 0].mean() > 180
    with Image.open(heat) as picture:
        assert picture.size == (140, 120)
    for wrong in ("overlays", "overlay,none", ""):
        detect("in/images/a.png", "--save", wrong, code=2)
    detect("in/images/a.png", "-o", "bare", "--save", "none", "--format", "none")
    assert sorted(p.name for p in (world / "bare").iterdir()) == [
        "exemplars",
        "records",
        "run.json",
        "sources",
        "thumbnails",
    ]


def test_a_crop_is_an_example(world: Path) -> None:
    detect("in/images/a.png", "-o", "out", "--save", "crops")
    (crop,) = (world / "out/crops/in/images/a.png").iterdir()
    words = ["detect", "in/images/deep/a.png", "--positive", str(crop.parent), "--json", "--no-save"]
    result = CliRunner().invoke(app, words)
    record = json.loads(result.stdout)
    assert record["detections"][0]["bbox"] == [80.0, 30.0, 120.0, 90.0]


@pytest.mark.parametrize("length", [240, 246, 250, 255])
def test_long_names_fit(world: Path, length: int) -> None:
    name = "é" * ((length - 4) // 2) + "x" * ((length - 4) % 2) + ".png"
    assert len(name.encode()) == length
    Image.fromarray(draw([RED], 1)).save(world / "in/images" / name)
    detect("in/images", "-o", "out")
    assert redone(detect("in/images", "-o", "out")) == set()
    coco = json.loads((world / "out/coco.json").read_text())
    assert name in {image["file_name"] for image in coco["images"]}


def test_the_reader_runs_ahead_but_the_order_stays(world: Path) -> None:
    detector = Detector.from_folders("in/positive", "in/negative", backbone=QUICK, proposals="regions")
    queries = discover(["in/images"], Scan(recursive=True))
    results = list(batch.run(detector, queries, None))
    assert [r.record.image for r in results] == [q.name for q in queries]
    taken = []

    def watched() -> object:
        for query in queries:
            taken.append(query)
            yield query

    run = batch.run(detector, watched(), None)
    next(run)
    assert len(taken) == 1 + batch.AHEAD
    run.close()


@pytest.mark.process
@pytest.mark.parametrize(
    ("body", "code"), [("time.sleep(600)", "timeout"), ("os.kill(os.getpid(), 9)", "crash")]
)
def test_an_image_over_time_or_that_kills_is_recorded_and_the_rest_goes_on(
    cold_world: Path, body: str, code: str
) -> None:
    words = [*hang(cold_world, body), "--timeout", "9"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 3, done.stderr
    records = [json.loads(path.read_text()) for path in (cold_world / "out/records").rglob("*.json")]
    assert {r["image"]: r["error"]["code"] for r in records if r["error"]} == {"a.png": code}
    assert len(records) == 3
    assert json.loads((cold_world / "out/run.json").read_text())["counts"]["failed"] == 1


@pytest.mark.process
def test_what_the_system_refuses_a_worker_is_said_as_without_one(
    cold_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = hang(cold_world, "raise OSError(28, 'No space left on device', 'x')")
    words += ["--timeout", "100"]
    apart = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert "No space left on device" in apart.stderr

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr(RegionProposer, "propose", refuse)
    plain = CliRunner().invoke(app, words[2:-2])
    assert apart.returncode == plain.exit_code
    assert apart.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]
    assert not list((cold_world / "out/records").rglob("a.png.json")), "no crash is recorded"


@pytest.mark.parametrize("kind", [OutputError, ResourceError, ExemplarError, Overdue, ImageError])
def test_errors_pass_between_processes(kind: type[SearchdetError]) -> None:
    error = ImageError("bomb", "a", "b") if kind is ImageError else kind("a", "b")
    one, other = multiprocessing.Pipe()
    with one, other:
        one.send(error)
        got = other.recv()
    assert type(got) is kind
    assert (got.code, got.message, got.hint, str(got)) == (error.code, "a", "b", "a")


@pytest.mark.process
def test_a_worker_gives_the_same_records(world: Path) -> None:
    detect("in/images", "-r", "-o", "plain", "--no-cache")
    apart = ["in/images", "-r", "-o", "apart", "--no-cache", "--timeout", "100"]
    detect(*apart)
    assert tree_hash(world / "plain/records") == tree_hash(world / "apart/records")
    detect(*apart, "--min-score", "7", code=2)
    (world / "in/positive/red/1.png").write_bytes(b"broken")
    assert detect(*apart, code=4).stderr.count("error:") == 1


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = files._prefix()
    dead = mine.replace(f"-{os.getpid()}-", f"-{gone.pid}-")
    (tmp_path / "deep").mkdir()
    names = {f"{dead}x.tmp": True, f"{mine}x.tmp": False, ".searchdet-other-1-x.tmp": False}
    for name in names:
        (tmp_path / "deep" / name).write_bytes(b"part")
    old = tmp_path / ".searchdet-other-2-x.tmp"
    old.mkdir()
    os.utime(old, (0, 0))
    assert files.sweep(tmp_path) == 2
    assert not old.exists()
    for name, swept in names.items():
        assert (tmp_path / "deep" / name).exists() is not swept
