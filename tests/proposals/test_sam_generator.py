"""The whole SAM generator: segment-anything's masks, its precision and its memory ladder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from places import TINY_SAM, Figure
from pycocotools import mask as coco
from scenes import make_scene
from segment_anything import SamAutomaticMaskGenerator

from searchdet.config import ProposalOptions, points_of_layer
from searchdet.errors import ResourceError
from searchdet.proposals import Proposals
from searchdet.proposals.points import crops
from searchdet.proposals.prompts import grid
from searchdet.proposals.sam import SamProposer, network
from searchdet.proposals.sam.decoder import PointDecoder
from searchdet.proposals.sam.weights import load_sam
from searchdet.records import WeightsInfo
from searchdet.weights import Compute, Lazy

pytestmark = pytest.mark.model

FP32 = Compute("cpu", "fp32")
OPTIONS = ProposalOptions(
    "sam",
    points_per_side=12,
    pred_iou_thresh=0.7,
    stability_score_thresh=0.8,
    min_area=0.0,
    max_area=100.0,
    scored_masks=100_000,
)
COARSE = replace(OPTIONS, points_per_side=8)
TEN = replace(OPTIONS, points_per_side=10)


@pytest.fixture(scope="module")
def sam() -> Any:
    return load_sam(TINY_SAM, FP32).get()


def ours(sam: Any, options: ProposalOptions, compute: Compute = FP32) -> SamProposer:
    lazy = Lazy(WeightsInfo("tiny", "", "Meta", None), lambda: sam)
    return SamProposer(lazy, options, compute)


def stock(sam: Any, options: ProposalOptions) -> SamAutomaticMaskGenerator:
    return SamAutomaticMaskGenerator(
        sam,
        points_per_side=options.points_per_side,
        pred_iou_thresh=options.pred_iou_thresh,
        stability_score_thresh=options.stability_score_thresh,
        crop_n_layers=options.crop_layers,
        crop_n_points_downscale_factor=options.crop_points_downscale,
        output_mode="coco_rle",
    )


def scene(seed: int, height: int, width: int) -> np.ndarray:
    """Shapes that the edges cut: a window of a larger scene."""
    side = max(height, width) * 5 // 4
    image = make_scene(seed, size=side - side % 8).image
    return np.ascontiguousarray(image[-height:, :width])


def overlaps(one: Sequence[Any], two: Sequence[Any]) -> np.ndarray:
    return np.asarray(coco.iou(list(one), list(two), [0] * len(two))).reshape(len(one), len(two))


def share_paired(one: Sequence[Any], two: Sequence[Any], iou: float) -> float:
    """Of both lists together: how many have a partner in the other with this IoU."""
    table = overlaps(one, two)
    paired = (table.max(1, initial=0) >= iou).sum() + (table.max(0, initial=0) >= iou).sum()
    return float(paired / (len(one) + len(two)))


def compare(
    sam: Any, options: ProposalOptions, image: np.ndarray, figure: Figure, what: str
) -> Proposals:
    """Hold ours against theirs; returns ours."""
    theirs = stock(sam, options).generate(image)
    mine = ours(sam, options).propose(image)
    wanted = [item["segmentation"] for item in theirs]
    assert len(wanted) >= 5
    share = share_paired(wanted, mine.rles, 0.99)
    assert 1 - figure(f"masks without a partner in segment-anything's, {what}", 1 - share) >= 0.99
    partner = overlaps(mine.rles, wanted).argmax(1)
    for i, item in enumerate(theirs[int(j)] for j in partner):
        x, y, width, height = item["bbox"]  # width and height between pixel centres
        assert np.abs(mine.boxes[i] - [x, y, x + width + 1, y + height + 1]).max() <= 1
        assert mine.quality[i] == pytest.approx(min(1.0, item["predicted_iou"]), abs=1e-4)
    return mine


@pytest.mark.parametrize(
    ("seed", "size"),
    [(1, (200, 300)), pytest.param(2, (400, 520), marks=pytest.mark.slow), (4, (131, 97))],
)
def test_masks_are_segment_anything_s(
    sam: Any, seed: int, size: tuple[int, int], figure: Figure
) -> None:
    compare(sam, COARSE, scene(seed, *size), figure, "whole image")


def test_masks_of_crops_are_segment_anything_s(sam: Any, figure: Figure) -> None:
    options = replace(OPTIONS, points_per_side=6, crop_layers=1)
    compare(sam, options, scene(1, 120, 160), figure, "one layer of crops")


def test_masks_of_two_layers_of_crops_are_segment_anything_s(sam: Any, figure: Figure) -> None:
    options = replace(OPTIONS, points_per_side=6, crop_layers=2, crop_points_downscale=2)
    options = replace(options, pred_iou_thresh=0.5, stability_score_thresh=0.6)
    what = "two layers of crops, points halved by layer"
    mine = compare(sam, options, scene(2, 160, 200), figure, what)
    assert mine.details["points_asked"] == 6 * 6 + 4 * 3 * 3 + 16 * 1 * 1


def test_points_of_a_layer_are_rounded_down_as_segment_anything_does_it(sam: Any) -> None:
    options = replace(OPTIONS, points_per_side=11, crop_layers=2, crop_points_downscale=3)
    theirs = [round(len(points) ** 0.5) for points in stock(sam, options).point_grids]
    assert [points_of_layer(11, 3, layer) for layer in range(3)] == theirs == [11, 3, 1]


def test_thresholds_of_zero_keep_every_mask_with_pixels(sam: Any) -> None:
    options = replace(OPTIONS, points_per_side=3, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    image = scene(6, 90, 120)
    wanted = [item["segmentation"] for item in stock(sam, options).generate(image) if item["area"]]
    mine = ours(sam, options).propose(image)
    assert share_paired(wanted, mine.rles, 0.99) == 1
    assert mine.removed.get("quality", 0) == 0


def test_masks_are_counted_once_where_memory_runs_out_while_they_are_upscaled(
    sam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = PointDecoder.logits, [1]

    def logits(decoder: PointDecoder, side: Any, decoded: Any, prompt: int, masks: list[int]) -> Any:
        if left:
            left.pop()
            raise torch.OutOfMemoryError("no memory")
        return real(decoder, side, decoded, prompt, masks)

    monkeypatch.setattr(PointDecoder, "logits", logits)
    monkeypatch.setattr(network, "CPU_BATCH", 16)
    found = ours(sam, replace(OPTIONS, points_per_side=4)).propose(scene(6, 90, 120))
    assert found.details["memory_retries"] == 1
    assert len(found) + sum(found.removed.values()) == 48


@pytest.mark.parametrize("logit", [-5.0, -0.5])
def test_masks_without_pixels_are_dropped_and_counted(
    sam: Any, logit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def logits(decoder: PointDecoder, side: Any, decoded: Any, prompt: int, masks: list[int]) -> Any:
        return torch.full((len(masks), 128, 128), logit)

    monkeypatch.setattr(PointDecoder, "logits", logits)
    options = replace(OPTIONS, points_per_side=2, pred_iou_thresh=0.0, stability_score_thresh=0.0)
    found = ours(sam, options).propose(scene(6, 90, 120))
    assert (len(found), sum(found.removed.values())) == (0, 12)


def test_crops_are_segment_anything_s_and_points_are_asked_in_each(sam: Any) -> None:
    assert crops((200, 300), 0) == [((0, 0, 300, 200), 0)]
    assert len(crops((200, 300), 1)) == 5
    assert [layer for _, layer in crops((200, 300), 2)] == [0] + [1] * 4 + [2] * 16
    few = replace(OPTIONS, points_per_side=2, crop_layers=1)
    assert ours(sam, few).propose(scene(1, 80, 90)).details["points_asked"] == 5 * 4


def test_crops_find_what_the_whole_image_is_too_coarse_for(sam: Any) -> None:
    image = np.full((256, 256, 3), 200, np.uint8)
    cv2.circle(image, (69, 79), 6, (20, 30, 160), -1)
    truth = np.zeros((256, 256), np.uint8)
    cv2.circle(truth, (69, 79), 6, 1, -1)
    target = [coco.encode(np.asfortranarray(truth))]
    options = replace(COARSE, points_per_side=6)
    best = [
        overlaps(ours(sam, replace(options, crop_layers=n)).propose(image).rles, target).max(initial=0)
        for n in (0, 1)
    ]
    assert best[1] >= 0.7 > best[0]


def test_every_mask_that_is_asked_for_is_kept_or_counted(sam: Any) -> None:
    options = replace(COARSE, min_area=0.5, max_area=30, scored_masks=2)
    found = ours(sam, options).propose(scene(1, 200, 300))
    assert found.details["points_asked"] == 64
    assert sum(found.removed.values()) + len(found) == 64 * 3
    assert found.removed["limit"] > 0


class OnePoint:
    """Asks for one point of a fine grid and notes what it is told."""

    def __init__(self, x: float, y: float) -> None:
        self.listens = True
        self.points = np.concatenate([grid(40), [[x, y]]])
        self.told: list[np.ndarray] = []
        self._left = [len(self.points) - 1]

    def take(self) -> np.ndarray:
        rows, self._left = self._left, []
        return np.asarray(rows, np.int64)

    def tell(self, inside: np.ndarray) -> None:
        self.told.append(inside)


def test_prompts_are_told_which_points_the_accepted_masks_hold(sam: Any) -> None:
    shapes = make_scene(8)
    image, truth = shapes.image[:200], shapes.masks[:, :200]
    largest = truth[truth.sum((1, 2)).argmax()]
    rows, columns = np.nonzero(largest)
    prompts = OnePoint(columns.mean() / 256, rows.mean() / 200)
    done = ours(sam, OPTIONS)._generator.run(image, prompts)
    (inside,) = prompts.told
    assert done.asked == 1
    assert len(inside) >= 1
    at = (prompts.points * [256, 200]).astype(int)
    held = largest[at[:, 1], at[:, 0]]
    assert held.sum() >= 20
    overlap = (inside & held).sum(1) / (inside | held).sum(1)
    assert overlap.max() >= 0.9


def test_the_same_image_gives_the_same_masks_again(sam: Any) -> None:
    proposer, image = ours(sam, COARSE), scene(7, 100, 140)
    one, _, two = proposer.propose(image), proposer.propose(image[:60]), proposer.propose(image)
    assert one.rles == two.rles
    assert (one.quality == two.quality).all()


def test_smoothing_changes_masks_only_a_little(sam: Any) -> None:
    image = scene(1, 200, 300)
    plain, smooth = (ours(sam, replace(COARSE, smooth=r)).propose(image) for r in (0, 2))
    assert plain.rles != smooth.rles
    assert share_paired(plain.rles, smooth.rles, 0.7) >= 0.8


def test_bf16_gives_largely_the_same_masks(sam: Any, figure: Figure) -> None:
    for seed, size in ((1, (200, 300)), (2, (256, 256))):
        image = scene(seed, *size)
        exact, rough = (ours(sam, COARSE, c).propose(image) for c in (FP32, Compute("cpu", "bf16")))
        share = share_paired(exact.rles, rough.rles, 0.95)
        assert 1 - figure("masks of bf16 and fp32 without a partner at IoU 0.95", 1 - share) >= 0.9


class Memory:
    """Of a device that holds ``room`` prompts; counts the batches that were tried."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int, error: type[Exception]) -> None:
        self.tried: list[int] = []
        real = PointDecoder.decode

        def decode(decoder: PointDecoder, side: Any, points: torch.Tensor) -> Any:
            self.tried.append(len(points))
            if len(points) > room:
                raise error("no memory")
            return real(decoder, side, points)

        monkeypatch.setattr(PointDecoder, "decode", decode)
        monkeypatch.setattr(network, "CPU_BATCH", 64)


