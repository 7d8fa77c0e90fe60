"""From scores to candidates: how many, which of two classes, and what came nearest to a detection."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import boards
import numpy as np
import pytest
import reports
from banks import options, rows
from runs import SOURCE, models
from typer.testing import CliRunner

from searchdet.bank import Bank
from searchdet.bank.build import Gathered
from searchdet.cli import app
from searchdet.config import LEVEL_WEIGHT, SuppressionOptions
from searchdet.decision import Judge, candidates, judge_regions, make_judge
from searchdet.decision.settling import BELOW
from searchdet.embeddings import Descriptors, MaskEmbeddings, l2_normalize
from searchdet.masks import shape as outline
from searchdet.proposals.types import from_masks
from searchdet.records import ImageInfo, ImageRecord, read_record
from searchdet.regions import Regions

SIZE = (40, 200)
IMAGE = ImageInfo("a.png", "0" * 64, SIZE[1], SIZE[0], SOURCE)
AXES = np.eye(6, dtype=np.float32)


def judge(scoring: dict[str, object] | None = None, **suppression: object) -> Judge:
    """Two classes and a negative, each along an axis of its own."""
    bank = Bank(("a", "b"), rows(AXES[:2], "p"), np.arange(2), rows(AXES[2:3], "n"))
    chosen = options(**({"second_look": 0, "min_score": 0.3} | (scoring or {})))
    return make_judge(Gathered(bank), chosen, SuppressionOptions(**suppression), models())


def regions(
    vectors: list[list[float]], boxes: list[int], quality: list[float] | None = None
) -> Regions:
    """A region for each vector; boxes: where each starts, 16 wide."""
    masks = np.zeros((len(vectors), *SIZE), bool)
    for mask, x in zip(masks, boxes, strict=True):
        mask[8:32, x : x + 16] = True
    found = from_masks(list(masks), quality or [0.9 - 0.01 * i for i in range(len(masks))], SIZE)
    made = l2_normalize(np.pad(np.asarray(vectors, np.float32).reshape(-1, 4), ((0, 0), (0, 2))))
    valid = np.abs(made).max(axis=1, initial=0) > 0
    embedded = MaskEmbeddings(made, valid, np.zeros(len(made), bool))
    unknown = np.full((len(made), outline.DIM), np.nan, np.float32)
    return Regions(found, Descriptors(embedded, np.zeros_like(made), unknown))


BOTH = regions([[1, 0.8, 0, 0], [0.7, 1, 0, 0], [1, 0, 0, 0.3]], [10, 10, 60])
"""Two regions on one object, each of another class, and one elsewhere."""


def test_one_object_is_one_detection_unless_each_class_may_have_it() -> None:
    best = judge().record(IMAGE, BOTH)
    assert [(item.id, item.label) for item in best.detections] == [(2, "a"), (1, "b")]
    (fallen,) = best.rejected
    assert (fallen.id, fallen.label, fallen.reason) == (0, "a", "suppressed")
    least = best.run.thresholds["a"].min_score
    assert (fallen.suppressed_by, fallen.score) == (1, pytest.approx(BELOW * least, abs=1e-6))
    assert fallen.score_before_suppression > least
    allowed = judge(class_overlap="allow").record(IMAGE, BOTH)
    assert sorted((item.id, item.label) for item in allowed.detections) == [
        (0, "a"),
        (1, "b"),
        (2, "a"),
    ]
    assert all(item.suppressed_by is None for item in allowed.candidates)


def test_the_class_further_over_its_own_threshold_is_the_best() -> None:
    given = {"class_min_score": (("a", 0.3), ("b", 0.75))}
    found = judge(given).record(IMAGE, BOTH)
    assert [(item.id, item.label) for item in found.detections] == [(2, "a"), (0, "a")]
    strict = {"class_min_score": (("a", 0.3), ("b", 0.95))}
    found = judge(strict).record(IMAGE, BOTH)
    assert [(item.id, item.label) for item in found.detections] == [(2, "a"), (0, "a")]
    assert by_reason(found) == {1: "score"}, "what is no detection takes no part"


def by_reason(record: ImageRecord) -> dict[int, str]:
    return {item.id: item.reason for item in record.rejected}


@pytest.mark.parametrize("how", ["merge", "nms", "diffusion"])
def test_what_is_found_is_found_too_where_more_are_wanted(how: str) -> None:
    """A region that passes only then takes nothing from one that passes anyway, though its quality is
    higher."""
    more = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        centres = boards.kinds(rng)
        seen = boards.regions(rng, 40, centres, (48, 64), False)
        of = boards.bank(rng, centres, 3, 2)
        image = replace(IMAGE, width=64, height=48)
        found = [
            {item.id: item.score for item in chief.record(image, seen).detections}
            for chief in (
                boards.judge(of, {"threshold": name}, suppression=how) for name in ("auto", "training")
            )
        ]
        assert found[0].items() <= found[1].items(), seed
        more += len(found[1]) - len(found[0])
    assert more > 10


def test_what_is_kept_is_cut_by_score_and_not_by_quality() -> None:
    vectors = [[0.2 + 0.1 * i, 0, 0, 1] for i in range(9)]
    last = regions(vectors, [20 * i for i in range(9)], [0.9] * 8 + [0.01])
    assert last.proposals.quality.argmin() == 8
    for room in (1, 3, 8):
        got = judge(max_masks=room).record(IMAGE, last)
        assert sorted(item.id for item in got.candidates) == list(range(9 - room, 9))
        assert got.candidates[0].id == 8
        assert got.proposals.count == 9
    assert len(judge(max_masks=100).record(IMAGE, last).candidates) == 9


def test_each_view_has_room_of_its_own_and_what_has_no_score_comes_last() -> None:
    vectors = [[0, 0, 0, 0]] + [[0.2 + 0.1 * i, 0, 0, 1] for i in range(8)]
    some = regions(vectors, [20 * i for i in range(9)])
    tiled = replace(some, proposals=replace(some.proposals, details={"views": 3}))
    assert sorted(i.id for i in judge(max_masks=2).record(IMAGE, tiled).candidates) == [
        3,
        4,
        5,
        6,
        7,
        8,
    ]
    assert [i.id for i in judge(max_masks=2).record(IMAGE, some).candidates] == [8, 7]
    whole = judge(max_masks=9).record(IMAGE, some)
    assert by_reason(whole)[0] == "invalid"
    assert whole.candidates[-1].id == 0
    assert 0 not in by_reason(judge(max_masks=8).record(IMAGE, some))


def test_the_level_is_that_of_all_regions_whatever_is_kept() -> None:
    vectors = [[0.2 + 0.1 * i, 0.3, 0, 1] for i in range(9)]
    some = regions(vectors, [20 * i for i in range(9)])
    few, many = (judge(max_masks=room).record(IMAGE, some) for room in (1, 100))
    assert few.levels == many.levels
    assert few.candidates[0] == many.candidates[0]
    best = few.candidates[0]
    plain = best.positive_similarity - 0.3 * max(best.negative_similarity, 0)
    assert best.score == pytest.approx(plain - LEVEL_WEIGHT * few.levels[best.label], abs=3e-6)


def test_more_than_what_is_kept_compete_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the best one that falls to it makes room for the next."""
    vectors = [[1, 0, 0, 0.4 + 0.01 * i] for i in range(2)] + [[0.8, 0, 0, 1]]
    some = regions(vectors, [10, 10, 80])
    chief = judge(max_masks=2)
    assert [item.id for item in chief.record(IMAGE, some).candidates] == [0, 2]
    monkeypatch.setattr(candidates, "AHEAD", 1)
    assert [item.id for item in chief.record(IMAGE, some).candidates] == [0, 1]


