"""The SAM path with the small SAM that ``tests/assets/train_tiny_sam.py`` trains."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from places import ASSETS, QUICK, Figure
from scenes import COLOURS, Scene, make_scene

from searchdet.config import BackboneOptions, Examples, ProposalOptions, Settings
from searchdet.detector import Detector
from searchdet.errors import CheckpointError, UsageError
from searchdet.masks.rle import decode
from searchdet.proposals import choose, load_proposer
from searchdet.proposals.sam import weights as sam
from searchdet.weights.devices import Compute

sys.path.insert(0, str(ASSETS))
from train_tiny_sam import build_tiny_sam

pytestmark = pytest.mark.model

HELD_OUT = range(10**6, 10**6 + 12)
FP32 = Compute("cpu", "fp32")


def random_sam(folder: Path) -> Path:
    """A file with the small SAM's shapes and no training."""
    path = folder / "random_sam.pth"
    torch.save(build_tiny_sam().state_dict(), path)
    return path


def iou(one: np.ndarray, two: np.ndarray) -> float:
    return float((one & two).sum() / (one | two).sum())


def point_iou(path: Path, seeds: Sequence[int] = HELD_OUT) -> float:
    """Mean IoU of the best-rated mask for a point inside each held-out shape."""
    from segment_anything import SamPredictor

    network = sam.load_sam(path, FP32).get()
    predictor, got = SamPredictor(network), []
    for seed in seeds:
        scene = make_scene(seed)
        predictor.set_image(scene.image)
        for mask in scene.masks:
            rows, columns = np.nonzero(mask)
            middle = len(rows) // 2
            point = np.array([[columns[middle], rows[middle]]])
            masks, quality, _ = predictor.predict(point, np.array([1]))
            got.append(iou(masks[quality.argmax()], mask))
    return float(np.mean(got))


def test_points_on_held_out_shapes(tiny_sam: Path, figure: Figure) -> None:
    assert figure("small SAM, mean IoU of points on held-out shapes", point_iou(tiny_sam)) >= 0.85


def test_random_weights_fail_the_same_test(tmp_path: Path, figure: Figure) -> None:
    assert figure("the same with random weights", point_iou(random_sam(tmp_path), HELD_OUT[:4])) < 0.5


def test_the_file_is_small_and_complete(tiny_sam: Path) -> None:
    assert tiny_sam.stat().st_size <= 3_000_000
    loaded = sam.load_sam(tiny_sam, FP32)
    network, weights = loaded.get(), loaded.weights
    assert weights.verified is None
    assert 0.8e6 < sum(p.numel() for p in network.parameters()) < 1.6e6
    wanted = torch.load(tiny_sam, weights_only=True)
    for name, tensor in network.state_dict().items():
        assert (tensor == wanted[name].float()).all(), name


@pytest.mark.parametrize("variant", ["vit_b", "vit_l", "vit_h"])
def test_official_variants_are_read_off_the_shapes(variant: str) -> None:
    from segment_anything import sam_model_registry

    with torch.device("meta"):
        official = sam_model_registry[variant]()
        ours = sam.build(sam.shape_of(official.state_dict()))
    wanted = {k: v.shape for k, v in official.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == wanted
    windows = [block.window_size for block in official.image_encoder.blocks]
    assert [block.window_size for block in ours.image_encoder.blocks] == windows
    heads = official.image_encoder.blocks[0].attn.num_heads
    assert ours.image_encoder.blocks[0].attn.num_heads == heads
    assert ours.image_encoder.img_size == 1024


def test_every_sam_output_equals_segment_anything_s_own(tiny_sam: Path) -> None:
    """Loaded on the meta device or built and filled by hand: the same numbers."""
    network = sam.load_sam(tiny_sam, FP32).get()
    stock = build_tiny_sam().eval()
    stock.load_state_dict(torch.load(tiny_sam, weights_only=True))
    image = torch.from_numpy(make_scene(5).image).permute(2, 0, 1)
    request = {
        "image": image,
        "original_size": (256, 256),
        "point_coords": torch.tensor([[[100.0, 100.0]]]),
        "point_labels": torch.ones(1, 1),
    }
    one, two = (net([request], multimask_output=True)[0] for net in (network, stock))
    assert (one["low_res_logits"] - two["low_res_logits"]).abs().max() < 1e-4
    assert (one["iou_predictions"] - two["iou_predictions"]).abs().max() < 1e-5


@pytest.mark.parametrize("damage", ["remove", "add", "reshape", "poison", "other"])
def test_a_damaged_sam_is_refused(tiny_sam: Path, tmp_path: Path, damage: str) -> None:
    state = dict(torch.load(tiny_sam, weights_only=True))
    name = "mask_decoder.iou_token.weight"
    if damage == "remove":
        del state[name]
    elif damage == "add":
        state["mask_decoder.extra"] = torch.ones(2)
    elif damage == "reshape":
        state[name] = state[name].T.contiguous()
    elif damage == "poison":
        state[name] = state[name] * float("nan")
    else:
        state = {"stem.0.weight": torch.ones(96, 3, 4, 4)}
    path = tmp_path / "s.pth"
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"s\.pth"):
        sam.load_sam(path, FP32)


