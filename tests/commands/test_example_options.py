"""Options of how examples are read, from the command line and settings files to the bank."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from annotated import annotation, dataset
from PIL import Image
from typer.testing import CliRunner, Result

from searchdet.cli import app
from searchdet.detector import Detector
from searchdet.errors import ExemplarError

pytestmark = pytest.mark.model
BUILD = ("bank", "build", "--no-cache", "--backbone", "filterbank")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def two_classes(folder: Path) -> Path:
    """A photo of two things, and a mask with an index for each."""
    pixels = np.full((60, 90, 3), 230, np.uint8)
    pixels[10:30, 10:40], pixels[35:55, 50:80] = (200, 40, 40), (40, 60, 200)
    indices = np.zeros((60, 90), np.uint8)
    indices[10:30, 10:40], indices[35:55, 50:80] = 1, 8
    place = folder / "pos" / "thing"
    place.mkdir(parents=True)
    Image.fromarray(pixels).save(place / "01.png")
    Image.fromarray(indices).save(place / "01_mask.png")
    return folder / "pos"


def vector(path: Path) -> bytes:
    from searchdet.bank import file as bankfile

    return bankfile.load(path).positives.vectors.tobytes()


def test_the_index_comes_from_flag_variable_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    positive = str(two_classes(tmp_path))
    refused = run(*BUILD, "--positive", positive, "-o", "x")
    assert refused.exit_code == 4
    assert "2 indices (1, 8)" in refused.stderr
    assert "--mask-index" in refused.stderr
    for index, name in ((1, "one"), (8, "eight")):
        words = ("--positive", positive, "--mask-index", str(index), "-o", name)
        assert run(*BUILD, *words).exit_code == 0
    assert vector(Path("one")) != vector(Path("eight"))
    monkeypatch.setenv("SEARCHDET_MASK_INDEX", "8")
    assert run(*BUILD, "--positive", positive, "-o", "variable").exit_code == 0
    monkeypatch.delenv("SEARCHDET_MASK_INDEX")
    monkeypatch.delenv("SEARCHDET_CONFIG")
    Path("searchdet.toml").write_text("[bank.build]\nmask-index = 8\n")
    result = run(*BUILD, "--positive", positive, "-o", "file")
    assert result.exit_code == 0, result.stderr
    assert vector(Path("variable")) == vector(Path("file")) == vector(Path("eight"))
    added = run("bank", "add", "one", "--positive", "thing", f"{positive}/thing/01.png", "--no-cache")
    assert added.exit_code == 4
    words = ("--positive", "thing", f"{positive}/thing/01.png", "--no-cache", "--mask-index", "8")
    assert run("bank", "add", "one", *words).exit_code == 0
    assert len(vector(Path("one"))) == 2 * len(vector(Path("eight")))


def test_the_index_is_part_of_what_decides_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    positive = two_classes(tmp_path)
    made = [
        Detector.from_folders(positive, backbone="filterbank", proposals="regions", mask_index=index)
        for index in (1, 8, 8)
    ]
    prints = [item.judge.fingerprint for item in made]
    assert prints[0] != prints[1] == prints[2]
    with pytest.raises(ExemplarError, match="no pixel of index 5"):
        Detector.from_folders(positive, backbone="filterbank", proposals="regions", mask_index=5)


def test_crowds_and_strictness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mask = {"size": [30, 40], "counts": [100, 50, 1050]}
    path = dataset(tmp_path, [annotation(), annotation(segmentation=mask, iscrowd=1, id=9)])
    words = (*BUILD, "--positive-coco", str(path), "-o", "bank")
    result = run(*words)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("iscrowd 1 are left out: 1 (first: annotation 9 of ") == 1
    strict = run(*words, "--strict")
    assert strict.exit_code == 4
    assert "annotation 9" in strict.stderr
    assert run(*words, "--strict", "--crowds", "ignored").exit_code == 0
    assert run(*words, "--strict", "--crowds", "objects").exit_code == 0
    shown = json.loads(run("bank", "show", "bank", "--json").stdout)
    assert [item["name"] for item in shown["exemplars"]] == ["a.png#1", "a.png#2"]
    assert run(*words, "--crowds", "some").exit_code == 2
