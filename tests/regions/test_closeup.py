"""A second look against crops that are cut by hand, and what is remembered of it."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import references as ref
import torch
from fakes import GivenProposer, GridBackbone, LookingBackbone, PatchNetwork
from numpy.typing import NDArray

from searchdet import backbones
from searchdet.backbones import Closer
from searchdet.config import BackboneOptions, EmbeddingOptions, ProposalOptions
from searchdet.errors import EmbeddingError, UsageError
from searchdet.masks import rle
from searchdet.proposals import Proposals
from searchdet.proposals.types import from_rles
from searchdet.regions import Describer, Remembered, closeup, look_closer
from searchdet.regions.closeup import ENLARGE, LEAST_SIDE
from searchdet.storage import kinds
from searchdet.storage.cache import Store

Mask = NDArray[np.bool_]
RNG = np.random.default_rng(5)
IMAGE = cv2.GaussianBlur(RNG.integers(0, 256, (96, 128, 3), np.uint8), (0, 0), 2)


def masks(size: tuple[int, int] = (96, 128)) -> Mask:
    """Inside, a ragged one, at a corner, along the frame, one pixel, and all of the image."""
    made = np.zeros((7, *size), bool)
    height, width = size
    made[0, height // 3 : height // 2, width // 4 : width // 2] = True
    made[1] = np.random.default_rng(1).random(size) > 0.9
    made[1, : height // 4] = made[1, :, : width // 3] = False
    made[2, : height // 5, : width // 6] = True
    made[3, height // 2 :, -width // 8 :] = True
    made[4, height // 2, width // 2] = True
    made[5] = True
    made[6, height // 3, 2:-2] = True
    return made


def by_hand(closer: Closer, image: np.ndarray, mask: Mask) -> np.ndarray:
    """The unit vector of one mask of the size of its image, in float64."""
    y, x = np.nonzero(mask)
    box = np.asarray([y.min(), x.min(), y.max() + 1, x.max() + 1])
    side = max(round(ENLARGE * (box[2:] - box[:2]).max()), LEAST_SIDE)
    top, left = (round(float(v)) for v in (box[:2] + box[2:] - side) / 2)
    room = 2 * max(image.shape)
    wide = np.pad(image, ((room, room), (room, room), (0, 0)), mode="edge")
    part = (slice(top + room, top + room + side), slice(left + room, left + room + side))
    how = cv2.INTER_AREA if side > closer.crop_side else cv2.INTER_CUBIC
    crop = cv2.resize(wide[part], (closer.crop_side,) * 2, interpolation=how)
    inside = np.pad(mask, room)[part].astype(float)
    fine = overlap(side, closer.crop_side)
    share = (fine @ inside @ fine.T / (side / closer.crop_side) ** 2)[..., None]
    grey = np.rint(crop * share + 127 * (1 - share)).astype(np.uint8)
    both = sum(seen_once(closer, view, inside) for view in (crop, grey))
    return both / np.linalg.norm(both)


def seen_once(closer: Closer, crop: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The unit vector of one view of (S, S) pixels, the mask drawn on those of the image."""
    side = len(inside)
    maps, finish = closer.crop_maps(crop[None])
    pooled = []
    for layer in maps:
        shares = overlap(side, layer.shape[-1])
        weights = shares @ inside @ shares.T
        features = layer[0].double().numpy()
        pooled.append((features * weights).sum((1, 2)) / weights.sum())
    found = finish(torch.from_numpy(np.concatenate(pooled)[None]).float())[0].double().numpy()
    return found / np.linalg.norm(found)


def overlap(pixels: int, cells: int) -> np.ndarray:
    """(cells, pixels): how much of each pixel lies in each cell."""
    edges = np.arange(cells + 1) * pixels / cells
    low, high = np.arange(pixels), np.arange(pixels) + 1
    return np.clip(np.minimum(edges[1:, None], high) - np.maximum(edges[:-1, None], low), 0, None)


def look(closer: Closer, image: np.ndarray, drawn: Mask) -> np.ndarray:
    runs = [rle.runs(rle.encode(mask)) for mask in drawn]
    return look_closer(closer, image, runs, (drawn.shape[1], drawn.shape[2]))


def test_a_second_look_is_masked_pooling_in_a_crop_of_its_own() -> None:
    closer, drawn = PatchNetwork(), np.concatenate([masks(), masks()[:3]])
    got = look(closer, IMAGE, drawn)
    assert closer.seen == len(drawn) > closeup._TOGETHER
    assert got.dtype == np.float32
    wanted = np.stack([by_hand(closer, IMAGE, mask) for mask in drawn])
    assert np.abs(got - wanted).max() < 1e-5
    assert np.linalg.norm(got.astype(float), axis=1) == pytest.approx(np.ones(len(drawn)), abs=1e-6)
    assert np.abs(got[0] - got[5]).max() > 0.01, "another crop, another vector"


def test_masks_drawn_smaller_than_the_image_are_looked_at_where_they_lie() -> None:
    closer, drawn = PatchNetwork(), masks((48, 32))  # two pixels of the image down, four across
    got = look(closer, IMAGE, drawn)
    wanted = [by_hand(closer, IMAGE, mask.repeat(2, 0).repeat(4, 1)) for mask in drawn]
    assert np.abs(got - np.stack(wanted)).max() < 1e-5


@pytest.mark.model
def test_a_network_looks_at_crops_of_its_own_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(ref.small_spec("dinov3_convnext_tiny"), crop_side=64)
    monkeypatch.setitem(backbones.SPECS, spec.name, spec)
    path = tmp_path / "weights.pth"
    torch.save(ref.convnext_meta(ref.saved(ref.convnext_reference())), path)
    backbone = backbones.load(BackboneOptions(spec.name, path, precision="fp32"))
    assert backbone.closer is not None
    drawn = masks()[:4]
    got = look(backbone.closer, IMAGE, drawn)
    assert got.shape == (4, backbone.dim)
    wanted = np.stack([by_hand(backbone.closer, IMAGE, mask) for mask in drawn])
    assert np.abs(got - wanted).max() < 1e-4


