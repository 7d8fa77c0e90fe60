from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fakes import GivenProposer, GridBackbone
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from profiles import examples
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from searchdet.bank.build import Gathered
from searchdet.bank.describe import build_bank
from searchdet.bank.types import Bank
from searchdet.config import (
    LEVEL_WEIGHT,
    EmbeddingOptions,
    ScoringOptions,
    Settings,
    SuppressionOptions,
)
from searchdet.detector import Detector, settings_from
from searchdet.embeddings import embed_masks
from searchdet.errors import UsageError
from searchdet.exemplars import Exemplar
from searchdet.exports import Options, write
from searchdet.output.render import class_colour, overlay
from searchdet.records.record import SCHEMA, ImageRecord
from searchdet.regions import Models
from searchdet.weights.devices import resolve

RED, GREEN, BLUE = (220, 30, 30), (30, 200, 30), (30, 30, 220)
BOXES = {"red": (8, 8, 40, 40), "green": (56, 8, 88, 40), "blue": (104, 8, 120, 40)}


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Three patches on grey; masks: red, a part of red, green, blue, an empty one, the ground."""
    image = np.full((64, 128, 3), 128, np.uint8)
    masks = np.zeros((6, 64, 128), bool)
    for row, colour, (x0, y0, x1, y1) in zip(
        (0, 2, 3), (RED, GREEN, BLUE), BOXES.values(), strict=True
    ):
        image[y0:y1, x0:x1] = colour
        masks[row, y0:y1, x0:x1] = True
    masks[1, 8:24, 8:24] = True
    masks[5] = ~masks[:4].any(axis=0)
    return image, masks


def exemplar(name: str, label: str | None, colour: tuple[int, int, int]) -> Exemplar:
    pixels = np.full((32, 32, 3), colour, np.uint8)
    return Exemplar(name, label, pixels, np.ones((32, 32), bool), "whole", "0" * 64)


def detector(proposer: GivenProposer | None = None, **scoring: object) -> Detector:
    exemplars = [
        exemplar("pos/red/1.png", "red", RED),
        exemplar("pos/green/1.png", "green", GREEN),
        exemplar("neg/1.png", None, BLUE),
    ]
    backbone = GridBackbone(16, 32)
    bank = build_bank(backbone, exemplars, EmbeddingOptions())
    own = {name: scoring.pop(name) for name in ("suppression",) if name in scoring}
    settings = Settings(
        scoring=ScoringOptions(**({"min_score": 0.6} | scoring)), suppression=SuppressionOptions(**own)
    )
    proposer = proposer or GivenProposer(scene()[1])
    # the proposer sorts by quality, so row i of the masks stays row i
    return Detector(Models(backbone, proposer), Gathered(bank), settings)


def test_each_patch_is_found_once_and_every_other_mask_says_why_not() -> None:
    record = detector().detect(scene()[0], "scene.png")
    assert record.status == "ok"
    assert sorted((item.label, item.id) for item in record.detections) == [("green", 2), ("red", 0)]
    reasons = {item.id: item.reason for item in record.candidates}
    assert reasons[1] == "suppressed"
    assert reasons[4] == "invalid"
    assert reasons[3] in ("score", "margin")
    assert len(record.candidates) == 6
    fragment = next(item for item in record.candidates if item.id == 1)
    assert fragment.suppressed_by == 0
    first = next(item for item in record.detections if item.id == 0)
    assert first.bbox == (8, 8, 40, 40)
    assert first.area == 32 * 32
    assert first.nearest_positive is not None
    assert first.nearest_positive.file == "pos/red/1.png"
    assert first.nearest_negative is not None
    assert first.nearest_negative.file == "neg/1.png"


def test_a_lower_threshold_makes_no_candidate_likelier() -> None:
    usual, lower = (
        detector(min_score=None, threshold=how).detect(scene()[0], "a") for how in ("auto", "training")
    )
    assert {item.id: item.probability for item in lower.candidates} == {
        item.id: item.probability for item in usual.candidates
    }
    assert lower.run is not None
    assert {item.source for item in lower.run.thresholds.values()} == {"training"}
    assert {item.id for item in usual.detections} <= {item.id for item in lower.detections}
    assert lower.settings_sha256 != usual.settings_sha256


def test_an_image_without_the_target_is_an_empty_record() -> None:
    image = np.full((64, 128, 3), 128, np.uint8)
    record = detector().detect(image, "grey.png")
    assert record.status == "empty"
    assert record.detections == ()
    assert len(record.candidates) == 6


def test_no_proposals_are_an_empty_record() -> None:
    one = detector(proposer=GivenProposer(np.zeros((0, 64, 128), bool)))
    assert one.detect(scene()[0]).status == "empty"


@pytest.mark.parametrize("how", ["merge", "nms", "diffusion"])
def test_a_record_explains_each_decision_from_its_numbers_alone(how: str) -> None:
    made = detector(class_margin=0.01, min_margin=0.05, shape_weight=0.1, suppression=how)
    record = json.loads(made.detect(scene()[0], "s").to_line())
    options = record["scoring"]
    assert record["schema"] == SCHEMA
    every = {item["id"]: item for item in record["detections"] + record["rejected"]}
    assert sorted(every) == list(range(6))
    reasons = set()
    for item in every.values():
        reasons.add(item["reason"])
        assert item["accepted"] == (item["reason"] == "accepted")
        if item["reason"] == "invalid":
            assert item["score"] is None
            continue
        raw = item["positive_similarity"] - options["negative_weight"] * max(
            item["negative_similarity"], 0
        )
        if item["shape_similarity"] is not None:
            raw -= options["shape_weight"] * (1 - item["shape_similarity"])
        if item["context_similarity"] is not None:
            raw -= options["context_weight"] * max(item["context_similarity"], 0)
        raw -= LEVEL_WEIGHT * record["levels"][item["label"]]
        assert abs(item["score_before_suppression"] - raw) < 5e-6
        assert abs(item["margin"] - (item["positive_similarity"] - item["negative_similarity"])) < 5e-6
        assert abs(item["score"] - (raw * item["suppression_factor"] if raw > 0 else raw)) < 5e-6
        least = record["thresholds"][item["label"]]["min_score"]
        if item["score_before_suppression"] < least:
            reason = "score"
        elif item["margin"] < options["min_margin"]:
            reason = "margin"
        elif item["class_margin"] < options["class_margin"]:
            reason = "class_margin"
        elif item["suppression_factor"] == 0 or item["score"] < least:
            reason = "suppressed"
        else:
            reason = "accepted"
        assert item["reason"] == reason
        by = item["evidence"]["suppressed_by"]
        assert (by is not None) == (item["suppression_factor"] < 1)
        if by is not None:
            assert every[by]["label"] == item["label"]
        if item["accepted"]:
            assert item["probability"] >= 0.18
    assert {"accepted", "suppressed", "invalid"} <= reasons


def test_records_hold_no_path_time_or_nan_and_repeat_byte_for_byte() -> None:
    lines = {detector().detect(scene()[0], "s").to_line() for _ in range(2)}
    assert len(lines) == 1
    text = lines.pop()
    assert "NaN" not in text
    assert str(Path.cwd()) not in text


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 6), st.sampled_from(["merge", "nms", "diffusion"]))
def test_no_nan_reaches_a_record_and_permuted_masks_give_permuted_candidates(
    seed: int, count: int, how: str
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (64, 128, 3)).astype(np.uint8)
    masks = np.zeros((count, 64, 128), bool)
    for mask in masks:
        y, x, h, w = rng.integers(0, 60), rng.integers(0, 120), rng.integers(0, 40), rng.integers(0, 60)
        mask[y : y + h, x : x + w] = True  # some are empty
    own = {"suppression": how, "shape_weight": 0.3, "context_weight": 0.2, "min_score": -1.0}
    one = detector(proposer=GivenProposer(masks), **own)
    record = json.loads(one.detect(image).to_line())
    assert "NaN" not in json.dumps(record)
    order = rng.permutation(count)
    quality = [1.0 - 0.01 * i for i in range(count)]
    one = detector(proposer=GivenProposer(masks[order], [quality[i] for i in order]), **own)
    again = json.loads(one.detect(image).to_line())
    assert again["detections"] == record["detections"]
    assert again["rejected"] == record["rejected"]


def test_paths_pictures_and_arrays_give_the_same_detections(tmp_path: Path) -> None:
    image, _ = scene()
    path = tmp_path / "x.png"
    Image.fromarray(image).save(path)
    one = detector()
    found = [one.detect(item).to_json()["detections"] for item in (path, Image.fromarray(image), image)]
    assert found[0] == found[1] == found[2]
    assert one.detect(path).image == "x.png"
    with pytest.raises(TypeError):
        one.detect(3)  # type: ignore[arg-type]


def test_collapse_is_recorded() -> None:
    one = detector()
    image = np.full((64, 128, 3), (200, 40, 40), np.uint8)
    record = one.detect(image, "flat")
    assert record.spread.collapse is True
    assert record.spread.cosine_p05 > 0.985
    assert detector().detect(scene()[0]).spread.collapse is False


def test_the_bank_and_the_regions_share_one_space() -> None:
    one, (image, masks) = detector(), scene()
    red = embed_masks(one.regions.describer.backbone, image, masks[:1]).vectors[0]
    assert isinstance(one.bank, Bank)
    row = one.bank.positives.names.index("pos/red/1.png")
    assert float(red @ one.bank.positives.vectors[row]) > 0.9999


def coco_of(folder: Path, records: list[ImageRecord]) -> dict[str, object]:
    write(folder, records, Options(("coco",)))
    return json.loads((folder / "coco.json").read_text())


def test_coco_loads_and_evaluates_to_one_against_itself(tmp_path: Path) -> None:
    one = detector()
    first, second = (one.detect(scene()[0], name) for name in ("a/x.png", "b/x.png"))
    data = coco_of(tmp_path, [first, second])
    truth = COCO(str(tmp_path / "coco.json"))
    assert [image["file_name"] for image in data["images"]] == ["a/x.png", "b/x.png"]
    assert all(item["iscrowd"] == 0 for item in data["annotations"])
    assert [8, 8, 32, 32] in [item["bbox"] for item in data["annotations"]]
    assert coco_mask.area(data["annotations"][0]["segmentation"]) == 1024
    for kind in ("bbox", "segm"):
        results = COCOeval(truth, truth.loadRes(data["annotations"]), kind)
        results.evaluate()
        results.accumulate()
        results.summarize()
        assert results.stats[0] == pytest.approx(1.0)


def test_coco_without_detections_keeps_images_and_categories(tmp_path: Path) -> None:
    grey = np.full((64, 128, 3), 128, np.uint8)
    data = coco_of(tmp_path, [detector().detect(grey, "g.png")])
    assert len(data["images"]) == 1
    assert data["annotations"] == []
    assert [item["name"] for item in data["categories"]] == ["green", "red"]


def test_the_overlay_changes_the_found_pixels_and_keeps_labels_inside() -> None:
    image, masks = scene()
    record = detector().detect(image)
    drawn = overlay(image, record)
    assert drawn.shape == image.shape
    assert (drawn[masks[0]] != image[masks[0]]).any()
    plain = overlay(image, detector(class_margin=2.0).detect(image))
    assert (plain == image).all()


def test_colours_depend_on_the_name_alone() -> None:
    assert class_colour("bolt") == class_colour("bolt")
    assert len({class_colour(name) for name in ("bolt", "nut", "washer", "gear")}) == 4


def test_flat_options_reach_their_parts_and_unknown_ones_are_refused() -> None:
    got = settings_from(
        {
            "backbone": "dinov2_s",
            "backbone_ckpt": Path("x.pth"),
            "sam_checkpoint": None,
            "feat_short_side": 300,
            "points_per_side": 7,
            "pooling": "topk",
            "min_score": 0.1,
            "suppression": "nms",
            "exemplar_mask": "whole",
            "allow_unverified": True,
            "max_pixels": 9,
        }
    )
    assert got.backbone.name == "dinov2_s"
    assert got.backbone.checkpoint == Path("x.pth")
    assert got.backbone.feat_short_side == 300
    assert got.backbone.allow_unverified
    assert got.proposals.allow_unverified
    assert got.proposals.points_per_side == 7
    assert got.embedding.pooling == "topk"
    assert got.scoring.min_score == 0.1
    assert got.suppression.suppression == "nms"
    assert got.exemplars.exemplar_mask == "whole"
    assert got.max_pixels == 9
    with pytest.raises(UsageError, match="min_scor") as refused:
        settings_from({"min_scor": 1})
    assert refused.value.hint == "Did you mean 'min_score'?"


def test_from_folders_is_the_documented_way(tmp_path: Path) -> None:
    for name, colour in (("pos/red", RED), ("neg", BLUE)):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (32, 32), colour).save(tmp_path / name / "1.png")
    one = Detector.from_folders(tmp_path / "pos", tmp_path / "neg", proposals="regions", min_score=0.3)
    record = one.detect(scene()[0])
    assert {item.label for item in record.detections} == {"red"}
    assert record.run.models.proposer.fallback is False


def test_devices_and_precisions_are_resolved_or_refused() -> None:
    assert resolve("cpu", "fp32").precision == "fp32"
    assert resolve("auto", "auto").precision in ("fp32", "bf16", "fp16")
    for device, precision in (("tpu", "fp32"), ("meta", "fp32"), ("cpu", "fp16")):
        with pytest.raises(UsageError):
            resolve(device, precision)
