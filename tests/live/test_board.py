"""The board accepts what records accept, whatever of the bank changes, and keeps what it may keep."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from boards import KINDS, bank, exemplars, judge, kinds, shelf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples

from searchdet.bank.types import Bank, join
from searchdet.decision import Judge
from searchdet.live import Board, View

Rule = tuple[dict[str, object], dict[str, object]]
RULES: dict[str, Rule] = {
    "default": ({}, {}),
    "allow": ({}, {"class_overlap": "allow"}),
    "nms": ({}, {"suppression": "nms"}),
    "diffusion": ({}, {"suppression": "diffusion"}),
    "given": ({"min_score": 0.3}, {}),
    "low": ({"min_score": -2.0, "min_margin": -2.0}, {}),
    "margins": ({"min_margin": 0.1, "class_margin": 0.05}, {}),
    "of classes": ({"class_min_score": (("a", 0.2),), "class_min_margin": (("a", 0.2),)}, {}),
    "crowded": ({"min_score": 0.1}, {"max_masks": 3}),
    "features alone": ({"shape_weight": 0.0, "context_weight": 0.0}, {}),
    "max": ({"pos_agg": "max"}, {}),
    "centred": ({"centring": "mean"}, {}),
}
COUNTS = [12, 0, 30, 1, 45, 7, 12, 30, 0, 22]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)


def found(view: View, judge: Judge) -> list[tuple[int, int, str, float]]:
    """Image, row, class and score of each detection."""
    parts = (view.found.image, view.found.row, view.found.label, view.found.score)
    rows = zip(*(part.tolist() for part in parts), strict=True)
    return [(image, row, judge.bank.classes[label], score) for image, row, label, score in rows]


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
        board.shelf.close()
    assert accepted > 40


@settings(
    max_examples=examples(60),
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
    board.shelf.close()
