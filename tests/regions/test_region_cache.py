"""What is computed once is not computed again, and nobody can tell the difference."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import references as ref
import torch
from fakes import GivenProposer, GridBackbone
from PIL import Image
from places import Figure
from typer.testing import CliRunner
from worlds import BLUE, RED, draw, tree_hash

from searchdet import backbones
from searchdet.backbones.filterbank import FilterbankBackbone
from searchdet.backbones.network import NetworkBackbone
from searchdet.cli import app
from searchdet.config import BackboneOptions, EmbeddingOptions, ProposalOptions
from searchdet.errors import CheckpointError
from searchdet.proposals.regions import RegionProposer
from searchdet.proposals.sam import SamProposer
from searchdet.proposals.sam import weights as sam_weights
from searchdet.regions.cache import Remembered, pack, unpack
from searchdet.regions.describe import Describer
from searchdet.storage import kinds
from searchdet.storage.cache import Store
from searchdet.storage.cachefolder import clear, prune, usage
from searchdet.weights.lazy import LoadedBefore

pytestmark = pytest.mark.model

EXAMPLES = ["--positive", "in/positive", "--negative", "in/negative"]


@pytest.fixture
def world(cold_world: Path) -> Path:
    """Nothing is remembered."""
    return cold_world


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts every pass of a model over an image or an exemplar."""
    seen: Counter[str] = Counter()

    def counted(kind: type, method: str, name: str) -> None:
        real = getattr(kind, method)

        def call(self: object, *args: object) -> object:
            seen[name] += 1
            return real(self, *args)

        monkeypatch.setattr(kind, method, call)

    counted(FilterbankBackbone, "feature_map", "backbone")
    counted(NetworkBackbone, "feature_map", "backbone")
    counted(RegionProposer, "propose", "regions")
    counted(SamProposer, "propose", "sam")
    real = sam_weights.fill_sam
    monkeypatch.setattr(
        sam_weights, "fill_sam", lambda *args: seen.update(["sam loaded"]) or real(*args)
    )
    return seen


def call(*words: str) -> None:
    result = CliRunner().invoke(app, ["detect", "in/images", "-r", *EXAMPLES, *words])
    assert result.exit_code == 0, result.stderr


def test_twenty_images_again_with_another_threshold_and_one_more_exemplar(
    world: Path, calls: Counter[str], tiny_sam: Path
) -> None:
    for i in range(17):
        Image.fromarray(draw([RED, BLUE], 50 + i)).save(world / f"in/images/{i}.png")
    sam = ["--sam-checkpoint", str(tiny_sam), "--points-per-side", "2"]
    call(*sam, "-o", "one")
    assert calls["sam"] == 20
    assert calls["sam loaded"] == 1
    exemplars = calls["backbone"] - 20
    calls.clear()
    call(*sam, "-o", "one", "--min-score", "0.3")
    assert not calls, "a threshold needs no model"
    Image.fromarray(draw([RED], 9)[30:90, 20:60]).save(world / "in/positive/red/3.png")
    call(*sam, "-o", "two", "--min-score", "0.3")
    assert calls["sam"] == calls["sam loaded"] == 0
    assert 0 < calls["backbone"] <= exemplars, "the new exemplar alone is described"
    assert len(list((world / "two/records").rglob("*.json"))) == 20


def test_records_are_the_same_with_and_without_memory(world: Path, calls: Counter[str]) -> None:
    call("-o", "first")
    call("-o", "again")
    passes = calls["regions"]
    call("-o", "bare", "--no-cache")
    assert calls["regions"] > passes
    call("-o", "elsewhere", "--cache-dir", "there")
    assert (world / "there/regions").is_dir()
    first = tree_hash(world / "first/records")
    assert {tree_hash(world / name / "records") for name in ("again", "bare", "elsewhere")} == {first}


@pytest.mark.parametrize(
    "words", ["--min-area 1", "--feat-short-side 256", "--pooling topk", "--smooth 1"]
)
def test_another_setting_above_the_line_is_another_entry(
    world: Path, calls: Counter[str], words: str
) -> None:
    call("--no-save")
    calls.clear()
    call("--no-save")
    assert not calls
    call("--no-save", *words.split())
    assert calls["regions"] >= 3


@pytest.mark.parametrize(
    "words", ["--pos-agg max", "--suppression nms", "--centring mean", "--shape-weight 0"]
)
def test_a_setting_below_the_line_needs_no_model(world: Path, calls: Counter[str], words: str) -> None:
    call("--no-save")
    calls.clear()
    call("--no-save", *words.split())
    assert not calls


