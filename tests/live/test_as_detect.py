"""What a session shows is what detect finds with its bank; and what it writes is what detect writes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import scenes
from PIL import Image
from slowboard import SlowBoard, SlowShelf
from typer.testing import CliRunner, Result

from searchdet.bank import file as bankfile
from searchdet.cli import app
from searchdet.config import Examples, Settings
from searchdet.config.models import BackboneOptions, ProposalOptions
from searchdet.index import file as index
from searchdet.live.events import Judge, Pick
from searchdet.live.hands import ModelHands
from searchdet.live.session import Session
from searchdet.live.settings import LiveSettings
from searchdet.records import ImageRecord, read_record

pytestmark = pytest.mark.model


def run(*words: str) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.stderr
    return result


def detections(record: ImageRecord) -> list[tuple[object, ...]]:
    return [(d.id, d.label, d.score, d.bbox, d.segmentation) for d in record.detections]


def make_scenes(count: int) -> list[str]:
    """Images in/0.png and so on, small; their names."""
    Path("in").mkdir()
    names = []
    for i in range(count):
        scene = scenes.make_scene(40 + i, size=128, count=(4, 6), palette=scenes.COLOURS)
        names.append(f"{i}.png")
        Image.fromarray(scene.image).save(f"in/{i}.png")
    return names


def opened(names: list[str], backbone: str, out: str = "out") -> Session:
    shelf = SlowShelf(index.load(Path("idx")))
    paths = {name: Path("in") / name for name in names}
    cache = Path(os.environ["SEARCHDET_CACHE"])
    settings = Settings(BackboneOptions(backbone), ProposalOptions("regions"), cache=cache)
    hands = ModelHands(settings, shelf.space, paths)
    live = LiveSettings(settings, paths, words=("in",), hands=hands)
    return Session.open(Path(out), SlowBoard(shelf), None, live)


@pytest.mark.parametrize("backbone", ["filterbank", "embedded"])
def test_detect_with_the_saved_bank_finds_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: str
) -> None:
    monkeypatch.chdir(tmp_path)
    names = make_scenes(2)
    by = ("--backbone", backbone, "--proposals", "regions")
    run("index", "in", "-o", "idx", "--keep", "0", *by)
    with opened(names, backbone) as session:
        session.draw("0.png", (20, 20, 60, 60), "thing")
        session.apply(Pick("1.png", 2, "thing"))
        session.apply(Pick("1.png", 9, None))
        found = session.view.found
        session.apply(Judge(names[int(found.image[0])], int(found.row[0]), "right"))
        shown = [session.record(i) for i in range(2)]
        session.write_records(range(2))
        assert session.state().command == "searchdet detect in --bank out/bank.safetensors"
    assert any(record.detections for record in shown)
    told = run("detect", "in", "--bank", "out/bank.safetensors", "-o", "again", "-v", *by)
    assert "As the bank was judged when it was made: --prompting everything" in told.stderr
    for name, record in zip(names, shown, strict=True):
        theirs = read_record(Path("again/records") / f"{name}.json")
        assert detections(theirs) == detections(record)
        paths = [Path(out) / "records" / f"{name}.json" for out in ("again", "out")]
        assert paths[0].read_bytes() == paths[1].read_bytes()
        for kind in ("thumbnails", "overlays", "sources"):
            suffix = ".json" if kind == "sources" else ".jpg"
            pair = [Path(out) / kind / f"{name}{suffix}" for out in ("again", "out")]
            assert pair[0].read_bytes() == pair[1].read_bytes()
    both = [json.loads((Path(out) / "run.json").read_text()) for out in ("again", "out")]
    for one in both:
        one.pop("seconds"), one.pop("stages")
    assert both[0] == both[1]
    assert (Path("again") / "coco.json").read_bytes() == (Path("out") / "coco.json").read_bytes()
    # and the records are known again
    told = run("detect", "in", "--bank", "out/bank.safetensors", "-o", "out", *by)
    assert told.stderr.count("[done before]") == 2


def test_flags_that_are_given_go_before_the_word_of_the_bank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = make_scenes(1)
    run("index", "in", "-o", "idx", "--keep", "0", "--backbone", "filterbank")
    with opened(names, "filterbank") as session:
        session.apply(Pick("0.png", 1, "thing"))
    detect = ("detect", "in", "--bank", "out/bank.safetensors", "-v")
    for words, prompting in (((), "everything"), (("--prompting", "guided"), "guided")):
        shutil.rmtree("again", ignore_errors=True)
        told = run(*detect, "-o", "again", *words)
        run_facts = json.loads(Path("again/run.json").read_text())["settings"]
        assert run_facts["proposer"]["options"]["prompting"] == prompting
        assert run_facts["scoring"]["second_look"] == 0
        assert ("As the bank was judged" in told.stderr) == (not words)
    shown = run("bank", "show", "out/bank.safetensors").stdout
    assert "--prompting everything --second-look 0" in shown
    facts = json.loads(run("bank", "show", "out/bank.safetensors", "--json").stdout)
    assert facts["judged"] == {"prompting": "everything", "second_look": 0}
    bank = bankfile.load(Path("out/bank.safetensors"))
    from dataclasses import replace

    bankfile.save(replace(bank, judged=None), Path("plain.safetensors"))
    assert "judged" not in json.loads(run("bank", "show", "plain.safetensors", "--json").stdout)
    assert Examples(bank=Path("plain.safetensors")).bank


def test_a_box_and_a_picture_by_the_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = make_scenes(1)
    run("index", "in", "-o", "idx", "--keep", "0", "--backbone", "filterbank")
    with opened(names, "filterbank") as session:
        session.draw("0.png", (10, 10, 50, 50), "thing")
        session.paste("p.png", Path("in/0.png").read_bytes(), "thing")
        session.paste("p.png", Path("in/0.png").read_bytes(), None)
        first, second, third = (session.exemplar(item.id) for item in session.state().exemplars)
    assert first[1].origin.mask_source in ("boxed", "box")
    assert not first[1].picture
    assert second[1].origin.mask_source in ("auto", "whole")
    assert third[1].origin.mask_source == "whole"
    assert all(item[1].picture.startswith(b"\xff\xd8") for item in (second, third))
    assert [item[0].label for item in (first, second, third)] == ["thing", "thing", None]
