"""A card against the CPU, in float32: the same masks, the same vectors. Skipped without CUDA."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hqs
import mobiles
import numpy as np
import pointed
import pytest
import references as ref
import torch
from places import TINY_SAM, Figure
from scenes import make_scene
from test_frame import OFFICIAL, fields, make

from searchdet.backbones import load_backbone
from searchdet.backbones.network import load_network
from searchdet.embeddings import embed_masks
from searchdet.images import resample
from searchdet.masks.rle import Rle
from searchdet.proposals import load_proposer
from searchdet.proposals.cutting import Cutter
from searchdet.proposals.types import BoxPrompted
from searchdet.weights import Compute

CARD = "cuda"
pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]
LEVELS = {"sam": (0.7, 0.8), "mobile_sam": (0.3, 0.5), "sam_hq": (0.7, 0.6), "sam2": (0.0, 0.0)}
"""Least predicted IoU and stability: what the small networks are sure of."""


def weights(name: str, folder: Path) -> Path:
    if name == "mobile_sam":
        return mobiles.saved(mobiles.pointed(mobiles.small_mobile_sam()), folder / "mobile.pt")
    if name == "sam_hq":
        return hqs.save(hqs.trained_hq(), folder / "sam_hq.pth")
    return TINY_SAM if name == "sam" else pointed.save(pointed.network("sam2"), folder)


def both(name: str, path: Path, **options: Any) -> list[Any]:
    iou, stability = LEVELS[name]
    options |= {"pred_iou_thresh": iou, "stability_score_thresh": stability, "min_area": 0.0}
    return [load_proposer(name, path, device, "fp32", **options) for device in ("cpu", CARD)]


def share(one: Sequence[Rle], two: Sequence[Rle]) -> float:
    """The share of masks of either side that has a partner with IoU >= 0.99 on the other."""
    from pycocotools import mask as coco

    overlaps = np.asarray(coco.iou(list(one), list(two), [0] * len(two)))
    return min(float((overlaps.max(axis) >= 0.99).mean()) for axis in (0, 1))


@pytest.mark.parametrize("name", LEVELS)
def test_proposals(name: str, tmp_path: Path, figure: Figure) -> None:
    image = make_scene(3, size=320).image[:, :240]
    on_cpu, on_card = both(name, weights(name, tmp_path), points_per_side=12)
    promise = np.random.default_rng(0).random((8, 6)).astype(np.float32)
    for what, given in (("everything", ()), ("guided", (promise,))):
        wanted, got = on_cpu.propose(image, *given), on_card.propose(image, *given)
        assert len(wanted) > 4
        assert got.details["points_asked"] == wanted.details["points_asked"]
        assert figure(f"{name}, {what}: masks of a card", -share(wanted.rles, got.rles)) <= -0.95


def test_masks_of_boxes() -> None:
    image = make_scene(3).image
    boxes = np.asarray([[20, 30, 90, 110], [60, 10, 130, 60], [5, 5, 5, 30]], np.float32)
    on_cpu, on_card = both("sam", TINY_SAM)
    assert isinstance(on_cpu, BoxPrompted)
    assert isinstance(on_card, BoxPrompted)
    wanted, got = on_cpu.masks_of_boxes(image, boxes), on_card.masks_of_boxes(image, boxes)
    assert wanted[2] == got[2]
    assert share(wanted[:2], got[:2]) == 1


def test_fields_are_cut_alike() -> None:
    frame = make(OFFICIAL, (701, 1023))
    many = torch.from_numpy(np.stack(fields(OFFICIAL[0], 24)))
    wanted = Cutter(frame, "cpu").cut(many, -1.0, 0.0)
    got = Cutter(frame, CARD).cut(many.to(CARD), -1.0, 0.0)
    for one, two in zip(wanted, got, strict=True):
        assert (one is None) == (two is None)
        if one is not None and two is not None:
            assert one.box == two.box
            assert np.array_equal(one.part.values, two.part.values)


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
def test_pixels_are_resized_alike(kind: str) -> None:
    image = torch.from_numpy(make_scene(1, size=400).image)
    resize = getattr(resample, kind)
    assert torch.equal(resize(image, (310, 317)), resize(image.to(CARD), (310, 317)).cpu())


REFERENCES = {
    "dinov3_convnext_tiny": ref.convnext_reference,
    "dinov3_vits16": ref.vit_reference,
    "dinov2_s": ref.dinov2_reference,
}


@pytest.mark.parametrize("name", [*REFERENCES, "embedded"])
def test_embeddings(name: str, tmp_path: Path, photo: np.ndarray, figure: Figure) -> None:
    masks = np.zeros((2, 96, 128), bool)
    masks[0, :, :50], masks[1, 40:] = True, True
    path = tmp_path / "w.pth"
    if name in REFERENCES:
        torch.save(ref.saved(REFERENCES[name]()), path)
    one, two = (
        embed_masks(
            load_network(ref.small_spec(name), path, Compute(device, "fp32"), 96)
            if name in REFERENCES
            else load_backbone(name, device=device, precision="fp32"),
            photo,
            masks,
        ).vectors
        for device in ("cpu", CARD)
    )
    assert figure(f"{name}: vectors of a card", float(np.abs(one - two).max())) < 1e-3


def test_float32_is_not_tf32() -> None:
    image, weight = torch.randn(1, 32, 64, 64, device=CARD), torch.randn(32, 32, 3, 3, device=CARD)
    before = torch.backends.cudnn.allow_tf32
    with Compute(CARD, "fp32").exact():
        made = torch.conv2d(image, weight)
    wanted = torch.conv2d(image.double(), weight.double())
    assert float((made - wanted).abs().max() / wanted.abs().max()) < 1e-5
    assert torch.backends.cudnn.allow_tf32 == before