@pytest.mark.parametrize("tiles", [[], pytest.param(["--tile", "96"], marks=pytest.mark.slow)])
def test_heat_maps_take_the_feature_map_that_is_there(
    world: Path, calls: Counter[str], tiles: list[str]
) -> None:
    call("-o", "out", "--save", "heatmap", "--no-cache", *tiles)
    plain = calls["backbone"]
    calls.clear()
    call("--no-save", "--no-cache", *tiles)
    extra = 3 if tiles else 0
    assert plain == calls["backbone"] + extra, "none more an image, or the whole one beside its tiles"
    call("--no-save", *tiles)
    calls.clear()
    call("-o", "again", "--save", "heatmap", *tiles)
    assert calls["backbone"] == 3, "regions are known, so it is computed once an image"
    assert tree_hash(world / "again/heatmaps") == tree_hash(world / "out/heatmaps")


def test_guided_prompting_depends_on_the_exemplars(
    world: Path, calls: Counter[str], tiny_sam: Path
) -> None:
    guided = ["--sam-checkpoint", str(tiny_sam), "--points-per-side", "4", "--prompting", "guided"]
    call("--no-save", *guided)
    call("--no-save", *guided)
    assert calls["sam"] == 3
    call("--no-save", *guided, "--negative-weight", "0.1")
    assert calls["sam"] == 6


def remembered(folder: Path, masks: np.ndarray, proposals: ProposalOptions | None = None) -> Remembered:
    describer = Describer(
        GridBackbone(), GivenProposer(masks), proposals or ProposalOptions(), EmbeddingOptions()
    )
    return Remembered(describer, Store(folder, "regions"))


def test_damaged_entries_are_made_again(
    tmp_path: Path, photo: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    masks = np.zeros((2, *photo.shape[:2]), bool)
    masks[0, 5:40, 8:50] = masks[1, 60:90, 70:120] = True
    first = remembered(tmp_path, masks).regions(photo, "a")
    (entry,) = (tmp_path / "regions").rglob("*.safetensors")
    whole = entry.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for damage in (b"", whole[:50], whole[:-1], bytes(flipped), b"PK\x03\x04"):
        entry.write_bytes(damage)
        caplog.clear()
        again = remembered(tmp_path, masks).regions(photo, "a")
        assert "made again" in caplog.text
        assert entry.read_bytes() == whole
        assert again.proposals.rles == first.proposals.rles
        assert np.array_equal(again.described.embedded.vectors, first.described.embedded.vectors)


def test_the_key_names_the_image_and_its_size(tmp_path: Path, photo: np.ndarray) -> None:
    masks = np.ones((1, *photo.shape[:2]), bool)
    one = remembered(tmp_path, masks)
    one.regions(photo, "a")
    one.regions(photo, "b")
    turned = np.ascontiguousarray(photo.transpose(1, 0, 2))
    remembered(tmp_path, masks.transpose(0, 2, 1)).regions(turned, "a")
    remembered(tmp_path, masks, ProposalOptions(scored_masks=7)).regions(photo, "a")
    assert len(list((tmp_path / "regions").rglob("*.safetensors"))) == 4


def test_packing_keeps_rows_and_costs_little(photo: np.ndarray, figure: Figure) -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((7, *photo.shape[:2])) > 0.9
    masks[3] = False
    describer = Describer(GridBackbone(), GivenProposer(masks), ProposalOptions(), EmbeddingOptions())
    before = describer.regions(photo)
    after = unpack(pack(before))
    assert after.proposals.rles == before.proposals.rles
    assert np.array_equal(after.proposals.boxes, before.proposals.boxes)
    assert np.array_equal(after.described.embedded.valid, before.described.embedded.valid)
    vectors = (before.described.embedded.vectors, after.described.embedded.vectors)
    valid = before.described.embedded.valid
    lost = 1 - (vectors[0] * vectors[1]).sum(1)[valid].min()
    assert figure("1 - cosine of a vector and what is kept of it", float(lost)) < 1e-6
    lengths = np.linalg.norm(vectors[1].astype(np.float64), axis=1)
    np.testing.assert_allclose(lengths, valid.astype(float), atol=1e-6)


def test_no_proposals_can_be_kept(tmp_path: Path, photo: np.ndarray) -> None:
    none = np.zeros((0, *photo.shape[:2]), bool)
    for _ in range(2):
        found = remembered(tmp_path, none).regions(photo, "a")
        assert len(found.proposals) == len(found.described) == 0
        assert found.described.embedded.vectors.shape == (0, 4)


def test_a_cache_that_cannot_be_written_is_said_once(
    tmp_path: Path, photo: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "regions").write_text("a file")
    one = remembered(tmp_path, np.ones((1, *photo.shape[:2]), bool))
    with caplog.at_level(logging.WARNING):
        for name in "abc":
            one.regions(photo, name)
    assert caplog.text.count("are kept in the cache") == 1


def small_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackboneOptions:
    spec = ref.small_spec("dinov3_convnext_tiny")
    monkeypatch.setitem(backbones.SPECS, spec.name, spec)
    path = tmp_path / "weights.pth"
    torch.save(ref.convnext_meta(ref.saved(ref.convnext_reference())), path)
    return BackboneOptions(spec.name, str(path), precision="fp32", feat_short_side=64)


def test_a_network_that_loaded_before_waits_for_its_first_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: np.ndarray
) -> None:
    options = small_network(tmp_path, monkeypatch)
    before = LoadedBefore(tmp_path / "cache")
    eager = backbones.load(options, before)
    waiting = backbones.load(options, before)
    assert eager.lazy.loaded
    assert not waiting.lazy.loaded
    said = ("name", "dim", "parts", "stride", "weights", "compute", "preprocessing")
    for name in (*said, "crop_side", "second_look"):
        assert getattr(waiting, name) == getattr(eager, name)
    torch.testing.assert_close(
        waiting.feature_map(photo).features, eager.feature_map(photo).features, rtol=0, atol=0
    )
    assert waiting.lazy.loaded
    assert backbones.load(options).lazy.loaded


