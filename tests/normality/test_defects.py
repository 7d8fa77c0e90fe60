"""Good parts alone, and beside examples: from images to records, a bank, pictures and refusals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fakes import GridBackbone
from PIL import Image
from surfaces import DEFECTS, make_surface, write_parts
from typer.testing import CliRunner, Result

from searchdet.bank import file as bankfile
from searchdet.bank import normals
from searchdet.cli import app
from searchdet.config import (
    Examples,
    NormalityOptions,
    ProposalOptions,
    ScoringOptions,
    Settings,
    settings_from,
)
from searchdet.decision import judge_regions
from searchdet.detector import Detector
from searchdet.errors import ExemplarError, UsageError
from searchdet.masks import rle
from searchdet.normality import Normality, Teacher, Unusual, alone, of_images, suited
from searchdet.normality.regions import parts_of, top_percent
from searchdet.normality.types import ARRAYS
from searchdet.proposals.types import from_masks
from searchdet.records import ImageRecord
from searchdet.records.normality import NormalityInfo
from searchdet.scoring import logit
from searchdet.storage.values import Fields

FINISH = "brushed"
QUICK: dict[str, Any] = {"backbone": "filterbank", "normal_views": "none"}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four good parts, and beside them two with defects and a clean one that nothing learns from."""
    return write_parts(tmp_path_factory.mktemp("surfaces"), FINISH)


@pytest.fixture(scope="module")
def detector(good: Path) -> Detector:
    """Good parts alone."""
    return Detector.build(Examples(normal=good / "good"), settings_from(QUICK))


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_defects_are_found_without_any_example_and_a_clean_surface_gives_nothing(
    detector: Detector, good: Path
) -> None:
    found = 0
    for seed in (20, 21):
        record = detector.detect(good / "test" / f"{seed}.png")
        size = (record.height, record.width)
        masks = rle.decode([item.segmentation for item in record.detections], size)
        for true in make_surface(FINISH, seed, DEFECTS).masks:
            found += any((one & true).sum() / (one | true).sum() >= 0.4 for one in masks)
    assert found >= 4
    assert detector.detect(good / "test" / "clean.png").status == "empty"


def test_a_record_says_what_was_normal_and_is_read_again(detector: Detector, good: Path) -> None:
    record = detector.detect(good / "test" / "20.png")
    said = record.to_json()
    normal = said["normality"]
    assert isinstance(normal, dict)
    assert (normal["method"], normal["images"], normal["proposer"]) == ("nearest", 4, "spots")
    assert record.classes == ("defect",)
    assert record.run is not None
    threshold = record.run.thresholds["defect"]
    assert (threshold.source, threshold.min_score, threshold.exemplars) == ("normal", 0.5, 0)
    assert record.run.exemplars.positive == 0
    assert all(item.nearest_positive is None for item in record.candidates)
    assert ImageRecord.from_json(Fields.of(said)).to_json() == said


def test_a_score_without_examples_is_how_unusual_a_region_is(detector: Detector, good: Path) -> None:
    image, name = detector._load(good / "test" / "20.png", None)
    regions = detector.describe(image, name)
    unusual = regions.described.unusual
    assert unusual is not None
    record = detector.judged(image, name, regions)
    for item in record.candidates:
        assert item.score_before_suppression == pytest.approx(float(unusual[item.id]), abs=2e-6)


def test_beside_examples_it_is_a_term_of_the_score(good: Path) -> None:
    given = {**QUICK, "scored_masks": 200, "scale": "any"}
    detector = Detector.from_folders(good / "positive", normal=good / "good", **given)
    image, name = detector._load(good / "test" / "20.png", None)
    regions = detector.describe(image, name)
    rule, scores = detector.judge.rule, []
    for weight in (0.0, 0.05):
        scoring = replace(rule.scoring, normal_weight=weight)
        judged = judge_regions(regions, detector.bank, replace(rule, scoring=scoring))
        scores.append({item.id: item.score_before_suppression for item in judged.candidates})
        assert {item.label for item in judged.candidates} == {"pit"}
    unusual = regions.described.unusual
    assert unusual is not None
    both = set(scores[0]) & set(scores[1])
    assert len(both) > 50
    for row in both:
        gained = float(0.05 * logit(unusual[row : row + 1])[0])
        assert (scores[1][row] or 0) - (scores[0][row] or 0) == pytest.approx(gained, abs=3e-6)


