"""Banks, packed arrays and the cache: round trips, refusals, and damage that is always seen."""

from __future__ import annotations

import json
import logging
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import GridBackbone

from searchdet.bank import file as bankfile
from searchdet.bank import types
from searchdet.bank.describe import build_bank
from searchdet.bank.types import Bank, JudgedBy, Origin, Rows, plain_rows
from searchdet.config import EmbeddingOptions
from searchdet.embeddings import l2_normalize
from searchdet.errors import ExemplarError
from searchdet.exemplars import Exemplar
from searchdet.records import Preprocessing
from searchdet.regions.space import Space, space_of
from searchdet.storage import tensors
from searchdet.storage.cache import Store, key_of
from searchdet.storage.values import Fields

SPACE = Space("grid", None, Preprocessing(8, 8, "none"), EmbeddingOptions(), 4, (4,))


def rows(count: int, seed: int, prefix: str) -> Rows:
    vectors = l2_normalize(np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32))
    return plain_rows(vectors, [Origin(f"{prefix}/{i}.png", f"{i:064}") for i in range(count)])


def bank() -> Bank:
    return Bank(("a", "b"), rows(4, 0, "pos"), np.asarray([0, 0, 1, 1]), rows(2, 1, "neg"), SPACE)


def test_a_bank_comes_back_as_it_was_and_equal_banks_are_equal_bytes(tmp_path: Path) -> None:
    one = bank()
    bankfile.save(one, tmp_path / "1")
    bankfile.save(bank(), tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    back = bankfile.load(tmp_path / "1")
    assert back.classes == one.classes
    assert back.space == one.space
    assert back.labels.tolist() == one.labels.tolist()
    for side in ("positives", "negatives"):
        assert getattr(back, side).origins == getattr(one, side).origins
        for part in ("vectors", "contexts", "outlines"):
            mine, theirs = (getattr(getattr(b, side), part) for b in (back, one))
            assert np.array_equal(mine, theirs, equal_nan=True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"backbone": "other"}, "backbone is other here and grid there"),
        ({"weights": "ab"}, "weights is ab here and None there"),
        ({"preprocessing": Preprocessing(16, 8, "none")}, "short_side is 16 here and 8 there"),
        ({"embedding": EmbeddingOptions("topk")}, "pooling is topk here and mean there"),
        ({"parts": (2, 2)}, r"parts is \(2, 2\) here and \(4,\) there"),
        ({"crop_side": 128}, "crop_side is 128 here and 0 there"),
    ],
)
def test_another_space_is_refused_and_what_differs_is_said(
    changes: dict[str, object], says: str
) -> None:
    bankfile.require_space(bank(), SPACE, "--bank b")
    with pytest.raises(ExemplarError, match=says):
        bankfile.require_space(bank(), replace(SPACE, **changes), "--bank b")


