"""The whole SAM-HQ generator against the authors' ``SamAutomaticMaskGenerator``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hqs import hq_package, ours_tiny, random_hq, save, tiny_hq, trained_hq
from places import Figure
from pycocotools import mask as coco
from scenes import make_scene

from searchdet.config import ProposalOptions
from searchdet.proposals.points import generator
from searchdet.proposals.sam import SamProposer
from searchdet.proposals.sam_hq import HqProposer
from searchdet.proposals.sam_hq.weights import load_hq
from searchdet.records import WeightsInfo
from searchdet.weights import Compute, Lazy

pytestmark = pytest.mark.model

FP32 = Compute("cpu", "fp32")
OPTIONS = ProposalOptions(
    "sam_hq",
    points_per_side=8,
    pred_iou_thresh=0.7,
    stability_score_thresh=0.6,
    min_area=0.0,
    max_area=100.0,
    scored_masks=100_000,
)


def scene(seed: int, height: int, width: int) -> np.ndarray:
    """Shapes that the edges cut: a window of a larger scene."""
    side = max(height, width) * 5 // 4
    image = make_scene(seed, size=side - side % 8).image
    return np.ascontiguousarray(image[-height:, :width])


def ours(network: Any, options: ProposalOptions, kind: Any = HqProposer) -> Any:
    return kind(Lazy(WeightsInfo("tiny", "", "Meta", None), lambda: network), options, FP32)


def authors(
    sam: Any, options: ProposalOptions, image: np.ndarray, **more: float
) -> list[dict[str, Any]]:
    made = hq_package().SamAutomaticMaskGenerator(
        sam,
        points_per_side=options.points_per_side,
        pred_iou_thresh=options.pred_iou_thresh,
        stability_score_thresh=options.stability_score_thresh,
        crop_n_layers=options.crop_layers,
        output_mode="coco_rle",
        **more,
    )
    return list(made.generate(image))


def overlaps(one: Sequence[Any], two: Sequence[Any]) -> np.ndarray:
    return np.asarray(coco.iou(list(one), list(two), [0] * len(two))).reshape(len(one), len(two))


def share_paired(one: Sequence[Any], two: Sequence[Any]) -> float:
    """Of both lists together: how many have a partner in the other at IoU 0.99."""
    table = overlaps(one, two)
    paired = (table.max(1, initial=0) >= 0.99).sum() + (table.max(0, initial=0) >= 0.99).sum()
    return float(paired / (len(one) + len(two)))


def compare(sam: Any, network: Any, options: ProposalOptions, image: np.ndarray) -> tuple[float, int]:
    """(share of masks with a partner, masks) after a look at boxes and predicted IoU."""
    theirs = [item for item in authors(sam, options, image) if item["area"]]
    mine = ours(network, options).propose(image)
    wanted = [item["segmentation"] for item in theirs]
    partner = overlaps(mine.rles, wanted).argmax(1)
    for i, item in enumerate(theirs[int(j)] for j in partner):
        x, y, width, height = item["bbox"]  # width and height between pixel centres
        assert np.abs(mine.boxes[i] - [x, y, x + width + 1, y + height + 1]).max() <= 1
        assert mine.quality[i] == pytest.approx(min(1.0, max(0.0, item["predicted_iou"])), abs=1e-4)
    return share_paired(wanted, mine.rles), len(wanted)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The authors' network and ours, from one file."""
    sam = trained_hq()
    path = save(sam, tmp_path_factory.mktemp("hq") / "hq.pth")
    return sam, load_hq(path, FP32).get()


@pytest.mark.parametrize(("seed", "size", "layers"), [(2, (256, 256), 0), (1, (160, 220), 1)])
def test_masks_are_the_authors(
    trained: tuple[Any, Any], seed: int, size: tuple[int, int], layers: int, figure: Figure
) -> None:
    options = replace(OPTIONS, points_per_side=4, crop_layers=1) if layers else OPTIONS
    share, count = compare(*trained, options, scene(seed, *size))
    assert count >= (3 if layers else 10)
    assert 1 - figure("SAM-HQ masks without a partner in the authors'", 1 - share) >= 0.99


@pytest.mark.parametrize(("seed", "size"), [(1, (96, 150)), (3, (128, 128))])
def test_masks_with_a_tiny_encoder_are_the_authors(
    seed: int, size: tuple[int, int], figure: Figure
) -> None:
    sam = tiny_hq()
    options = replace(OPTIONS, pred_iou_thresh=0.3, stability_score_thresh=0.5)
    share, count = compare(sam, ours_tiny(sam), options, scene(seed, *size))
    assert count >= 8
    assert 1 - figure("SAM-HQ tiny's masks without a partner in the authors'", 1 - share) >= 0.99


def test_masks_with_details_of_single_cells_are_the_authors(tmp_path: Path, figure: Figure) -> None:
    """Stability counted on cells was 0.2 from that of pixels, so that masks were lost."""
    sam = trained_hq(gain=10.0)
    network = load_hq(save(sam, tmp_path / "hq.pth"), FP32).get()
    options = replace(OPTIONS, points_per_side=10, stability_score_thresh=0.8)
    share, count = compare(sam, network, options, scene(1, 200, 300))
    assert count >= 5
    assert 1 - figure("SAM-HQ masks without a partner, noisy", 1 - share) >= 0.99


def test_every_mask_of_random_weights_is_the_authors(
    tmp_path: Path, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise of a network that was never trained; no threshold hides a mask, and none is a duplicate."""
    monkeypatch.setattr(generator, "NMS_IOU", 1.0)
    sam = random_hq(5.0)
    network = load_hq(save(sam, tmp_path / "hq.pth"), FP32).get()
    options = replace(OPTIONS, points_per_side=5, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    image = np.random.default_rng(5).integers(0, 255, (48, 64, 3), np.uint8)
    mine = ours(network, options).propose(image)
    wanted = [item["segmentation"] for item in authors(sam, options, image, box_nms_thresh=1.0)]
    assert len(wanted) == len(mine) == 25
    assert len({code["counts"] for code in wanted}) >= 20, "most points give the same mask"
    share = share_paired(wanted, mine.rles)
    assert 1 - figure("SAM-HQ masks of random weights without a partner", 1 - share) >= 0.99


def test_one_mask_a_point_is_kept_or_counted_and_differs_from_sam_s(trained: tuple[Any, Any]) -> None:
    _, network = trained
    image = scene(1, 200, 300)
    found = ours(network, OPTIONS).propose(image)
    assert found.details["points_asked"] == 64
    assert sum(found.removed.values()) + len(found) == 64
    plain = ours(network, replace(OPTIONS, name="sam"), SamProposer).propose(image)
    assert share_paired(plain.rles, found.rles) < 0.9


def test_the_same_image_gives_the_same_masks_again(trained: tuple[Any, Any]) -> None:
    proposer, image = ours(trained[1], replace(OPTIONS, points_per_side=4)), scene(7, 100, 140)
    one, _, two = proposer.propose(image), proposer.propose(image[:60]), proposer.propose(image)
    assert one.rles == two.rles
    assert (one.quality == two.quality).all()