def test_a_network_whose_file_changed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: np.ndarray
) -> None:
    options = small_network(tmp_path, monkeypatch)
    before = LoadedBefore(tmp_path / "cache")
    backbones.load(options, before)
    waiting = backbones.load(options, before)
    path = Path(str(options.checkpoint))
    state = torch.load(path, weights_only=True)
    torch.save({name: value + 1 for name, value in state.items()}, path)
    with pytest.raises(CheckpointError, match="changed during the run"):
        waiting.feature_map(photo)
    assert backbones.load(options, before).lazy.loaded, "other bytes, loaded now"


def filled(folder: Path) -> None:
    for number, kind in enumerate(("regions", "regions", "exemplars")):
        store = Store(folder, kind)
        store.write(f"{number:064x}", {"x": np.zeros(1000 * (number + 1), np.uint8)}, {})
        path = store.path(f"{number:064x}")
        os.utime(path, (1e9 + number, 1e9 + number))
    (folder / "regions/note.txt").write_text("not ours")
    (folder / "precious").mkdir()


def test_cutting_back_touches_entries_only(tmp_path: Path) -> None:
    filled(tmp_path)
    sizes = {item.kind: (item.entries, item.size) for item in usage(tmp_path)}
    assert sizes["regions"][0] == 2
    assert sizes["exemplars"][0] == 1
    total = sum(size for _, size in sizes.values())
    assert prune(tmp_path, total, None).entries == 0
    assert prune(tmp_path, total - 1, None).entries == 1
    assert not Store(tmp_path, "regions").path(f"{0:064x}").exists(), "the one used longest ago"
    Store(tmp_path, "regions").read(f"{1:064x}")
    assert prune(tmp_path, None, 30).entries == 1, "what was read is young again"
    assert clear(tmp_path).entries == 1
    assert (tmp_path / "regions/note.txt").exists()
    assert (tmp_path / "precious").is_dir()


def test_entries_of_a_kind_that_no_command_clears_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no kind"):
        Store(tmp_path, "elsewhere")
    assert [item.kind for item in usage(tmp_path)] == list(kinds.KINDS)


def test_cache_commands(world: Path) -> None:
    def run(*words: str) -> object:
        return CliRunner().invoke(app, ["cache", *words, "--cache-dir", "c"])

    assert run("info").stdout.startswith("c: 0 B")
    call("--no-save", "--cache-dir", "c")
    info = json.loads(run("info", "--json").stdout)
    assert info["kinds"]["regions"]["entries"] >= 3
    assert info["bytes"] == sum(kind["bytes"] for kind in info["kinds"].values())
    assert run("prune").exit_code == 2
    assert run("prune", "--max-size", "much").exit_code == 2
    assert run("clear", "--kind", "reigons").exit_code == 2
    assert run("clear", "--kind", "exemplars").exit_code == 0
    assert json.loads(run("info", "--json").stdout)["kinds"]["exemplars"]["entries"] == 0
    assert run("prune", "--max-size", "1kB").exit_code == 0
    assert json.loads(run("info", "--json").stdout)["bytes"] <= 1000
    (world / "c2").write_text("")
    assert CliRunner().invoke(app, ["cache", "info", "--cache-dir", "c2"]).exit_code == 2
