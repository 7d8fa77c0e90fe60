"""SAM 2, EdgeTAM and SAM 3's tracker against transformers' own networks, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pointed
import pytest
import torch
from PIL import Image
from places import Figure
from scenes import make_scene
from segment_anything.utils.amg import batched_mask_to_box, calculate_stability_score
from torchvision.ops import batched_nms

from searchdet.config import ProposalOptions
from searchdet.proposals import load_proposer
from searchdet.proposals.points.generator import MaskGenerator
from searchdet.proposals.prompts import Everything, grid
from searchdet.proposals.transformers_sam.kinds import EDGETAM, SAM2, SAM3
from searchdet.proposals.transformers_sam.network import SquashedNetwork
from searchdet.proposals.transformers_sam.weights import load
from searchdet.weights import Compute

pytestmark = pytest.mark.model

FP32 = Compute("cpu", "fp32")
KINDS = {"sam2": SAM2, "edgetam": EDGETAM, "sam3": SAM3}
PER_SIDE = 6
SIZES = ((200, 256), (256, 131), (90, 97))


def picture(seed: int, size: tuple[int, int]) -> np.ndarray:
    return np.ascontiguousarray(make_scene(seed).image[: size[0], : size[1]])


def processor(name: str) -> Any:
    from transformers import (
        Sam2ImageProcessor,
        Sam2Processor,
        Sam3ImageProcessor,
        Sam3TrackerProcessor,
    )

    image, whole, side = {
        "sam3": (Sam3ImageProcessor, Sam3TrackerProcessor, pointed.SIDE3),
    }.get(name, (Sam2ImageProcessor, Sam2Processor, pointed.SIDE))
    return whole(image(size={"height": side, "width": side}))


def theirs(
    name: str, model: Any, image: np.ndarray, per_side: int = PER_SIDE
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (P, 3, H, W) at image size and predicted IoU (P, 3), by transformers alone."""
    height, width = image.shape[:2]
    points = (grid(per_side) * [[width, height]]).tolist()
    use = processor(name)
    inputs = use(
        images=Image.fromarray(image), input_points=[[[point] for point in points]], return_tensors="pt"
    )
    with torch.inference_mode():
        out = model(
            pixel_values=inputs["pixel_values"],
            input_points=inputs["input_points"],
            input_labels=inputs.get("input_labels"),
            multimask_output=True,
        )
        masks = use.post_process_masks(out.pred_masks, inputs["original_sizes"], binarize=False)
    return masks[0], out.iou_scores[0]


