"""Dataset files of a folder with many records: nothing is read twice, and no byte differs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from exported import ALL
from typer.testing import CliRunner
from worlds import tree_hash

from searchdet.cli import app
from searchdet.errors import ImageError
from searchdet.output import Output
from searchdet.records import failed
from searchdet.storage.cachefolder import clear, usage
from searchdet.storage.hashes import cache_folder

pytestmark = pytest.mark.model

WORDS = ["detect", "--positive", "in/positive", "--negative", "in/negative", "-o", "out"]
WORDS += ["--root", "in/images"]
FORMATS = ",".join(ALL)


def run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.stderr
    return result.stderr


def filled(world: Path, count: int) -> None:
    """out/: the record of a.png under many names; one of them failed, one lies deeper."""
    run(*WORDS, "in/images/a.png", "--format", FORMATS)
    text = (world / "out/records/a.png.json").read_text()
    for number in range(count):
        name = f"{'deep/' if number == 1 else ''}{number}.png"
        value = json.loads(text) | {"image": name}
        path = world / "out/records" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value))
        if number == 2:
            path.write_bytes(failed(name, ImageError("decode", "cut short.")).to_bytes())
    Output(world / "out", formats=tuple(ALL), cache=cache_folder()).finish({})


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The record files that are read."""
    seen: list[str] = []
    real = Path.read_bytes

    def read(path: Path) -> bytes:
        if "records" in path.parts and path.suffix == ".json":
            seen.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    return seen


def same_as_export(world: Path) -> bool:
    """Whether the dataset files are those of a rebuild from the records alone."""
    shutil.rmtree(world / "fresh", ignore_errors=True)
    run("export", "out", "--to", FORMATS, "-o", "fresh")
    names = [path.relative_to(world / "fresh") for path in (world / "fresh").rglob("*.*")]
    files = [name for name in names if (world / "fresh" / name).is_file()]
    return all((world / p / n).exists() for n in files for p in ("out", "fresh")) and all(
        (world / "out" / name).read_bytes() == (world / "fresh" / name).read_bytes() for name in files
    )


@pytest.mark.parametrize("count", [3, 40])
def test_a_run_of_one_image_reads_no_other_record(world: Path, opened: list[str], count: int) -> None:
    filled(world, count)
    opened.clear()
    run(*WORDS, "in/images/none.png", "--format", FORMATS)
    assert set(opened) == {"none.png.json"}
    assert same_as_export(world)


def test_what_changes_is_read_again(world: Path, opened: list[str]) -> None:
    filled(world, 5)
    record = world / "out/records/3.png.json"
    before = record.stat()
    value = json.loads(record.read_text())
    value["detections"] = value["detections"][:1]
    value["detections"][0]["score"] = 0.123456
    text = json.dumps(value)
    record.write_text(text + " " * (before.st_size - len(text)))  # as long as before
    os.utime(record, ns=(before.st_atime_ns, before.st_mtime_ns))
    (world / "out/records/0.png.json").unlink()
    opened.clear()
    run(*WORDS, "in/images/a.png", "--format", FORMATS, "--overwrite")
    assert set(opened) == {"3.png.json", "a.png.json"}
    assert "0.123456" in (world / "out/coco.json").read_text()
    assert same_as_export(world)


@pytest.mark.parametrize("harm", ["cut", "flipped", "text", "gone", "folder"])
def test_a_harmed_memory_costs_reading_only(world: Path, opened: list[str], harm: str) -> None:
    filled(world, 3)
    [entry] = (cache_folder() / "records").iterdir()
    data = entry.read_bytes()
    digit = len(data) // 9  # in the first line
    entry.unlink()
    if harm == "cut":
        entry.write_bytes(data[:-7])
    elif harm == "flipped":
        entry.write_bytes(data[:digit] + bytes([data[digit] ^ 1]) + data[digit + 1 :])
    elif harm == "text":
        entry.write_bytes(b"\xff\xfe nothing\n" * 3)
    elif harm == "folder":
        entry.mkdir()
    opened.clear()
    said = run(*WORDS, "in/images/a.png", "--format", FORMATS)
    assert len(set(opened)) > 1
    assert ("not remembered" in said) == (harm == "folder")
    assert same_as_export(world)


def test_a_damaged_record_is_said_each_time(world: Path) -> None:
    filled(world, 3)
    (world / "out/records/0.png.json").write_text("{")
    for _ in range(2):
        assert "0.png.json is left out" in run(*WORDS, "in/images/a.png", "--format", FORMATS)
    assert same_as_export(world)


def test_memory_is_part_of_the_cache(world: Path) -> None:
    run(*WORDS, "in/images/a.png", "--no-cache")
    assert not (cache_folder() / "records").exists()
    before = tree_hash(world / "out/records")
    run(*WORDS, "in/images/a.png")
    assert {item.kind: item.entries for item in usage(cache_folder())}["records"] == 1
    assert clear(cache_folder(), ("records",)).entries == 1
    assert tree_hash(world / "out/records") == before
