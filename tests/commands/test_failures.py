"""Every class of failure of every command: exit code, one line on stderr, nothing on stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner
from worlds import RED, draw, rows_of, tree_hash

from searchdet.cli import app

EXAMPLES = ["--positive", "in/positive", "--negative", "in/negative"]
Prepare = Callable[[Path], None]
INVOKED = "assert not app(one, standalone_mode=False)"


def nothing(made: Path) -> None:
    """The world as it was made."""


def run(*words: str) -> object:
    return CliRunner().invoke(app, list(words))


def cut_bank(world: Path) -> None:
    path = world / "bank.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def cut_index(world: Path) -> None:
    path = rows_of(world / "idx") / "vectors"
    path.write_bytes(path.read_bytes()[:-9])


def blocked(world: Path) -> None:
    (world / "file").write_text("no folder")


def linked(world: Path) -> None:
    (world / "out").mkdir()
    (world / "away").mkdir()
    (world / "out/records").symlink_to(world / "away")


def bad_exemplar(world: Path) -> None:
    (world / "in/positive/red/3.png").write_bytes(b"broken")


def only_bad(world: Path) -> None:
    (world / "in/positive/blue").mkdir()
    (world / "in/positive/blue/1.png").write_bytes(b"broken")


def bad_config(world: Path) -> None:
    os.environ.pop("SEARCHDET_CONFIG")  # the fixture that set it takes it back
    (world / "searchdet.toml").write_text("min-scoer = 0.4\n")


MADE = (nothing, cut_bank, cut_index, blocked)
"""What needs an output folder, an index and a bank."""
REDS = ["positive/red/1.png", "positive/red/2.png"]
DETECT = ["detect", "in/images/a.png", *EXAMPLES, "-o", "out"]
ROWS: list[tuple[Prepare | None, list[str], int, str]] = [
    (None, ["detect", "in/images/a.png"], 2, "--positive"),
    (None, [*DETECT, "--class-min-score", "red"], 2, "NAME=VALUE"),
    (None, [*DETECT, "--class-min-score", "rde=0.4"], 2, "Did you mean 'red'"),
    (None, [*DETECT, "--format", "cocoa"], 2, "labelme"),
    (None, [*DETECT, "--shard", "3/2"], 2, "--shard"),
    (None, [*DETECT, "--bank", "b.safetensors"], 2, "bank add"),
    (None, ["detect", "in/images/a.png", "--bank", "no.safetensors"], 4, "bank build"),
    (cut_bank, ["detect", "in/images/a.png", "--bank", "bank.safetensors"], 4, "bank build"),
    (
        nothing,
        ["detect", "in/images/a.png", "--bank", "bank.safetensors", "--pooling", "topk"],
        4,
        "topk",
    ),
    (bad_exemplar, DETECT, 4, "3.png"),
    (only_bad, [*DETECT, "--skip-bad-exemplars"], 4, "blue"),
    (linked, DETECT, 5, "a link leads out"),
    (bad_config, DETECT, 2, "Did you mean"),
    (None, ["index", "in/none", "-o", "idx"], 2, "no such file"),
    (blocked, ["index", "in/images", "-o", "file/idx"], 5, "file"),
    (None, ["search", "idx", *EXAMPLES], 2, "searchdet index"),
    (cut_index, ["search", "idx", *EXAMPLES], 2, "searchdet index"),
    (nothing, ["search", "idx"], 2, "--positive"),
    (nothing, ["search", "idx", *EXAMPLES, "--min-score", "0.99", "--fail-if-empty"], 6, ""),
    (None, ["export", "out"], 2, "detect"),
    (nothing, ["export", "out", "--to", "xml"], 2, "voc"),
    (nothing, ["export", "out", "--class-min-score", "rde=0.5"], 2, "Did you mean 'red'"),
    (blocked, ["export", "out", "-o", "file"], 5, "file"),
    (None, ["report", "out"], 2, "detect"),
    (blocked, ["report", "out", "-o", "file/r.html"], 5, "file"),
    (nothing, ["eval", "in/none.json", "out"], 2, "none.json"),
    (None, ["cache", "prune"], 2, "--max-size"),
    (None, ["cache", "prune", "--max-size", "x"], 2, "500M"),
    (None, ["models", "pull", "dinov9"], 2, "dinov9"),
    (None, ["models", "verify", "no.pth"], 4, "no.pth"),
    (None, ["bank", "show", "no.safetensors"], 4, "no.safetensors"),
    (nothing, ["bank", "remove", "bank.safetensors", "x.png"], 2, "bank show"),
    (
        nothing,
        ["bank", "remove", "bank.safetensors", "positive/red/1.png", "positive/red/2.png"],
        4,
        "left",
    ),
    (nothing, ["bank", "add", "bank.safetensors"], 2, "--positive"),
    (bad_config, ["config", "show"], 2, "Did you mean"),
]


@pytest.mark.parametrize(("prepare", "words", "code", "says"), ROWS)
def test_failures(
    request: pytest.FixtureRequest, prepare: Prepare | None, words: list[str], code: int, says: str
) -> None:
    world: Path = request.getfixturevalue("made" if prepare in MADE else "world")
    if prepare is not None:
        prepare(world)
    inputs = tree_hash(world / "in")
    result = run(*words)
    assert result.exit_code == code, result.stderr
    assert tree_hash(world / "in") == inputs
    assert not list(world.rglob("*.tmp"))
    assert "Traceback" not in result.stderr
    assert "internal error" not in result.stderr
    if code == 6:
        return
    said = [line for line in result.stderr.splitlines() if line and not line.startswith("WARNING")]
    assert says in said[-1]
    if words[:2] != ["models", "verify"]:
        assert result.stdout == ""
        assert len(said) == 1, said
        assert said[0].startswith("error: ")


def test_a_bad_exemplar_can_be_left_out_and_is_named(world: Path) -> None:
    bad_exemplar(world)
    result = run(*DETECT, "--skip-bad-exemplars")
    assert result.exit_code == 0
    assert "An example is skipped" in result.stderr
    record = json.loads((world / "out/records/in/images/a.png.json").read_text())
    assert record["exemplars"]["skipped"] == ["positive/red/3.png"]
    assert record["exemplars"]["positive"] == 2


def test_a_name_that_is_not_utf8_keeps_its_bytes(world: Path) -> None:
    import base64

    name = b"\xff\xfe.png"
    path = Path(os.fsdecode(os.fsencode(world / "in/images") + b"/" + name))
    Image.fromarray(draw([RED], 1)).save(path)
    words = ["detect", "in/images", *EXAMPLES, "-o", "out", "--json"]
    result = run(*words)
    assert result.exit_code == 0, result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    (odd,) = [r for r in records if "image_bytes_base64" in r]
    assert base64.b64decode(odd["image_bytes_base64"]) == name
    assert run(*words).stderr.count("done before") == 3
    formats = "coco,yolo,labelme,labelstudio,csv"
    assert run("export", "out", "--to", formats, "-o", "exp").exit_code == 0
    assert "XML cannot hold" in run("export", "out", "--to", "voc", "-o", "exp").stderr
    assert run("report", "out").exit_code == 0


@pytest.mark.process
def test_bytes_do_not_depend_on_hash_seed_threads_or_order(world: Path) -> None:
    digests = set()
    for seed, threads, reverse in (("1", "1", False), ("2", "2", True)):
        names = sorted((world / "in/images").rglob("*.png"), reverse=reverse)
        environment = os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads}
        out = world / f"out{seed}"
        words = ["detect", *map(str, names), *EXAMPLES, "-o", str(out), "--no-cache"]
        words += ["--root", "in/images", "--format", "coco,csv,yolo"]
        both = repr([words, ["report", str(out)]])
        done = subprocess.run(
            [sys.executable, "-c", f"from searchdet.cli import app\nfor one in {both}: {INVOKED}"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (out / "run.json").unlink()
        text = (out / "report.html").read_bytes().replace(out.name.encode(), b"out")
        (out / "report.html").write_bytes(text)
        digests.add(tree_hash(out))
    assert len(digests) == 1


@pytest.mark.process
def test_output_in_a_pipe_that_closes(world: Path) -> None:
    command = (
        f"{sys.executable} -m searchdet detect in/images -r {' '.join(EXAMPLES)} --json | head -c 10"
    )
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert done.stdout == '{"schema": '[:10]