def test_without_good_parts_an_image_is_its_own_measure(good: Path) -> None:
    examples = Examples(positive=good / "positive")
    settings = settings_from({"backbone": "filterbank", "normal_self": True})
    record = Detector.build(examples, settings).detect(good / "test" / "20.png")
    assert record.run is not None
    assert record.run.normality is not None
    assert record.run.normality.method == "image"


def test_a_bank_keeps_what_is_normal(detector: Detector, good: Path, tmp_path: Path) -> None:
    path = tmp_path / "good.safetensors"
    made = run(
        *("bank", "build", "--normal", good / "good", "--backbone", "filterbank", "--no-cache"),
        *("--normal-views", "none", "-o", path),
    )
    assert made.exit_code == 0, made.output
    loaded = bankfile.load(path)
    assert loaded.normality is not None
    known = detector.bank.normality
    assert known is not None
    assert loaded.normality.info == known.info
    for name, array in known.model.items():
        assert (loaded.normality.model[name] == array).all()
    by_bank = Detector.build(Examples(bank=path), settings_from({"backbone": "filterbank"}))
    one, two = (each.detect(good / "test" / "20.png") for each in (detector, by_bank))
    assert one.to_bytes() == two.to_bytes()


def test_good_parts_are_learned_once(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    learned: list[int] = []
    real = normals.learn

    def counted(images: Sequence[np.ndarray], by: Teacher) -> Normality:
        learned.append(len(images))
        return real(images, by)

    monkeypatch.setattr(normals, "learn", counted)

    def digest(**changes: Any) -> str:
        settings = settings_from(QUICK | {"normal_method": "subspace", "cache": tmp_path} | changes)
        model = Detector.build(Examples(normal=good / "good"), settings).bank.normality
        assert model is not None
        return model.digest

    first = digest()
    assert digest() == first
    assert learned == [4]
    others: list[dict[str, Any]] = [{"normal_method": "nearest"}, {"normal_views": "flips"}]
    others += [{"min_area": 0.5}, {"tile": 200}]
    assert first not in {digest(**change) for change in others}
    assert len(learned) == 5
    for path in (tmp_path / "normality").rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-9])
    assert digest() == first
    assert len(learned) == 6
    assert "cannot be used and is made again" in caplog.text


@pytest.mark.parametrize(("method", "name"), [("subspace", "middle"), ("nearest", "cells")])
def test_a_damaged_model_in_a_bank_is_refused(
    method: str, name: str, detector: Detector, tmp_path: Path
) -> None:
    bank, path = detector.bank, tmp_path / "bank"
    assert bank.normality is not None
    info = replace(bank.normality.info, method=method)
    for dim, value, words in ((bank.dim, np.nan, f"normality.{name}"), (7, 1.0, "another dimension")):
        shapes = {"middle": (dim,), "basis": (dim, 2), "cells": (3, dim)}
        model = {part: np.full(shapes[part], value, np.float32) for part in ARRAYS[method]}
        bankfile.save(replace(bank, normality=Normality(info, model)), path)
        with pytest.raises(ExemplarError, match=words):
            bankfile.load(path)


