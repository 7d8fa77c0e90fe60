"""A share of the lists of an index: exact scores of what it reaches, and nearly all that matters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slowboard
from boards import judge as judge_of
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples
from test_edit import QUICK, call, draw
from test_index import GOOD, judge, made

from searchdet.embeddings import l2_normalize
from searchdet.errors import OutputError, UsageError
from searchdet.index import file as index
from searchdet.index import lists, probing
from searchdet.index.goodparts import GoodParts
from searchdet.index.search import search

pytestmark = pytest.mark.model
COUNTS = [12, 0, 30, 1, 25, 40, 7, 18]


def grouped(path: Path, seed: int = 0, good: GoodParts | None = None) -> index.Index:
    made(path, np.random.default_rng(seed), COUNTS, good)
    index.group(path)
    return index.load(path)


@pytest.mark.parametrize("good", [None, GOOD], ids=["plain", "normal"])
@pytest.mark.parametrize("how", ["prototype", "max"])
@pytest.mark.parametrize("top", [0, 1, 5])
def test_all_lists_are_the_exact_search(
    tmp_path: Path, how: str, top: int, good: GoodParts | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearly all of the lists, rounded up, are all of them."""
    monkeypatch.setattr(probing, "FIRST", 2)
    for seed in range(4):
        whole = grouped(tmp_path / f"{seed}", seed, good)
        chief = judge(np.random.default_rng(seed), whole, pos_agg=how)
        assert list(search(whole, chief, top, 0.999)) == list(search(whole, chief, top))


@settings(max_examples=examples(20), deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.01, 0.9))
def test_what_a_share_finds_is_as_the_exact_search_has_it(
    seed: int, share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = grouped(tmp_path_factory.mktemp("i") / "i", seed)
    chief = judge(np.random.default_rng(seed), whole)
    every = {record.image: record for record in search(whole, chief, 0)}
    for record in search(whole, chief, 0, share):
        assert record == every[record.image]


def test_the_most_unusual_is_looked_at_whatever_list_it_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "FIRST", 2)
    for seed in range(4):
        whole = grouped(tmp_path / f"{seed}", seed, GOOD)
        chief = judge(np.random.default_rng(seed), whole, normal_weight=10.0, min_margin=-2.0)
        (best,) = search(whole, chief, 1)
        assert list(search(whole, chief, 1, 0.01)) == [best]


def test_each_row_is_in_one_list_and_late_ones_are_always_looked_at() -> None:
    rng = np.random.default_rng(3)
    vectors = l2_normalize(rng.normal(size=(500, 8)).astype(np.float32)).astype(np.float16)
    valid = rng.random(500) > 0.1
    found = lists.build(vectors[:480], valid[:480])
    assert found is not None
    assert sorted(found.members.tolist()) == list(range(480))
    assert found.starts[-1] == found.rows == 480
    for at, (first, stop) in enumerate(zip(found.starts, found.starts[1:], strict=False)):
        own = found.members[first:stop]
        assert (np.diff(own) > 0).all()
        near = (vectors[own].astype(np.float32) @ found.centres.astype(np.float32).T).argmax(1)
        real = valid[own]
        assert (near[real] == at).sum() >= 0.9 * real.sum()
    rows = found.near(found.centres[:1].astype(np.float32), 0.01, 500)
    assert set(range(480, 500)) <= set(rows.tolist())
    assert set(rows.tolist()) >= set(found.members[: found.starts[1]].tolist())
    assert (np.diff(rows) > 0).all()
    assert len(found.near(found.centres[:1].astype(np.float32), 1.0, 500)) == 500
    again = lists.build(vectors[:480], valid[:480])
    assert again is not None
    assert np.array_equal(again.members, found.members)


def test_some_of_the_lists_find_nearly_all_of_what_looks_alike() -> None:
    """Recall of the hundred nearest, of rows around four hundred directions."""
    rng = np.random.default_rng(5)
    centres = l2_normalize(rng.normal(size=(400, 32)).astype(np.float32))
    rows = centres[rng.integers(0, 400, 20_000)] + 0.06 * rng.normal(size=(20_000, 32))
    vectors = l2_normalize(rows.astype(np.float32))
    found = lists.build(vectors.astype(np.float16), np.ones(len(vectors), bool))
    assert found is not None
    hits, looked = [], []
    for wanted in l2_normalize((centres[:40] + 0.05 * rng.normal(size=(40, 32))).astype(np.float32)):
        best = np.argsort(-(vectors @ wanted))[:100]
        near = found.near(wanted[None], 0.15, len(vectors))
        hits.append(np.isin(best, near).mean())
        looked.append(len(near) / len(vectors))
    assert np.mean(hits) > 0.98
    assert np.mean(looked) < 0.25


def test_told_regions_are_found_in_whatever_list_they_are(tmp_path: Path) -> None:
    """What a person said holds, though no list that is looked at holds it."""
    from searchdet.live import Board, LiveSettings, Session, Shelf
    from searchdet.live.events import Judge, Pick

    slowboard.made(tmp_path / "i", [14, 9, 12])
    index.group(tmp_path / "i")
    whole = index.load(tmp_path / "i")
    shelf = Shelf.of(whole)
    with Session.open(tmp_path / "out", Board(shelf), None, LiveSettings()) as session:
        session.apply(Pick("0.png", 1, "a"))
        session.apply(Judge("2.png", 4, "other", "a"))
        chief = session.judge
    names = {record.image for record in search(whole, chief, 0, 0.01)}
    assert {"0.png", "2.png"} <= names


