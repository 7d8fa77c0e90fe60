"""The scripts in examples/ run, say what they found, and stay short."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from places import ROOT

from searchdet import exports, proposals

pytestmark = pytest.mark.model

EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "pictures")
SAID = {
    "python_api": "2 detections,",
    "own_proposer": "candidate [23]: accepted,",  # two discs that are as good as equal
    "own_exporter": r"boxes\.txt, detections\.csv: 2 detections\n",
}


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Registries, and the level of the log, are as they were."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(proposals, "PROPOSERS", dict(proposals.PROPOSERS))
    monkeypatch.setattr(exports, "FORMATS", dict(exports.FORMATS))
    logger = logging.getLogger("searchdet")
    level = logger.level
    yield
    logger.setLevel(level)


def script(name: str) -> ModuleType:
    """The module, imported anew: it takes the registries from their packages."""
    return importlib.reload(importlib.import_module(name))


def test_every_script_has_an_expectation() -> None:
    assert set(SCRIPTS) == set(SAID)


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_runs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(name).main(tmp_path)
    assert re.match(SAID[name], capsys.readouterr().out)


def test_own_parts_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script("own_proposer").main(tmp_path / "a")
    assert capsys.readouterr().out.count("accepted") == 2
    script("own_exporter").main(tmp_path / "b")
    boxes = (tmp_path / "b/dataset/boxes.txt").read_text().splitlines()
    assert len(boxes) == 2
    assert all(line.endswith(" disc") for line in boxes)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_it_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60