def test_nothing_at_all() -> None:
    got = judge().record(IMAGE, regions([], []))
    assert (got.status, got.candidates, got.looked_at) == ("empty", (), 0)
    assert got.levels == dict(zip(("a", "b"), judge().rule.usual, strict=True))
    empty = judge_regions(regions([[0, 0, 0, 0]], [3]), judge().bank, judge().rule)
    assert [item.reason for item in empty.candidates] == ["invalid"]


def test_the_nearest_miss_lacks_least_of_what_its_class_needs() -> None:
    given = {"class_min_score": (("a", 0.95), ("b", 0.9))}
    some = regions([[1, 0, 0, 0.6], [0, 1, 0, 0.7], [0, 0, 0, 0], [0, 0, 1, 0]], [0, 40, 80, 120])
    got = judge(given).record(IMAGE, some)
    scores = {item.id: item.score for item in got.candidates}
    assert scores[0] > scores[1], "though another scores more"
    miss = got.nearest_miss
    assert miss is not None
    assert scores[0] - 0.95 < scores[1] - 0.9
    assert (miss.id, miss.label, miss.score, miss.needs) == (1, "b", scores[1], 0.9)
    assert miss.reason == "score"
    said = json.loads(got.to_line())["nearest_miss"]
    assert said == {"id": 1, "label": "b", "score": scores[1], "needs": 0.9, "reason": "score"}


def test_a_miss_may_reach_its_score_and_fail_another_rule() -> None:
    some = regions([[1, 0, 0.95, 0], [0.3, 0, 0, 1]], [0, 40])
    got = judge({"min_margin": 0.2}).record(IMAGE, some)
    miss = got.nearest_miss
    assert miss is not None
    assert (miss.id, miss.reason) == (0, "margin")
    assert miss.score > miss.needs == 0.3


def test_there_is_no_miss_where_something_is_found_or_nothing_is_scored() -> None:
    found = judge().record(IMAGE, BOTH)
    assert found.rejected
    for record in (
        found,
        judge().record(IMAGE, regions([[0, 0, 0, 0]], [3])),
        judge().record(IMAGE, regions([], [])),
    ):
        assert record.nearest_miss is None
        assert json.loads(record.to_line())["nearest_miss"] is None
    equal = regions([[0.1, 0, 0, 1], [0.1, 0, 0, 1]], [0, 60])
    assert judge().record(IMAGE, equal).nearest_miss.id == 0, "the first of two"


def test_a_record_read_back_has_the_same_miss(tmp_path: Path) -> None:
    classes = ("bolt", "nut")
    record = reports.record("a.png", classes, reports.run(classes, 1.0), 0)
    assert record.nearest_miss is not None
    (tmp_path / "a.json").write_bytes(record.to_bytes())
    assert read_record(tmp_path / "a.json").nearest_miss == record.nearest_miss


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--min-score", "1"], r"nothing found; nearest: red -?\d\.\d\d, needs 1\.00 \["),
        (["--min-score", "-2", "--min-margin", "2"], r"nearest: red -?\d\.\d\d, rejected: margin \["),
    ],
)
def test_the_command_says_what_came_nearest(world: Path, words: list[str], said: str) -> None:
    import re

    base = ["--positive", "in/positive", "--negative", "in/negative", "--no-save", "--json"]
    result = CliRunner().invoke(app, ["detect", "in/images/a.png", *base, *words])
    assert result.exit_code == 0, result.stderr
    (line,) = [line for line in result.stderr.splitlines() if "a.png: " in line]
    assert re.search(said, line), line
    miss = json.loads(result.stdout)["nearest_miss"]
    assert f"{miss['label']} {miss['score']:.2f}" in line
