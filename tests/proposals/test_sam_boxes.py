"""Boxes as prompts: our decoder against segment-anything's modules, and masks at image size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scenes import make_scene
from segment_anything import SamPredictor
from test_sam_exact import relative, small_sam

from searchdet.masks import rle
from searchdet.proposals import load_proposer
from searchdet.proposals.sam.decoder import PointDecoder
from searchdet.proposals.sam.weights import load_sam
from searchdet.proposals.types import BoxPrompted
from searchdet.weights.devices import Compute

pytestmark = pytest.mark.model


def test_the_decoder_answers_boxes_as_segment_anything_does() -> None:
    torch.manual_seed(0)
    sam = small_sam(2, 16, 3.0)
    embedding = torch.randn(1, 16, 12, 12)
    boxes = torch.tensor([[10.0, 12.0, 50.0, 70.0], [0.0, 0.0, 95.0, 95.0], [40.0, 5.0, 44.0, 90.0]])
    decoder = PointDecoder(sam)
    state = decoder.image_side(embedding)
    answer = decoder.decode_boxes(state, boxes)
    with torch.inference_mode():
        sparse, dense = sam.prompt_encoder(None, boxes, None)
        masks, quality = sam.mask_decoder(
            embedding, sam.prompt_encoder.get_dense_pe(), sparse, dense, multimask_output=False
        )
    assert answer.quality.shape == (3, 1)
    assert relative(answer.quality, quality) < 1e-4
    for i in range(3):
        assert relative(decoder.logits(state, answer, i, [0])[0], masks[i, 0]) < 1e-3


def test_masks_of_boxes_are_those_of_the_predictor_cut_at_the_box(tiny_sam: Path) -> None:
    image = make_scene(3).image
    boxes = np.asarray([[20, 30, 90, 110], [60, 10, 130, 60], [5, 5, 5, 30], [500, 500, 600, 600]])
    proposer = load_proposer("sam", tiny_sam, "cpu", "fp32")
    assert isinstance(proposer, BoxPrompted)
    found = rle.decode(proposer.masks_of_boxes(image, boxes.astype(np.float32)), image.shape[:2])
    predictor = SamPredictor(load_sam(tiny_sam, Compute("cpu", "fp32")).get())
    predictor.set_image(image)
    for mask, box in zip(found[:2], boxes[:2], strict=True):
        wanted, _, _ = predictor.predict(box=box, multimask_output=False)
        inside = np.zeros_like(wanted[0])
        inside[box[1] : box[3], box[0] : box[2]] = True
        wanted = wanted[0] & inside
        assert mask.shape == image.shape[:2]
        assert (mask ^ wanted).sum() <= 0.01 * max(wanted.sum(), 100)
    assert not found[2].any()
    assert not found[3].any()
    assert proposer.masks_of_boxes(image, np.zeros((0, 4), np.float32)) == []
