"""Parts of the server by themselves."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import served
import slowboard

from searchdet.bank import Bank
from searchdet.bank.types import JUDGED
from searchdet.commands.serve import _tell
from searchdet.config import (
    BackboneOptions,
    Limits,
    ProposalOptions,
    ScanOptions,
    ScoringOptions,
    Settings,
)
from searchdet.errors import ImageError, ResourceError
from searchdet.images import Query
from searchdet.live import LiveSettings, Session
from searchdet.live.events import SecondPass
from searchdet.live.exemplars import Drawn, of_region
from searchdet.proposals.regions import RegionProposer
from searchdet.serve import desk
from searchdet.serve.bridged import SessionExemplars
from searchdet.serve.changes import Changes
from searchdet.serve.opening import _warn_of_names
from searchdet.serve.pictures import Kept
from searchdet.serve.stream import Broadcast
from searchdet.serve.words import words_of
from searchdet.serve.work import Work


def test_what_is_asked_for_goes_before_the_next_step() -> None:
    done: list[str] = []
    first, go = threading.Event(), threading.Event()

    def slow() -> None:
        first.set()
        go.wait(30)
        done.append("slow")

    work = Work([slow, lambda: done.append("last")])
    work.start()
    assert first.wait(30)
    asked = threading.Thread(target=work.ask, args=(lambda: done.append("asked"),))
    asked.start()
    while not work._asked:
        pass
    go.set()
    asked.join(30)
    assert work.finished(30)
    assert done == ["slow", "asked", "last"]
    assert work.stop(30)


def test_who_asks_gets_the_error_and_the_work_goes_on() -> None:
    work = Work()
    work.start()

    def broken() -> None:
        raise ImageError("decode", "no picture")

    with pytest.raises(ImageError, match="no picture"):
        work.ask(broken)
    assert work.ask(lambda: 7) == 7
    work.check()
    assert work.stop(30)
    with pytest.raises(ResourceError, match="the program ends"):
        work.ask(lambda: 7)


def test_who_waits_while_the_program_ends_is_told() -> None:
    started, go = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        go.wait(30)

    work = Work([slow])
    work.start()
    assert started.wait(30)
    told: list[str] = []

    def ask() -> None:
        try:
            work.ask(lambda: 7)
        except ResourceError as error:
            told.append(error.message)

    asked = threading.Thread(target=ask)
    asked.start()
    while not work._asked:
        pass
    assert not work.stop(0)
    asked.join(30)
    assert told == ["the program ends."]
    go.set()
    assert work.stop(30)


def test_a_step_that_breaks_is_raised_by_the_main_thread() -> None:
    def broken() -> None:
        raise ResourceError("the disk is full")

    work = Work([broken])
    work.start()
    assert work.finished(30)
    with pytest.raises(ResourceError, match="the disk is full"):
        work.check()


def test_pictures_are_kept_up_to_a_number_of_bytes() -> None:
    made: list[int] = []

    def make(number: int) -> bytes:
        made.append(number)
        return bytes(40)

    kept = Kept(100)
    for number in (1, 2, 1, 3, 1, 2):
        assert kept.of(number, lambda number=number: make(number)) == bytes(40)
    assert made == [1, 2, 3, 2]
    assert kept.size == 80
    kept.put(9, bytes(500))  # larger than all of it: alone
    assert kept.size == 500


def test_the_command_that_finds_the_same_has_every_option_that_was_given() -> None:
    settings = Settings(
        backbone=BackboneOptions("filterbank", feat_short_side=128),
        scoring=ScoringOptions(class_min_score=(("red", 0.25),), second_look=0),
        max_pixels=150_000_001,
    )
    assert words_of(["in/images"], ScanOptions(recursive=True), settings) == (
        *("in/images", "--recursive", "--backbone", "filterbank", "--feat-short-side", "128"),
        *("--max-pixels", "150000001"),
    )  # limits of classes follow these, so a session says them
    named = replace(settings, proposals=ProposalOptions(scored_masks=2500))
    assert "--scored-masks 2500" in " ".join(words_of(["in"], ScanOptions(), named))
    live = LiveSettings(words=("in",))
    limits = Limits(class_min_score=(("a b", 0.25), ("c", 0.5)), class_min_margin=(("a b", -0.1),))
    bank = slowboard.start_bank(("a b", "d"))
    own = "--class-min-score 'a b=0.25' --class-min-margin 'a b=-0.1'"
    command = live.command(Path("out"), limits, bank)
    assert command == f"searchdet detect in {own} --bank out/bank.safetensors"
    assert live.command(Path("out"), limits, None) == ""  # nothing that could be run yet
    assert words_of(["-", "-a.png"], ScanOptions(), Settings()) == ("-", "./-a.png")


def test_one_image_is_said_as_one(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for done, said in ((1, "1 image is described."), (2, "2 images are described.")):
        assert _tell(SimpleNamespace(done=done, failed=0, total=done))
        assert capsys.readouterr().err == f"{said}\n"
    info = SimpleNamespace(image=SimpleNamespace(name="a.png"))
    _warn_of_names([info], [])
    _warn_of_names([], [Query(Path("b.png"), "b.png"), Query(Path("c.png"), "c.png")])
    assert [item.getMessage() for item in caplog.records] == [
        "1 image of the index was not named, and has no picture. Name the folder too (a.png).",
        "2 images are not in the index, and not judged. Make it again with all (b.png, c.png).",
    ]


class Noting:
    """Hands that note beside which exemplars they are to look."""

    def __init__(self, drawn: Drawn) -> None:
        self.drawn = drawn
        self.beside: list[Bank | None] = []

    def draw(self, image: object, box: object) -> Drawn:
        return self.drawn

    def paste(self, name: str, data: bytes, label: str | None, bank: Bank | None) -> Drawn:
        self.beside.append(bank)
        return self.drawn


def test_objects_are_looked_for_beside_what_persons_gave_alone(tmp_path: Path) -> None:
    shelf = slowboard.SlowShelf(slowboard.made(tmp_path / "i", [8, 0, 14, 5, 9]))
    board, start = slowboard.SlowBoard(shelf), slowboard.start_bank()
    hands = Noting(of_region(shelf.regions(0, np.asarray([0])), 0, "0" * 64, JUDGED))
    with Session.open(tmp_path / "out", board, start, LiveSettings()) as session:
        session.apply(SecondPass(True))
        assert any(name.startswith("pseudo/") for name in session.bank.positives.names)
        apply = lambda event: session.apply(event).to_json()  # noqa: E731
        desk: Any = SimpleNamespace(lock=threading.RLock(), session=session, apply=apply)
        Changes(desk, hands)._pasted("a.png", b"", "a", None)
        assert [bank.positives.names for bank in hands.beside] == [start.positives.names]
        taught = SessionExemplars(desk).saved  # beside which what bridges are taught is looked for
        assert taught.positives.names == (*start.positives.names, "pasted/a.png")


@pytest.mark.model
def test_images_that_cannot_be_used_are_said_and_the_others_are_judged(
    cold_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cold_world / "in/images/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    real = RegionProposer.propose

    def propose(self: RegionProposer, image: np.ndarray, promise: Any = None) -> Any:
        if int(image[60, 40, 0]) < 100 and int(image[60, 100, 0]) < 100:  # none.png
            raise RuntimeError("a bug")
        return real(self, image, promise)

    monkeypatch.setattr(RegionProposer, "propose", propose)
    with served.serving(served.job(cold_world / "in/images", cold_world / "out")) as made:
        state = made.asker.get("/api/state")
        assert (state["done"], state["total"]) == (2, 4)
        failed = {item["name"]: item for item in state["failed"]}
        assert failed.keys() == {"broken.png", "none.png"}
        assert failed["none.png"]["code"] == "internal"
        assert "a bug" not in failed["none.png"]["message"]
        assert [item["name"] for item in made.asker.get("/api/images")["images"]] == [
            "a.png",
            "deep/a.png",
        ]


@pytest.mark.model
def test_pages_hear_of_the_last_image_where_one_before_it_cannot_be_used(
    cold_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cold_world / "in/images/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    told: list[int] = []
    real = Broadcast.tell

    def tell(self: Broadcast, event: str, data: Any) -> None:
        if event == "state":
            told.append(data["version"])
        real(self, event, data)

    monkeypatch.setattr(Broadcast, "tell", tell)
    monkeypatch.setattr(desk, "PAUSE", 1e9)  # nothing is said but of the first image and the last
    with served.serving(served.job(cold_world / "in/images", cold_world / "out")) as made:
        assert made.desk.session.images()[-1].name == "none.png"
        assert told[-1] == made.asker.get("/api/state")["version"]


@pytest.mark.model
def test_after_its_end_nothing_changes_a_session(cold_world: Path) -> None:
    with served.serving(served.job(cold_world / "in/images", cold_world / "out")) as made:
        desk = made.desk
    before = (cold_world / "out/verdicts.jsonl").read_bytes()
    from searchdet.live.events import AddClass

    with pytest.raises(ResourceError, match="the program ends"):
        desk.apply(AddClass("late"))
    assert (cold_world / "out/verdicts.jsonl").read_bytes() == before
    assert sorted(path.name for path in (cold_world / "out").iterdir()) == [
        "session.lock",
        "verdicts.jsonl",
    ]
