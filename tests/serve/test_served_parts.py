"""A session that knows good parts: without an example and with some it finds what ``detect`` finds."""

from __future__ import annotations

import base64
import json
import logging
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import served
from surfaces import write_parts
from typer.testing import CliRunner, Result

from searchdet.bank import file as bankfile
from searchdet.cli import app
from searchdet.config import (
    BackboneOptions,
    NormalityOptions,
    ProposalOptions,
    ScoringOptions,
    Settings,
    StartExamples,
)
from searchdet.errors import UsageError
from searchdet.integrations.sources import Sources
from searchdet.records import ImageRecord, read_record
from searchdet.serve.opening import Job

pytestmark = pytest.mark.model
MODELS = ("--backbone", "filterbank")
VIEWS = ("--normal-views", "none")
NAMES = ("20.png", "clean.png")
QUICK = Settings(
    backbone=BackboneOptions("filterbank"),
    proposals=ProposalOptions(scored_masks=60),
    normality=NormalityOptions(views="none"),
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Surfaces with defects, good parts and examples; not to be changed."""
    return write_parts(tmp_path_factory.mktemp("parts"), few=True)


@pytest.fixture
def here(parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEARCHDET_SCORED_MASKS")
    for name in ("good", "test", "positive"):
        Path(name).symlink_to(parts / name)
    return tmp_path


def call(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, done.output
    log = logging.getLogger("searchdet")  # as before the command took it to its own stderr
    log.propagate, log.handlers = True, []
    return done


def job(index: str | None = None, settings: Settings = QUICK, **examples: str) -> Job:
    given = StartExamples(**{name: Path(path) for name, path in examples.items()})
    made = served.job(Path("test"), Path("out").absolute(), given if examples else None)
    return replace(made, settings=settings, index=None if index is None else Path(index))


def as_detect_finds_it(made: served.Served) -> list[ImageRecord]:
    """The records of a session, which are those of the command that it prints."""
    made.desk.session.write_records(range(made.desk.done))
    words = shlex.split(made.asker.get("/api/state")["command"])
    call(*words[1:], *MODELS, "-o", "again", "--save", "none", "--overwrite")
    for name in NAMES:
        one, two = (Path(out, "records", f"{name}.json") for out in ("out", "again"))
        assert one.read_bytes() == two.read_bytes(), name
    shown = {item["name"]: item["counts"] for item in made.asker.get("/api/images")["images"]}
    records = [read_record(Path("out/records") / f"{name}.json") for name in NAMES]
    for record in records:
        assert sum(shown[record.image].values()) == len(record.detections)
    return records


def judged(made: served.Served, record: ImageRecord, verdict: str, label: str | None = None) -> int:
    """What was said of the best detection of an image; its row."""
    row = record.detections[0].id
    event = {"kind": "judge", "image": record.image, "row": row, "verdict": verdict, "label": label}
    assert made.asker.send({k: v for k, v in event.items() if v is not None})[0] == 200
    return row


def by_bridge(made: served.Served) -> set[float]:
    """The probabilities of what a bridge finds in 20.png."""
    image = base64.b64encode(Path("test/20.png").read_bytes()).decode()
    sent = json.dumps({"model": "searchdet", "image": image}).encode()
    _, _, body = made.asker.ask("/v1/predict", sent, Content_Type="application/json")
    return {item["score"] for item in json.loads(body)["data"]["shapes"]}


def picked(made: served.Served) -> None:
    """A region of 20.png becomes an example."""
    x0, y0, x1, y1 = made.desk.shelf.regions(0).proposals.boxes[0].tolist()
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    row = made.asker.get(f"/api/images/0/at?x={x}&y={y}")["regions"][0]["row"]
    pick = {"kind": "pick", "image": "20.png", "row": row, "label": "thing"}
    assert made.asker.send(pick)[0] == 200


def warned(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    """What was said with these words, and then is forgotten."""
    found = [item.getMessage() for item in caplog.records if words in item.getMessage()]
    caplog.clear()
    return found


def test_good_parts_alone_then_a_wrong_one_then_a_right_one(here: Path) -> None:
    with served.serving(job(normal="good"), sources=Sources()) as made:
        state = made.asker.get("/api/state")
        (known,) = state["classes"]
        assert (known["name"], known["exemplars"], known["min_score"]) == ("defect", 0, 0.5)
        assert state["exemplars"] == []
        first, clean = as_detect_finds_it(made)
        assert first.detections
        assert {item.label for item in first.detections} == {"defect"}
        assert not clean.detections
        assert first.run is not None
        assert first.run.normality is not None
        assert first.run.normality.images == 3
        assert [record.proposals.details["top_percent_millideviations"] for record in (first, clean)]
        assert by_bridge(made) == {item.probability for item in first.detections}
        head = made.asker.get("/api/images/0")["head"]
        assert "alone" in json.dumps(head), "the page says that how unusual it is is the score"
        assert made.asker.get("/api/review?count=9")["items"]

        gone = judged(made, first, "wrong")
        again, _ = as_detect_finds_it(made)
        assert {d.id for d in first.detections} - {gone} <= {d.id for d in again.detections}
        assert gone not in {d.id for d in again.detections}
        flags = {item.id: item.flags for item in again.candidates}
        assert "told" in flags[gone]
        assert "on_wrong" not in flags[gone]
        others = [item for item in again.candidates if "on_wrong" in item.flags]
        assert others, "outlines within it go too"
        assert max(item.score or 0 for item in others) < -2
        saved = bankfile.load(here / "out/bank.safetensors")
        assert saved.by_normality
        assert len(saved.negatives) == 1

        judged(made, first, "right")
        (known,) = made.asker.get("/api/state")["classes"]
        assert (known["name"], known["exemplars"]) == ("defect", 1)
        third = as_detect_finds_it(made)[0]
        assert third.run is not None
        assert third.run.exemplars.positive == 1
        assert third.run.normality == first.run.normality
        for _ in range(2):
            assert made.asker.send({"kind": "undo"})[0] == 200
        assert as_detect_finds_it(made)[0].detections == first.detections


def test_with_examples_the_score_has_the_term(here: Path) -> None:
    settings = replace(QUICK, scoring=ScoringOptions(normal_weight=0.5))
    with served.serving(job(None, settings, normal="good", positive="positive")) as made:
        found = as_detect_finds_it(made)
        assert {item.label for record in found for item in record.detections} == {"pit"}
        assert found[0].run is not None
        assert found[0].run.normality is not None
        assert found[0].run.normality.tile_by == "exemplar"
        judged(made, next(record for record in found if record.detections), "right")
        as_detect_finds_it(made)
    words = ("--positive", "positive", "--normal", "good", *VIEWS, "--scored-masks", "60")
    call("detect", "test", *words, *MODELS, "--normal-weight", "0.5", "--save", "none", "-o", "plain")
    for record in found:
        theirs = read_record(Path("plain/records") / f"{record.image}.json")
        assert [(d.id, d.score) for d in theirs.detections] == [
            (d.id, d.score) for d in record.detections
        ]


def test_over_an_index_it_takes_what_that_knows(here: Path) -> None:
    call("index", "test", "-o", "idx", *MODELS, "--normal", "good", *VIEWS)
    with served.serving(job("idx")) as made:
        first = as_detect_finds_it(made)[0]
        assert first.detections
        judged(made, first, "right", "scratch")
        as_detect_finds_it(made)
    call("bank", "build", "--normal", "good", *MODELS, "-o", "b.safetensors")
    refused = pytest.raises(UsageError, match="other good parts than those of --bank")
    with refused, served.serving(job("idx", bank="b.safetensors")):  # which saw turned views too
        pass


def test_a_bank_tells_it_too(here: Path) -> None:
    call("bank", "build", "--normal", "good", *VIEWS, *MODELS, "-o", "b.safetensors")
    settings = replace(QUICK, proposals=ProposalOptions())
    with served.serving(job(None, settings, bank="b.safetensors")) as made:
        assert as_detect_finds_it(made)[0].detections
    call("detect", "test", "--bank", "b.safetensors", *MODELS, "--save", "none", "-o", "plain")
    theirs = read_record(Path("plain/records/20.png.json"))
    ours = read_record(Path("out/records/20.png.json"))
    assert theirs.detections == ours.detections


def test_each_image_as_its_own_measure_waits_for_an_example(here: Path) -> None:
    settings = replace(QUICK, normality=NormalityOptions(by_image=True))
    with served.serving(job(None, settings)) as made:
        assert made.asker.get("/api/state")["classes"] == []
        picked(made)
        found = as_detect_finds_it(made)[0]
        assert found.run is not None
        assert found.run.normality is not None
        assert found.run.normality.method == "image"


def test_a_session_goes_on_with_the_same_good_parts_alone(here: Path) -> None:
    with served.serving(job(normal="good")) as made:
        judged(made, as_detect_finds_it(made)[0], "wrong")
        rename = {"kind": "rename_class", "label": "defect", "to": "pit"}
        status, said = made.asker.send(rename)
        assert status == 400
        assert "has no example yet" in json.dumps(said)
        assert made.asker.send({"kind": "second_pass", "on": True})[0] == 200
    with served.serving(job(normal="good")) as made:
        assert made.asker.get("/api/state")["review"]["judged"] == 1
        as_detect_finds_it(made)
    with pytest.raises(UsageError, match="good parts are others"), served.serving(job()):
        pass


def test_what_good_parts_do_not_show_is_no_class_to_rename(here: Path) -> None:
    with served.serving(job(normal="good")) as made:
        made.asker.send({"kind": "add_class", "label": "defect"})
        status, said = made.asker.send({"kind": "rename_class", "label": "defect", "to": "pit"})
        assert status == 400
        assert "has no example yet" in json.dumps(said)
        assert [item["name"] for item in made.asker.get("/api/state")["classes"]] == ["defect"]


def test_sizes_wait_for_an_example(here: Path) -> None:
    settings = replace(QUICK, scoring=ScoringOptions(scale="same"))
    with served.serving(job(normal="good", settings=settings)) as made:
        first = as_detect_finds_it(made)[0]
        judged(made, first, "right")
        assert as_detect_finds_it(made)[0].best_sizes == {"defect": 1}


def test_bridges_weigh_as_the_page_does_before_any_bank_says_what_is_normal(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(
        QUICK, normality=NormalityOptions(by_image=True), scoring=ScoringOptions(normal_weight=0.5)
    )
    with served.serving(job(None, settings), sources=Sources()) as made:
        picked(made)
        shown = as_detect_finds_it(made)[0].detections
        assert len(shown) > 1
        assert by_bridge(made) == {item.probability for item in shown}
    assert not warned(caplog, "Not used")


def test_what_is_named_is_printed_where_the_default_would_give_way(here: Path) -> None:
    settings = replace(QUICK, scoring=ScoringOptions(shape_weight=0.6))
    with served.serving(job(None, settings, normal="good", positive="positive")) as made:
        assert "--shape-weight 0.6" in made.asker.get("/api/state")["command"]
        as_detect_finds_it(made)


def test_over_an_index_other_masks_are_said_and_nothing_that_nobody_gave(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    call("index", "test", "-o", "idx", *MODELS, "--normal", "good", *VIEWS)
    with served.serving(job("idx", Settings()), sources=Sources()):
        assert not warned(caplog, "Not used")
    named = Settings(proposals=ProposalOptions(scored_masks=2500))
    with served.serving(job("idx", named)):
        (said,) = warned(caplog, "was made with other options")
        assert "--scored-masks 2500 (the index has 600)" in said
    shutil.rmtree("out")
    more = ("--scored-masks", "2500")
    call("index", "test/clean.png", "-o", "idx", *MODELS, "--normal", "good", *VIEWS, *more)
    with served.serving(job("idx", Settings())) as made:
        assert " ".join(more) in made.asker.get("/api/state")["command"]
    assert not warned(caplog, "was made with other options")


@pytest.mark.parametrize("indexed", [False, True])
def test_what_waits_for_an_example_is_said_once(
    here: Path, caplog: pytest.LogCaptureFixture, indexed: bool
) -> None:
    settings = replace(QUICK, scoring=ScoringOptions(threshold="training"))
    made_of = job(None, settings, normal="good")
    if indexed:
        call("index", "test", "-o", "idx", *MODELS, "--normal", "good", *VIEWS, "--scored-masks", "60")
        made_of = job("idx", settings)
    with served.serving(made_of, sources=Sources()) as made:
        assert warned(caplog, "Not used") == [
            "Not used, as there are no examples: --threshold training."
        ]
        judged(made, as_detect_finds_it(made)[0], "wrong")
        caplog.clear()  # what the command said
        assert by_bridge(made)
        assert not warned(caplog, "Not used")
