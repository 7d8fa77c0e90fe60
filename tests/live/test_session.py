"""Events of a session: what they do, and that nothing of them is lost."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import slowboard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profiles import examples
from slowboard import SlowBoard, SlowShelf

from searchdet.bank import file as bankfile
from searchdet.bank.types import JUDGED, Bank
from searchdet.config import ScoringOptions, Settings, SuppressionOptions
from searchdet.errors import OutputError, UsageError
from searchdet.index.file import Index
from searchdet.live import Board, LiveSettings, Session, Shelf, events
from searchdet.live.events import (
    AddClass,
    Draw,
    Event,
    Judge,
    Paste,
    Pick,
    Redo,
    Remove,
    RenameClass,
    SecondPass,
    Undo,
)
from searchdet.live.exemplars import Drawn
from searchdet.storage.values import Fields

SCORING = ScoringOptions(shape_weight=0, context_weight=0)
LIVE = LiveSettings(settings=Settings(scoring=SCORING))


@pytest.fixture(scope="module")
def shelved(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return slowboard.made(tmp_path_factory.mktemp("index") / "i", [8, 0, 14, 5, 9])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return slowboard.made(tmp_path_factory.mktemp("index") / "i", [6, 7], seed=3)


def opened(out: Path, shelved: Index, start: Bank | None = None, live: LiveSettings = LIVE) -> Session:
    return Session.open(out, SlowBoard(SlowShelf(shelved)), start, live)


def whole(session: Session) -> dict[str, object]:
    """All that a session shows, and its bank."""
    bank = session.bank
    return {
        "state": session.state().to_json(),
        "images": [item.to_json() for item in session.images()],
        "offers": [item.to_json() for item in session.review()],
        "verdicts": [session.verdicts(item.i) for item in session.images()],
        "bank": None if bank is None else [bank.positives.names, bank.positives.vectors.tolist()],
        "labels": None if bank is None else bank.labels.tolist(),
    }


def test_a_judged_region_is_an_exemplar(tmp_path: Path, shelved: Index) -> None:
    with opened(tmp_path, shelved, slowboard.start_bank()) as session:
        found = session.view.found
        image, row = int(found.image[0]), int(found.row[0])
        name = shelved.images[image].image.name
        label = session.bank.classes[int(found.label[0])]
        change = session.apply(Judge(name, row, "right"))
        assert change.version == session.version
        held, drawn = session.exemplar(f"{name}#{row}")
        assert (held.label, held.source, held.row) == (label, "region", row)
        vector = shelved.regions(shelved.images[image]).described.embedded.vectors[row]
        at = session.bank.positives.names.index(f"{name}#{row}")
        assert np.array_equal(session.bank.positives.vectors[at], vector)
        assert drawn is not None
        assert session.verdicts(image) == [(row, "right", label)]
        session.apply(Judge(name, row, "wrong"))
        assert f"{name}#{row}" in session.bank.negatives.names
        assert f"{name}#{row}" not in session.bank.positives.names
        session.apply(Judge(name, row, "other", "gadget"))
        assert session.verdicts(image) == [(row, "other", "gadget")]
        assert "gadget" in session.bank.classes
        saved = bankfile.load(tmp_path / "bank.safetensors")
        assert saved.positives.names == session.bank.positives.names
        assert (saved.judged.prompting, saved.judged.second_look) == ("everything", 0)


def test_without_an_example_nothing_is_found(tmp_path: Path, shelved: Index) -> None:
    with opened(tmp_path, shelved) as session:
        assert session.view is None
        assert session.bank is None
        assert session.record(0) is None
        assert session.review() == []
        session.apply(AddClass("bolt"))
        (only,) = session.state().classes
        assert (only.name, only.exemplars, only.count, only.min_score) == ("bolt", 0, 0, None)
        with pytest.raises(UsageError, match="of no class"):
            session.apply(Judge("0.png", 0, "right"))
        with pytest.raises(UsageError, match="nothing to search"):
            session.write_records([0])
        session.apply(Pick("0.png", 0, None))
        assert session.bank is None
        change = session.apply(Pick("0.png", 1, "bolt"))
        assert change.counts["bolt"][0] == 0
        assert change.counts["bolt"][1] >= 1
        assert {item.image for item in change.changed} >= {0}
        assert (tmp_path / "bank.safetensors").exists()
        session.apply(Undo())
        assert session.bank is None
        assert not (tmp_path / "bank.safetensors").exists()


def test_changes_are_those_of_the_records(tmp_path: Path, shelved: Index) -> None:
    with opened(tmp_path, shelved, slowboard.start_bank()) as session:
        before = [session.record(i) for i in range(5)]
        version = session.version
        change = session.apply(Pick("2.png", 3, "a"))
        after = [session.record(i) for i in range(5)]

        def keys(records: list) -> list[set[tuple[int, str]]]:
            return [{(d.id, d.label) for d in record.detections} for record in records]

        differ = [i for i, (a, b) in enumerate(zip(keys(before), keys(after), strict=True)) if a != b]
        assert [item.image for item in change.changed] == differ
        for item in change.changed:
            assert sum(item.before.values()) == len(before[item.image].detections)
            assert sum(item.after.values()) == len(after[item.image].detections)
        for name, (old, new) in change.counts.items():
            assert old == sum(d.label == name for r in before for d in r.detections)
            assert new == sum(d.label == name for r in after for d in r.detections)
        assert {item.i for item in session.images(version)} == {*differ, 2}
        assert len(session.images()) == 5


def test_what_is_not_there_is_refused_and_changes_nothing(tmp_path: Path, shelved: Index) -> None:
    with opened(tmp_path, shelved, slowboard.start_bank()) as session:
        before = (whole(session), (tmp_path / "verdicts.jsonl").read_bytes())
        for event, says in (
            (Judge("9.png", 0, "wrong"), "no image"),
            (Judge("0.png", 99, "wrong"), "no region 99"),
            (Pick("1.png", 0, "a"), "no region 0"),
            (Pick("0.png", 4, "a"), "no descriptor"),
            (Remove("nobody"), "no exemplar"),
            (RenameClass("z", "y"), "no class"),
            (RenameClass("a", "a"), "already"),
            (AddClass("a"), "already"),
            (SecondPass(False), "already"),
            (Undo(), "nothing to undo"),
            (Redo(), "nothing to redo"),
            (Draw("0.png", (0, 0, 5, 5), "a"), "no model"),
            (Paste("x.png", "a", "f" * 64), "cannot be read"),
            (Paste("x.png", "a", "../x"), "no drawn exemplar"),
        ):
            with pytest.raises(UsageError, match=says):
                session.apply(event)
        assert (whole(session), (tmp_path / "verdicts.jsonl").read_bytes()) == before


def test_classes_are_renamed_and_merged(tmp_path: Path, shelved: Index) -> None:
    with opened(tmp_path, shelved, slowboard.start_bank()) as session:
        session.apply(Judge("0.png", 0, "other", "b"))
        session.apply(RenameClass("b", "c"))
        assert session.bank.counts() == {"a": 2, "c": 3}
        assert session.verdicts(0) == [(0, "other", "c")]
        session.apply(RenameClass("c", "a"))
        assert session.bank.counts() == {"a": 5}
        session.apply(Undo())
        assert session.bank.counts() == {"a": 2, "c": 3}


def test_any_exemplar_can_be_taken_out(tmp_path: Path, shelved: Index) -> None:
    with opened(tmp_path, shelved, slowboard.start_bank()) as session:
        session.apply(Pick("0.png", 0, "a"))
        session.apply(Remove("p1"))
        session.apply(Remove("n0"))
        made = next(item for item in session.state().exemplars if item.name == "0.png#0")
        session.apply(Remove(made.id))
        assert session.bank.positives.names == ("p0", "p2", "p3")
        assert session.bank.negatives.names == ()
        for name in ("p0", "p2", "p3"):
            session.apply(Remove(name))
        assert session.bank is None


def test_an_exemplar_of_another_image_is_not_replaced(tmp_path: Path, shelved: Index) -> None:
    start = slowboard.start_bank()
    first = shelved.images[0].image
    for sha256, refused in ((first.sha256, False), ("f" * 64, True)):
        from dataclasses import replace

        origins = (replace(start.positives.origins[0], name="0.png#0", sha256=sha256),)
        rows = replace(start.positives, origins=(*origins, *start.positives.origins[1:]))
        with opened(tmp_path / sha256[-1], shelved, replace(start, positives=rows)) as session:
            if refused:
                with pytest.raises(UsageError, match="another picture"):
                    session.apply(Judge("0.png", 0, "wrong"))
            else:
                session.apply(Judge("0.png", 0, "wrong"))
                assert session.bank.negatives.names == ("n0", "0.png#0")


_places = st.tuples(st.sampled_from(["0.png", "1.png"]), st.integers(0, 2))
_labels = st.sampled_from(["a", "b", "c", "d"])
_any_event = st.one_of(
    st.builds(lambda p, v: Judge(*p, v), _places, st.sampled_from(["right", "wrong"])),
    st.builds(lambda p, label: Judge(*p, "other", label), _places, _labels),
    st.builds(lambda p, label: Pick(*p, label), _places, st.one_of(st.none(), _labels)),
    st.builds(Remove, st.sampled_from(["p0", "p1", "p2", "p3", "n0", "0.png#0", "1.png#1"])),
    st.builds(AddClass, _labels),
    st.builds(RenameClass, _labels, _labels),
    st.builds(SecondPass, st.booleans()),
    st.just(Undo()),
    st.just(Undo()),
    st.just(Redo()),
)


@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(_any_event, max_size=10), st.booleans())
def test_opened_again_it_is_the_same_and_all_undone_the_start(
    tmp_path_factory: pytest.TempPathFactory, small: Index, given: list[Event], begins: bool
) -> None:
    out = tmp_path_factory.mktemp("out")
    start = slowboard.start_bank() if begins else None
    with opened(out, small, start) as session:
        first = whole(session)
        for event in given:
            try:
                session.apply(event)
            except UsageError:
                continue
        last = whole(session)
    with opened(out, small, start) as session:
        assert whole(session) == last
        saved = out / "bank.safetensors"
        if session.said.second_pass is False and session.bank is not None:
            assert bankfile.load(saved).positives.names == session.bank.positives.names
        for _ in given:
            try:
                session.apply(Undo())
            except UsageError:
                break
        gone = whole(session)
        for side in (first, gone):
            for name in ("version", "redo"):
                del side["state"][name]
        assert gone == first


def test_events_are_the_same_from_json() -> None:
    every: list[Event] = [
        Judge("a.png", 1, "right", "bolt"),
        Judge("a.png", 1, "wrong"),
        Pick("a\udce4.png", 2, None),
        Draw("a.png", (1.5, 2, 3, 4), "x", "0" * 64),
        Paste("p.png", None, "1" * 64),
        Remove("a.png#1"),
        AddClass("bolt"),
        RenameClass("bolt", "screw"),
        SecondPass(True),
        Undo(),
        Redo(),
    ]
    for event in every:
        text = json.dumps(events.to_json(event), ensure_ascii=True)
        assert events.from_json(Fields.of(json.loads(text))) == event
    for bad in (
        {"kind": "jump"},
        {"kind": "judge", "image": "a", "row": -1, "verdict": "right"},
        {"kind": "judge", "image": "a", "row": 1, "verdict": "maybe"},
        {"kind": "judge", "image": "a", "row": 1, "verdict": "other"},
        {"kind": "judge", "image": "a", "row": 1, "verdict": "wrong", "label": "x"},
        {"kind": "pick", "image": "a", "row": 1, "label": "two\nlines"},
        {"kind": "draw", "image": "a", "box": [1, 2, 1, 4]},
        {"kind": "draw", "image": "a", "box": [1, 2, 3]},
        {"kind": "add_class", "label": ""},
        {"kind": "second_pass", "on": 1},
        {},
    ):
        with pytest.raises(ValueError, match=r"."):
            events.from_json(Fields.of(bad))


class Models:
    """Hands that take the first region of an image for what is in a box."""

    def __init__(self, shelved: Index) -> None:
        self.shelved, self.count = shelved, 0

    def draw(self, image: object, box: object) -> Drawn:
        from searchdet.live.exemplars import of_region

        self.count += 1
        return of_region(SlowShelf(self.shelved).regions(0, np.asarray([0])), 0, "0" * 64, JUDGED)

    def paste(self, name: str, data: bytes, label: str | None, bank: Bank | None) -> Drawn:
        from dataclasses import replace

        return replace(self.draw(None, None), picture=data)


def test_a_box_and_a_picture_need_their_models_once(tmp_path: Path, shelved: Index) -> None:
    hands = Models(shelved)
    live = LiveSettings(settings=Settings(scoring=SCORING), hands=hands)
    with opened(tmp_path, shelved, live=live) as session:
        session.draw("0.png", (0, 0, 6, 6), "bolt")
        session.paste("a/b.png", b"one", "bolt")
        session.paste("a/b.png", b"two", None)
        session.apply(Draw("0.png", (0, 0, 6, 6), "nut"))
        names = [item.name for item in session.state().exemplars]
        sources = [item.source for item in session.state().exemplars]
        assert sources == ["paste", "paste", "box"]
        assert names[0] == "pasted/a-b.png"
        assert names[1].endswith("-a-b.png")
        assert names[2].startswith("0.png#box-")
        assert session.exemplar(names[1])[1].picture == b"two"
        last = whole(session)
    with opened(tmp_path, shelved) as session:
        assert whole(session) == last
    assert hands.count == 4
    (path,) = [p for p in (tmp_path / "drawn").iterdir() if b"two" in p.read_bytes()]
    path.write_bytes(path.read_bytes().replace(b"two", b"six"))
    with pytest.raises(UsageError, match=r"line 4: .*drawn"):
        opened(tmp_path, shelved)


def test_a_torn_line_is_cut_off_and_said(
    tmp_path: Path, shelved: Index, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path, shelved, slowboard.start_bank()) as session:
        session.apply(Pick("0.png", 0, "a"))
        first = whole(session)
        session.apply(Pick("0.png", 1, "a"))
    path = tmp_path / "verdicts.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    with caplog.at_level(logging.WARNING), opened(tmp_path, shelved, slowboard.start_bank()) as session:
        assert whole(session) == first
    assert "is not whole and is cut off" in caplog.text
    caplog.clear()
    with opened(tmp_path, shelved, slowboard.start_bank()) as session:
        assert whole(session) == first
    assert not caplog.text
    path.write_bytes(data[:5])
    with opened(tmp_path, shelved, slowboard.start_bank()) as session:
        assert session.state().undo is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"row": 1', b'"row": 77', "line 3: 0.png: has no region 77"),
        (b'"image": "0.png", "row": 1', b'"image": "7.png", "row": 1', "line 3: 7.png.*not among"),
        (b'"n": 2', b'"n": 3', "line 3: its number is 3"),
        (b'"kind": "pick", "image": "0.png", "row": 1', b'"kind": "skip"', "line 3: there is no event"),
        (b"searchdet.verdicts/2", b"searchdet.verdicts/9", "line 1: its schema"),
        (b'"backbone": "x"', b'"backbone": "y"', "other models"),
        (b'"tile": 0', b'"tile": 512', "other models"),
        (b'"row": 1, ', b'"row": 2, ', "line 3: 0.png: region 2 is not that"),
        (b'{"n": 1,', b'{"n": 1', "line 2: "),
    ],
)
def test_another_damage_is_named_with_its_line(
    tmp_path: Path, shelved: Index, old: bytes, new: bytes, says: str
) -> None:
    with opened(tmp_path, shelved, slowboard.start_bank()) as session:
        session.apply(Pick("0.png", 0, "a"))
        session.apply(Pick("0.png", 1, "a"))
    path = tmp_path / "verdicts.jsonl"
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(UsageError, match=says) as caught:
        opened(tmp_path, shelved, slowboard.start_bank())
    assert caught.value.hint
    assert "verdicts.jsonl" in caught.value.message


def test_an_image_that_changed_is_named(tmp_path: Path, shelved: Index) -> None:
    with opened(tmp_path, shelved) as session:
        session.apply(Pick("2.png", 0, "a"))
    path = tmp_path / "verdicts.jsonl"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"sha256": "000', b'"sha256": "100'))
    with pytest.raises(UsageError, match=r"line 2: 2\.png: is another image"):
        opened(tmp_path, shelved)
    path.write_bytes(data)
    image = tmp_path / "2.png"
    board = SlowBoard(SlowShelf(shelved, 1))
    with pytest.raises(UsageError, match=r"line 2: 2\.png: was judged, and is not among"):
        Session.open(tmp_path, board, None, LIVE)
    live = LiveSettings(settings=Settings(scoring=SCORING), paths={"2.png": image}, coming=["2.png"])
    with pytest.raises(UsageError, match=r"line 2: .*cannot be read"):
        Session.open(tmp_path, board, None, live)
    image.write_bytes(b"another")
    with pytest.raises(UsageError, match=r"line 2: 2\.png: is another image"):
        Session.open(tmp_path, board, None, live)


def test_images_come_while_it_is_open(tmp_path: Path, shelved: Index) -> None:
    shelf = SlowShelf(shelved, 1)
    session = Session.open(tmp_path / "one", SlowBoard(shelf), slowboard.start_bank(), LIVE)
    session.expect(5)
    session.apply(SecondPass(True))
    state = session.state()
    assert (state.done, state.total) == (1, 5)
    for _ in range(4):
        before = session.version
        shelf.add()
        session.added()
        assert session.version > before
        assert len(shelf.images) - 1 in {item.i for item in session.images(before)}
    session.fail("x.png", "decode", "cannot be decoded.")
    assert session.state().to_json()["failed"] == [
        {"name": "x.png", "code": "decode", "message": "cannot be decoded."}
    ]
    with opened(tmp_path / "two", shelved, slowboard.start_bank()) as other:
        other.apply(SecondPass(True))
        assert [i.counts for i in session.images()] == [i.counts for i in other.images()]
    session.close()


def test_the_quick_board_shows_the_same(tmp_path: Path, shelved: Index) -> None:
    quick = Session.open(
        tmp_path / "one", Board(Shelf.of(shelved)), slowboard.start_bank(negatives=2), LIVE
    )
    slow = opened(tmp_path / "two", shelved, slowboard.start_bank(negatives=2))
    with quick, slow:
        for event in (
            Judge("0.png", 1, "other", "c"),
            Pick("2.png", 3, "a"),
            Judge("4.png", 0, "wrong"),
            RenameClass("b", "a"),
            SecondPass(True),
            Undo(),
            Undo(),
            Remove("p0"),
        ):
            pair = [session.apply(event).to_json() for session in (quick, slow)]
            assert pair[0] == pair[1]
            states = [whole(session) for session in (quick, slow)]
            for state in states:
                del state["state"]["command"]
                for item in state["offers"]:
                    item["score"] = round(item["score"], 4)
            assert states[0] == states[1]


def test_a_folder_has_one_session(tmp_path: Path, shelved: Index) -> None:
    with opened(tmp_path, shelved), pytest.raises(UsageError, match="another process"):
        opened(tmp_path, shelved)
    opened(tmp_path, shelved).close()


def test_a_full_disk_loses_no_event_that_counted(
    tmp_path: Path, shelved: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    with opened(tmp_path, shelved, slowboard.start_bank()) as session:
        session.apply(Pick("0.png", 0, "a"))
        before = whole(session)
        with monkeypatch.context() as patch:

            def full(_: int) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr(os, "fsync", full)
            with pytest.raises(OutputError, match="No space left"):
                session.apply(RenameClass("a", "z"))
        assert whole(session) == before
        with pytest.raises(OutputError, match="was not written whole"):
            session.apply(RenameClass("a", "z"))
    with opened(tmp_path, shelved, slowboard.start_bank()) as session:
        assert whole(session) == before


def test_limits_of_classes_that_are_not_there_yet_wait(tmp_path: Path, shelved: Index) -> None:
    scoring = ScoringOptions(shape_weight=0, context_weight=0, class_min_score=(("c", 0.9),))
    live = LiveSettings(settings=Settings(scoring=scoring))
    with opened(tmp_path, shelved, slowboard.start_bank(), live) as session:
        session.apply(Pick("0.png", 0, "c"))
        state = {item.name: item.min_score for item in session.state().classes}
        assert state["c"] == 0.9
        assert state["a"] < 0.9


def test_limits_of_classes_go_with_them(
    tmp_path: Path, shelved: Index, caplog: pytest.LogCaptureFixture
) -> None:
    own = {"class_min_score": (("a", 0.9), ("b", 0.8)), "class_min_margin": (("a", 0.3),)}
    live = LiveSettings(Settings(scoring=ScoringOptions(shape_weight=0, context_weight=0, **own)))
    start = slowboard.start_bank()

    def acting(session: Session) -> tuple[dict[str, float], dict[str, float]]:
        scoring = session.judge.rule.scoring
        return dict(scoring.class_min_score), dict(scoring.class_min_margin)

    with opened(tmp_path, shelved, start, live) as session:
        session.apply(RenameClass("a", "c"))
        assert acting(session) == ({"c": 0.9, "b": 0.8}, {"c": 0.3})
        assert {item.name: item.min_score for item in session.state().classes}["c"] == 0.9
        words = "--class-min-score c=0.9 --class-min-score b=0.8 --class-min-margin c=0.3"
        assert f" {words} " in session.state().command
        assert not caplog.records
        session.apply(RenameClass("c", "b"))  # has a score of its own, and no margin
        after = ({"b": 0.8}, {"b": 0.3})
        assert acting(session) == after
        (warned,) = caplog.messages
        assert warned.startswith("--class-min-score c=0.9 acts no more")
        session.apply(Undo())
        assert acting(session) == ({"c": 0.9, "b": 0.8}, {"c": 0.3})
        session.apply(Redo())
        assert acting(session) == after
        assert len(caplog.records) == 2
    caplog.clear()
    with opened(tmp_path, shelved, start, live) as session:  # given again, it acts as little
        assert acting(session) == after
        assert len(caplog.records) == 1


def test_a_limit_comes_with_a_class_that_has_no_exemplar(tmp_path: Path, shelved: Index) -> None:
    scoring = ScoringOptions(shape_weight=0, context_weight=0, class_min_score=(("c", 0.9),))
    with opened(
        tmp_path, shelved, slowboard.start_bank(), LiveSettings(Settings(scoring=scoring))
    ) as session:
        session.apply(AddClass("c"))
        assert "--class-min-score" not in session.state().command  # which detect would refuse
        session.apply(RenameClass("c", "a"))
        assert {item.name: item.min_score for item in session.state().classes}["a"] == 0.9


def test_a_start_that_is_another_is_named_with_the_line(tmp_path: Path, shelved: Index) -> None:
    with opened(tmp_path, shelved, slowboard.start_bank()) as session:
        session.apply(Remove("n0"))
        session.apply(RenameClass("b", "c"))
    for start, says in (
        (slowboard.start_bank(negatives=0), "line 2: there is no exemplar 'n0'"),
        (slowboard.start_bank(("a",)), "line 3: there is no class 'b'"),
    ):
        with pytest.raises(UsageError, match=says) as caught:
            opened(tmp_path, shelved, start)
        assert "other examples" in caught.value.hint


def test_undo_names_the_image_of_what_it_takes_back(tmp_path: Path, shelved: Index) -> None:
    with opened(tmp_path, shelved) as session:
        session.apply(Pick("0.png", 0, None))
        session.apply(Pick("3.png", 0, None))
        for event in (Undo(), Redo()):
            version = session.version
            session.apply(event)
            assert [item.i for item in session.images(version)] == [3]


def test_a_bank_of_no_session_is_not_written_over(tmp_path: Path, small: Index) -> None:
    bankfile.save(slowboard.start_bank(), tmp_path / "bank.safetensors")
    before = (tmp_path / "bank.safetensors").read_bytes()
    with pytest.raises(UsageError, match="is of no session"):
        opened(tmp_path, small)
    assert (tmp_path / "bank.safetensors").read_bytes() == before
    assert not (tmp_path / "verdicts.jsonl").exists()


def test_what_is_asked_and_what_was_said_is_in_the_record(tmp_path: Path, shelved: Index) -> None:
    """Also where others are better than all that fit in."""
    few = Settings(scoring=SCORING, suppression=SuppressionOptions(max_masks=2))
    with opened(tmp_path, shelved, slowboard.start_bank(), LiveSettings(settings=few)) as session:
        asked = [(item.i, item.row) for item in session.review()]
        assert len(asked) > 4
        for image, row in asked:
            assert row in {item.id for item in session.record(image).candidates}
        image, row = asked[0]
        session.apply(Judge(shelved.images[image].image.name, row, "wrong"))
        assert row not in {item.row for item in session.review() if item.i == image}
        assert row in {item.id for item in session.record(image).candidates}


def test_the_last_word_on_a_region_counts(tmp_path: Path, shelved: Index) -> None:
    """Also where the bank to begin with has the region under another name."""
    from dataclasses import replace

    from searchdet.bank.types import extended
    from searchdet.live.exemplars import of_region

    known = of_region(
        SlowShelf(shelved).regions(0, np.asarray([1])), 0, shelved.images[0].image.content, JUDGED
    )
    rows = replace(known.rows, origins=(replace(known.origin, name="old/0.png#1"),))
    start = extended(slowboard.start_bank(), rows, ["b"])

    def found(session: Session) -> dict[tuple[int, int], int]:
        view = session.view.found
        return dict(
            zip(zip(view.image.tolist(), view.row.tolist(), strict=True), view.label, strict=True)
        )

    with opened(tmp_path, shelved, start) as session:
        assert found(session)[0, 1] == 1
        session.apply(Judge("0.png", 1, "other", "a"))
        assert found(session)[0, 1] == 0
        session.apply(Judge("0.png", 1, "wrong"))
        assert (0, 1) not in found(session)