def ious(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    """(M, N) of masks (M, H, W) and (N, H, W)."""
    first, second = one.flatten(1).double(), two.flatten(1).double()
    shared = first @ second.T
    joined = first.sum(1)[:, None] + second.sum(1)[None] - shared
    return torch.where(joined > 0, shared / joined.clamp(min=1), 1.0)


def loaded(name: str, folder: Path) -> tuple[Any, Any, Path]:
    """A random network of transformers, and the one that is loaded from its folder."""
    model = pointed.network(name)
    path = pointed.save(model, folder)
    return model, load(KINDS[name], path, FP32).get(), path


@pytest.mark.parametrize(
    ("name", "size"),
    [*(("sam2", size) for size in SIZES), ("edgetam", SIZES[0]), ("sam3", SIZES[1])],
)
def test_every_mask_is_that_of_transformers(
    name: str, size: tuple[int, int], tmp_path: Path, figure: Figure
) -> None:
    """Before any rule: the same point and output give the same mask at image size."""
    model, mine, _ = loaded(name, tmp_path)
    image = picture(5, size)
    wide, quality = theirs(name, model, image)
    network = SquashedNetwork(mine, KINDS[name].pixels, FP32)
    frame = network.frame(size)
    state = network.encode(image)
    points = network.points(grid(PER_SIDE) * [[size[1], size[0]]], size)
    rows, columns = (torch.from_numpy(axis.matrix) for axis in (frame.rows, frame.columns))
    worst, apart = [], 0.0
    for start in range(0, len(points), 8):
        answer = network.decode(state, points[start : start + 8])
        apart = max(apart, float((answer.quality - quality[start : start + 8]).abs().max()))
        for i in range(len(answer.quality)):
            logits = network.logits(state, answer, {i: [0, 1, 2]})
            drawn = rows @ logits @ columns.T
            worst += torch.diag(ious(drawn > 0, wide[start + i] > 0)).tolist()
    assert figure(f"{name}, predicted IoU against transformers, worst difference", apart) < 2e-5
    same = float(np.mean(np.asarray(worst) >= 0.99))
    assert figure(f"{name}, masks with IoU 0.99 or more with transformers' own", same) >= 0.99
    spread = ious(wide.flatten(0, 1) > 0, wide.flatten(0, 1) > 0)
    assert float((spread < 0.9).float().mean()) > 0.1, "all masks are alike: this shows nothing"


def by_the_rules(
    wide: torch.Tensor, quality: torch.Tensor, options: ProposalOptions
) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks that segment-anything's rules keep of all, at image size."""
    flat, rated = wide.flatten(0, 1), quality.flatten()
    keep = rated > options.pred_iou_thresh
    flat, rated = flat[keep], rated[keep]
    keep = calculate_stability_score(flat, 0.0, 1.0) >= options.stability_score_thresh
    masks, rated = flat[keep] > 0, rated[keep]
    boxes = batched_mask_to_box(masks).float()
    some = masks.flatten(1).any(1)
    masks, rated, boxes = masks[some], rated[some], boxes[some]
    best = batched_nms(boxes, rated, torch.zeros(len(boxes)), 0.7)
    return masks[best], rated[best]


@pytest.mark.parametrize("name", KINDS)
def test_what_is_kept_is_what_the_rules_keep_of_transformers(
    name: str, tmp_path: Path, figure: Figure
) -> None:
    model, _, path = loaded(name, tmp_path)
    hits: list[bool] = []
    for seed in range(5, 11):
        image = picture(seed, SIZES[seed % 2])
        wide, quality = theirs(name, model, image, 8)
        # the random networks draw specks, whose stability is another at low resolution
        options = ProposalOptions(
            pred_iou_thresh=float(quality.quantile(0.3)), stability_score_thresh=0
        )
        want, _ = by_the_rules(wide, quality, options)
        made = load_proposer(
            name,
            path,
            "cpu",
            "fp32",
            points_per_side=8,
            pred_iou_thresh=options.pred_iou_thresh,
            stability_score_thresh=options.stability_score_thresh,
            min_area=0,
            max_area=100,
        )
        found = made.propose(image)
        got = torch.from_numpy(found.dense())
        pairs = ious(want, got)
        hits += (pairs.amax(1) >= 0.99).tolist() + (pairs.amax(0) >= 0.99).tolist()
        assert found.details["squashed_to"] == (pointed.SIDE3 if name == "sam3" else pointed.SIDE)
    assert len(hits) >= 12, "too few masks to say anything"
    assert figure(f"{name}, kept masks with a partner of 0.99, both sides", np.mean(hits)) >= 0.99


@pytest.mark.parametrize("name", KINDS)
def test_pixels_are_those_of_the_processor(name: str, tmp_path: Path) -> None:
    _, mine, _ = loaded(name, tmp_path)
    image = picture(6, (150, 211))
    seen: list[torch.Tensor] = []
    whole = mine.get_image_embeddings

    def note(pixels: torch.Tensor) -> Any:
        seen.append(pixels)
        return whole(pixels)

    mine.get_image_embeddings = note
    SquashedNetwork(mine, KINDS[name].pixels, FP32).encode(image)
    want = processor(name)(images=Image.fromarray(image), return_tensors="pt")["pixel_values"]
    assert (seen[0] - want).abs().max() < 1e-5


@pytest.mark.parametrize("name", KINDS)
def test_a_loaded_network_is_whole(name: str, tmp_path: Path) -> None:
    """Buffers that no file holds are made too: nothing is left on the meta device."""
    model, mine, path = loaded(name, tmp_path)
    for key, value in model.named_buffers():
        assert torch.equal(dict(mine.named_buffers())[key].float(), value.float()), key
    want, got = model.state_dict(), mine.state_dict()
    assert want.keys() == got.keys()
    assert all(torch.equal(want[key], got[key]) for key in want if "num_batches" not in key)
    assert not any(p.requires_grad for p in mine.parameters())
    facts = load(KINDS[name], path, FP32).weights
    assert facts.layout.startswith("Hugging Face, config.json ")
    assert facts.verified is None


def test_a_batch_that_does_not_fit_is_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, mine, _ = loaded("sam2", tmp_path)
    network = SquashedNetwork(mine, SAM2.pixels, FP32)
    network.batch = 16
    decode, sizes = network.decode, []

    def short(state: Any, points: torch.Tensor) -> Any:
        sizes.append(len(points))
        if len(points) > 8:
            raise torch.OutOfMemoryError("no room")
        return decode(state, points)

    monkeypatch.setattr(network, "decode", short)
    options = ProposalOptions(pred_iou_thresh=0, stability_score_thresh=0)
    done = MaskGenerator(network, options, "cpu").run(picture(5, (64, 80)), Everything(4))
    assert done.oom == 1
    assert sizes == [16, 8, 8]
    assert len(done.masks) > 0
