"""The board accepts what records accept, whatever of the bank changes, and keeps what it may keep."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from boards import DIM, KINDS, SPACE, bank, exemplars, image, judge, kinds, shelf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples
from runs import models

from searchdet.bank import file as bankfile
from searchdet.bank import settled
from searchdet.bank.types import JUDGED, Bank, Origin, Rows, join, of_normality
from searchdet.config import ExemplarOptions
from searchdet.decision import Judge
from searchdet.errors import ExemplarError, OutputError, UsageError
from searchdet.index import file as index
from searchdet.index import rows
from searchdet.index.goodparts import GoodParts
from searchdet.live import Board, Shelf, View, alike, lying, passing
from searchdet.live.exemplars import of_region
from searchdet.normality import of_images

Rule = tuple[dict[str, object], dict[str, object]]
RULES: dict[str, Rule] = {
    "default": ({}, {}),
    "allow": ({}, {"class_overlap": "allow"}),
    "nms": ({}, {"suppression": "nms"}),
    "diffusion": ({}, {"suppression": "diffusion"}),
    "given": ({"min_score": 0.3}, {}),
    "training": ({"threshold": "training"}, {}),
    "low": ({"min_score": -2.0, "min_margin": -2.0}, {}),
    "margins": ({"min_margin": 0.1, "class_margin": 0.05}, {}),
    "of classes": ({"class_min_score": (("a", 0.2),), "class_min_margin": (("a", 0.2),)}, {}),
    "crowded": ({"min_score": 0.1}, {"max_masks": 3}),
    "features alone": ({"shape_weight": 0.0, "context_weight": 0.0}, {}),
    "max": ({"pos_agg": "max"}, {}),
    "centred": ({"centring": "mean"}, {}),
    "boxes": ({}, {"suppression": "box_nms", "nms_iou": 0.3}),
    "crossed": ({"cross_negatives": True, "negative_quantile": 0.7}, {}),
    "ratio": ({"ratio": 1.2}, {}),
    "same size": ({"scale": "same"}, {}),
    "any size": ({"scale": "any"}, {}),
}
COUNTS = [12, 0, 30, 1, 45, 7, 12, 30, 0, 22]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes the shelves of a test."""
    made: list[Shelf] = []
    real = Shelf.empty.__func__

    def noted(cls: type[Shelf], *args: object) -> Shelf:
        made.append(real(cls, *args))
        return made[-1]

    monkeypatch.setattr(Shelf, "empty", classmethod(noted))
    yield
    for each in made:
        each.close()


def found(view: View, judge: Judge) -> list[tuple[int, int, str, float]]:
    """Image, row, class and score of each detection."""
    parts = (view.found.image, view.found.row, view.found.label, view.found.score)
    table = zip(*(part.tolist() for part in parts), strict=True)
    return [(item, row, judge.bank.classes[label], score) for item, row, label, score in table]


def recorded(board: Board, judge: Judge) -> list[tuple[int, int, str, float]]:
    """The same as records say it."""
    made = []
    for number in range(len(board.shelf.images)):
        record = board.record(judge, number)
        made += [(number, item.id, item.label, item.score) for item in record.detections]
    return made


def same(board: Board, judge: Judge) -> int:
    """That both accept the same; returns how much."""
    got, wanted = found(board.view(judge), judge), recorded(board, judge)
    assert sorted(row[:3] for row in got) == sorted(row[:3] for row in wanted)
    scores = {row[:3]: row[3] for row in wanted}
    for row in got:
        assert row[3] == pytest.approx(scores[row[:3]], abs=2e-6)
    for one, two in zip(got, wanted, strict=True):  # in the same order, but for what is as good
        assert one[0] == two[0]
        assert one[3] == pytest.approx(two[3], abs=4e-6)
    return len(got)


def changed(of: Bank, rng: np.random.Generator, centres: np.ndarray) -> Iterator[Bank]:
    """The bank with a positive more, a negative more, and without one of each."""
    name = f"x{rng.integers(1 << 30)}-"
    more = exemplars(rng, of.labels[:1] % KINDS, centres, name)
    yield replace(of, positives=join([of.positives, more]), labels=np.append(of.labels, of.labels[0]))
    more = exemplars(rng, rng.integers(0, KINDS, 1), centres, name + "n")
    yield replace(of, negatives=join([of.negatives, more]))
    twice = np.flatnonzero(np.bincount(of.labels)[of.labels] > 1)
    if len(twice):
        left = np.setdiff1d(np.arange(len(of.labels)), twice[:1])
        yield replace(of, positives=of.positives.take(left), labels=of.labels[left])
    if len(of.negatives):
        yield replace(of, negatives=of.negatives.take(np.arange(1, len(of.negatives))))
    yield of


