from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from fakes import GridBackbone
from PIL import Image

from searchdet.bank.describe import build_bank
from searchdet.config import EmbeddingOptions
from searchdet.embeddings import embed_masks
from searchdet.errors import ExemplarError
from searchdet.exemplars import find_negatives, find_positives, load


def put(path: Path, size: tuple[int, int] = (20, 16), colour: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def test_sub_folders_are_classes_and_names_are_relative(tmp_path: Path) -> None:
    put(tmp_path / "pos" / "bolt" / "1.png")
    put(tmp_path / "pos" / "bolt" / "deep" / "2.jpg")
    put(tmp_path / "pos" / "nut" / "1.png")
    found = find_positives(tmp_path / "pos")
    assert [(item.label, item.name) for item in found] == [
        ("bolt", "pos/bolt/1.png"),
        ("bolt", "pos/bolt/deep/2.jpg"),
        ("nut", "pos/nut/1.png"),
    ]


def test_a_flat_folder_is_one_class(tmp_path: Path) -> None:
    put(tmp_path / "screw" / "1.png")
    assert [item.label for item in find_positives(tmp_path / "screw")] == ["screw"]


def test_negatives_are_taken_from_all_levels(tmp_path: Path) -> None:
    put(tmp_path / "neg" / "1.png")
    put(tmp_path / "neg" / "a" / "b" / "2.png")
    assert [item.label for item in find_negatives(tmp_path / "neg")] == [None, None]


def test_masks_come_from_files_alpha_or_the_whole(tmp_path: Path) -> None:
    put(tmp_path / "c" / "a.png")
    drawn = np.zeros((16, 20), np.uint8)
    drawn[4:8, 5:9] = 255
    Image.fromarray(drawn).save(tmp_path / "c" / "a.mask.png")
    pixels = np.full((16, 20, 4), 255, np.uint8)
    pixels[:8, :, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "c" / "b.png")
    put(tmp_path / "c" / "d.png")
    first, second, third = load(find_positives(tmp_path / "c"))
    assert (first.mask == (drawn > 0)).all()
    assert first.mask_source == "file"
    assert not second.mask[:8].any()
    assert second.mask[8:].all()
    assert second.mask_source == "alpha"
    assert third.mask.all()
    assert third.mask_source == "whole"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: None, ["does not exist"]),
        (lambda root: root.mkdir(), ["no positive image", "found nothing"]),
        (lambda root: put(root / "notes.png").rename(root / "notes.txt"), ["notes.txt"]),
        (lambda root: (put(root / "a" / "1.png"), (root / "b").mkdir()), ["b", "no positive image"]),
        (lambda root: (put(root / "a" / "1.png"), put(root / "2.png")), ["both", "2.png"]),
        (lambda root: put(root / "1.png").write_bytes(b"oops"), ["1.png", "exemplar"]),
        (lambda root: put(root / "1.png").write_bytes(b""), ["1.png", "empty"]),
        (lambda root: (put(root / "1.png"), put(root / "2.mask.png")), ["2.mask.png", "beside"]),
        (lambda root: (put(root / "1.png"), put(root / "1.mask.png", (9, 9))), ["9x9"]),
        (lambda root: (put(root / "1.png"), put(root / "1.mask.png", colour="black")), ["empty"]),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path: Path, make: object, words: list[str]) -> None:
    root = tmp_path / "pos"
    make(root)
    with pytest.raises(ExemplarError) as caught:
        load(find_positives(root))
    for word in words:
        assert word in caught.value.one_line()
    assert str(root) in caught.value.one_line()


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ExemplarError, match="is a file"):
        find_positives(put(tmp_path / "x.png"))


def test_junk_is_ignored_and_other_files_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "c" / "1.png")
    for name in (".DS_Store", "Thumbs.db", ".hidden.png"):
        (tmp_path / "c" / name).write_bytes(b"x")
    with caplog.at_level(logging.WARNING):
        assert len(find_positives(tmp_path / "c")) == 1
        assert not caplog.records
        (tmp_path / "c" / "readme.txt").write_text("x")
        find_positives(tmp_path / "c")
    assert "readme.txt" in caplog.text


def test_the_bank_embeds_exemplars_with_the_function_for_masks(tmp_path: Path) -> None:
    for number, colour in enumerate(("red", "green", "blue")):
        put(tmp_path / "pos" / "ab"[number % 2] / f"{number}.png", colour=colour)
    put(tmp_path / "neg" / "n.png", colour="yellow")
    exemplars = load(find_positives(tmp_path / "pos") + find_negatives(tmp_path / "neg"))
    backbone = GridBackbone()
    got = build_bank(backbone, exemplars, EmbeddingOptions())
    assert got.classes == ("a", "b")
    assert got.labels.tolist() == [0, 0, 1]
    assert got.negatives.vectors.shape == (1, 4)
    for row, item in zip(got.positives.vectors, exemplars[:3], strict=True):
        again = embed_masks(backbone, item.pixels, item.mask[None]).vectors[0]
        assert (row == again).all()
    prototype = got.positives.vectors[:2].astype(np.float64).mean(0)
    assert np.allclose(got.prototypes()[0], prototype / np.linalg.norm(prototype), atol=1e-6)