def test_detect_draws_the_map_and_says_what_is_missing(good: Path, tmp_path: Path) -> None:
    words = ("detect", good / "test" / "20.png", "--backbone", "filterbank", "--no-cache")
    words = (*words, "--normal-views", "none")
    out = tmp_path / "out"
    made = run(*words, "--normal", good / "good", "--save", "anomaly", "-o", out)
    assert made.exit_code == 0, made.output
    with Image.open(out / "anomaly" / "20.png.jpg") as picture:
        assert picture.size == (384, 288)
    assert not (out / "overlays").exists()
    run_json = json.loads((out / "run.json").read_text())
    assert run_json["settings"]["normality"]["images"] == 4
    refused = run(*words, "--positive", good / "positive", "--save", "anomaly", "-o", tmp_path / "no")
    assert refused.exit_code == 2
    assert "--normal DIR" in refused.output


def test_what_is_done_with_examples_refuses_good_parts_alone(
    detector: Detector, good: Path, tmp_path: Path
) -> None:
    path = tmp_path / "good.safetensors"
    bankfile.save(detector.bank, path)
    for words in (("audit", path), ("add", path, "--negative", good / "test" / "clean.png")):
        refused = run("bank", *words)
        assert refused.exit_code == 2, refused.output
        assert "no exemplars" in refused.output


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_good_parts_are_refused(count: int, good: Path, tmp_path: Path) -> None:
    for seed in range(count):
        Image.open(good / "good" / f"{seed}.png").save(tmp_path / f"{seed}.png")
    with pytest.raises(ExemplarError, match="normal"):
        Detector.build(Examples(normal=tmp_path), settings_from({"backbone": "filterbank"}))


def test_only_one_thing_says_what_is_normal(detector: Detector, good: Path, tmp_path: Path) -> None:
    settings = settings_from({"backbone": "filterbank", "normal_self": True})
    normality = detector.bank.normality
    with pytest.raises(UsageError, match="only one of them"):
        Detector.build(Examples(normal=good / "good"), settings)
    path = tmp_path / "bank.safetensors"
    for model, refused in ((normality, "holds good parts"), (None, "does not say what is normal")):
        positives = replace(detector.bank, normality=model)
        bankfile.save(positives, path)
        with pytest.raises(UsageError, match=f"--normal-self.*{refused}"):
            Detector.build(Examples(bank=path), settings)
    bankfile.save(Detector.build(Examples(positive=good / "positive"), settings).bank, path)
    assert Detector.build(Examples(bank=path), settings).bank.normality is not None


def test_a_good_part_has_no_mask(good: Path) -> None:
    with pytest.raises(ExemplarError, match="nothing to mark"):
        Detector.build(
            Examples(normal=good / "positive" / "pit"), settings_from({"backbone": "filterbank"})
        )


def test_options_of_good_parts_are_called_ignored_without_them(good: Path) -> None:
    settings = settings_from(
        {"backbone": "filterbank", "normal_weight": 0.2, "normal_views": "turns", "proposals": "spots"}
    )
    made = Detector.build(Examples(positive=good / "positive"), settings)
    assert {"--normal-weight", "--normal-views"} <= set(made.judge.ignored)
    assert made.settings.scoring.normal_weight == ScoringOptions().normal_weight


