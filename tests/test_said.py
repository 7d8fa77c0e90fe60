"""What a person said of a region holds for that region, whatever it scores; for no other by itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import boards
import numpy as np
import pytest
from banks import options, rows
from runs import models
from test_candidates import AXES, IMAGE, judge, regions

from searchdet.bank import Bank, settled
from searchdet.bank.types import JUDGED, POINTED, Rows, join
from searchdet.config import ExemplarOptions, SuppressionOptions
from searchdet.decision import Judge, make_judge
from searchdet.embeddings import l2_normalize
from searchdet.live import Board, Shelf
from searchdet.live.exemplars import of_region
from searchdet.records import TOLD, ImageInfo, ImageRecord
from searchdet.regions import Regions
from searchdet.scoring import NEVER

MANY = regions([[1, 0.1, 0, 0], [0.15, 0, 0, 1], [1, 0, 0.2, 0]], [10, 60, 110])
"""A region of class a, one that hardly looks like it, and one of class a again."""


def said(of: Regions, row: int, name: str, content: str = IMAGE.sha256, source: str = JUDGED) -> Rows:
    """A region as the exemplar that a verdict makes of it."""
    own = Regions(of.proposals.take([row]), of.described.take(np.asarray([row])))
    made = of_region(own, 0, content, source)
    return replace(made.rows, origins=(replace(made.origin, name=name),))


def judged(
    right: Sequence[Rows] = (),
    wrong: Sequence[Rows] = (),
    least: float = 0.3,
    **suppression: object,
) -> Judge:
    """Two classes, the first with many exemplars, and a negative, each along an axis of its own, and
    what was said; of class a."""
    many = l2_normalize(AXES[0] + 0.05 * np.random.default_rng(0).normal(size=(8, 6)))
    positives = join([rows(AXES[:2], "p"), rows(many.astype(np.float32), "m"), *right])
    labels = np.asarray([0, 1] + [0] * (8 + len(right)))
    bank = Bank(("a", "b"), positives, labels, join([rows(AXES[2:3], "n"), *wrong]))
    gathered = settled(bank, ExemplarOptions())
    chosen = options(second_look=0, min_score=least)
    return make_judge(gathered, chosen, SuppressionOptions(**suppression), models())


def found(of: Judge, regions: Regions = MANY, image: ImageInfo = IMAGE) -> dict[int, float | None]:
    return {item.id: item.score for item in of.record(image, regions).detections}


def told(record: ImageRecord) -> dict[int, str | None]:
    return {item.id: item.label for item in record.candidates if TOLD in item.flags}


def test_a_right_one_is_found_whatever_it_scores() -> None:
    assert set(found(judge(), MANY)) == {0, 2}
    record = judged([said(MANY, 1, "told")]).record(IMAGE, MANY)
    assert {item.id for item in record.detections} == {0, 1, 2}
    assert told(record) == {1: "a"}
    (mine,) = (item for item in record.detections if item.id == 1)
    assert (mine.score, mine.margin, mine.class_margin, mine.label) == (1.0, 2.0, 2.0, "a")
    assert mine.positive_similarity < 0.9, "what it has in common stays what it is"


def test_what_was_pointed_at_is_found_and_moves_no_threshold() -> None:
    """It was not found, or nobody had pointed at it: a threshold by such alone falls and falls."""

    def chief(how: str) -> Judge:
        both = join([rows(AXES[:1], "p"), said(MANY, 1, "x", source=how)])
        bank = Bank(("a",), both, np.zeros(2, int), rows(AXES[2:3], "n"))
        how_read, scoring = ExemplarOptions(), options(second_look=0)
        return make_judge(settled(bank, how_read), scoring, SuppressionOptions(), models())

    moved, stays = chief(JUDGED), chief(POINTED)
    assert [of.rule.thresholds[0].source for of in (moved, stays)] == ["verdicts", "auto"]
    assert told(stays.record(IMAGE, MANY)) == {1: "a"}
    assert 1 in found(stays)


def test_an_exemplar_that_was_brought_decides_nothing_by_itself() -> None:
    brought = said(MANY, 1, "brought")
    brought = replace(brought, origins=(replace(brought.origins[0], mask_source="annotation"),))
    record = judged([brought]).record(IMAGE, MANY)
    assert told(record) == {}
    assert 1 not in {item.id for item in record.detections}


def test_a_wrong_one_is_not_found_though_it_is_left_out_as_a_conflict() -> None:
    """Of a copy of an exemplar, which as a negative would take all that looks like the class."""
    same = regions([[1, 0, 0, 0], [1, 0, 0, 0.1], [1, 0, 0.2, 0]], [10, 60, 110])
    of = judged(wrong=[said(same, 0, "told")])
    assert of.gathered.ignored == ("told",)
    record = of.record(IMAGE, same)
    assert {item.id for item in record.detections} == {1, 2}
    (mine,) = (item for item in record.candidates if item.id == 0)
    assert (mine.reason, mine.score) == ("score", NEVER)
    assert told(record) == {0: "a"}


def test_no_limit_reaches_what_was_said_to_be_wrong() -> None:
    """Who asks for all regions still gets none that is known to be wrong."""
    of = judged(wrong=[said(MANY, 0, "told")], least=-2.0)
    assert set(found(of)) == {1, 2}
    assert set(found(judged(least=-2.0))) == {0, 1, 2}


def test_it_holds_for_that_image_and_that_mask_alone() -> None:
    of = judged([said(MANY, 1, "told")])
    other = replace(IMAGE, sha256="1" * 64)
    assert 1 not in found(of, image=other)
    moved = regions([[1, 0.1, 0, 0], [0.15, 0, 0, 1], [1, 0, 0.2, 0]], [10, 64, 110])
    assert 1 not in found(of, moved)


def test_the_right_one_stays_of_several_on_one_object() -> None:
    """The better one, which lies on it, falls."""
    near = regions([[1, 0.05, 0, 0], [0.6, 0, 0, 0.8]], [10, 12], [0.95, 0.5])
    assert set(found(judge(), near)) == {0}
    for how in ("merge", "nms", "diffusion"):
        record = judged([said(near, 1, "told")], suppression=how).record(IMAGE, near)
        assert 1 in {item.id for item in record.detections}, how
        (mine,) = (item for item in record.detections if item.id == 1)
        assert (mine.score, mine.suppression_factor) == (1.0, 1.0), how


def test_what_was_said_of_and_what_is_asked_for_stays_in_the_record() -> None:
    many = regions(
        [[1, 0.1, 0, 0], [0.15, 0, 0, 1], [1, 0, 0.2, 0], [0.9, 0.2, 0, 0]], [10, 60, 110, 160]
    )
    of = judged(wrong=[said(many, 1, "told")], max_masks=1)
    kept = {item.id: item for item in of.record(IMAGE, many).candidates}
    assert set(kept) == {0, 1}
    assert kept[1].flags == (TOLD,)
    more = of.record(IMAGE, many, also=[3])
    assert {item.id for item in more.candidates} == {0, 1, 3}


def test_nothing_lowers_a_right_one() -> None:
    """Neither one of another class with a lower limit, nor another right one, nor a better quality."""
    two = regions([[1, 0.1, 0, 0], [0.1, 1, 0, 0]], [10, 10], [0.5, 1.0])
    limits = {"class_min_score": (("a", 0.75), ("b", 0.3))}
    for how in ("merge", "nms", "diffusion"):
        first = judged([said(two, 0, "told")], suppression=how)
        scoring = replace(first.rule.scoring, **limits)
        of = make_judge(first.gathered, scoring, first.rule.suppression, models())
        assert found(of, two) == {0: 1.0}, how
        same = regions([[1, 0.1, 0, 0], [1, 0, 0.1, 0]], [10, 11], [0.5, 1.0])
        both = judged([said(same, 0, "one"), said(same, 1, "two")], suppression=how)
        assert found(both, same) == {0: 1.0, 1: 1.0}, how


def test_of_different_words_on_one_region_none_decides(caplog: pytest.LogCaptureFixture) -> None:
    of = judged([said(MANY, 1, "right")], [said(MANY, 1, "wrong")])
    assert told(of.record(IMAGE, MANY)) == {}
    assert "right and wrong: are one region" in caplog.text


def test_a_second_look_is_taken_at_what_is_open() -> None:
    seen: list[int] = []

    def look(rows: np.ndarray) -> np.ndarray:
        seen.extend(rows.tolist())
        return np.zeros((len(rows), 2), np.float32)

    of = judged([said(MANY, 0, "told")])
    bank = of.gathered.bank
    sides = {
        name: replace(getattr(bank, name), crops=np.zeros((len(getattr(bank, name)), 2), np.float32))
        for name in ("positives", "negatives")
    }
    gathered = replace(of.gathered, bank=replace(bank, **sides))
    once = replace(of.rule.scoring, second_look=1)
    make_judge(gathered, once, of.rule.suppression, models()).record(IMAGE, MANY, look)
    assert seen == [2]


def test_the_mask_tells_a_region_though_its_vector_is_another() -> None:
    """As of an image in tiles, where an exemplar was described on the whole image."""
    mine = said(MANY, 1, "told")
    turned = l2_normalize(mine.vectors + 0.25 * np.eye(6, dtype=np.float32)[[4]])
    of = judged([replace(mine, vectors=turned)])
    assert float(turned[0] @ mine.vectors[0]) < 0.99
    assert told(of.record(IMAGE, MANY)) == {1: "a"}


def test_another_class_is_what_was_said() -> None:
    of = judged([said(MANY, 0, "told")])
    b = replace(of.gathered.bank, labels=np.asarray([0, 1] + [0] * 8 + [1]))
    made = make_judge(settled(b, ExemplarOptions()), of.rule.scoring, of.rule.suppression, models())
    record = made.record(IMAGE, MANY)
    assert told(record) == {0: "b"}
    assert {item.id: item.label for item in record.detections}[0] == "b"


def test_limits_of_the_margin_and_of_the_lead_do_not_hold_it_back() -> None:
    of = judged([said(MANY, 1, "told")])
    strict = replace(of.rule.scoring, min_margin=2.0, class_margin=2.0)
    made = make_judge(of.gathered, strict, of.rule.suppression, models())
    assert set(found(made)) == {1}


@pytest.mark.parametrize("seed", range(6))
def test_the_board_finds_what_records_say(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = boards.kinds(rng)
    with closing(Shelf.empty(boards.SPACE, models(), tmp_path)) as shelf:
        fill(shelf, rng, centres)
        board_finds_what_records_say(shelf, boards.bank(rng, centres, 2, 3), rng)


def fill(shelf: Shelf, rng: np.random.Generator, centres: np.ndarray) -> None:
    for number, count in enumerate([30, 12, 25]):
        info, packed = boards.image(rng, f"{number}.png", count, centres)
        shelf.add(replace(info, sha256=f"{number:064x}"), packed)


def board_finds_what_records_say(shelf: Shelf, bank: Bank, rng: np.random.Generator) -> None:
    sides: list[list[Rows]] = [[], []]
    for image, item in enumerate(shelf.images):
        valid = np.flatnonzero(shelf.regions(image).described.embedded.valid)
        for k, row in enumerate(rng.permutation(valid)[:6].tolist()):
            made = said(shelf.regions(image), row, f"{image}#{row}", item.image.content)
            sides[k % 2].append(made)
    labels = rng.integers(0, 2, len(sides[0]))
    longer = Bank(
        bank.classes,
        join([bank.positives, *sides[0]]),
        np.concatenate([bank.labels, labels]),
        join([bank.negatives, *sides[1]]),
        bank.space,
    )
    for suppression in ("merge", "nms", "diffusion"):
        gathered = settled(longer, ExemplarOptions())
        how = SuppressionOptions(suppression=suppression)
        of = make_judge(gathered, options(second_look=0), how, models())
        board = Board(shelf)
        view = board.view(of)
        for image in range(len(shelf.images)):
            record = board.record(of, image)
            mine = view.found.image == image
            ours = sorted(
                zip(view.found.row[mine].tolist(), view.found.label[mine].tolist(), strict=True)
            )
            theirs = sorted((d.id, bank.classes.index(d.label)) for d in record.detections)
            assert ours == theirs, (suppression, image)
        known = sum(TOLD in c.flags for i in range(3) for c in board.record(of, i).candidates)
        assert known == 18, "each is found again"
