"""A bank with crops: made, remembered, kept in a file, added to, and refused where it is damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import GridBackbone, LookingBackbone, PatchNetwork
from PIL import Image

from searchdet import backbones
from searchdet.bank import Additions, Bank, add, join, remove
from searchdet.bank import file as bankfile
from searchdet.bank.describe import build_bank
from searchdet.config import EmbeddingOptions, Settings
from searchdet.errors import ExemplarError
from searchdet.exemplars import Exemplar
from searchdet.masks import rle
from searchdet.regions import look_closer
from searchdet.storage import kinds, tensors
from searchdet.storage.cache import Store


def exemplar(name: str, label: str | None, seed: int, side: int = 24) -> Exemplar:
    rng = np.random.default_rng(seed)
    pixels = np.repeat(np.repeat(rng.integers(0, 256, (side // 4, side // 4, 3), np.uint8), 4, 0), 4, 1)
    mask = np.zeros((side, side), bool)
    mask[3 : side - 4, 2 : side // 2 + seed] = True
    return Exemplar(name, label, pixels, mask, "file", f"{seed:064}")


ITEMS = [
    exemplar("a/1", "a", 1),
    exemplar("b/1", "b", 2),
    exemplar("a/2", "a", 3),
    exemplar("n/1", None, 4),
]


def bank(backbone: GridBackbone | None = None, kept: Store | None = None, closer: bool = True) -> Bank:
    return build_bank(backbone or LookingBackbone(), ITEMS, EmbeddingOptions(), kept, closer)


def network(backbone: LookingBackbone) -> PatchNetwork:
    return backbone.closer


def test_each_exemplar_is_looked_at_in_its_own_photo() -> None:
    made = bank()
    assert made.looks_closer
    assert made.share == 0.5
    crops = [*made.positives.crops, *made.negatives.crops]
    items = {item.name: item for item in ITEMS}
    for name, crop in zip((*made.positives.names, *made.negatives.names), crops, strict=True):
        item = items[name]
        runs = rle.runs(rle.encode(item.mask))
        wanted = look_closer(PatchNetwork(), item.pixels, [runs], item.mask.shape)
        assert np.array_equal(crop, wanted[0])
    bare = bank(closer=False)
    assert not bare.looks_closer
    assert (bare.positives.vectors == made.positives.vectors).all()
    assert bank(GridBackbone()).positives.crops is None, "nothing looks again"
    assert bank(GridBackbone()).share == 1


def test_without_crops_the_rest_stays() -> None:
    made = bank()
    bare = made.without_crops()
    assert not bare.looks_closer
    assert made.looks_closer
    assert bare.share == made.share
    for side in ("positives", "negatives"):
        assert getattr(bare, side) == replace(getattr(made, side), crops=None)
    assert bare.without_crops() == bare


def test_crops_are_remembered_beside_descriptions(tmp_path: Path) -> None:
    store, backbone = Store(tmp_path, kinds.EXEMPLARS), LookingBackbone()
    bank(backbone, store, closer=False)
    assert network(backbone).seen == 0
    first = bank(backbone, store)
    assert network(backbone).seen == 4
    again = bank(backbone, store)
    assert network(backbone).seen == 4
    assert np.array_equal(again.positives.crops, first.positives.crops)
    entries = list((tmp_path / kinds.EXEMPLARS).rglob("*.safetensors"))
    assert len(entries) == 8
    for entry in entries:
        entry.write_bytes(entry.read_bytes()[:-1])
    damaged = bank(backbone, store)
    assert network(backbone).seen == 8
    assert np.array_equal(damaged.positives.crops, first.positives.crops)


def test_rows_are_taken_and_joined_with_their_crops() -> None:
    rows = bank().positives
    turned = rows.take([2, 0])
    assert np.array_equal(turned.crops, rows.crops[[2, 0]])
    assert np.array_equal(join([turned, rows.take([1])]).crops, rows.crops[[2, 0, 1]])
    with pytest.raises(ValueError, match="only some"):
        join([rows, replace(rows, crops=None)])
    with pytest.raises(ValueError, match="crops"):
        replace(rows, crops=rows.crops[:2])
    with pytest.raises(ValueError, match="only one side has crops"):
        replace(bank(), negatives=replace(bank().negatives, crops=None))
    left = remove(bank(), ["a/1"])
    assert np.array_equal(left.positives.crops, rows.crops[1:])
    assert len(bank().distinct().positives.crops) == 3


def test_a_bank_with_crops_comes_back_as_it_was(tmp_path: Path) -> None:
    made = bank()
    for name, one in (("with", made), ("without", made.without_crops())):
        bankfile.save(one, tmp_path / name)
        bankfile.save(bankfile.load(tmp_path / name), tmp_path / f"{name} again")
        assert (tmp_path / name).read_bytes() == (tmp_path / f"{name} again").read_bytes()
    back = bankfile.load(tmp_path / "with")
    assert back.looks_closer
    assert back.space == made.space
    assert back.share == 0.5
    for side in ("positives", "negatives"):
        assert np.array_equal(getattr(back, side).crops, getattr(made, side).crops)
    assert not bankfile.load(tmp_path / "without").looks_closer
    none = replace(made, negatives=made.negatives.take([]))
    bankfile.save(none, tmp_path / "none")
    assert bankfile.load(tmp_path / "none").negatives.crops.shape == (0, 6)


Change = Callable[[np.ndarray], np.ndarray]


@pytest.mark.parametrize(
    "change",
    [
        lambda crops: crops.astype(np.float64),
        lambda crops: crops.astype(np.float16),
        lambda crops: crops[:-1],
        lambda crops: crops[0],
        lambda crops: crops[..., None],
        lambda crops: crops * np.float32("nan"),
        lambda crops: crops * np.float32("inf"),
        lambda crops: crops * np.float32(2),
        lambda crops: crops[:, :5],
        lambda crops: np.tile(crops, 3),
    ],
    ids=["double", "half", "count", "flat", "deep", "nan", "inf", "length", "narrow", "wide"],
)
@pytest.mark.parametrize("side", ["positives", "negatives", "both"])
def test_damaged_crops_are_refused(tmp_path: Path, change: Change, side: str) -> None:
    path = tmp_path / "bank"
    bankfile.save(bank(), path)
    arrays, facts = tensors.read(path)
    for name in ("positives", "negatives"):
        if side in (name, "both"):
            crops = arrays[f"{name}.crops"]
            with np.errstate(invalid="ignore"):
                arrays[f"{name}.crops"] = np.ascontiguousarray(change(crops))
    path.write_bytes(tensors.pack(arrays, facts.values))
    with pytest.raises(ExemplarError, match="--bank"):
        bankfile.load(path)


@pytest.mark.parametrize("side", ["positives", "negatives"])
def test_crops_of_one_side_alone_are_refused(tmp_path: Path, side: str) -> None:
    path = tmp_path / "bank"
    bankfile.save(bank(), path)
    arrays, facts = tensors.read(path)
    del arrays[f"{side}.crops"]
    path.write_bytes(tensors.pack(arrays, facts.values))
    with pytest.raises(ExemplarError, match="only one side has crops"):
        bankfile.load(path)


@pytest.mark.parametrize("closer", [True, False])
def test_what_is_added_is_looked_at_where_the_bank_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closer: bool
) -> None:
    made, backbone = bank(closer=closer), LookingBackbone()
    monkeypatch.setattr(backbones, "load", lambda *_: backbone)
    item = exemplar("c", "c", 9)
    for name in ("c.png", "d.png"):
        Image.fromarray(item.pixels).save(tmp_path / name)
    settings = Settings(exemplars=replace(Settings().exemplars, exemplar_mask="whole"))
    given = Additions(positive=("c", tmp_path / "c.png"), negatives=(tmp_path / "d.png",))
    more = add(made, given, settings)
    assert more.looks_closer == closer
    assert more.classes == ("a", "b", "c")
    assert network(backbone).seen == (2 if closer else 0)
    if closer:
        assert np.array_equal(more.positives.crops[:3], made.positives.crops)
        assert np.array_equal(more.positives.crops[3], more.negatives.crops[1]), "the same picture"
        whole = rle.runs(rle.encode(np.ones(item.mask.shape, bool)))
        wanted = look_closer(PatchNetwork(), item.pixels, [whole], item.mask.shape)
        assert np.array_equal(more.positives.crops[3], wanted[0])