def same(one: Proposals, two: Proposals) -> bool:
    """Up to the last bits, which may depend on the batch."""
    return (
        one.removed == two.removed
        and len(one) == len(two)
        and share_paired(one.rles, two.rles, 0.99) == 1
    )


@pytest.mark.parametrize(
    ("error", "room", "tried"),
    [
        (torch.OutOfMemoryError, 8, [64, 32, 16] + [8] * 12 + [4]),
        (MemoryError, 50, [64, 32, 32, 32, 4]),
    ],
)
def test_a_lack_of_memory_halves_the_batch_and_loses_nothing(
    sam: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception], room: int, tried: list[int]
) -> None:
    image = scene(1, 90, 120)
    plain = ours(sam, TEN).propose(image)
    memory = Memory(monkeypatch, room, error)
    proposer = ours(sam, TEN)
    found = proposer.propose(image)
    halved = sum(size > room for size in tried)
    assert memory.tried == tried
    assert found.details == {"points_asked": 100, "memory_retries": halved}
    assert plain.details["memory_retries"] == 0
    assert same(found, plain)
    memory.tried.clear()
    assert proposer.propose(image).details["memory_retries"] == 0, "the batch that fits was forgotten"
    assert max(memory.tried) == tried[halved]


def test_without_room_for_eight_points_the_image_fails_with_oom(
    sam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(monkeypatch, 7, torch.OutOfMemoryError)
    with pytest.raises(ResourceError, match="8 point prompts") as caught:
        ours(sam, TEN).propose(scene(1, 90, 120))
    assert memory.tried == [64, 32, 16, 8]
    assert caught.value.code == "oom"
    assert caught.value.hint


def test_crops_share_the_batch_that_fits(sam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Memory(monkeypatch, 16, torch.OutOfMemoryError)
    options = replace(OPTIONS, points_per_side=5, crop_layers=1)
    found = ours(sam, options).propose(scene(1, 90, 120))
    assert found.details == {"points_asked": 5 * 25, "memory_retries": 2}