def test_no_masks_and_damaged_networks() -> None:
    closer = PatchNetwork()
    assert look(closer, IMAGE, masks()[:0]).shape == (0, closer.dim)
    assert closer.seen == 0

    class Broken(PatchNetwork):
        def crop_maps(self, crops: np.ndarray):
            maps, _ = super().crop_maps(crops)
            return maps, lambda pooled: pooled * float("nan")

    with pytest.raises(EmbeddingError, match="crop holds NaN"):
        look(Broken(), IMAGE, masks()[:1])


def remembered(folder: Path | None, backbone: GridBackbone | None = None) -> Remembered:
    describer = Describer(
        backbone or LookingBackbone(), GivenProposer(masks()), ProposalOptions(), EmbeddingOptions()
    )
    return Remembered(describer, Store(folder, kinds.REGIONS), closeups=Store(folder, kinds.CLOSEUPS))


def seen_by(found: Remembered) -> int:
    closer = found.describer.backbone.closer
    assert closer is not None
    return closer.seen


def rows(*numbers: int) -> NDArray[np.int64]:
    return np.asarray(numbers, np.int64)


def proposals(size: tuple[int, int] | None = None) -> Proposals:
    drawn = masks(size or (96, 128))
    return from_rles([rle.encode(mask) for mask in drawn], [0.5] * len(drawn), (96, 128), size)


def test_what_was_looked_at_is_remembered_and_grows(tmp_path: Path) -> None:
    found, first = proposals(), remembered(tmp_path)
    every = look(PatchNetwork(), IMAGE, masks())
    got = first.crops(IMAGE, "a", found, rows(4, 1))
    assert seen_by(first) == 2
    assert np.abs(got - every[[4, 1]]).max() < 1e-3, "kept in half precision, in the order asked for"
    again = remembered(tmp_path)
    more = again.crops(IMAGE, "a", found, rows(1, 0, 4, 6))
    assert seen_by(again) == 2, "only what is new"
    assert np.array_equal(more[[2, 0]], got)
    assert np.abs(more - every[[1, 0, 4, 6]]).max() < 1e-3
    last = remembered(tmp_path)
    assert np.array_equal(last.crops(IMAGE, "a", found, rows(6, 4, 0, 1)), more[[3, 2, 1, 0]])
    assert last.crops(IMAGE, "a", found, rows()).shape == (0, 6)
    assert seen_by(last) == 0, "a second run looks at nothing"
    other = remembered(tmp_path)
    other.crops(IMAGE, "b", found, rows(1))
    assert seen_by(other) == 1, "another image"
    bare = remembered(None)
    assert np.array_equal(bare.crops(IMAGE, "a", found, rows(4, 1)), got), "the same without a cache"


def test_masks_of_a_small_copy_are_looked_at_in_the_image(tmp_path: Path) -> None:
    got = remembered(tmp_path).crops(IMAGE, "a", proposals((48, 32)), rows(0, 3))
    wanted = look(PatchNetwork(), IMAGE, masks((48, 32))[[0, 3]])
    assert np.abs(got - wanted).max() < 1e-3


def test_damaged_entries_are_looked_at_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = proposals()
    first = remembered(tmp_path).crops(IMAGE, "a", found, rows(0, 2))
    (entry,) = (tmp_path / kinds.CLOSEUPS).rglob("*.safetensors")
    whole = entry.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for damage in (b"", whole[:50], whole[:-1], bytes(flipped)):
        entry.write_bytes(damage)
        caplog.clear()
        again = remembered(tmp_path)
        with caplog.at_level(logging.WARNING):
            assert np.array_equal(again.crops(IMAGE, "a", found, rows(0, 2)), first)
        assert seen_by(again) == 2
        assert "made again" in caplog.text
        assert entry.read_bytes() == whole


@pytest.mark.parametrize(
    "arrays",
    [
        {"rows": rows(2, 0), "crops": np.ones((2, 6), np.float16)},
        {"rows": rows(0, 0), "crops": np.ones((2, 6), np.float16)},
        {"rows": rows(0, 2).astype(np.int32), "crops": np.ones((2, 6), np.float16)},
        {"rows": rows(0, 2), "crops": np.ones((1, 6), np.float16)},
        {"rows": rows(0, 2), "crops": np.ones((2, 5), np.float16)},
        {"rows": rows(0, 2), "crops": np.ones((2, 6), np.float32)},
        {"rows": rows(0, 2), "crops": np.full((2, 6), np.nan, np.float16)},
        {"crops": np.ones((2, 6), np.float16)},
    ],
    ids=["order", "twice", "rows", "count", "width", "type", "nan", "missing"],
)
def test_sound_files_of_other_content_are_looked_at_again(
    tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    found = proposals()
    first = remembered(tmp_path).crops(IMAGE, "a", found, rows(0, 2))
    (entry,) = (tmp_path / kinds.CLOSEUPS).rglob("*.safetensors")
    Store(tmp_path, kinds.CLOSEUPS).write(entry.parent.name + entry.stem, arrays, {})
    again = remembered(tmp_path)
    assert np.array_equal(again.crops(IMAGE, "a", found, rows(0, 2)), first)
    assert seen_by(again) == 2


def test_a_backbone_without_a_network_does_not_look_again(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no second look"):
        remembered(tmp_path, GridBackbone()).crops(IMAGE, "a", proposals(), rows(0))
