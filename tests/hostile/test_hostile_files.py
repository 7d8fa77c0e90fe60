"""Weights and annotations made to be read wrongly: each once ended a run, hung or took all memory."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import images_factory as factory
import numpy as np
import pytest
import references as ref
import torch
from annotated import BOX, annotation, dataset, labelme, picture, shape
from forged import judged, ref_truth
from places import ROOT

from searchdet.annotations.coco import read_truth
from searchdet.errors import CheckpointError, ExemplarError, UsageError
from searchdet.evaluation.scorecard import scorecard
from searchdet.exemplars import find_coco, find_negatives, load
from searchdet.masks import rle
from searchdet.proposals.sam.weights import SamShape, build, fill_sam
from searchdet.weights.reading import read_state_dict

sys.path.insert(0, str(ROOT / "fuzz"))

Weights = dict[str, Any]


def itself() -> Weights:
    made: Weights = {}
    made["model"] = made
    return made


ODD = {
    "a dictionary that holds itself": itself,
    "a view of 400 GB": lambda: {"w": torch.ones(1).expand(10**11)},
    "sparse": lambda: {"w": torch.ones(2, 2).to_sparse()},
    "without values": lambda: {"w": torch.ones(2, device="meta")},
    "complex": lambda: {"w": torch.ones(2, dtype=torch.complex64)},
    "of eight bits": lambda: {"w": torch.ones(2).to(torch.float8_e4m3fn)},
    "too large for float32": lambda: {"w": torch.tensor([1e300], dtype=torch.float64)},
}


@pytest.mark.parametrize("made", ODD.values(), ids=ODD.keys())
def test_weights_that_are_no_plain_numbers(tmp_path: Path, made: Any) -> None:
    path = tmp_path / "w.pth"
    torch.save(made(), path)
    with pytest.raises(CheckpointError, match=r"w\.pth"):
        read_state_dict(path)


@pytest.mark.model
@pytest.mark.parametrize("name", ["blocks.0.attn.qkv.bias", "blocks.0.attn.qkv.bias_mask"])
@pytest.mark.parametrize("form", [(1,), (96,), (192, 1, 1)])
def test_vit_tensors_that_do_not_fit_together(tmp_path: Path, name: str, form: tuple[int, ...]) -> None:
    from searchdet.backbones.network import load_network
    from searchdet.weights.devices import Compute

    state = ref.vit_meta(ref.saved(ref.vit_reference()))
    state[name] = torch.zeros(form)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth"):
        load_network(ref.small_spec("dinov3_vits16"), tmp_path / "w.pth", Compute("cpu", "fp32"))


TINY = SamShape(32, 16, 16, 2, 2, 2.0, 1, (1,), 16, 16, 2, 32, 3, 2, 16)
POSITIONS, HEIGHTS = "image_encoder.pos_embed", "image_encoder.blocks.0.attn.rel_pos_h"


@pytest.mark.parametrize(
    ("name", "form"),
    [
        (POSITIONS, (1,)),
        (POSITIONS, (1, 0, 0, 16)),
        (HEIGHTS, (3,)),
        (HEIGHTS, (3, 5)),
        ("image_encoder.neck.0.weight", (9, 16, 1, 1)),
        ("image_encoder.patch_embed.proj.weight", (16, 3, 0, 0)),
        ("image_encoder.blocks", None),
        ("mask_decoder.iou_prediction_head.layers", None),
    ],
)
def test_shapes_no_sam_has(tmp_path: Path, name: str, form: tuple[int, ...] | None) -> None:
    from searchdet.weights.devices import Compute

    state = {k: v for k, v in build(TINY).state_dict().items() if form or not k.startswith(name)}
    if form:
        state[name] = torch.zeros(form)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"w\.pth"):
        fill_sam(tmp_path / "w.pth", Compute("cpu", "fp32"))


HUGE = rle.encode(np.ones((1, 1), bool))["counts"]
TEXTS = ["", HUGE, "0" * 9, "P", "oooooooooooooo1", "~~", "P" * 12 + "1", "é", "[;620000000000000e_9"]


@pytest.mark.parametrize("text", TEXTS)
def test_run_lengths_of_no_mask(text: str) -> None:
    code = {"size": [90, 120], "counts": text}
    with pytest.raises(ValueError, match=r"run lengths|codec"):
        rle.require(code, (90, 120))
    with pytest.raises(ValueError, match=r"run lengths|codec"):
        rle.runs(code)
    with pytest.raises(ValueError, match=r"run lengths|codec"):
        rle.decode([code], (90, 120))
    truth = ref_truth(code)
    with pytest.raises(UsageError, match="cannot be drawn"):  # pycocotools would run for ever
        scorecard(truth, [judged("1.png")])


FAR = [1e9, 1e300, float("inf"), float("nan"), -1e9]


@pytest.mark.parametrize("value", FAR)
def test_corners_far_away_are_refused_before_they_are_drawn(tmp_path: Path, value: float) -> None:
    picture(tmp_path / "neg" / "1.png")
    for points, kind in (
        ([[0.0, 0.0], [value, 0.0], [5.0, 5.0]], "polygon"),
        ([[9.0, 9.0], [value, 9.0]], "circle"),
        ([[9.0, 9.0], [value, value]], "rectangle"),
    ):
        labelme(tmp_path / "neg" / "1.json", [shape("a", points, kind)])
        try:
            (made,) = load(find_negatives(tmp_path / "neg"))
        except ExemplarError as error:
            assert "1." in error.message
        else:
            assert kind == "rectangle"
            assert made.mask.any()
    ring = [0.0, 0.0, value, 0.0, 5.0, 5.0]
    with pytest.raises(ExemplarError, match="cannot be drawn"):
        load(find_coco(dataset(tmp_path, [annotation(segmentation=[ring])])))
    with pytest.raises(UsageError, match="cannot be drawn"):
        scorecard(ref_truth([ring]), [judged("1.png")])


def test_a_bitmap_that_is_a_bomb(tmp_path: Path) -> None:
    picture(tmp_path / "neg" / "1.png")
    for data in (factory.png(30000, 30000), factory.png(30, 20), b"\x89PNG\r\n\x1a\n" + b"\0" * 40):
        text = base64.b64encode(data).decode()
        labelme(tmp_path / "neg" / "1.json", [shape("a", BOX, "mask", mask=text)])
        with pytest.raises(ExemplarError, match="bitmap"):
            load(find_negatives(tmp_path / "neg"))


BROKEN_TRUTHS: list[dict[str, Any]] = [
    {"images": [3]},
    {"images": [{"id": "", "file_name": "1.png"}]},
    {"images": [{"id": 1}]},
    {"categories": [{}]},
    {"categories": [{"id": None, "name": "a"}]},
    {"annotations": ["x"]},
    {"annotations": [annotation(bbox=[1, 2, 3])]},
    {"annotations": [annotation(bbox=[1, 2, 3, "4"])]},
    {"annotations": [annotation(bbox=[1, 2, 3, float("nan")])]},
    {"annotations": [annotation(bbox=[1, 2, -3, 4])]},
    {"annotations": [annotation(bbox=[1, 2, 1e30, 4])]},
    {"annotations": [annotation(image_id=[])]},
    {"annotations": [annotation(iscrowd="no")]},
]


@pytest.mark.parametrize("change", BROKEN_TRUTHS, ids=str)
def test_a_truth_of_another_form(tmp_path: Path, change: dict[str, Any]) -> None:
    path = dataset(tmp_path, [annotation()])
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UsageError, match="ground truth"):
        read_truth(path)
    with pytest.raises(ExemplarError, match="ground truth"):
        find_coco(path)


def test_a_truth_that_is_too_deep_and_classes_that_are_no_lists(tmp_path: Path) -> None:
    path = dataset(tmp_path, [annotation()])
    parts = tmp_path / "parts.json"
    for value in ({"bolt": 3}, {"bolt": [3]}, {"bolt": "a.png"}):
        parts.write_text(json.dumps(value))
        with pytest.raises(UsageError, match="not a list of names"):
            read_truth(path, parts)
    path.write_text("[" * 100_000)
    with pytest.raises(UsageError, match="not JSON"):
        read_truth(path)


def test_an_image_of_a_truth_with_an_impossible_name(tmp_path: Path) -> None:
    path = dataset(tmp_path, [annotation()])
    path.write_text(path.read_text().replace("a.png", "x" * 300))
    with pytest.raises(ExemplarError, match="is not in"):
        find_coco(path)