@pytest.mark.parametrize("name", RULES)
def test_what_records_accept_is_accepted_whatever_changes(name: str, tmp_path: Path) -> None:
    scoring, suppression = RULES[name]
    accepted = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        centres = kinds(rng)
        (tmp_path / f"{seed}").mkdir()
        board = Board(shelf(tmp_path / f"{seed}", rng, centres, COUNTS))
        first = bank(rng, centres, 1 + seed % 3, (seed % 4) * 2)
        for each in [first, *changed(first, rng, centres)]:
            accepted += same(board, judge(each, scoring, **suppression))
    assert accepted > 40


def wrong_ones(board: Board, image: int) -> Rows:
    """The most unusual regions of an image, of which a person said that they are wrong."""
    described, made = board.shelf.regions(image).described, []
    best = np.argsort(np.where(described.embedded.valid, -described.unusual, 0), kind="stable")
    for row in best[:2].tolist():
        drawn = of_region(board.shelf.regions(image, np.asarray([row])), row, "0" * 64, JUDGED)
        made.append(replace(drawn.rows, origins=(replace(drawn.origin, name=f"w{row}"),)))
    return join(made)


@pytest.mark.parametrize("name", ["default", "low", "max", "crowded"])
def test_what_is_unusual_counts_as_records_say_it(name: str, tmp_path: Path) -> None:
    scoring, suppression = RULES[name]
    good = GoodParts.of(of_images("spots", 0))
    accepted = 0
    for seed in range(2):
        rng = np.random.default_rng(seed)
        centres = kinds(rng)
        (tmp_path / f"{seed}").mkdir()
        board = Board(shelf(tmp_path / f"{seed}", rng, centres, COUNTS, good))
        first = bank(rng, centres, 1 + seed % 3, (seed % 4) * 2)
        first = replace(first, normality=board.shelf.normality)
        given = {"normal_weight": 0.3, **scoring}
        some = [judge(each, given, **suppression) for each in [first, *changed(first, rng, centres)]]
        alone, given = of_normality(good.normality(DIM), SPACE), {**scoring, "pos_agg": "prototype"}
        for each in (alone, replace(alone, negatives=wrong_ones(board, 4)), alone):
            made = judge(each, given, **suppression)
            some.append(replace(made, gathered=settled(each, ExemplarOptions())))
        accepted += sum(same(board, each) for each in some)
        views = [found(board.view(each), each) for each in some[-2:]]
        assert name == "low" or views[0] != views[1], "a region that is wrong is not found"
    assert accepted > 40


