"""What is asked next, when it is enough, and the second pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import slowboard
from slowboard import SlowBoard, SlowShelf

from searchdet.bank import file as bankfile
from searchdet.config import ScoringOptions, Settings
from searchdet.index.file import Index
from searchdet.live import LiveSettings, Session
from searchdet.live import secondpass as second
from searchdet.live.events import Judge, SecondPass, Undo
from searchdet.live.review import SIDE, overlap
from searchdet.live.spread import LEAST, Scale
from searchdet.live.state import STOP
from searchdet.proposals.nms import iou

SCORING = ScoringOptions(shape_weight=0, context_weight=0)
LIVE = LiveSettings(settings=Settings(scoring=SCORING))


@pytest.fixture(scope="module")
def shelved(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return slowboard.made(tmp_path_factory.mktemp("index") / "i", [20, 18, 24, 16], seed=5)


@pytest.fixture
def session(tmp_path: Path, shelved: Index) -> Session:
    made = Session.open(tmp_path, SlowBoard(SlowShelf(shelved)), slowboard.start_bank(), LIVE)
    with made:
        yield made


def test_offers_lie_at_the_line_and_each_is_asked_once(session: Session) -> None:
    offers = session.review()
    assert offers
    assert len({(o.i, o.row) for o in offers}) == len(offers)
    assert [o.doubt for o in offers] == sorted(o.doubt for o in offers)
    found = session.view.found
    accepted = set(zip(found.image.tolist(), found.row.tolist(), strict=True))
    for label in session.bank.classes:
        mine = [o for o in offers if o.label == label and o.why == "near"]
        below = [o for o in mine if (o.i, o.row) not in accepted]
        assert 0 < len(below) <= SIDE
        assert all(o.score < o.min_score for o in below)
        assert len(mine) - len(below) <= SIDE
        assert session.review(label) == [o for o in offers if o.label == label]
    assert session.review(count=3) == offers[:3]


def test_what_lies_on_a_detection_is_not_asked(session: Session) -> None:
    found = session.view.found
    shelf = session._board.shelf
    for offer in session.review():
        boxes = shelf.regions(offer.i).proposals.boxes
        rows = found.row[found.image == offer.i].tolist()
        if offer.score < offer.min_score and rows:
            assert (iou(boxes[offer.row], boxes[rows]) <= 0.5).all()
            assert max(part_in(boxes[offer.row], boxes[i]) for i in rows) <= 0.8


def part_in(box: np.ndarray, other: np.ndarray) -> float:
    width = max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
    height = max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
    return float(width * height / ((box[2] - box[0]) * (box[3] - box[1])))


def test_what_was_judged_is_never_asked_again(session: Session) -> None:
    for verdict in ("right", "wrong", "other"):
        offer = session.review()[0]
        label = "b" if verdict == "other" else None
        session.apply(Judge(offer.image, offer.row, verdict, label))
        assert (offer.i, offer.row) not in {(o.i, o.row) for o in session.review()}
    state = session.state()
    assert state.review.judged == 3
    assert state.review.left == len(session.review())


def test_distances_are_in_units_of_the_scatter(session: Session) -> None:
    view = session.view
    scale = Scale.of(view)
    for c in range(len(session.bank.classes)):
        least, unit = view.limits[c].min_score, scale.scatter[c]
        far = scale.away(c, np.asarray([least, least + unit, least - 2 * unit]))
        assert np.allclose(far, [0, 1, -2])
        own = view.score[view.label == c]
        assert unit == pytest.approx(1.4826 * np.median(np.abs(own - np.median(own))))
    nothing = replace(view, label=np.full_like(view.label, -1))
    assert (Scale.of(nothing).scatter == LEAST).all()


def test_it_is_enough_when_the_last_verdicts_changed_nothing(tmp_path: Path, shelved: Index) -> None:
    board = SlowBoard(SlowShelf(shelved))
    with Session.open(tmp_path, board, slowboard.start_bank(), LIVE) as session:
        session.apply(Judge("0.png", 0, "other", "a"))
        first = session.state().review
        assert first.quiet == (0 if session._history.done[-1].others else 1)
    path = tmp_path / "verdicts.jsonl"
    line = json.loads(path.read_text().splitlines()[1])
    for others, quiet in ((0, STOP + 1), (2, STOP)):
        head = path.read_text().splitlines()[0]
        first_line = json.dumps({**line, "others": others})
        rest = [json.dumps({**line, "n": n + 2, "others": 0}) for n in range(STOP)]
        path.write_text("\n".join([head, first_line, *rest, ""]))
        with Session.open(tmp_path, board, slowboard.start_bank(), LIVE) as session:
            review = session.state().review
            assert (review.judged, review.quiet, review.stop) == (1, quiet, True)
            session.apply(Undo())
            assert session.state().review.quiet == quiet - 1
            assert session.state().review.stop == (quiet - 1 >= STOP)


def test_others_are_counted_beside_the_own_region(session: Session) -> None:
    def keys() -> set[tuple[int, int, str]]:
        found = session.view.found
        labels = [session.bank.classes[c] for c in found.label]
        return set(zip(found.image.tolist(), found.row.tolist(), labels, strict=True))

    for row, verdict in ((3, "other"), (5, "wrong"), (7, "other")):
        before = keys()
        change = session.apply(Judge("2.png", row, verdict, "a" if verdict == "other" else None))
        gone = {(i, r) for i, r, _ in before ^ keys()} - {(2, row)}
        assert change.others == len(gone)


def test_the_second_pass_adds_clear_detections_and_is_never_saved(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second, "LEAST", 0.0)
    plain = session.bank
    before = session.view.found
    change = session.apply(SecondPass(True))
    state = session.state().second_pass
    assert state.on
    names = [n for n in session.bank.positives.names if n not in plain.positives.names]
    assert 0 < len(names) == state.to_json()["exemplars"]
    assert all(name.startswith("pseudo/") for name in names)
    for label in plain.classes:
        mine = [name for name, own in state.pseudo.items() if own == label]
        assert len(mine) <= second.MOST
        assert len({name.split("#")[0] for name in mine}) == len(mine), "one of an image"
    after = session.view.found
    old = set(zip(before.image.tolist(), before.row.tolist(), strict=True))
    new = set(zip(after.image.tolist(), after.row.tolist(), strict=True))
    assert (state.gained, state.lost) == (len(new - old), len(old - new))
    assert sum(b - a for a, b in change.counts.values()) == len(new) - len(old)
    assert bankfile.load(tmp_path / "bank.safetensors").positives.names == plain.positives.names
    vectors = session.bank.positives.vectors
    for c in range(len(plain.classes)):
        alike = vectors[session.bank.labels == c] @ vectors[session.bank.labels == c].T
        own = [n in names for n in np.asarray(session.bank.positives.names)[session.bank.labels == c]]
        alike[np.diag_indices(len(alike))] = 0
        assert (alike[own] < second.ALIKE).all()
    pseudo = [item for item in session.state().exemplars if item.source == "pseudo"]
    assert [item.name for item in pseudo] == names
    session.apply(Undo())
    assert session.bank.positives.names == plain.positives.names


def test_where_nothing_is_clear_the_second_pass_adds_nothing(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second, "LEAST", 1e9)
    before = session.bank.positives.names
    change = session.apply(SecondPass(True))
    assert change.changed == ()
    assert session.bank.positives.names == before
    assert session.state().to_json()["second_pass"] == {
        "on": True,
        "exemplars": 0,
        "gained": 0,
        "lost": 0,
    }


def test_the_share_of_a_box_in_others() -> None:
    box = np.asarray([10, 10, 20, 30], np.float32)
    others = np.asarray(
        [[0, 0, 50, 50], [15, 10, 20, 30], [10, 20, 40, 40], [60, 60, 70, 70]], np.float32
    )
    shared, own, areas = overlap(box, others)
    assert (shared / own).tolist() == [1.0, 0.5, 0.5, 0.0]
    assert areas.tolist() == [2500, 100, 600, 100]
    assert overlap(box, others[:0])[0].tolist() == []