def test_every_damaged_byte_and_every_cut_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "bank"
    bankfile.save(bank(), path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[:n] for n in (0, 1, 7, 8, 50, len(whole) // 2, len(whole) - 1)]
    for place in rng.integers(0, len(whole), 300):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.integers(0, 8)
        damaged.append(bytes(flipped))
    for data in [*damaged, whole + b"\0", pickle.dumps({"a": 1}), b"{}", b"\xff" * 16]:
        path.write_bytes(data)
        with pytest.raises(ExemplarError, match="--bank"):
            bankfile.load(path)
    with pytest.raises(ExemplarError, match="cannot be read"):
        bankfile.load(tmp_path / "absent")


@pytest.mark.parametrize(
    ("arrays", "facts"),
    [
        ({"positives.vectors": np.full((4, 4), np.nan, np.float32)}, {}),
        ({"positives.vectors": np.ones((4, 4), np.float32)}, {}),
        ({"positives.vectors": np.eye(4, dtype=np.float64)}, {}),
        ({"labels": np.asarray([0, 0, 0, 0])}, {}),
        ({"labels": np.asarray([0, 1])}, {}),
        ({}, {"schema": "searchdet.bank/9"}),
        ({}, {"space": {"backbone": "grid"}}),
        ({}, {"classes": ["a"]}),
    ],
)
def test_a_sound_file_with_wrong_content_is_refused(tmp_path: Path, arrays: dict, facts: dict) -> None:
    path = tmp_path / "bank"
    bankfile.save(bank(), path)
    old, known = tensors.read(path)
    path.write_bytes(tensors.pack(old | arrays, {**known.values, **facts}))
    with pytest.raises(ExemplarError, match="--bank"):
        bankfile.load(path)


def test_prototypes_are_computed_once_for_a_bank_and_anew_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, real = [], types.l2_normalize
    monkeypatch.setattr(types, "l2_normalize", lambda rows: seen.append(1) or real(rows))
    one = bank()
    first = one.prototypes()
    assert one.prototypes() is first
    assert len(seen) == 1
    assert not first.flags.writeable
    other = replace(one, negatives=one.negatives.take([]))
    assert (other.prototypes() == first).all()
    assert len(seen) == 2


def test_repeated_rows_of_a_class_count_once() -> None:
    one = bank()
    twice = replace(
        one, positives=one.positives.take([0, 1, 2, 3, 0]), labels=np.asarray([0, 0, 1, 1, 0])
    )
    assert (twice.distinct().prototypes() == one.prototypes()).all()
    assert twice.distinct().positives.names == one.positives.names
    other = replace(one, positives=one.positives.take([0, 1, 2, 0]))
    assert len(other.distinct().positives) == 4, "the same picture in two classes is two exemplars"


class Counting(GridBackbone):
    seen = 0

    def feature_map(self, image: np.ndarray):
        self.seen += 1
        return super().feature_map(image)


def exemplar(name: str, label: str | None, seed: int, half: bool = False) -> Exemplar:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    mask = np.ones((16, 16), bool)
    mask[:, 8:] = not half
    return Exemplar(name, label, pixels, mask, "file" if half else "whole", f"{seed:064}")


def test_exemplars_are_embedded_once_and_remembered_by_content(tmp_path: Path) -> None:
    store = Store(tmp_path, "exemplars")
    items = [exemplar("p/1", "a", 1), exemplar("p/2", "a", 2, True), exemplar("n/1", None, 3)]
    backbone = Counting()
    first = build_bank(backbone, items, EmbeddingOptions(), store)
    assert backbone.seen == 3
    again = build_bank(backbone, items, EmbeddingOptions(), store)
    assert backbone.seen == 3
    assert (again.positives.vectors == first.positives.vectors).all()
    assert (again.positives.contexts == first.positives.contexts).all()
    assert np.abs(again.positives.contexts).max(axis=1).astype(bool).tolist() == [False, True]
    assert np.isnan(again.positives.outlines).all(axis=1).tolist() == [True, False]
    build_bank(backbone, [*items, exemplar("p/3", "a", 2)], EmbeddingOptions(), store)
    assert backbone.seen == 4, "another mask of a known photo is another exemplar"
    build_bank(backbone, items, EmbeddingOptions("topk"), store)
    assert backbone.seen == 7, "another pooling is another space"


def test_a_photo_with_several_exemplars_is_seen_once() -> None:
    one = exemplar("p/1#1", "a", 1)
    backbone = Counting()
    build_bank(backbone, [one, replace(one, name="p/1#2", mask=~one.mask | True)], EmbeddingOptions())
    assert backbone.seen == 1


def test_a_damaged_cache_entry_is_told_and_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, key = Store(tmp_path, "regions"), key_of({"a": 1})
    assert store.read(key) is None
    store.write(key, {"v": np.arange(3)}, {"n": 1})
    assert store.read(key)[0]["v"].tolist() == [0, 1, 2]
    path = store.path(key)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with caplog.at_level(logging.WARNING):
        assert store.read(key) is None
    assert "made again" in caplog.text
    path.write_bytes(pickle.dumps([1]))
    assert store.read(key) is None


def test_a_store_without_a_folder_and_one_that_cannot_write_lose_only_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nothing = Store(None, "regions")
    nothing.write("ab12", {}, {})
    assert nothing.read("ab12") is None
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        Store(tmp_path / "file", "regions").write("ab12", {}, {})
    assert "are kept in the cache" in caplog.text


def test_keys_do_not_depend_on_the_order_of_facts() -> None:
    assert key_of({"a": 1, "b": 2}) == key_of(json.loads('{"b": 2, "a": 1}'))
    assert key_of({"a": 1}) != key_of({"a": 2})


def test_the_space_of_a_backbone_names_all_that_decides() -> None:
    assert space_of(GridBackbone(), EmbeddingOptions()) == SPACE
    other = space_of(GridBackbone(), EmbeddingOptions("topk", 0.25))
    assert other.differences(SPACE) == [
        "pooling is topk here and mean there",
        "topk_share is 0.25 here and 0.5 there",
    ]
    assert Space.from_json(Fields(json.loads(json.dumps(other.to_json())))) == other


def test_a_bank_says_how_it_was_judged(tmp_path: Path) -> None:
    path, judged = tmp_path / "b.safetensors", JudgedBy("everything", 0)
    bankfile.save(bank(), path)
    assert bankfile.load(path).judged is None
    plain = path.read_bytes()
    bankfile.save(replace(bank(), judged=judged), path)
    assert bankfile.load(path).judged == judged
    assert bankfile.load(path).distinct().judged == judged, "copies of the bank say so too"
    bankfile.save(replace(bankfile.load(path), judged=None), path)
    assert path.read_bytes() == plain, "a bank that says nothing is as it was before"


@pytest.mark.parametrize(
    "said", [{"prompting": "auto", "second_look": 0}, {"prompting": "all", "second_look": 0}, {}, 3]
)
def test_another_word_of_how_it_was_judged_is_refused(tmp_path: Path, said: object) -> None:
    path = tmp_path / "b.safetensors"
    bankfile.save(bank(), path)
    arrays, facts = tensors.read(path)
    path.write_bytes(tensors.pack(arrays, {**facts.values, "judged": said}))
    with pytest.raises(ExemplarError, match="judged"):
        bankfile.load(path)
