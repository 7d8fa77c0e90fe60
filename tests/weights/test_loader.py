from __future__ import annotations

import hashlib
import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from places import ROOT
from safetensors.torch import save_file
from torch import nn

from searchdet.errors import CheckpointError
from searchdet.storage.hashes import FileHashes
from searchdet.weights import Published
from searchdet.weights.identity import verify_identity
from searchdet.weights.loader import Layout, Named, convert, fill, rename
from searchdet.weights.reading import read_state_dict


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w.safetensors"])
@pytest.mark.parametrize("plain_pickle", [False, True])
def test_a_pickle_payload_never_runs(tmp_path: Path, name: str, plain_pickle: bool) -> None:
    sentinel, path = tmp_path / "sentinel", tmp_path / name
    value = {"weight": Payload(sentinel)}
    if plain_pickle:
        path.write_bytes(pickle.dumps(value))
    else:
        torch.save(value, path)
    with pytest.raises(CheckpointError):
        read_state_dict(path)
    assert not sentinel.exists()


def test_plain_and_wrapped_files(tmp_path: Path) -> None:
    state = {"a.weight": torch.ones(3), "b": torch.zeros(2, 2)}
    for number, value in enumerate((state, {"model": state, "epoch": 3}, {"teacher": state})):
        path = tmp_path / f"{number}.pth"
        torch.save(value, path)
        assert read_state_dict(path).keys() == state.keys()
    old = tmp_path / "old.pth"
    torch.save(state, old, _use_new_zipfile_serialization=False)
    assert read_state_dict(old).keys() == state.keys()
    save_file(state, tmp_path / "s.safetensors")
    assert read_state_dict(tmp_path / "s.safetensors").keys() == state.keys()


@pytest.mark.parametrize("value", [{}, [1, 2], {"a": 1}, {"model": {"x": 1}}, torch.ones(2)])
def test_files_that_hold_no_weights(tmp_path: Path, value: object) -> None:
    path = tmp_path / "w.pth"
    torch.save(value, path)
    with pytest.raises(CheckpointError):
        read_state_dict(path)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_cut_files_are_refused(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    state = {"a": torch.randn(100, 100)}
    torch.save(state, path) if name.endswith("pth") else save_file(state, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match=name):
        read_state_dict(path)


def test_a_web_page_a_missing_and_an_unknown_kind(tmp_path: Path) -> None:
    for name in ("w.pth", "w.safetensors"):
        (tmp_path / name).write_text("<html>404 not found</html>")
        with pytest.raises(CheckpointError, match="w\\."):
            read_state_dict(tmp_path / name)
    with pytest.raises(CheckpointError, match="no such"):
        read_state_dict(tmp_path / "absent.pth")
    np.savez(tmp_path / "w.npz", a=np.ones(2))
    with pytest.raises(CheckpointError, match=r"zip archive of 1 other files \(first: 'a.npy'\)"):
        read_state_dict(tmp_path / "w.npz")
    torch.save({"a": torch.ones(2)}, tmp_path / "w.weights")
    with pytest.raises(CheckpointError, match="kind"):
        read_state_dict(tmp_path / "w.weights")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite(tmp_path: Path, value: float) -> None:
    torch.save({"good": torch.ones(2), "bad": torch.tensor([1.0, value])}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="'bad'"):
        read_state_dict(tmp_path / "w.pth")


def test_identity_of_official_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "official.pth"
    path.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    known = (Published("official.pth", sha256=digest),)
    assert verify_identity(path, known) == (digest, True)
    other = (Published("official.pth", sha256="0" * 64),)
    with pytest.raises(CheckpointError, match="content is not") as caught:
        verify_identity(path, other)
    assert "--allow-unverified-weights" in caught.value.hint
    assert verify_identity(path, other, allow_unverified=True) == (digest, False)
    assert verify_identity(path, (Published("another.pth", sha256="0" * 64),)) == (digest, None)
    assert verify_identity(path, (Published("official.pth"),)) == (digest, None)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        unsure = (Published("official.pth", prefix="abcd1234"),)
        assert verify_identity(path, unsure) == (digest, False)
    assert "verified: false" in caplog.text
    sure = (Published("official.pth", prefix="abcd1234", confirmed=True),)
    with pytest.raises(CheckpointError):
        verify_identity(path, sure)
    right = (Published("official.pth", prefix=digest[:8]),)
    assert verify_identity(path, right) == (digest, True)


def test_hashes_are_remembered_and_a_changed_file_is_hashed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from searchdet.storage import hashes

    path, memory = tmp_path / "w.pth", FileHashes(tmp_path / "memory")
    path.write_bytes(b"one")
    first = memory.sha256(path)
    calls = []
    real = hashes.fresh_sha256
    monkeypatch.setattr(hashes, "fresh_sha256", lambda p: calls.append(p) or real(p))
    assert memory.sha256(path) == first
    assert calls == []
    swapped = tmp_path / "x"
    swapped.write_bytes(b"two")
    import os

    stat = path.stat()
    os.utime(swapped, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    swapped.replace(path)
    assert memory.sha256(path) == hashlib.sha256(b"two").hexdigest()
    for entry in (tmp_path / "memory").rglob("*.json"):
        entry.write_text("{broken")
    assert memory.sha256(path) == hashlib.sha256(b"two").hexdigest()


def test_rename_keeps_unknown_names_and_refuses_twins() -> None:
    state = {"a.x": torch.ones(1), "odd": torch.ones(1), "drop": torch.ones(1)}
    assert rename(state, ((r"^a\.", "b."),), unused="drop").keys() == {"b.x", "odd"}
    with pytest.raises(CheckpointError, match="two tensors"):
        rename({"a": torch.ones(1), "b": torch.ones(1)}, ((r"a|b", "c"),))


def test_no_layout_and_incomplete_matches_say_counts_and_names(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    layout = Layout("plain", lambda names: "0.weight" in names, dict)
    with pytest.raises(CheckpointError, match="1 tensors"):
        convert(path, {"z": torch.ones(1)}, (layout,))
    with torch.device("meta"):
        network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    good = {k: torch.randn(v.shape) for k, v in network.state_dict().items()}
    bad = {"0.weight": good["0.weight"].T.contiguous(), "0.bias": good["0.bias"], "new": torch.ones(1)}
    with pytest.raises(CheckpointError) as caught:
        fill(path, network, Named(bad, "plain"))
    text = caught.value.message
    assert "2 missing (first: 1.bias, 1.weight)" in text
    assert "1 unexpected (first: new (1,))" in text
    assert "1 of another shape (first: 0.weight (2, 3) needs (3, 2))" in text
    assert all(p.is_meta for p in network.parameters())
    fill(path, network, Named(good, "plain"))
    assert not any(p.is_meta for p in network.parameters())


def test_no_loose_loading_anywhere_in_the_package() -> None:
    package = ROOT / "searchdet"
    forbidden = ("weights_only=False", "allow_pickle=True", "strict=False", "torch.hub", "pickle.load")
    forbidden += (
        "LOAD_TRUNCATED_IMAGES",
        "subprocess",
        "nan_to_num",
        "except:",
        "except BaseException",
    )
    sources = list(package.rglob("*.py"))
    assert len(sources) > 100
    for source in sources:
        text = source.read_text(encoding="utf-8")
        assert not [word for word in forbidden if word in text], source
