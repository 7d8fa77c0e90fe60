"""A wrong region on an object that is right is wrong by its outline: it decides itself alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import slowboard
from hypothesis import given
from hypothesis.extra import numpy as arrays
from slowboard import SlowBoard, SlowShelf

from searchdet.bank import file as bankfile
from searchdet.bank import miscut, settled
from searchdet.bank.types import JUDGED, MISCUT
from searchdet.config import ExemplarOptions, ScoringOptions, Settings
from searchdet.live import LiveSettings, Session
from searchdet.live.events import Judge, Pick, Undo
from searchdet.masks import rle
from searchdet.masks.shared import share_of_smaller

MASKS = arrays.arrays(bool, (5, 7))
SIZE = (20, 30)


def box(x0: int, x1: int, size: tuple[int, int] = SIZE) -> rle.Rle:
    mask = np.zeros(size, bool)
    mask[2:12, x0:x1] = True
    return rle.encode(mask)


@given(MASKS, MASKS)
def test_what_two_masks_share_is_counted_in_pixels(one: np.ndarray, two: np.ndarray) -> None:
    smaller = min(one.sum(), two.sum())
    expected = (one & two).sum() / smaller if smaller else 0.0
    assert share_of_smaller(rle.encode(one), rle.encode(two)) == expected


def test_masks_of_different_sizes_share_nothing_that_could_be_said() -> None:
    with pytest.raises(ValueError, match="sizes"):
        share_of_smaller(box(0, 5), box(0, 5, (20, 31)))


@pytest.mark.parametrize(
    ("wrong", "source"),
    [
        (box(0, 5), MISCUT),  # a part
        (box(0, 28), MISCUT),  # the object and more
        (box(7, 12), MISCUT),  # more than half of it
        (box(8, 18), JUDGED),  # a neighbour that touches it
        (box(15, 25), JUDGED),
    ],
)
def test_wrong_by_its_outline_is_what_shares_half_of_itself_or_of_an_object(
    wrong: rle.Rle, source: str
) -> None:
    assert miscut.sources([wrong, box(0, 10)], [None, "a"]) == [source, JUDGED]
    assert miscut.sources([wrong, box(0, 10)], [None, None]) == [JUDGED, JUDGED]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Of an image whose regions 12 and 13 lie on 0 and 1; all that is right is near a direction."""
    found = slowboard.made(tmp_path / "i", [14, 9])
    scoring = ScoringOptions(shape_weight=0, context_weight=0)
    live = LiveSettings(settings=Settings(scoring=scoring))
    return Session.open(tmp_path / "out", SlowBoard(SlowShelf(found)), None, live)


def test_a_session_keeps_a_part_of_an_object_from_setting_it_back(
    session: Session, tmp_path: Path
) -> None:
    with session:
        session.apply(Pick("0.png", 1, "a"))
        before, least = session.view.score.copy(), session.judge.rule.thresholds[0].min_score
        session.apply(Judge("0.png", 13, "wrong"))
        bank = bankfile.load(tmp_path / "out" / "bank.safetensors")
        assert [o.mask_source for o in bank.negatives.origins] == [MISCUT]
        assert session.verdicts(0) == [(13, "wrong", None)]
        assert session.judge.rule.thresholds[0].min_score == least
        changed = np.flatnonzero(~np.isclose(session.view.score, before, 0, 0, equal_nan=True))
        assert changed.tolist() == [13], "no other region is another"
        assert 13 not in {item.id for item in session.record(0).detections}
        run = session.record(0).run
        assert run.exemplars.miscut_negatives == ("0.png#13",)
        assert run.exemplars.negative == 0
        session.apply(Undo())
        assert np.array_equal(session.view.score, before, equal_nan=True)


def test_the_order_in_which_it_was_said_does_not_matter(session: Session, tmp_path: Path) -> None:
    with session:
        session.apply(Pick("1.png", 2, "a"))
        session.apply(Judge("0.png", 13, "wrong"))
        first = bankfile.load(tmp_path / "out" / "bank.safetensors")
        assert [o.mask_source for o in first.negatives.origins] == [JUDGED]
        session.apply(Pick("0.png", 1, "a"))
        then = bankfile.load(tmp_path / "out" / "bank.safetensors")
        assert [o.mask_source for o in then.negatives.origins] == [MISCUT]
        session.apply(Judge("0.png", 1, "wrong"))
        last = bankfile.load(tmp_path / "out" / "bank.safetensors")
        assert [o.mask_source for o in last.negatives.origins] == [JUDGED, JUDGED]


def test_conflicts_that_are_to_be_kept_are_not_those() -> None:
    bank = slowboard.start_bank(negatives=2)
    origins = (replace(bank.negatives.origins[0], mask_source=MISCUT), bank.negatives.origins[1])
    bank = replace(bank, negatives=replace(bank.negatives, origins=origins))
    for keep in (False, True):
        found = settled(bank, ExemplarOptions(keep_conflicts=keep))
        assert found.miscut == (origins[0].name,)
        assert found.bank.negatives.names == (origins[1].name,)