def test_without_examples_there_is_no_second_look_and_one_threshold(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain = suited.scoring_for(ScoringOptions(), exemplars=False)
    assert (plain.second_look, plain.threshold, caplog.text) == (0, "auto", "")
    given = ScoringOptions(threshold="training", second_look=9, scale="same")
    assert suited.scoring_for(given, exemplars=False) == replace(plain, scale="same")
    assert "--threshold training, --second-look 9, --scale same" in caplog.text
    with_some = suited.scoring_for(ScoringOptions(), exemplars=True)
    assert with_some == replace(ScoringOptions(), shape_weight=0.0, scale="any")
    given = ScoringOptions(second_look=7, shape_weight=0.3, scale="same")
    assert suited.scoring_for(given, exemplars=True) == given


def test_the_usual_values_hold_where_they_are_named() -> None:
    """In Python, by its flat names and by the parts of settings."""
    scoring, proposals = ScoringOptions(), ProposalOptions()
    usual = {"shape_weight": 0.6, "scored_masks": 2500}
    assert (scoring.shape_weight, proposals.scored_masks) == (0.6, 2500)
    named = settings_from(usual)
    parts = Settings(
        scoring=ScoringOptions(shape_weight=0.6), proposals=ProposalOptions(scored_masks=2500)
    )
    for settings, shape, masks in ((named, 0.6, 2500), (parts, 0.6, 2500), (Settings(), 0.0, 600)):
        assert suited.scoring_for(settings.scoring, exemplars=True).shape_weight == shape
        assert suited.proposals_for(settings.proposals, None)[0].scored_masks == masks


def test_the_usual_values_hold_on_the_command_line_and_in_a_settings_file(
    good: Path, tmp_path: Path, default_backbone: None
) -> None:
    words = ("detect", good / "test" / "clean.png", "--positive", good / "positive", "--normal")
    words = (*words, good / "good", "--backbone", "filterbank", "--no-cache", "--normal-views", "none")
    (tmp_path / "own.toml").write_text("shape-weight = 0.6\nscored-masks = 2500\n")
    cases = {
        "default": ((), 0.0, 600),
        "flags": (("--shape-weight", "0.6", "--scored-masks", "2500"), 0.6, 2500),
        "file": (("--config", tmp_path / "own.toml"), 0.6, 2500),
    }
    for name, (more, shape, masks) in cases.items():
        made = run(*words, *more, "--save", "none", "-o", tmp_path / name)
        assert made.exit_code == 0, made.output
        said = json.loads((tmp_path / name / "run.json").read_text())["settings"]
        assert said["scoring"]["shape_weight"] == shape
        assert said["proposer"]["options"]["scored_masks"] == masks


def test_tiles_follow_the_smallest_example() -> None:
    found, by = suited.proposals_for(ProposalOptions(), 4.0)
    assert (found.name, found.tile, by) == ("spots", 800, "exemplar")
    found, _ = suited.proposals_for(ProposalOptions(), 30.0)
    assert found.tile == 4000  # of which a copy of 800 shows it with 6 pixels
    found, by = suited.proposals_for(ProposalOptions(tile=512), 4.0)
    assert (found.tile, by) == (512, "given")
    found, by = suited.proposals_for(ProposalOptions(name="regions"), None)
    assert (found.name, found.tile, by) == ("regions", 0, "given")


def test_a_bank_wants_the_proposals_that_its_good_parts_were_seen_with() -> None:
    info = NormalityInfo("subspace", 4, 100, "flips", 0.1, 0.1, 5.0, "spots", 800)
    assert suited.with_saved(ProposalOptions(), info).tile == 800
    for other in (ProposalOptions(name="regions"), ProposalOptions(tile=512)):
        with pytest.raises(UsageError, match="seen with --proposals spots --tile 800"):
            suited.with_saved(other, info)


def test_how_a_bank_learned_good_parts_is_held_against_what_is_named(
    detector: Detector, tmp_path: Path
) -> None:
    path = tmp_path / "good.safetensors"
    bankfile.save(detector.bank, path)
    for named, says in (
        ({"normal_method": "subspace"}, "--bank: was made with --normal-method nearest, not subspace"),
        ({"normal_views": "flips"}, "--bank: was made with --normal-views none, not flips"),
    ):
        with pytest.raises(UsageError, match=says):
            Detector.build(Examples(bank=path), settings_from({"backbone": "filterbank", **named}))
    same = {"normal_method": "nearest", "normal_views": "none"}
    Detector.build(Examples(bank=path), settings_from({"backbone": "filterbank", **same}))
    assert detector.bank.normality is not None
    bankfile.save(replace(detector.bank, normality=of_images("spots", 0)), path)
    with pytest.raises(UsageError, match="as its own measure, for which there is no --normal-views"):
        Detector.build(Examples(bank=path), settings_from(QUICK))


def test_parts_of_the_map_are_proposals_of_their_own() -> None:
    field = np.zeros((12, 16), np.float32)
    field[4:6, 7:9] = 20.0
    base = from_masks([np.eye(96, 128, dtype=bool)], [0.4], (96, 128))
    parts = parts_of(field, base, ProposalOptions())
    true = np.zeros((96, 128), bool)
    true[32:48, 56:72] = True
    best = max(float((one & true).sum() / (one | true).sum()) for one in parts.dense())
    assert best > 0.7
    small = parts_of(field, base, ProposalOptions(max_area=1.0))
    assert len(small) < len(parts)


def test_the_score_of_an_image_is_the_mean_of_its_most_unusual_hundredth(
    detector: Detector, good: Path
) -> None:
    field = np.random.default_rng(3).permutation(np.arange(400, dtype=np.float32)).reshape(20, 20)
    assert top_percent(field) == np.mean([396, 397, 398, 399])
    assert top_percent(field[:2, :2]) == field[:2, :2].max()
    scores = []
    for name in ("20", "clean"):
        record = detector.detect(good / "test" / f"{name}.png")
        assert record.proposals is not None
        scores.append(record.proposals.details["top_percent_millideviations"])
    assert scores[0] > scores[1]


def test_masks_join_the_proposals_best_first() -> None:
    backbone = GridBackbone()
    image = np.random.default_rng(0).integers(90, 110, (64, 64, 3), np.uint8)
    image[24:32, 24:32] = (255, 0, 0)
    judge = Unusual(of_images("spots", 0), backbone.stride, ProposalOptions())
    base = from_masks([np.eye(64, dtype=bool)], [0.4], (64, 64))
    joined, unusual = judge(backbone.feature_map(image), base)
    assert len(joined) == len(unusual) > 1
    assert (np.diff(joined.quality) <= 0).all()
    assert joined.details["unusual_parts"] == len(joined) - 1
    assert ((unusual >= 0) & (unusual <= 1)).all()


@pytest.mark.parametrize("method", ["nearest", "subspace"])
def test_a_single_good_part_ranks_and_says_no_unit(method: str) -> None:
    """Of the nearest cell: one less the cosine, in whatever view it lies."""
    backbone, chance = GridBackbone(), np.random.default_rng(1)
    good = chance.integers(90, 160, (64, 64, 3), np.uint8)
    other = good.copy()
    other[16:24, 32:40] = (255, 0, 0)
    options = NormalityOptions(method=method, views="flips")
    teacher: Any = Teacher(backbone, SimpleNamespace(name="spots"), options, ProposalOptions())
    made = alone(good, teacher)
    info = made.info
    assert (info.images, info.cells, info.middle, info.spread, info.limit) == (1, 256, 0.0, 1.0, 1.0)
    judge = Unusual(made, backbone.stride, ProposalOptions())
    found = judge.map_of(backbone.feature_map(other))
    if method == "nearest":
        views = [good, good[::-1], good[:, ::-1], good[::-1, ::-1]]
        known = np.concatenate([unit_cells(backbone, view) for view in views])
        nearest = (unit_cells(backbone, other) @ known.T).max(axis=1)
        assert found.ravel() == pytest.approx(1 - nearest, abs=1e-3)
    assert np.unravel_index(found.argmax(), found.shape) == (2, 4)
    assert judge.map_of(backbone.feature_map(good)).max() < found.max() / 2


def unit_cells(backbone: GridBackbone, image: np.ndarray) -> np.ndarray:
    flat = backbone.feature_map(image).features.flatten(1).T.numpy()
    return np.asarray(flat / np.linalg.norm(flat, axis=1, keepdims=True))


def test_the_map_of_the_last_image_is_kept_and_no_other() -> None:
    backbone = GridBackbone()
    first, second = (
        backbone.feature_map(image)
        for image in np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), np.uint8)
    )
    judge = Unusual(of_images("spots", 0), backbone.stride, ProposalOptions())
    one, two = judge.map_of(first), judge.map_of(second)
    assert judge.map_of(second) is two
    again = judge.map_of(first)
    assert (again == one).all()
    assert (again != two).any()
