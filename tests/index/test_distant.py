"""An index in a store: rows as of an array in memory, and only those that are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_index import GOOD, judge, made
from test_lists import grouped

from searchdet.config.address import Remote
from searchdet.errors import RemoteError
from searchdet.index import bounds, distant, probing
from searchdet.index import file as index
from searchdet.index.distant import Column
from searchdet.index.goodparts import GoodParts
from searchdet.index.search import search
from searchdet.storage import remote

AT = Remote("memory://bucket/rows")
ROWS = np.random.default_rng(0).normal(size=(500, 6)).astype("<f2")


@pytest.fixture(autouse=True)
def stored() -> Iterator[None]:
    remote.write(AT, ROWS.tobytes())
    yield
    fsspec.filesystem("memory").store.clear()


def column() -> Column:
    return Column(AT, ROWS.dtype, ROWS.shape)


@given(st.lists(st.integers(0, 499), max_size=40), st.integers(0, 500), st.integers(0, 500))
def test_rows_are_those_of_the_array(rows: list[int], start: int, end: int) -> None:
    remote.write(AT, ROWS.tobytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distant, "GAP", 40)
        patch.setattr(distant, "HELD", 300)
        wanted = np.asarray(rows, np.int64)
        np.testing.assert_array_equal(column()[wanted], ROWS[wanted])
        np.testing.assert_array_equal(column()[start:end], ROWS[start:end])
    assert len(column()) == 500
    assert column().nbytes == ROWS.nbytes
    np.testing.assert_array_equal(np.asarray(column()), ROWS)


def test_only_what_is_near_comes_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    real = remote.ranges

    def watched(spans: list[tuple[Remote, int, int]]) -> list[bytes]:
        asked.extend((start, end) for _, start, end in spans)
        return real(spans)

    monkeypatch.setattr(remote, "ranges", watched)
    monkeypatch.setattr(distant, "GAP", 24)
    column()[np.array([400, 3, 4, 6, 100])]
    assert asked == [(36, 84), (1200, 1212), (4800, 4812)]


def test_a_store_that_does_not_answer_is_an_error_of_its_own() -> None:
    fsspec.filesystem("memory").store.clear()
    with pytest.raises(RemoteError):
        column()[0:3]


def stored_at(name: str, folder: Path) -> Remote:
    """The files of a folder, as objects."""
    at = Remote(f"memory://bucket/{name}")
    for path in folder.rglob("*"):
        if path.is_file():
            remote.write(at / path.relative_to(folder).as_posix(), path.read_bytes())
    return at


@pytest.mark.model
@pytest.mark.parametrize("good", [None, GOOD], ids=["plain", "normal"])
@pytest.mark.parametrize("probe", [1.0, 0.4])
def test_a_search_in_a_store_is_that_of_a_folder(
    tmp_path: Path, probe: float, good: GoodParts | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, at = grouped(tmp_path / "i", 0, good), stored_at("index", tmp_path / "i")
    monkeypatch.setattr(bounds, "HELD", 20 * 16)
    stored = index.load(at)
    assert isinstance(stored.arrays["vectors"], Column)
    chief = judge(np.random.default_rng(0), whole)
    for top in (0, 5):
        found = list(search(stored, chief, top, probe))
        assert found == list(search(whole, chief, top, probe))
        assert found


@pytest.mark.model
def test_a_search_by_lists_reads_their_regions_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "i", np.random.default_rng(0), [20] * 80)
    index.group(tmp_path / "i")
    whole, at = index.load(tmp_path / "i"), stored_at("index", tmp_path / "i")
    stored, read, real = index.load(at), list[str](), remote.ranges

    def watched(spans: list[tuple[Remote, int, int]]) -> list[bytes]:
        read.extend(span.name for span, start, end in spans for _ in range(start, end))
        return real(spans)

    monkeypatch.setattr(remote, "ranges", watched)
    monkeypatch.setattr(distant, "GAP", 0)
    monkeypatch.setattr(probing, "FIRST", 2)
    chief = judge(np.random.default_rng(0), whole)
    list(search(stored, chief, 1, 0.05))
    assert 0 < read.count("vectors") < 0.5 * whole.arrays["vectors"].nbytes
    assert 0 < read.count("counts") < 0.5 * len(whole.arrays["counts"])
