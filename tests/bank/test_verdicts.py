"""Verdicts of the report as exemplars: without a model, and never of anything else than was judged."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner, Result
from worlds import call

from searchdet.bank import edit, miscut
from searchdet.bank import file as bankfile
from searchdet.bank import verdicts as reader
from searchdet.bank.taught import Taught, teach
from searchdet.bank.types import Bank
from searchdet.cli import app
from searchdet.config import Settings
from searchdet.errors import UsageError
from searchdet.masks.shared import share_of_smaller
from searchdet.output.folder import read_records
from searchdet.records import Candidate
from searchdet.records.record import read_record

pytestmark = pytest.mark.model
FILE = Path("out/verdicts.json")


def rows(folder: Path = Path("out")) -> list[dict[str, Any]]:
    """A right, a wrong and another verdict on candidates of the records."""
    found = []
    for record in read_records(folder):
        for item in record.candidates[:3]:
            said = (("right", item.label), ("wrong", None), ("other", "blue"))[len(found) % 3]
            found.append(
                {
                    "image": record.image,
                    "sha256": record.sha256,
                    "settings_sha256": record.settings_sha256,
                    "candidate": item.id,
                    "predicted": item.label,
                    "verdict": said[0],
                    "label": said[1],
                }
            )
    return found


def write(found: object, path: Path = FILE) -> None:
    path.write_text(json.dumps({"schema": "searchdet.verdicts/1", "verdicts": found}))


def add(*words: str) -> Result:
    return CliRunner().invoke(
        app, ["bank", "add", "bank.safetensors", "--from-verdicts", str(FILE), *words]
    )


def held(bank: Bank) -> dict[str, str | None]:
    """The class of each exemplar of a record; None for a negative."""
    labels = [bank.classes[c] for c in bank.labels] + [None] * len(bank.negatives)
    origins = (*bank.positives.origins, *bank.negatives.origins)
    return {o.name: c for o, c in zip(origins, labels, strict=True) if o.mask_source == "record"}


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model was asked for")

    monkeypatch.setattr("searchdet.backbones.load", refuse)
    monkeypatch.setattr("searchdet.proposals.load", refuse)


@pytest.mark.usefixtures("no_model")
def test_verdicts_become_exemplars_without_a_model(made: Path) -> None:
    before = bankfile.load(Path("bank.safetensors"))
    wanted = rows()
    write(wanted)
    result = add()
    assert result.exit_code == 0, result.stderr
    assert f"{len(wanted)} verdicts added" in result.stderr
    after = bankfile.load(Path("bank.safetensors"))
    assert held(after) == {f"{row['image']}#{row['candidate']}": row["label"] for row in wanted}
    assert after.classes == ("blue", "red")
    assert len(after.positives) + len(after.negatives) == len(wanted) + len(before.positives) + len(
        before.negatives
    )
    data = Path("bank.safetensors").read_bytes()
    again = add()
    assert f"0 verdicts added, {len(wanted)} were there already" in again.stderr
    assert Path("bank.safetensors").read_bytes() == data
    more = rows()
    more[0]["verdict"], more[0]["label"] = "wrong", None
    write(more)
    changed = add()
    assert changed.exit_code == 2
    assert "searchdet bank remove" in changed.stderr


def test_the_cache_gives_what_the_model_would(made: Path) -> None:
    write(rows())
    whole = Path("bank.safetensors").read_bytes()
    assert add().exit_code == 0
    cached = bankfile.load(Path("bank.safetensors"))
    Path("bank.safetensors").write_bytes(whole)
    result = add("--images", "in/images")
    assert result.exit_code == 0, result.stderr
    described = bankfile.load(Path("bank.safetensors"))
    for one, two in (
        (cached.positives, described.positives),
        (cached.negatives, described.negatives),
    ):
        assert one.origins == two.origins
        assert float(np.sum(one.vectors * two.vectors, axis=1).min()) > 0.99
    found = call("in/images/a.png", "-o", "found")
    assert found.exit_code in (0, 6)


@pytest.mark.parametrize("last", ["right", "wrong"])
def test_a_wrong_one_on_a_right_one_decides_itself_alone(made: Path, last: str) -> None:
    """In whatever order a file grew."""

    def said(item: Candidate, verdict: str, label: str | None) -> dict[str, Any]:
        return rows()[0] | {
            "candidate": item.id,
            "predicted": item.label,
            "verdict": verdict,
            "label": label,
        }

    record = next(iter(read_records(Path("out"))))
    known = [item for item in record.candidates if item.label is not None]

    def on(one: Candidate, two: Candidate) -> bool:
        return one is not two and share_of_smaller(one.segmentation, two.segmentation) >= miscut.SHARED

    right = next(one for one in known if any(on(one, two) for two in known))
    wrong = next(two for two in known if on(right, two))
    far = next(two for two in known if share_of_smaller(right.segmentation, two.segmentation) == 0)
    said_of = [
        said(right, "right", right.label),
        said(far, "wrong", None),
        said(wrong, "wrong", None),
    ]
    if last == "right":
        said_of.reverse()
    for count in (2, 3):
        write(said_of[:count])
        assert add().exit_code == 0
    bank = bankfile.load(Path("bank.safetensors"))
    sources = {o.name: o.mask_source for o in bank.negatives.origins}
    assert sources[f"{record.image}#{wrong.id}"] == "miscut"
    assert sources[f"{record.image}#{far.id}"] == "record"


@pytest.mark.parametrize("words", [(), ("--value-range", "0,4095")])
def test_pictures_of_more_than_8_bits_teach_the_same_way(
    cold_world: Path, words: tuple[str, ...]
) -> None:
    """The cache and the bank know these by their content, which is more than the digest of a file."""
    with Image.open("in/images/a.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(np.uint16) * 16
    tifffile.imwrite("in/images/d.tif", pixels, photometric="rgb", metadata=None)
    assert call("in/images/d.tif", "-o", "out", *words).exit_code == 0
    built = ("--positive", "in/positive", "--negative", "in/negative", "-o", "bank.safetensors")
    assert CliRunner().invoke(app, ["bank", "build", *built]).exit_code == 0
    whole = Path("bank.safetensors").read_bytes()
    write(rows())
    result = add()
    assert result.exit_code == 0, result.stderr
    cached = bankfile.load(Path("bank.safetensors"))
    assert "0 verdicts added" in add().stderr
    Path("bank.safetensors").write_bytes(whole)
    result = add("--images", ".")
    assert result.exit_code == 0, result.stderr
    described = bankfile.load(Path("bank.safetensors"))
    assert cached.positives.origins == described.positives.origins
    same = np.sum(cached.positives.vectors * described.positives.vectors, axis=1)
    assert float(same.min()) > 0.99
    Path("bank.safetensors").write_bytes(whole)
    number = str(rows()[0]["candidate"])
    one = ("--from-record", "out/records/in/images/d.tif.json", number, "--label", "red")
    more = CliRunner().invoke(
        app, ["bank", "add", "bank.safetensors", *one, "--image", "in/images/d.tif"]
    )
    assert more.exit_code == 0, more.stderr
    again = add()
    assert "1 were there already" in again.stderr, again.stderr


@pytest.mark.usefixtures("no_model")
def test_verdicts_of_another_search_are_not_for_a_bank(made: Path) -> None:
    """What is not red may be what that bank is of, and is no negative of it."""
    bank = bankfile.load(Path("bank.safetensors"))
    bankfile.save(replace(bank, classes=("eye",)), Path("bank.safetensors"))
    data = Path("bank.safetensors").read_bytes()
    for row in rows()[:3]:
        write([row])
        result = add()
        assert result.exit_code == 2, result.stderr
        assert "of a search for 'red', and the bank has no such class (eye)" in result.stderr
    assert Path("bank.safetensors").read_bytes() == data


def test_a_bank_of_verdicts_finds(made: Path) -> None:
    write(rows())
    assert add().exit_code == 0
    words = ["detect", "in/images/a.png", "--bank", "bank.safetensors", "-o", "found"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sha256": "0" * 64}, "another image"),
        ({"settings_sha256": "0" * 64}, "other settings"),
        ({"candidate": 9999}, "no candidate 9999"),
        ({"predicted": "nut", "label": "nut"}, "of 'nut'"),
        ({"image": "absent.png"}, "no record of absent.png"),
        ({"image": "../out/a.png"}, "which no record has"),
        ({"image": "/etc/passwd"}, "which no record has"),
        ({"image": ""}, "which no record has"),
        ({"verdict": "maybe"}, "'maybe'"),
        ({"label": None}, "to None"),
        ({"label": "blue"}, "to 'blue'"),
        ({"verdict": "other", "label": " x"}, "to ' x'"),
        ({"verdict": "other", "label": "a\nb"}, "to"),
        ({"verdict": "other", "label": "a\u2028b"}, "to"),
        ({"verdict": "other", "label": "a\x85b"}, "to"),
        ({"candidate": -1}, "candidate is -1"),
        ({"candidate": True}, "candidate is True"),
        ({"image": 3}, "image is 3"),
    ],
)
def test_what_was_not_judged_is_not_taken(made: Path, change: dict[str, Any], says: str) -> None:
    found = rows()
    found[0] |= change
    write(found)
    before = Path("bank.safetensors").read_bytes()
    result = add()
    assert result.exit_code == 2, result.stderr
    assert says in result.stderr
    assert "None" not in result.stderr.replace("to None", "")
    assert Path("bank.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    "name", ["\u6c34\u3000\u6e90", "a\u00a0b", "\u0645\u06cc\u200c\u062e", "\U0001f469\u200d\U0001f52c"]
)
def test_a_class_may_be_named_in_any_script(tmp_path: Path, name: str) -> None:
    """With the spaces and joiners of it, as folders may; what the page takes, the bank takes."""
    row = {"image": "a.png", "sha256": "0", "settings_sha256": "0", "candidate": 1}
    row |= {"predicted": "nut", "verdict": "other", "label": name}
    write([row], tmp_path / "v.json")
    assert [item.label for item in reader.read_verdicts(tmp_path / "v.json")] == [name]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "--from-verdicts"),
        ("[]", "not an object"),
        ("{}", "schema is missing"),
        ('{"schema": "searchdet.verdicts/9", "verdicts": []}', "not searchdet.verdicts/1"),
        ('{"schema": "searchdet.verdicts/1", "verdicts": []}', "holds no verdict"),
        ('{"schema": "searchdet.verdicts/1", "verdicts": [3]}', "not an object"),
        ('{"schema": "searchdet.verdicts/1", "verdicts": {}}', "not a list"),
        ("[" * 100_000, "--from-verdicts"),
        ("\udcff", "--from-verdicts"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "v.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match="from-verdicts") as caught:
        reader.read_verdicts(path)
    assert says in caught.value.message
    assert "searchdet report" in caught.value.hint


def test_two_verdicts_on_one_candidate_are_refused(made: Path) -> None:
    found = rows()
    write([*found, found[0]])
    assert "says two things" in add().stderr


@pytest.mark.usefixtures("no_model")
def test_without_the_regions_it_says_what_to_do(made: Path) -> None:
    write(rows())
    result = add("--no-cache")
    assert result.exit_code == 2
    assert "--no-cache" in result.stderr
    elsewhere = add("--cache-dir", "empty")
    assert elsewhere.exit_code == 2
    assert "does not hold the regions of" in elsewhere.stderr
    assert "--overwrite" in elsewhere.stderr
    assert "--images" in elsewhere.stderr


def test_verdicts_on_records_of_a_search(made: Path) -> None:
    shutil.rmtree("out")
    words = ["search", "idx", "--bank", "bank.safetensors", "--top", "0", "-o", "out"]
    assert CliRunner().invoke(app, words).exit_code == 0
    write(rows())
    assert "`searchdet index --overwrite`" in add("--cache-dir", "empty").stderr
    before = Path("bank.safetensors").read_bytes()
    banks = []
    for more in ([], ["--images", "in/images"]):
        Path("bank.safetensors").write_bytes(before)
        assert add(*more).exit_code == 0
        banks.append(bankfile.load(Path("bank.safetensors")))
    assert len(held(banks[0])) == len(rows()) > 0
    assert held(banks[0]) == held(banks[1])
    for one, two in zip(*((bank.positives, bank.negatives) for bank in banks), strict=True):
        assert np.allclose(one.vectors, two.vectors, atol=2e-3)


@pytest.mark.usefixtures("no_model")
def test_the_records_are_beside_the_file_or_named(made: Path) -> None:
    write(rows(), Path("elsewhere.json"))
    words = ["bank", "add", "bank.safetensors", "--from-verdicts", "elsewhere.json"]
    lost = CliRunner().invoke(app, words)
    assert lost.exit_code == 2
    assert "--records OUT" in lost.stderr
    assert CliRunner().invoke(app, [*words, "--records", "in"]).exit_code == 2
    assert CliRunner().invoke(app, [*words, "--records", "out"]).exit_code == 0
    both = CliRunner().invoke(app, [*words, "--records", "out", "--negative", "in/images/a.png"])
    assert both.exit_code == 2
    alone = CliRunner().invoke(app, ["bank", "add", "bank.safetensors", "--records", "out"])
    assert alone.exit_code == 2
    assert "--from-verdicts" in alone.stderr


@pytest.mark.usefixtures("no_model")
def test_a_bank_of_another_space_is_refused(made: Path) -> None:
    path = next(Path("out/records").rglob("*.json"))
    text = path.read_text()
    assert read_record(path) is not None
    path.write_text(text.replace('"short_side": ', '"short_side": 1'))
    assert read_record(path) is not None
    write(rows())
    result = add()
    assert result.exit_code == 4, result.stderr
    assert "short_side" in result.stderr


def test_a_bank_of_no_model_says_what_to_do(made: Path) -> None:
    bank = replace(bankfile.load(Path("bank.safetensors")), space=None)
    picture = (Path("in/images/a.png"),)
    for change in (
        lambda: teach(bank, Taught(FILE), Settings()),
        lambda: edit.add(bank, edit.Additions(negatives=picture), Settings()),
    ):
        with pytest.raises(UsageError, match="which model it is of") as caught:
            change()
        assert "bank build" in caught.value.hint


def test_a_bank_that_looks_closer_gets_crops(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHDET_BACKBONE", "embedded")
    examples = ["--positive", "in/positive", "--negative", "in/negative"]
    build = ["bank", "build", *examples, "-o", "bank.safetensors"]
    assert CliRunner().invoke(app, build).exit_code == 0
    for most, code in (("1", 2), ("40", 0)):
        words = ["detect", "in/images/a.png", "-o", "out", "--overwrite", "--bank", "bank.safetensors"]
        found = CliRunner().invoke(app, [*words, "--second-look", most, "--cache-dir", f"cache{most}"])
        assert found.exit_code == 0, found.stderr
        write(rows())
        result = add("--cache-dir", f"cache{most}")
        assert result.exit_code == code, result.stderr
        if code:
            assert "--second-look" in result.stderr
    after = bankfile.load(Path("bank.safetensors"))
    assert after.positives.crops is not None
    assert len(held(after)) == 3


def test_the_log_of_a_session_is_no_file_of_verdicts(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    path.write_text('{"schema": "searchdet.verdicts/2"}\n{"n": 1}\n')
    with pytest.raises(UsageError) as caught:
        reader.read_verdicts(path)
    assert "searchdet serve" in caught.value.hint