@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(["default", "nms", "diffusion", "margins"]))
def test_any_bank_on_any_images(seed: int, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    rng = np.random.default_rng(seed)
    centres = kinds(rng)
    counts = rng.integers(0, 25, 6).tolist()
    scoring, suppression = RULES[name]
    board = Board(shelf(tmp_path_factory.mktemp("shelf"), rng, centres, counts))
    first = bank(rng, centres, int(rng.integers(1, 5)), int(rng.integers(0, 5)))
    for each in [first, *changed(first, rng, centres)]:
        same(board, judge(each, scoring, **suppression))


def test_a_shelf_that_grows_is_judged_as_a_whole_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    centres = kinds(rng)
    items = [image(rng, f"{i}.png", count, centres) for i, count in enumerate(COUNTS)]
    (tmp_path / "rows").mkdir()
    growing = Board(Shelf.empty(SPACE, models(), tmp_path / "rows"))
    chief = judge(bank(rng, centres, 2, 2))
    assert len(growing.view(chief).found) == 0
    seen = []
    for number, (info, packed) in enumerate(items):
        assert growing.shelf.add(info, packed) == number
        seen.append(found(growing.view(chief), chief))
        assert [row for row in seen[-1] if row[0] < number] == (seen[-2] if number else [])
    same(growing, chief)
    index.write(tmp_path / "idx", items, index.Made(SPACE, models()))
    whole = Board(Shelf.of(index.load(tmp_path / "idx")))
    assert found(whole.view(chief), chief) == seen[-1]
    assert [item.start for item in whole.shelf.images] == [item.start for item in growing.shelf.images]
    with pytest.raises(UsageError, match="no more images"):
        whole.shelf.add(*items[0])
    growing.shelf.close()
    with pytest.raises(UsageError, match="no more images"):
        growing.shelf.add(*items[0])


def test_only_what_is_new_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    centres = kinds(rng)
    compared: list[tuple[str, int, int]] = []
    real = alike.Side._measure

    def counted(self: alike.Side, start: int, stop: int, wanted: np.ndarray) -> np.ndarray:
        compared.append((self._name, stop - start, len(wanted)))
        return real(self, start, stop, wanted)

    monkeypatch.setattr(alike.Side, "_measure", counted)
    board = Board(shelf(tmp_path, rng, centres, [20, 20]))
    first = bank(np.random.default_rng(1), centres, 2, 3)
    count = len(first.positives)
    board.view(judge(first))
    assert ("vectors", 40, 3) in compared
    assert sum(item[2] for item in compared) == 2 * count + 3
    compared.clear()
    more, _, less, *_ = changed(first, rng, centres)
    board.view(judge(more))
    assert sorted(compared) == [("contexts", 40, 1), ("vectors", 40, 1)]
    compared.clear()
    for each in (first, more, first):
        board.view(judge(each))
    assert not compared, "what comes back costs nothing"
    board.view(judge(less))
    assert sorted(compared) == [("contexts", 40, 1), ("vectors", 40, 1)], "nor is a class read anew"
    compared.clear()
    for each in (more, less, first):
        board.view(judge(each))
    assert not compared
    board.shelf.add(*image(rng, "more.png", 7, centres))
    board.view(judge(first))
    assert {item[1] for item in compared} == {7}


def test_what_is_kept_of_exemplars_and_of_overlaps_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alike, "UNUSED_BYTES", 0)
    monkeypatch.setattr(alike, "STEPS", 1)
    monkeypatch.setattr(alike, "SUMMED", 3)
    rng = np.random.default_rng(7)
    centres = kinds(rng)
    board = Board(shelf(tmp_path, rng, centres, COUNTS))
    board._lying = lying.Neighbours(board.shelf, 50)
    for seed in range(4):
        each = bank(np.random.default_rng(seed), centres, 2, 3)
        same(board, judge(each))
        kept = board._alike._vectors._columns._known
        assert len(kept) <= len(each.positives) + 3
        assert len(board._alike._vectors._sums._known) <= len(each.classes) + 1
    assert len(board._lying._parts) <= len(COUNTS)


@pytest.mark.parametrize("near", [0.0, 0.05])
def test_images_in_which_little_decides_are_scored_as_records_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, near: float
) -> None:
    """Whatever is called near, what is accepted stays."""
    monkeypatch.setattr(passing, "NEAR", near)
    rng = np.random.default_rng(11)
    centres = kinds(rng)
    board = Board(shelf(tmp_path, rng, centres, COUNTS))
    marked: list[int] = []
    real = Board._mark_exactly

    def counted(self: Board, judge: Judge, images: np.ndarray, marks: object) -> None:
        marked.extend(images.tolist())
        real(self, judge, images, marks)

    monkeypatch.setattr(Board, "_mark_exactly", counted)
    for name in ("default", "margins", "diffusion"):
        scoring, suppression = RULES[name]
        assert same(board, judge(bank(rng, centres, 3, 3), scoring, **suppression)) > 5
    assert (len(set(marked)) > len(COUNTS) // 2) == (near > 0), (
        "else where equal ones lie on each other"
    )


def test_equal_regions_at_the_very_threshold_are_judged_as_in_records(tmp_path: Path) -> None:
    """Scores that a sum in another order may round to either side of the least score."""
    rng = np.random.default_rng(13)
    centres = kinds(rng)
    board = Board(shelf(tmp_path, rng, centres, [25, 25, 25]))
    of = bank(rng, centres, 2, 3)
    scores = [item.score_before_suppression for item in board.record(judge(of), 1).candidates]
    for score in [score for score in scores if score is not None][:12]:
        for least in (score - 1e-6, score, score + 1e-6):
            same(board, judge(of, {"min_score": least}))


