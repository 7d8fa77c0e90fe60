"""Weights in several files: joined completely, hashed as one, or refused by what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import references as ref
import torch
from safetensors.torch import save_file
from torch import Tensor

from searchdet.backbones import check
from searchdet.backbones.network import load_network
from searchdet.config import BackboneOptions, ProposalOptions
from searchdet.errors import CheckpointError
from searchdet.models import judge, look, weight_files
from searchdet.proposals import choose
from searchdet.storage.hashes import fresh_sha256
from searchdet.weights import Compute, read_state_dict, weights_in
from searchdet.weights.shards import digest_of

State = dict[str, Tensor]
FP32 = Compute("cpu", "fp32")


def sharded(folder: Path, state: State, suffix: str = ".safetensors", count: int = 3) -> Path:
    """A folder as save_pretrained makes one; its index."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = "model" if suffix == ".safetensors" else "pytorch_model"
    names, where = sorted(state), {}
    for number in range(count):
        file = f"{stem}-{number + 1:05}-of-{count:05}{suffix}"
        part = {name: state[name].clone() for name in names[number::count]}
        where |= dict.fromkeys(part, file)
        if suffix == ".safetensors":
            save_file(part, folder / file)
        else:
            torch.save(part, folder / file)
    index = folder / f"{stem}{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": where}))
    return index


@pytest.fixture
def state() -> State:
    return {name: torch.full((2, 3), float(i)) for i, name in enumerate("abcdefg")}


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_shards_are_joined(tmp_path: Path, state: State, suffix: str) -> None:
    index = sharded(tmp_path / "hub", state, suffix)
    for path in (index, tmp_path / "hub"):
        got = read_state_dict(weights_in(path))
        assert got.keys() == state.keys()
        assert all((got[name] == state[name]).all() for name in state)
    whole = tmp_path / "whole"
    whole.mkdir()
    save_file(state, whole / "model.safetensors")
    assert weights_in(whole) == whole / "model.safetensors"


def test_one_digest_of_all(tmp_path: Path, state: State) -> None:
    digests = {digest_of(sharded(tmp_path / str(i), state), fresh_sha256) for i in range(2)}
    assert len(digests) == 1
    changed = sharded(tmp_path / "c", state | {"g": torch.ones(2, 3)})
    assert digest_of(changed, fresh_sha256) not in digests


def test_a_shard_alone_names_its_index(tmp_path: Path, state: State) -> None:
    index = sharded(tmp_path, state)
    with pytest.raises(CheckpointError, match="one of 3 files") as caught:
        weights_in(tmp_path / "model-00002-of-00003.safetensors")
    assert index.name in caught.value.hint
    save_file(state, tmp_path / "model-00001-of-00001.safetensors")
    assert weights_in(tmp_path / "model-00001-of-00001.safetensors").is_file()


def test_a_folder_without_weights(tmp_path: Path) -> None:
    for take in (
        lambda: check(BackboneOptions("dinov2_s", tmp_path)),
        lambda: choose(ProposalOptions("sam", tmp_path)),
    ):
        with pytest.raises(CheckpointError, match=r"is a folder without model\.safetensors"):
            take()


def damage(index: Path, kind: str) -> str:
    """Spoil a folder; what the error must say."""
    values = json.loads(index.read_text())
    first = index.parent / "model-00001-of-00003.safetensors"
    if kind == "absent":
        first.unlink()
        return "1 of its 3 files are not beside it"
    if kind == "outside":
        values["weight_map"]["a"] = "../model.safetensors"
    elif kind == "missing":
        del values["weight_map"]["a"]
    elif kind == "moved":
        values["weight_map"]["a"] = "model-00002-of-00003.safetensors"
    elif kind == "no map":
        del values["weight_map"]
    elif kind == "empty":
        values["weight_map"] = {}
    index.write_text("{" if kind == "no json" else json.dumps(values))
    return {
        "outside": "does not lie beside it",
        "missing": "holds other tensors than",
        "moved": "holds other tensors than",
        "empty": "names no weight files",
    }.get(kind, "is no index of weight files")


@pytest.mark.parametrize(
    "kind", ["absent", "outside", "missing", "moved", "no map", "empty", "no json"]
)
def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path, state: State, kind: str) -> None:
    index = sharded(tmp_path, state)
    says = damage(index, kind)
    with pytest.raises(CheckpointError, match=says):
        read_state_dict(index)


@pytest.mark.model
def test_a_backbone_in_shards_loads_and_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from searchdet.backbones import SPECS

    spec = ref.small_spec("dinov2_s_reg")
    monkeypatch.setitem(SPECS, "dinov2_s_reg", spec)
    monkeypatch.setattr("searchdet.weights.identify._V2", {48: "s"})
    index = sharded(tmp_path / "hub", ref.dinov2_hub(ref.dinov2_registers_reference()))
    got = load_network(spec, check(BackboneOptions("dinov2_s_reg", tmp_path / "hub")), FP32, 70)
    assert got.weights is not None
    assert (got.weights.file, got.weights.layout) == (index.name, "transformers")
    assert got.weights.sha256 == digest_of(index, fresh_sha256)
    for path in (index, tmp_path / "hub"):
        verdict = judge(path, FP32)
        assert (verdict.model, verdict.loads, verdict.problem) == ("dinov2_s_reg", True, "")
    assert weight_files(tmp_path) == weight_files(tmp_path / "hub") == [index]
    assert look(index).sha256 == got.weights.sha256
    (tmp_path / "hub/model-00001-of-00003.safetensors").unlink()
    assert "not beside it" in look(index).problem
