from __future__ import annotations

from pathlib import Path

import pytest

from searchdet.errors import CheckpointError
from searchdet.records.models import WeightsInfo
from searchdet.storage.hashes import fresh_sha256
from searchdet.weights import Fit
from searchdet.weights.lazy import Lazy, LoadedBefore, load_or_wait


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "w.pth"
    path.write_bytes(b"weights")
    return path


class Loading:
    """A network that is made of a file, and how often it was."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> tuple[object, Fit]:
        self.count += 1
        return f"network {self.count}", Fit("Meta")


def test_a_network_is_loaded_once_and_when_it_is_asked_for() -> None:
    loading = Loading()
    lazy = Lazy(WeightsInfo("w.pth", "", "Meta", None), loading)
    assert (lazy.loaded, loading.count) == (False, 0)
    assert lazy.get() is lazy.get()
    assert (lazy.loaded, loading.count) == (True, 1)


def test_a_file_that_filled_the_network_before_waits(tmp_path: Path, file: Path) -> None:
    loading, before = Loading(), LoadedBefore(tmp_path / "cache")
    first = load_or_wait("net", file, (), False, loading, before)
    assert first.loaded
    second = load_or_wait("net", file, (), False, loading, before)
    assert (second.loaded, loading.count) == (False, 1)
    assert second.weights == first.weights == WeightsInfo("w.pth", fresh_sha256(file), "Meta", None)
    assert (first.get(), second.get()) == ("network 1", "network 2")
    assert load_or_wait("another net", file, (), False, loading, before).loaded


@pytest.mark.parametrize("known", [None, "nothing kept", "eager"])
def test_a_network_is_loaded_now_without_a_memory_or_where_it_shall_be(
    tmp_path: Path, file: Path, known: str | None
) -> None:
    load_or_wait("net", file, (), False, Loading(), LoadedBefore(tmp_path / "cache"))
    before = {
        None: None,
        "nothing kept": LoadedBefore(None),
        "eager": LoadedBefore(tmp_path / "cache", eager=True),
    }[known]
    for _ in range(2):
        assert load_or_wait("net", file, (), False, Loading(), before).loaded


def test_a_file_that_changed_while_it_waited_is_refused(tmp_path: Path, file: Path) -> None:
    before = LoadedBefore(tmp_path / "cache")
    load_or_wait("net", file, (), False, Loading(), before)
    waiting = load_or_wait("net", file, (), False, Loading(), before)
    file.write_bytes(b"other weights")
    with pytest.raises(CheckpointError, match="changed during the run"):
        waiting.get()
    assert not waiting.loaded
    assert load_or_wait("net", file, (), False, Loading(), before).loaded, "other bytes, loaded now"


def test_a_file_that_does_not_fit_is_not_noted(tmp_path: Path, file: Path) -> None:
    before = LoadedBefore(tmp_path / "cache")

    def refuse() -> tuple[object, str]:
        raise CheckpointError("it does not fit.")

    for _ in range(2):
        with pytest.raises(CheckpointError, match="does not fit"):
            load_or_wait("net", file, (), False, refuse, before)