def test_all_regions_have_their_marks(tmp_path: Path) -> None:
    rng = np.random.default_rng(17)
    centres = kinds(rng)
    board = Board(shelf(tmp_path, rng, centres, COUNTS))
    for name in ("default", "max", "centred"):
        chief = judge(bank(rng, centres, 2, 3), *RULES[name][:1])
        view = board.view(chief)
        assert len(view.label) == len(view.score) == len(view.gap) == sum(COUNTS)
        assert view.limits == tuple(chief.rule.limits(chief.bank.classes))
        for number, item in enumerate(board.shelf.images):
            own = slice(item.start, item.start + item.count)
            known = {each.id: each for each in board.record(chief, number).candidates}
            for row, (label, score, gap) in enumerate(
                zip(view.label[own], view.score[own], view.gap[own], strict=True)
            ):
                if label < 0:
                    assert np.isnan(score)
                    assert np.isnan(gap)
                    assert known[row].reason == "invalid"
                else:
                    assert known[row].label == chief.bank.classes[label]
                    assert score == pytest.approx(known[row].score_before_suppression, abs=2e-6)
                    assert gap == pytest.approx(known[row].class_margin, abs=2e-6)


def test_regions_under_a_pixel_are_told_smallest_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(19)
    board = Board(shelf(tmp_path, rng, kinds(rng), [30, 0, 30, 30, 30]))
    hits = 0
    for number, item in enumerate(board.shelf.images):
        masks = board.shelf.regions(number).proposals.dense()
        for _ in range(40):
            x, y = rng.uniform(0, item.image.width), rng.uniform(0, item.image.height)
            wanted = [i for i, mask in enumerate(masks) if mask[int(y), int(x)]]
            wanted.sort(key=lambda i: (masks[i].sum(), i))
            assert board.under(number, x, y) == wanted
            hits += len(wanted)
        assert board.under(number, -1, 5) == board.under(number, 5, item.image.height) == []
    assert hits > 100


def test_a_bank_of_another_space_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(23)
    centres = kinds(rng)
    board = Board(shelf(tmp_path, rng, centres, [5]))
    other = replace(bank(rng, centres, 1, 0), space=replace(SPACE, backbone="y"))
    with pytest.raises(ExemplarError, match="backbone is x here and y there"):
        board.view(judge(other))
    short = exemplars(rng, other.labels, kinds(rng, 9), "p")
    narrow = replace(other, space=None, positives=short, negatives=short.take([]))
    with pytest.raises(ValueError, match="dimension 9"):
        board.view(judge(narrow))
    _, packed = image(rng, "a.png", 3, kinds(rng, 9))
    with pytest.raises(ValueError, match="16 wide"):
        board.shelf.add(board.shelf.images[0].image, packed)


@pytest.mark.parametrize("name", ["vectors", "contexts", "boxes", "counts"])
def test_damaged_rows_are_an_error_that_names_the_image(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(29)
    centres = kinds(rng)
    items = [image(rng, f"{i}.png", 12, centres) for i in range(3)]
    index.write(tmp_path / "idx", items, index.Made(SPACE, models()))
    opened = index.load(tmp_path / "idx")
    damaged = np.asarray(opened.arrays[name]).copy()
    where = int(opened.arrays["offsets"][opened.images[1].start]) if name == "counts" else 12
    damaged[where : where + 9] = 200 if name == "counts" else np.nan
    opened.arrays[name] = damaged
    with pytest.raises(UsageError, match=r"1\.png: its part of the index is damaged") as caught:
        Board(Shelf.of(opened)).view(judge(bank(rng, centres, 1, 0), {"min_score": -2.0}))
    assert "searchdet index" in caught.value.hint


def test_a_full_disk_is_said_and_nothing_is_added_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(31)
    made = shelf(tmp_path, rng, kinds(rng), [4])

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rows.Writer, "add", full)
    with pytest.raises(OutputError, match="No space left"):
        made.add(*image(rng, "b.png", 4, kinds(rng)))
    monkeypatch.undo()
    with pytest.raises(UsageError, match="no more images"):
        made.add(*image(rng, "b.png", 4, kinds(rng)))
    assert len(made.images) == 1
    assert len(made.regions(0).proposals) == 4


@pytest.mark.model
def test_an_index_of_pictures_is_judged_as_records_are(made: Path) -> None:
    board = Board(Shelf.of(index.load(made / "idx")))
    of = bankfile.load(made / "bank.safetensors")
    assert same(board, judge(of)) >= 1
    for least in (-0.2, 0.1, 0.3):
        chief = judge(of, {"min_score": least, "min_margin": -2.0})
        assert same(board, chief) >= 1
        regions = board.shelf.regions(0)
        chosen = regions.described.take(np.arange(0, len(regions.described), 5))
        rows = Rows(
            chosen.embedded.vectors,
            chosen.contexts,
            chosen.outlines,
            tuple(Origin(f"a.png#{i}") for i in range(len(chosen))),
        )
        more = replace(of, negatives=join([of.negatives, rows]))
        same(board, judge(more, {"min_score": least}))