def test_an_official_name_with_another_content_is_refused(tiny_sam: Path, tmp_path: Path) -> None:
    path = tmp_path / "sam_vit_b_01ec64.pth"
    path.write_bytes(tiny_sam.read_bytes())
    with pytest.raises(CheckpointError, match="official"):
        sam.load_sam(path, FP32)
    assert sam.load_sam(path, FP32, allow_unverified=True).weights.verified is False


def test_auto_takes_sam_where_it_is_and_regions_otherwise(
    tiny_sam: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose(ProposalOptions()).name == "regions"
    assert choose(ProposalOptions(checkpoint=str(tiny_sam))).name == "sam"
    with pytest.raises(CheckpointError, match="needs weights"):
        choose(ProposalOptions("sam"))
    with pytest.raises(CheckpointError, match="no such"):
        choose(ProposalOptions(checkpoint=str(tmp_path / "absent.pth")))
    with pytest.raises(UsageError, match="takes no"):
        choose(ProposalOptions("regions", checkpoint=str(tiny_sam)))
    with pytest.raises(UsageError, match="unknown"):
        choose(ProposalOptions("fastsam"))
    with pytest.raises(UsageError, match="points"):
        load_proposer("sam", tiny_sam, points=3)
    (tmp_path / "sam_vit_b_01ec64.pth").write_bytes(b"x")
    monkeypatch.setenv("SEARCHDET_MODELS", str(tmp_path))
    chosen = choose(ProposalOptions())
    assert chosen.name == "sam"
    assert str(chosen.checkpoint).endswith("sam_vit_b_01ec64.pth")


def test_proposals_have_the_shapes_of_the_contract(tiny_sam: Path) -> None:
    proposer = load_proposer(
        "sam",
        tiny_sam,
        "cpu",
        "fp32",
        points_per_side=12,
        scored_masks=5,
        min_area=0.1,
        max_area=50,
        pred_iou_thresh=0.7,
        stability_score_thresh=0.8,
    )
    image = make_scene(77).image[:200]
    found = proposer.propose(image)
    dense = found.dense()
    assert 1 <= len(found) <= 5
    assert dense.shape == (len(found), 200, 256)
    assert found.boxes.shape == (len(found), 4)
    assert found.boxes.dtype == np.float32
    assert (np.diff(found.quality) <= 0).all()
    for mask, box in zip(dense, found.boxes, strict=True):
        rows, columns = np.nonzero(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert 0.001 <= mask.mean() <= 0.5


def coloured(seed: int) -> Scene:
    return make_scene(seed, shapes=("disc", "square", "triangle", "star"), palette=COLOURS)


def write_exemplars(folder: Path) -> None:
    """Red shapes as positives, shapes of every other colour and the ground as negatives, with masks."""
    counts: dict[str, int] = {}
    for seed in range(500, 530):
        scene = coloured(seed)
        for mask, colour in zip(scene.masks, scene.colours, strict=True):
            counts[colour] = counts.get(colour, 0) + 1
            if counts[colour] > (5 if colour == "red" else 2):
                continue
            rows, columns = np.nonzero(mask)
            window = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            base = folder / ("positive/red" if colour == "red" else "negative")
            base.mkdir(parents=True, exist_ok=True)
            stem = f"{colour}{counts[colour]}"
            Image.fromarray(scene.image[window]).save(base / f"{stem}.png")
            Image.fromarray(mask[window]).save(base / f"{stem}.mask.png")
    corner = coloured(500).image[:40, :40]
    Image.fromarray(corner).save(folder / "negative" / "ground.png")


def hits(detector: Detector, seeds: range) -> tuple[int, int, int]:
    """(red shapes, found at IoU 0.5, false detections) over scenes."""
    there = found = false = 0
    for seed in seeds:
        scene = coloured(seed)
        record = detector.detect(scene.image, f"scene{seed}")
        wanted = [m for m, c in zip(scene.masks, scene.colours, strict=True) if c == "red"]
        there += len(wanted)
        masks = decode([item.segmentation for item in record.detections], scene.image.shape[:2])
        overlaps = np.array([[iou(mask, w) for w in wanted] for mask in masks]).reshape(
            len(masks), len(wanted)
        )
        if len(wanted):
            found += int((overlaps.max(axis=0, initial=0) >= 0.5).sum())
        false += sum(1 for row in overlaps if row.max(initial=0) < 0.5)
    return there, found, false


def detector_with(checkpoint: Path, folder: Path, prompting: str = "everything") -> Detector:
    options = ProposalOptions(
        "sam",
        str(checkpoint),
        points_per_side=16,
        prompting=prompting,
        pred_iou_thresh=0.7,
        stability_score_thresh=0.8,
    )
    settings = Settings(BackboneOptions(QUICK), proposals=options)
    return Detector.build(Examples(folder / "positive", folder / "negative"), settings)


@pytest.mark.parametrize(
    ("prompting", "scenes"),
    [("everything", 2), pytest.param("guided", 20, marks=pytest.mark.slow)],
)
def test_the_whole_path_finds_every_red_shape_and_nothing_else(
    tiny_sam: Path, tmp_path: Path, figure: Figure, prompting: str, scenes: int
) -> None:
    write_exemplars(tmp_path)
    detector = detector_with(tiny_sam, tmp_path, prompting)
    there, found, false = hits(detector, range(900, 900 + scenes))
    figure(f"red shapes on {scenes} scenes", there)
    figure(f"red shapes found on {scenes}", found)
    figure(f"false detections on {scenes} scenes", false)
    assert there >= scenes * 3 // 4
    assert (found, false) == (there, 0)


def test_random_sam_weights_find_nothing_of_it(tmp_path: Path) -> None:
    write_exemplars(tmp_path)
    there, found, _ = hits(detector_with(random_sam(tmp_path), tmp_path), range(900, 902))
    assert found < there


@pytest.mark.parametrize("turned", [False, True])
def test_a_long_side_of_proposals_finds_the_same_objects_on_a_smaller_copy(
    tiny_sam: Path, turned: bool
) -> None:
    scene = make_scene(10**6 + 3, size=512)
    image = np.ascontiguousarray(scene.image[:, :384])
    masks = [mask[:, :384] for mask in scene.masks]
    if turned:
        image, masks = image.transpose(1, 0, 2).copy(), [mask.T for mask in masks]
    given = {"points_per_side": 12, "pred_iou_thresh": 0.7, "stability_score_thresh": 0.7}
    whole = load_proposer("sam", tiny_sam, **given).propose(image)
    small = load_proposer("sam", tiny_sam, **given, sam_long_side=128).propose(image)
    assert (whole.drawn, small.drawn) == (None, (96, 128) if turned else (128, 96))
    assert small.size == image.shape[:2]
    assert (small.boxes[:, 2:] <= [image.shape[1], image.shape[0]]).all()
    drawn = (whole.dense(), small.dense())
    best = [[max(iou(own, mask) for own in found) for mask in masks] for found in drawn]
    assert np.mean(best[1]) > 0.8 * np.mean(best[0]) > 0.5
    same = load_proposer("sam", tiny_sam, **given, sam_long_side=512).propose(image)
    assert same.rles == whole.rles
