"""Exports as other tools read them: boxes, masks, names and scores. `make test-clients` has the tools;
elsewhere what is not installed is skipped."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from clientcases import Case, make
from clientcheck import compared
from clientreaders import READERS, Reader

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
IDS = [reader.read.__name__ for reader in READERS]


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make(tmp_path_factory.mktemp("flat"))


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make(tmp_path_factory.mktemp("nested"), "папка 1/")


@pytest.fixture(autouse=True)
def _settings_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tools write settings into the user's folder, and open windows."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")


@pytest.mark.parametrize("reader", READERS, ids=IDS)
def test_a_client_reads_what_was_exported(reader: Reader, flat: Case) -> None:
    _check(reader, flat)


@pytest.mark.parametrize("reader", [r for r in READERS if r.nested], ids=lambda r: r.read.__name__)
def test_a_client_reads_images_in_folders(reader: Reader, nested: Case) -> None:
    _check(reader, nested)


def _check(reader: Reader, case: Case) -> None:
    if importlib.util.find_spec(reader.package) is None:
        pytest.skip(f"{reader.tool} is not installed")
    found = compared(case, reader.read(case), reader.near)
    assert found.wrong == []
    assert found.images == len(case.items)
    assert found.objects == sum(map(len, case.items.values()))
    assert found.scores == (found.objects if reader.scores else 0)
