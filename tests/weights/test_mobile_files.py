"""MobileSAM's file for every command: chosen by its content, called by its name, verified, pulled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import references as ref
import torch
from safetensors.torch import save_file
from test_foreign import CASES
from typer.testing import CliRunner

from searchdet.backbones.network import load_network
from searchdet.cli import app
from searchdet.config import ProposalOptions
from searchdet.doctor.checks import OK, computes
from searchdet.errors import CheckpointError
from searchdet.models import catalogue, judge
from searchdet.proposals import PROPOSERS, choose, weights_of
from searchdet.proposals.mobile_sam import encoder
from searchdet.proposals.mobile_sam.weights import PUBLISHED, load_mobile_sam
from searchdet.proposals.sam.weights import load_sam
from searchdet.weights import Compute, models_folder
from searchdet.weights.foreign import SAM_HQ_TINY, SAM_LIKE, name_of

pytestmark = pytest.mark.model

FP32 = Compute("cpu", "fp32")
NAME = "mobile_sam"
[OFFICIAL] = PUBLISHED


def run(*words: str, **more: object) -> object:
    return CliRunner().invoke(app, list(words), **more)


def chosen(path: Path) -> str:
    return choose(ProposalOptions(checkpoint=path)).name


def test_auto_takes_what_the_content_of_the_file_says(
    tiny_sam: Path, tiny_mobile_sam: Path, tmp_path: Path
) -> None:
    assert (chosen(tiny_sam), chosen(tiny_mobile_sam)) == ("sam", NAME)
    state = torch.load(tiny_mobile_sam, weights_only=True)
    save_file(state, tmp_path / "sam_vit_b_01ec64.safetensors")
    assert chosen(tmp_path / "sam_vit_b_01ec64.safetensors") == NAME
    torch.save({"model": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "wrapped.pth")
    assert chosen(tmp_path / "wrapped.pth") == NAME


def test_auto_reads_the_index_of_shards(tiny_mobile_sam: Path, tmp_path: Path) -> None:
    state = torch.load(tiny_mobile_sam, weights_only=True)
    names = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(state)}
    for file in set(names.values()):
        save_file({k: v for k, v in state.items() if names[k] == file}, tmp_path / file)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    assert chosen(tmp_path) == NAME
    assert load_mobile_sam(index, FP32).get() is not None


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04"])
def test_auto_says_of_what_cannot_be_read_what_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"w\.pt"):
        chosen(path)


def test_auto_finds_the_official_file_by_its_name_after_sam_s() -> None:
    folder = models_folder()
    (folder / OFFICIAL.filename).write_bytes(b"x")
    assert choose(ProposalOptions()).name == NAME
    (folder / "sam_vit_b_01ec64.pth").write_bytes(b"x")
    assert choose(ProposalOptions()).name == "sam"


@pytest.mark.parametrize("kind", CASES)
def test_no_file_is_recognised_by_two(kind: str, tiny_sam: Path, tiny_mobile_sam: Path) -> None:
    own = {name: weights for name in PROPOSERS if (weights := weights_of(name)) is not None}
    names = CASES[kind][0].keys()
    taken = [name for name, weights in own.items() if weights.recognises(names)]
    assert len(taken) <= 1
    assert (NAME in taken) == (kind == "MobileSAM")
    for path, wanted in ((tiny_sam, "sam"), (tiny_mobile_sam, NAME)):
        state = torch.load(path, weights_only=True)
        assert [name for name, weights in own.items() if weights.recognises(state)] == [wanted]


def test_sam_hq_s_tiny_file_is_not_mobile_sam_s(tiny_mobile_sam: Path) -> None:
    state = torch.load(tiny_mobile_sam, weights_only=True)
    names = [*state, "mask_decoder.hf_token.weight", "mask_decoder.compress_vit_feat.0.weight"]
    assert name_of(names, SAM_LIKE) == SAM_HQ_TINY
    weights = weights_of(NAME)
    assert weights is not None
    assert not weights.recognises(names)


def test_a_tiny_vit_alone_and_another_encoder_of_layers_are_not_mobile_sam_s() -> None:
    weights = weights_of(NAME)
    assert weights is not None
    alone = ["patch_embed.seq.0.c.weight", "layers.0.blocks.0.conv1.c.weight"]
    other = ["image_encoder.layers.0.blocks.0.norm.weight", "mask_decoder.iou_token.weight"]
    assert not weights.recognises(alone)
    assert not weights.recognises(other)
    assert name_of(other, SAM_LIKE).startswith("a SAM with another image encoder")


def hint(load: object, *given: object) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(*given)
    return str(caught.value.hint)


def test_the_file_of_the_other_family_is_refused_with_the_right_option(
    tiny_sam: Path, tiny_mobile_sam: Path, tmp_path: Path
) -> None:
    said = hint(load_sam, tiny_mobile_sam, FP32)
    assert "The file is MobileSAM (a TinyViT encoder); pass --proposals mobile_sam with it." in said
    said = hint(load_mobile_sam, tiny_sam, FP32)
    assert "The file is a SAM model; pass --proposals sam with it." in said
    said = hint(load_network, ref.small_spec("dinov2_s"), tiny_mobile_sam, FP32, 70)
    assert "not a backbone; pass it as --sam-checkpoint (--proposals mobile_sam)" in said
    torch.save(CASES["DINOv2"][0], tmp_path / "w.pth")
    said = hint(load_mobile_sam, tmp_path / "w.pth", FP32)
    assert "pass it as --backbone-ckpt (--backbone dinov2_s). Use mobile_sam.pt" in said


@pytest.mark.parametrize("kind", [kind for kind in CASES if kind not in ("MobileSAM", "DINOv2")])
def test_every_other_network_is_called_by_its_name(kind: str, tmp_path: Path) -> None:
    state, what = CASES[kind]
    torch.save(state, tmp_path / "w.pth")
    said = hint(load_mobile_sam, tmp_path / "w.pth", FP32)
    assert f"The file is {what}" in said
    assert "Use mobile_sam.pt from https://github.com/ChaoningZhang/MobileSAM" in said


def test_the_command_line_refuses_with_the_right_option(world: Path, tiny_mobile_sam: Path) -> None:
    words = ["--positive", "in/positive", "-o", "new", "--sam-checkpoint", str(tiny_mobile_sam)]
    done = run("detect", "in/images/a.png", *words, "--proposals", "sam")
    assert done.exit_code == 4
    assert "pass --proposals mobile_sam with it" in done.stderr


def test_detect_takes_the_file_without_its_name_says_so_and_remembers_its_regions(
    world: Path, tiny_mobile_sam: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--positive", "in/positive", "--sam-checkpoint", str(tiny_mobile_sam), "-o", "new"]
    few = ["--points-per-side", "2", "--pred-iou-thresh", "0", "--stability-score-thresh", "0"]
    done = run("detect", "in/images/a.png", *words, *few)
    assert done.exit_code == 0, done.stderr
    proposer = json.loads((world / "new/records/in/images/a.png.json").read_text())["proposer"]
    assert (proposer["name"], proposer["fallback"]) == (NAME, False)
    assert proposer["weights"]["layout"] == "MobileSAM"
    assert proposer["options"]["points_per_side"] == 2
    assert "ignored" not in done.stderr

    def refuse(*given: object) -> None:
        pytest.fail("regions were made again")

    monkeypatch.setattr(encoder, "TinyEncoder", refuse)
    again = run("detect", "in/images/a.png", *words, *few, "--min-score", "0.9", "--overwrite")
    assert again.exit_code == 0, again.stderr


def test_the_list_names_it_with_licence_source_and_hub() -> None:
    rows = {row["file"]: row for row in json.loads(run("models", "list", "--json").stdout)}
    row = rows["mobile_sam.pt"]
    assert (row["name"], row["kind"], row["licence"]) == (NAME, "proposals", "Apache-2.0")
    assert row["source"] == "https://github.com/ChaoningZhang/MobileSAM"
    assert (row["hub"], row["size"], row["present"]) == ("dhkim2810/MobileSAM", 40728226, False)
    assert catalogue.published()["mobile_sam.pt"].sha256.startswith("6dbb90523a35330f")


def test_pull_shows_where_it_comes_from_and_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import file_download

    monkeypatch.setattr(file_download, "http_get", lambda *call, **more: pytest.fail("not agreed to"))
    done = run("models", "pull", NAME, input="n\n")
    assert done.exit_code != 0
    for part in ("mobile_sam.pt, 41 MB", "dhkim2810/MobileSAM", "Apache-2.0", OFFICIAL.sha256):
        assert part in done.stderr


def test_an_official_name_with_another_content_is_refused(tiny_mobile_sam: Path) -> None:
    path = models_folder() / OFFICIAL.filename
    shutil.copy(tiny_mobile_sam, path)
    with pytest.raises(CheckpointError, match="official"):
        load_mobile_sam(path, FP32)
    assert load_mobile_sam(path, FP32, allow_unverified=True).weights.verified is False
    done = run("models", "verify")
    assert done.exit_code == 4
    assert "BAD  mobile_sam.pt" in done.stdout


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_verify_loads_it_and_the_doctor_looks_at_what_it_computes(
    tiny_mobile_sam: Path, precision: str
) -> None:
    compute = Compute("cpu", precision)
    verdict = judge(tiny_mobile_sam, compute)
    assert (verdict.model, verdict.loads, verdict.identity) == (NAME, True, "unknown")
    assert verdict.what == "MobileSAM (a TinyViT encoder)"
    found = computes(verdict, compute)
    assert found.state == OK, found
    assert f"(cpu, {precision})" in found.fact


def test_it_is_loaded_only_when_asked_for_once_it_has_fitted(
    tiny_mobile_sam: Path, tmp_path: Path
) -> None:
    from searchdet.weights import LoadedBefore

    before = LoadedBefore(tmp_path / "cache")
    assert load_mobile_sam(tiny_mobile_sam, FP32, before=before).loaded
    waiting = load_mobile_sam(tiny_mobile_sam, FP32, before=before)
    assert not waiting.loaded
    assert isinstance(waiting.get().image_encoder.img_size, int)
