"""An index that was told what is normal: a search of it finds what ``detect`` finds with the same good
parts, and other ones are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from surfaces import DEFECTS, make_surface, write_parts
from typer.testing import CliRunner, Result

from searchdet.cli import app
from searchdet.errors import UsageError
from searchdet.index import file as index
from searchdet.normality import Unusual

pytestmark = pytest.mark.model
MODELS = ("--backbone", "filterbank")
GOOD = ("--normal", "good", "--normal-views", "none")
TILE = ("--tile", "800")
"""As the smallest example would say it."""
IMAGES = ("20", "clean")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Surfaces, good parts of another finish, indexes and banks; not to be changed."""
    folder = write_parts(tmp_path_factory.mktemp("parts"), few=True)
    for seed in range(2):
        (folder / "other").mkdir(exist_ok=True)
        Image.fromarray(make_surface("cast", seed).image).save(folder / "other" / f"{seed}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SEARCHDET_CACHE", str(folder / "cache"))
        patch.delenv("SEARCHDET_SCORED_MASKS", raising=False)  # which a bank is made without
        call("index", "test", "-o", "idx", *MODELS, *GOOD)
        call("index", "test", "-o", "plain", *MODELS, "--proposals", "spots")
        call("bank", "build", *GOOD, *MODELS, "-o", "good.safetensors")
        call("bank", "build", "--positive", "positive", *GOOD, *MODELS, "-o", "both.safetensors")
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the same in it, beside its cache."""
    shutil.copytree(made, tmp_path / "w", symlinks=True)
    monkeypatch.chdir(tmp_path / "w")
    monkeypatch.setenv("SEARCHDET_CACHE", str(tmp_path / "w" / "cache"))
    monkeypatch.delenv("SEARCHDET_SCORED_MASKS")
    return tmp_path / "w"


def call(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result


def records(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder, "records").rglob("*.json")}


def same_as_detect(words: tuple[str, ...], search: tuple[str, ...], folder: str = "idx") -> int:
    """How many detections there are; they and all else in the records are those of ``detect``."""
    call("detect", "test", "-o", "out", "--overwrite", "--save", "none", *MODELS, *words)
    call("search", folder, "-o", "found", "--overwrite", "--top", "0", *search)
    theirs, ours = records("out"), records("found")
    assert ours
    assert {name: theirs[name] for name in ours} == ours
    detected = {name: json.loads(data)["detections"] for name, data in theirs.items()}
    assert {name for name, items in detected.items() if items} == set(ours)
    return sum(map(len, detected.values()))


@pytest.mark.parametrize(
    "words", [(), ("--normal", "good"), ("--bank", "good.safetensors")], ids=["none", "normal", "bank"]
)
def test_without_examples_it_finds_what_detect_finds(here: Path, words: tuple[str, ...]) -> None:
    assert same_as_detect(GOOD, words) >= 1
    lines = call("search", "idx", *words).stdout.splitlines()
    assert {line.split("\t")[1] for line in lines} == {"defect"}
    assert min(float(line.split("\t")[0]) for line in lines) >= 0.5
    best = [
        float(line.split("\t")[0]) for line in call("search", "idx", "--top", "2").stdout.splitlines()
    ]
    assert best == sorted((float(line.split("\t")[0]) for line in lines), reverse=True)[:2]


def test_with_examples_it_has_the_term_that_detect_has(here: Path) -> None:
    bank, positive = ("--bank", "both.safetensors"), ("--positive", "positive")
    call("index", "test", "-o", "idx", *MODELS, *bank)
    assert same_as_detect(bank, positive) > 0
    more = ("--normal-weight", "0.4")
    assert same_as_detect((*bank, *more), (*bank, *more)) > 0
    scores = [
        call("search", "idx", *positive, *way).stdout for way in ((), more, ("--normal-weight", "0"))
    ]
    assert len(set(scores)) == 3
    refused = call("search", "idx", "--bank", "good.safetensors", code=2)
    assert "other good parts than those of --bank" in refused.output


def test_each_image_as_its_own_measure(here: Path) -> None:
    call("index", "test", "-o", "idx", *MODELS, "--normal-self", *TILE)
    examples = ("--positive", "positive")
    assert same_as_detect((*examples, "--normal-self", *TILE), examples) > 0
    assert "no examples are given" in call("search", "idx", code=2).output
    assert "than those of --normal" in call("search", "idx", "--normal", "good", code=2).output


def test_it_keeps_how_unusual_each_region_is_and_where_that_came_from(here: Path) -> None:
    found, facts = index.load(Path("idx")), json.loads(Path("idx/index.json").read_text())
    known = facts["normality"]
    assert (known["method"], known["tile"], known["proposer"]) == ("nearest", 0, "spots")
    assert known["limit"] > 0
    assert (Path("idx") / known["file"]).is_file()
    assert found.made.good is not None
    model = found.made.good.normality(found.space.dim)
    assert model.digest == known["digest"]
    for item in found.images:
        assert item.facts.counts("details")["top_percent_millideviations"] > 0
        unusual = found.regions(item).described.unusual
        assert unusual is not None
        assert len(unusual) == item.count
    assert (facts["schema"], facts["keep"]) == ("searchdet.index/5", 0)
    plain = json.loads(Path("plain/index.json").read_text())
    assert (plain["schema"], plain["keep"]) == ("searchdet.index/4", 600)
    assert "unusual" not in plain["bytes"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("search", "plain"), "no examples are given"),
        (("search", "plain", "--normal", "good"), "holds no good parts"),
        (("search", "plain", "--bank", "good.safetensors"), "holds no good parts"),
        (("search", "idx", "--normal", "other"), "other good parts than those of --normal"),
        (("index", "test", "-o", "plain", "--add", *MODELS, *GOOD), "holds no good parts"),
        (("index", "test", "-o", "idx", "--add", *MODELS, "--normal", "other"), "other good parts"),
        (("index", "test", "-o", "idx", "--add", *MODELS, "--normal-self"), "other good parts"),
        (("index", "test", "-o", "idx", "--add", *MODELS, "--normal-method", "subspace"), "nearest"),
        (("index", "test", "-o", "idx", "--add", *MODELS, "--tile", "200"), "--tile 0"),
        (("index", "test", "-o", "idx", "--add", "--backbone", "embedded"), "backbone is embedded"),
        (("index", "-o", "idx", "--lists", "--normal", "good"), "no image"),
        (("index", "-o", "both", "--merge", "idx", "--merge", "plain"), "what is normal differs"),
    ],
)
def test_other_good_parts_are_refused(made: Path, words: tuple[str, ...], says: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        patch.delenv("SEARCHDET_SCORED_MASKS")
        before = Path("idx/index.json").read_bytes()
        assert says in " ".join(call(*words, code=2).output.split())
        assert Path("idx/index.json").read_bytes() == before


def test_how_good_parts_were_learned_is_held_against_what_is_named(here: Path) -> None:
    """Also where the default is named."""
    make = ("index", "test", "-o", "own", *MODELS, "--scored-masks", "60")
    how = ("--normal", "good", "--normal-method", "subspace", "--normal-views", "none")
    call(*make, *how)
    call(*make, "--add", *how)
    for name, own, other in (("method", "subspace", "nearest"), ("views", "none", "flips")):
        refused = call(*make, "--add", "--normal", "good", f"--normal-{name}", other, code=2)
        said = f"own: was made with --normal-{name} {own}, not {other}."
        assert said in " ".join(refused.output.split())
    call(*make, "--normal-self")
    for value in ("subspace", "nearest"):
        refused = call(*make, "--add", "--normal-self", "--normal-method", value, code=2)
        said = " ".join(refused.output.split())
        assert "each image as its own measure, for which there is no --normal-method" in said


def test_what_waits_for_an_example_is_named_as_it_was_given(here: Path) -> None:
    said = call("search", "idx", "--threshold", "training").stderr
    assert said.count("Not used, as there are no examples: --threshold training.") == 1
    assert "--second-look" not in said


def test_a_bank_without_good_parts_says_nothing_to_an_index(here: Path) -> None:
    call("bank", "build", "--positive", "positive", *MODELS, "-o", "b.safetensors")
    refused = call("index", "test", "-o", "i", *MODELS, "--bank", "b.safetensors", code=2)
    assert "holds no good parts" in refused.output
    assert not Path("i").exists()


def test_what_is_added_and_what_changed_is_as_if_made_at_once(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unexpected(*_: Any) -> Any:
        raise AssertionError("what is normal was learned again")

    Image.fromarray(make_surface("brushed", 23, DEFECTS).image).save("test/23.png")
    Image.fromarray(make_surface("brushed", 24, DEFECTS).image).save("test/20.png")
    call("index", "test", "-o", "whole", *MODELS, "--bank", "good.safetensors")
    monkeypatch.setattr("searchdet.bank.normals.learn", unexpected)
    for words in ((), ("--normal", "good"), ("--bank", "good.safetensors")):
        call("index", "test", "-o", "idx", "--add", *MODELS, *words)
    grown, whole = (index.load(Path(name)) for name in ("idx", "whole"))
    assert {item.image.name for item in grown.images} == {f"{name}.png" for name in (*IMAGES, "23")}
    for item in whole.images:
        (own,) = (one for one in grown.images if one.image == item.image)
        theirs, ours = whole.packed(item), grown.packed(own)
        assert ours.facts == theirs.facts
        for name, array in theirs.arrays.items():
            np.testing.assert_array_equal(ours.arrays[name], array)
    call("index", "-o", "idx", "--remove", "2*.png")
    (left,) = index.load(Path("idx")).images
    unusual = index.load(Path("idx")).regions(left).described.unusual
    assert unusual is not None
    assert len(list(Path("idx").glob("normality-*"))) == 1


def test_shards_by_one_bank_are_one_index(here: Path) -> None:
    bank = ("--bank", "good.safetensors", *MODELS)
    for i in (1, 2, 3):
        call("index", "test", "-o", f"s{i}", "--shard", f"{i}/3", *bank)
    call("index", "-o", "all", *(word for i in (1, 2, 3) for word in ("--merge", f"s{i}")))
    assert call("search", "all", "--top", "0").stdout == call("search", "idx", "--top", "0").stdout


def test_it_is_made_anew_without_what_was_there(here: Path) -> None:
    call("index", "test", "-o", "idx", *MODELS, "--normal", "other", "--normal-views", "none")
    assert len(list(Path("idx").glob("normality-*"))) == 1
    call("index", "test", "-o", "idx", *MODELS)
    assert not list(Path("idx").glob("normality-*"))


def test_a_damaged_model_is_named(here: Path) -> None:
    (path,) = Path("idx").glob("normality-*")
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(bytes(data))
    refused = call("search", "idx", code=2)
    assert path.name in refused.output
    path.unlink()
    assert path.name in call("search", "idx", code=2).output
    Path("idx/index.json").write_text(
        Path("idx/index.json").read_text().replace("searchdet.index/5", "searchdet.index/4")
    )
    with pytest.raises(UsageError, match="schema"):
        index.load(Path("idx"))


def test_lists_and_what_is_unusual(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    call("index", "-o", "idx", "--lists")
    assert call("search", "idx", "--probe", "0.1").stdout == call("search", "idx").stdout
    assert "--probe is not used" in call("search", "idx", "--probe", "0.1").stderr
    examples = ("--positive", "positive", "--top", "0", "--normal-weight", "0.5")
    every = call("search", "idx", *examples).stdout.splitlines()
    some = call("search", "idx", *examples, "--probe", "0.01").stdout.splitlines()
    assert set(some) <= set(every)
    assert every[0] == some[0], "the most unusual is looked at whatever list it is in"


def test_detect_and_index_remember_the_same_regions(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree("cache")
    call("detect", "test", "-o", "out", "--save", "none", *MODELS, "--bank", "good.safetensors")

    def refuse(*_: object) -> None:
        raise RuntimeError("what is unusual was looked for again")

    monkeypatch.setattr(Unusual, "__call__", refuse)
    call("index", "test", "-o", "again", *MODELS, "--bank", "good.safetensors")


def test_in_a_store_it_is_as_here(here: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    store, at = fsspec.filesystem("memory"), "memory://bucket/idx"
    try:
        call("index", "test/20.png", "--root", "test", "-o", at, *MODELS, "--bank", "good.safetensors")
        call("index", "test", "-o", at, "--add", *MODELS, "--normal-views", "none")
        assert call("search", at).stdout == call("search", "idx").stdout
        assert "other good parts" in call("search", at, "--normal", "other", code=2).output
        call("index", "-o", at, "--remove", "20.png")
        (model,) = store.glob("bucket/idx/normality-*")
        (held,) = Path("idx").glob("normality-*")
        assert store.cat(model) == held.read_bytes()
        call("index", "test", "-o", at, *MODELS)
        assert not store.glob("bucket/idx/normality-*")
    finally:
        store.store.clear()


@pytest.mark.parametrize("value", [np.nan, np.inf, 7.0])
def test_what_cannot_be_is_named_and_hides_no_image(here: Path, value: float) -> None:
    path = next(Path("idx").rglob("unusual"))
    values = np.fromfile(path, "<f4")
    valid = np.fromfile(path.with_name("valid"), "?")
    values[np.flatnonzero(valid)[3]] = value
    values.tofile(path)
    for top in ("0", "5"):
        refused = call("search", "idx", "--top", top, code=2)
        assert "its part of the index is damaged" in refused.output
        assert "Make it again" in refused.output


@pytest.mark.parametrize("row", [0, -1])
def test_damaged_vectors_are_named_wherever_they_are(here: Path, row: int) -> None:
    path = next(Path("plain").rglob("vectors"))
    valid = np.fromfile(path.with_name("valid"), "?")
    vectors = np.fromfile(path, "<f2").reshape(len(valid), -1)
    vectors[np.flatnonzero(valid)[row]] = np.nan
    vectors.tofile(path)
    refused = call("search", "plain", "--positive", "positive", code=2)
    assert "its part of the index is damaged" in refused.output