@pytest.mark.parametrize("name", ["centres", "members", "starts"])
def test_cut_lists_are_refused(tmp_path: Path, name: str) -> None:
    grouped(tmp_path / "i")
    (folder,) = (tmp_path / "i").glob("lists-*")
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:-2])
    found = index.load(tmp_path / "i")
    chief = judge(np.random.default_rng(0), found)
    assert list(search(found, chief, 5)), "who reads no lists needs none"
    with pytest.raises(UsageError, match=name) as caught:
        list(search(found, chief, 5, 0.1))
    assert "--lists" in caught.value.hint
    index.group(tmp_path / "i")
    assert list(search(index.load(tmp_path / "i"), chief, 5, 0.9))
    assert len(list((tmp_path / "i").glob("lists-*"))) == 1


@pytest.mark.usefixtures("images")
def test_the_wish_for_lists_outlives_too_few_regions() -> None:
    call("index", "in", "-o", "idx", "--lists", *QUICK)
    call("index", "-o", "idx", "--remove", "[0-4].png", code=2)
    gone = [word for i in range(5) for word in ("--remove", f"{i}.png")]
    assert "5 images taken out" in call("index", "-o", "idx", *gone).stderr
    facts = json.loads(Path("idx/index.json").read_text())
    assert facts["grouped"]
    few = facts["regions"] < lists.FEWEST
    assert ("lists" in facts) is not few
    refused = call("index", "-o", "idx", "--lists", code=2 if few else 0).stderr
    assert ("too few for lists" in refused) is few
    call("index", "in", "-o", "idx", *QUICK)
    facts = json.loads(Path("idx/index.json").read_text())
    assert facts["lists"]["rows"] == facts["regions"]


@pytest.mark.usefixtures("images")
def test_an_end_before_its_place_is_taken_leaves_the_old_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    call("index", "in", "-o", "idx", "--lists", *QUICK)
    before = Path("idx/index.json").read_bytes()
    held = index.load(Path("idx"))

    def broken(*_: object) -> None:
        raise OutputError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(index.files, "write_json", broken)
        for words in (("--remove", "0.png"), ("in",), ("--lists",)):
            call("index", *words, "-o", "idx", *QUICK, code=5)
    assert Path("idx/index.json").read_bytes() == before
    assert index.load(Path("idx")).lists is not None
    assert sorted(path.name[:5] for path in Path("idx").iterdir()) == [
        "index",
        "index",
        "lists",
        "rows-",
    ]
    call("index", "-o", "idx", "--remove", "0.png")
    assert index.load(Path("idx")).lists is not None
    assert held.lists is not None
    assert held.lists.rows == len(held), "who has it open reads on"


def test_an_index_that_cannot_be_read_for_a_moment_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grouped(tmp_path / "i")
    names = sorted(path.name for path in (tmp_path / "i").iterdir())
    real, calls = Path.read_bytes, []

    def flaky(self: Path) -> bytes:
        if self.name == "index.json":
            calls.append(1)
            if len(calls) == 2:
                raise OSError(5, "Input/output error")
        return real(self)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", flaky)
        with pytest.raises(UsageError, match="cannot be read"):
            index.group(tmp_path / "i")
    assert sorted(path.name for path in (tmp_path / "i").iterdir()) == names
    assert index.load(tmp_path / "i").lists is not None


def test_too_few_regions_and_no_lists_are_said(tmp_path: Path) -> None:
    few = made(tmp_path / "i", np.random.default_rng(0), [3])
    with pytest.raises(UsageError, match="too few"):
        index.group(tmp_path / "i")
    with pytest.raises(UsageError, match="has no lists"):
        list(search(few, judge_of(slowboard.start_bank()), 5, 0.5))


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six images in in/, and what is searched for."""
    monkeypatch.chdir(tmp_path)
    for i in range(6):
        draw(f"in/{i}.png", i)
    draw("red/a.png", 3)


@pytest.mark.usefixtures("images")
def test_lists_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real, built = lists.build, []

    def counted(vectors: np.ndarray, valid: np.ndarray) -> lists.Lists | None:
        built.append(len(vectors))
        return real(vectors, valid)

    monkeypatch.setattr(lists, "build", counted)
    for words in (("in", "-o", "idx"), ("-o", "two", "--merge", "idx"), ("-o", "idx")):
        built.clear()
        assert "lists." in call("index", *words, "--lists", *QUICK).stderr
        assert len(built) == 1, words


@pytest.mark.usefixtures("images")
def test_lists_stay_with_an_index_that_grows_and_are_made_anew_where_rows_move() -> None:
    def facts() -> dict[str, Any]:
        made: dict[str, Any] = json.loads(Path("idx/index.json").read_text())
        return made

    call("index", "in", "-o", "idx", "--lists", *QUICK)
    first = facts()
    assert first["lists"]["rows"] == first["regions"]
    search_all = ("search", "idx", "--positive", "red", "--min-score", "0", "--no-cache")
    exact = call(*search_all).stdout
    some = call(*search_all, "--probe", "0.99")
    assert some.stdout == exact
    assert "lists were looked at" in some.stderr
    draw("in/6.png", 6)
    said = call("index", "in", "-o", "idx", "--add", *QUICK).stderr
    assert "1 new image" in said
    assert facts()["lists"]["rows"] == first["regions"] < facts()["regions"], "the new ones are late"
    late = call(*search_all, "--probe", "0.01", "--top", "0").stdout
    assert "6.png" in late
    call("index", "-o", "idx", "--remove", "2.png")
    assert facts()["lists"]["rows"] == facts()["regions"]
    call("index", "in", "-o", "plain", *QUICK)
    assert "lists" not in json.loads(Path("plain/index.json").read_text())
    plain = ("search", "plain", "--positive", "red", "--no-cache", "--probe", "0.1")
    refused = call(*plain, code=2)
    assert "searchdet index -o INDEX --lists" in refused.stderr
    call("index", "-o", "plain", "--lists")
    call(*plain)
