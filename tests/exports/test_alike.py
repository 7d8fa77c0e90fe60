"""The same content under several names is said; with a root it has one name."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from exported import export, record, save
from typer.testing import CliRunner

from searchdet.cli import app


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [item.getMessage() for item in caplog.records if "same content" in item.getMessage()]


def test_equal_contents_are_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    contents = {"a.png": "1", "b/a.png": "2", "c.png": "1", "d.png": "1", "e.png": ""}
    records = [record(name, sha256=sha * 64) for name, sha in contents.items()]
    folder = save(tmp_path / "out", *records, record("f.png", sha256=""))
    caplog.set_level(logging.WARNING)
    export(folder, ["coco", "csv"])
    (line,) = said(caplog)
    assert "2 images have the same content as another, such as a.png and c.png" in line
    assert "--root DIR" in line
    caplog.clear()
    other = save(tmp_path / "other", *records[:2])
    export(other, ["coco"])
    assert said(caplog) == []


@pytest.mark.model
def test_one_image_from_three_working_folders(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(folder: str, image: str, out: str, *more: str) -> str:
        monkeypatch.chdir(world / folder)
        words = ["detect", image, "--positive", str(world / "in/positive"), "-o", str(world / out)]
        result = CliRunner().invoke(app, [*words, *more])
        assert result.exit_code == 0, result.stderr
        return result.stderr

    def names(out: str) -> list[str]:
        dataset = json.loads((world / out / "coco.json").read_text())
        return [item["file_name"] for item in dataset["images"]]

    places = {".": "in/images/a.png", "in": "images/a.png", "in/images": "a.png"}
    loose = [run(folder, image, "loose") for folder, image in places.items()]
    assert names("loose") == ["a.png", "images/a.png", "in/images/a.png"]
    assert [text.count("have the same content") for text in loose] == [0, 1, 1]
    root = ["--root", str(world / "in")]
    tight = [run(folder, image, "tight", *root) for folder, image in places.items()]
    assert names("tight") == ["images/a.png"]
    assert not any("same content" in text for text in tight)
    assert "done before" in tight[1]
