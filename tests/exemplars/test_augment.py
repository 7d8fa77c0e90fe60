"""Changed views of exemplars: pictures and masks together, and what becomes of them in a bank."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result
from worlds import call

from searchdet.bank import Bank
from searchdet.bank import file as bankfile
from searchdet.bank.views import gains, leads
from searchdet.cli import app
from searchdet.config.run import AUGMENTS
from searchdet.exemplars import Exemplar
from searchdet.exemplars.augment import FACTOR, VIEWS, kind_of, views

SIZE = (60, 90)


def exemplar(box: tuple[int, int, int, int] = (20, 40, 30, 55), name: str = "a.png") -> Exemplar:
    """Noise with a red object whose mask it is, brighter at its top and its left side."""
    y0, y1, x0, x1 = box
    pixels = np.random.default_rng(3).integers(0, 60, (*SIZE, 3), np.uint8)
    pixels[y0:y1, x0:x1] = (200, 0, 0)
    pixels[y0 : y0 + 2, x0:x1] = 255
    pixels[y0:y1, x0 : x0 + 2] = (255, 255, 0)
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return Exemplar(name, "red", pixels, mask, "file", "0" * 64)


def by_view(item: Exemplar, kinds: tuple[str, ...] = AUGMENTS) -> dict[str, Exemplar]:
    return {made.view: made for made in views([item], kinds)}


def test_every_view_is_of_one_kind() -> None:
    made = by_view(exemplar())
    assert list(made) == [view for kind in AUGMENTS for view in VIEWS[kind]]
    assert all(view in VIEWS[kind_of(view)] for view in made)
    assert len({item.sha256 for item in made.values()} | {"0" * 64}) == len(made) + 1
    assert {item.copy_of for item in made.values()} == {"a.png"}
    assert {item.name for item in made.values()} == {f"a.png@{view}" for view in made}
    assert {item.label for item in made.values()} == {"red"}


@pytest.mark.parametrize("view", [*VIEWS["flips"], *VIEWS["turns"]])
def test_the_mask_moves_with_the_picture_and_doing_it_again_brings_both_back(view: str) -> None:
    item = exemplar()
    made = by_view(item)[view]
    assert made.mask.shape == made.pixels.shape[:2]
    assert (made.pixels[made.mask][:, 0] >= 200).all()
    assert (made.pixels[~made.mask] < 60).all()
    back = made
    for _ in range({"turn-90": 3, "turn-270": 3}.get(view, 1)):
        back = by_view(back)[view]
    assert (back.pixels == item.pixels).all()
    assert (back.mask == item.mask).all()
    assert (made.pixels.shape != item.pixels.shape) or (made.pixels != item.pixels).any()


def test_scaled_views_have_the_size_of_the_photo_and_an_object_of_another() -> None:
    item = exemplar()
    made = by_view(item, ("scale",))
    for view, factor in (("smaller", 1 / FACTOR), ("larger", FACTOR)):
        one = made[view]
        assert one.pixels.shape == item.pixels.shape
        sides = [np.ptp(np.flatnonzero(one.mask.any(axis=axis))) + 1 for axis in (0, 1)]
        assert sides == pytest.approx([25 * factor, 20 * factor], abs=1.6)
        inner = one.pixels[one.mask].astype(int)
        assert np.median(inner[:, 0] - inner[:, 2]) > 150


@pytest.mark.parametrize("box", [(0, 60, 0, 90), (0, 45, 10, 20), (5, 10, 0, 70)])
def test_an_object_that_leaves_no_room_has_no_larger_view(box: tuple[int, int, int, int]) -> None:
    assert set(by_view(exemplar(box), ("scale",))) == {"smaller"}


def test_objects_of_one_photo_share_its_changed_pixels() -> None:
    first = exemplar()
    other = Exemplar("b.png", "red", first.pixels, first.mask[::-1], "file", first.sha256)
    made = list(views([first, other], ("flips", "turns")))
    assert len(made) == 10
    assert len({id(item.pixels) for item in made}) == 5


def run(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result


def build(*words: str) -> Bank:
    more = ("--positive", "in/positive", "--negative", "in/negative", "--exemplar-mask", "whole")
    run("bank", "build", *more, "-o", "b.safetensors", *words)
    return bankfile.load(Path("b.safetensors"))


def test_a_bank_holds_views_beside_the_exemplars_and_knows_whose_they_are(world: Path) -> None:
    plain, made = build(), build("--augment", "flips,turns")
    assert made.counts() == plain.counts() == {"red": 2}
    assert len(made.positives) == 2 + 2 * 5
    assert len(made.negatives) == len(plain.negatives)
    own = made.without_views()
    assert own.positives.origins == plain.positives.origins
    assert (own.positives.vectors == plain.positives.vectors).all()
    assert made.positives.whose.tolist() == [0, 1] + [0] * 5 + [1] * 5
    run("bank", "remove", "b.safetensors", "positive/red/1.png")
    left = bankfile.load(Path("b.safetensors")).positives.origins
    assert {item.copy_of or item.name for item in left} == {"positive/red/2.png"}
    run("bank", "add", "b.safetensors", "--positive", "red", "in/images/a.png", "--augment", "flips")
    assert len(bankfile.load(Path("b.safetensors")).positives) == 6 + 3


def test_detect_finds_with_views_and_names_the_exemplar_they_are_of(world: Path) -> None:
    call("in/images/a.png", "-o", "out", "--augment", "flips,scale")
    (path,) = (world / "out/records").rglob("*.json")
    record = json.loads(path.read_text())
    assert record["exemplars"]["positive"] == 2
    assert record["exemplars"]["views"] >= 4
    near = {item["evidence"]["nearest_positive"]["file"] for item in record["detections"]}
    assert near <= {"positive/red/1.png", "positive/red/2.png"}
    assert near
    assert {path.name for path in (world / "out/exemplars").rglob("*.jpg")} == {
        "1.png.jpg",
        "2.png.jpg",
    }


def test_what_cannot_be_augmented_is_refused(world: Path) -> None:
    result = call("in/images/a.png", "--no-save", "--augment", "flips,mirror")
    assert result.exit_code == 2
    assert "flips, turns, scale" in result.stderr
    build()
    words = ("detect", "in/images/a.png", "--bank", "b.safetensors", "--no-save", "--augment", "flips")
    assert "`searchdet bank build`" in run(*words, code=2).stderr


def test_the_audit_recommends_by_leaving_exemplars_out_with_their_views(world: Path) -> None:
    assert gains(build()) == []
    made = build("--augment", "flips,scale")
    told = json.loads(run("bank", "audit", "b.safetensors", "--json").stdout)
    assert [item["kinds"] for item in told["views"]] == [["flips"], ["scale"], ["flips", "scale"]]
    assert {item["verdict"] for item in told["views"]} == {"few"}
    assert len(told["exemplars"]) == 4
    text = run("bank", "audit", "b.safetensors").stdout
    assert "flips,scale  <- too few examples to say" in text
    assert not np.isnan(leads(made)).any()
