"""An index finds what detect finds, without an image and without a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from runs import PREPROCESSING, SOURCE, models
from typer.testing import CliRunner
from worlds import rows_of, tree_hash

from searchdet.backbones.filterbank import FilterbankBackbone
from searchdet.bank.build import Gathered
from searchdet.bank.types import Bank, Origin, of_normality, plain_rows
from searchdet.calibration import thresholds
from searchdet.cli import app
from searchdet.config import POSITIVE_AGGREGATIONS, EmbeddingOptions, ScoringOptions, SuppressionOptions
from searchdet.decision import Judge, make_judge
from searchdet.embeddings import Descriptors, MaskEmbeddings, l2_normalize
from searchdet.errors import OutputError, UsageError
from searchdet.index import bounds
from searchdet.index import file as index
from searchdet.index import search as searching
from searchdet.index.goodparts import GoodParts
from searchdet.masks import shape as outline
from searchdet.normality import of_images
from searchdet.proposals.regions import RegionProposer
from searchdet.proposals.types import from_masks
from searchdet.records.image import ImageInfo
from searchdet.regions.cache import pack
from searchdet.regions.describe import Regions
from searchdet.regions.space import Space

pytestmark = pytest.mark.model

EXAMPLES = ["--positive", "in/positive", "--negative", "in/negative"]


def run(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.stderr
    return result.stdout


def test_search_finds_what_detect_finds(world: Path) -> None:
    run("index", "in/images", "-r", "-o", "idx")
    run("detect", "in/images", "-r", *EXAMPLES, "-o", "out", "--prompting", "everything")
    run("search", "idx", *EXAMPLES, "-o", "found", "--top", "0")
    found = {path.name for path in (world / "found/records").rglob("*.json")}
    assert found == {"a.png.json"}
    for name in ("a.png.json", "deep/a.png.json"):
        both = [(world / part / "records" / name).read_bytes() for part in ("out", "found")]
        assert both[0] == both[1]
    lines = run("search", "idx", *EXAMPLES).splitlines()
    assert [line.split("\t")[1::2] for line in lines] == [["red", "a.png"], ["red", "deep/a.png"]]
    (line,) = run("search", "idx", *EXAMPLES, "--top", "1", "--json").splitlines()
    assert json.loads(line)["image"] == "a.png"


def test_search_with_a_bank_runs_no_model(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("index", "in/images", "-r", "-o", "idx")
    run("bank", "build", *EXAMPLES, "-o", "b.safetensors")

    def refuse(*args: object) -> None:
        raise RuntimeError("a model ran")

    monkeypatch.setattr(FilterbankBackbone, "feature_map", refuse)
    monkeypatch.setattr(RegionProposer, "propose", refuse)
    assert len(run("search", "idx", "--bank", "b.safetensors").splitlines()) == 2


def test_what_does_not_fit_is_refused(world: Path) -> None:
    run("index", "in/images", "-o", "idx", "--feat-short-side", "256")
    run("bank", "build", *EXAMPLES, "-o", "b.safetensors")
    run("search", "idx", "--bank", "b.safetensors", code=4)
    assert len(run("search", "idx", *EXAMPLES).splitlines()) == 1, "exemplars are described as it wants"
    run("search", "nowhere", *EXAMPLES, code=2)
    run("search", "in", *EXAMPLES, code=2)
    run("index", "in/images", "-o", "idx", "--prompting", "guided", code=2)


def test_an_image_that_fails_is_left_out_and_said(world: Path) -> None:
    (world / "in/images/b.png").write_bytes(b"no image")
    result = CliRunner().invoke(app, ["index", "in/images", "-o", "idx"])
    assert result.exit_code == 3
    assert "b.png: FAILED (not_an_image)" in result.stderr
    assert [item.image.name for item in index.load(world / "idx").images] == ["a.png", "none.png"]


def test_equal_inputs_give_equal_bytes_and_an_old_index_stays_until_the_end(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("index", "in/images", "-o", "idx")
    before = tree_hash(world / "idx")
    run("index", "in/images", "-o", "idx")
    assert tree_hash(world / "idx") == before

    def broken(*args: object) -> None:
        raise OutputError("no room")

    monkeypatch.setattr(index.Writer, "add", broken)
    run("index", "in/images", "-o", "idx", code=5)
    assert tree_hash(world / "idx") == before
    assert sorted(path.name for path in world.iterdir()) == ["idx", "in"]


@pytest.mark.parametrize("name", ["vectors", "counts", "offsets", "images.jsonl", "index.json"])
def test_a_cut_index_is_refused(world: Path, name: str) -> None:
    run("index", "in/images", "-o", "idx")
    path = (world / "idx" if name == "index.json" else rows_of(world / "idx")) / name
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UsageError) as caught:
        index.load(world / "idx")
    assert "searchdet index" in caught.value.hint


DIM = 16


GOOD = GoodParts.of(of_images("spots", 0))


def made(
    path: Path, rng: np.random.Generator, counts: list[int], good: GoodParts | None = None
) -> index.Index:
    """An index of random regions around three directions. good: what is normal, and then how unusual
    each is is random too."""
    centres = l2_normalize(rng.normal(size=(3, DIM)).astype(np.float32))
    images = []
    for number, count in enumerate(counts):
        masks = [rng.random((12, 16)) > 0.6 for _ in range(count)]
        for mask in masks:
            mask[0, 0] = True
        found = from_masks(masks, rng.random(count).tolist(), (12, 16))
        vectors = centres[rng.integers(0, 3, count)] + 0.5 * rng.normal(size=(count, DIM))
        embedded = MaskEmbeddings(
            l2_normalize(vectors.astype(np.float32)), rng.random(count) > 0.1, np.zeros(count, bool)
        )
        embedded.vectors[~embedded.valid] = 0
        contexts = l2_normalize(rng.normal(size=(count, DIM)).astype(np.float32))
        outlines = rng.random((count, outline.DIM)).astype(np.float32)
        unusual = None if good is None else (rng.random(count) ** 2).astype(np.float32)
        regions = Regions(found, Descriptors(embedded, contexts, outlines, unusual=unusual))
        image = ImageInfo(f"{number}.png", "0" * 64, 16, 12, SOURCE)
        images.append((image, pack(regions)))
    space = Space("x", None, PREPROCESSING, EmbeddingOptions(), DIM)
    index.write(path, images, index.Made(space, models(), 0, good))
    return index.load(path)


def judge(rng: np.random.Generator, made_index: index.Index, **options: object) -> Judge:
    picked = made_index.arrays["vectors"][made_index.arrays["valid"]].astype(np.float32)
    positives = l2_normalize(picked[:6])
    negatives = l2_normalize(picked[6:9])
    rows = [plain_rows(v, [Origin(f"{i}") for i in range(len(v))]) for v in (positives, negatives)]
    good = made_index.made.good
    normal = None if good is None else good.normality(DIM)
    bank = Bank(("a", "b"), rows[0], np.asarray([0, 0, 0, 1, 1, 1]), rows[1], normality=normal)
    given = {"min_score": 0.2, "shape_weight": 0.0, "second_look": 0} | options
    return make_judge(Gathered(bank), ScoringOptions(**given), SuppressionOptions(), models())


RULES = [
    *({"pos_agg": how, "topk": 2, "min_score": 0.1} for how in POSITIVE_AGGREGATIONS),
    {"cross_negatives": True},
    {"negative_quantile": 0.5},
    {"cross_negatives": True, "negative_quantile": 0.7, "pos_agg": "max"},
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: "-".join(map(str, rule.values())))
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("top", [0, 1, 5])
def test_the_bound_never_hides_a_detection(
    tmp_path: Path, rule: dict[str, object], seed: int, top: int
) -> None:
    rng = np.random.default_rng(seed)
    whole = made(tmp_path / "i", rng, [0, 7, 3, 0, 9, 1, 5, 0])
    chief = judge(rng, whole, **rule)
    every = [chief.record(item.image, whole.regions(item)) for item in whole.images]
    scores = sorted((d.score for r in every for d in r.detections), reverse=True)
    assert scores
    last = scores[:top][-1] if top else -1.0
    wanted = {r.image: r for r in every if any(d.score >= last for d in r.detections)}
    found = list(searching.search(whole, chief, top))
    assert {record.image: record for record in found} == wanted
    best = [max(d.score for d in record.detections) for record in found]
    assert best == sorted(best, reverse=True)
    highest = bounds.image_bounds(whole, chief)
    for record, bound in zip(every, highest, strict=True):
        scored = [item.score_before_suppression for item in record.candidates if item.standing]
        assert all(score <= bound for score in scored)


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("top", [0, 1, 5])
@pytest.mark.parametrize("seed", range(4))
def test_the_bound_holds_for_what_is_unusual(tmp_path: Path, alone: bool, seed: int, top: int) -> None:
    rng = np.random.default_rng(seed)
    whole = made(tmp_path / "i", rng, [0, 7, 3, 0, 9, 1, 5, 0], GOOD)
    chief = judge(rng, whole, normal_weight=0.3)
    if alone:
        bank = of_normality(GOOD.normality(DIM), whole.space)
        chief = make_judge(
            Gathered(bank), ScoringOptions(second_look=0), SuppressionOptions(), models()
        )
    every = [chief.record(item.image, whole.regions(item)) for item in whole.images]
    scores = sorted((d.score for r in every for d in r.detections), reverse=True)
    last = scores[:top][-1] if top else -1.0
    wanted = {r.image: r for r in every if any(d.score >= last for d in r.detections)}
    assert {record.image: record for record in searching.search(whole, chief, top)} == wanted
    highest = bounds.image_bounds(whole, chief)
    for record, bound in zip(every, highest, strict=True):
        scored = [item.score_before_suppression for item in record.candidates if item.standing]
        assert all(score <= bound for score in scored)


def test_a_rule_without_a_bound_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = made(tmp_path / "i", rng, [12, 5])
    with pytest.raises(UsageError, match="centring"):
        list(searching.search(whole, judge(rng, whole, centring="mean"), 1))


def test_an_index_without_regions(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    chief = judge(rng, made(tmp_path / "i", rng, [12]))
    for counts in ([], [0, 0]):
        whole = made(tmp_path / "j", rng, counts)
        assert len(whole) == 0
        assert list(searching.search(whole, chief, 5)) == []
    assert thresholds(chief.bank, chief.rule.scoring)[0].label == "a"
