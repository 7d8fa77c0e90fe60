"""What is no weight file is called by its name, with the next step; nothing of it is run."""

from __future__ import annotations

import argparse
import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from searchdet.errors import CheckpointError
from searchdet.weights import read_state_dict

LFS = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4610ad75edef83e75afdebf162d148dc628045ea6cbb83d67d4708c709c4f91d\nsize 86406384\n"
)
PAGE = "\n<!DOCTYPE html>\n<html lang='en'>\n<head><title>Sign in\n to it</title></head></html>"
XML = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'
GATED = '{"error":"Access to model facebook/dinov3 is restricted. You must be authenticated."}'


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("weights/model.pth", b"x")
    return out.getvalue()


def torch_bytes(state: object) -> bytes:
    out = io.BytesIO()
    torch.save(state, out)
    return out.getvalue()


CASES: dict[str, tuple[bytes, str, str]] = {
    "pointer": (LFS.encode(), "a Git LFS pointer of a file of 86,406,384 bytes", "git lfs pull"),
    "page": (PAGE.encode(), r"a web page \('Sign in to it'\)", "browser"),
    "page in utf-16": (PAGE.encode("utf-16"), "a web page", "browser"),
    "page without a doctype": (b"<HTML><body>gone</body>", "a web page", "browser"),
    "xml": (XML.encode(), "an XML answer .*AccessDenied", "expire"),
    "json error": (GATED.encode(), r"the error of a server \('Access to model", "Log in"),
    "json": (json.dumps({"hidden_size": 384}).encode(), "a JSON text", "weight file"),
    "text": (b"Entry not found", r"a text of 15 bytes that begins 'Entry not found'", "Look at"),
    "no ascii": ("Запрещено, войдите".encode(), "a text", "Look at"),
    "empty": (b"", r"is empty \(0 bytes\)", "download"),
    "zeros": (bytes(4096), "zero bytes", "download"),
    "gzip": (gzip.compress(b"x" * 99), "a gzip archive", "Unpack"),
    "zip": (zipped(), r"a zip archive of 1 other files \(first: 'weights/model.pth'\)", "Unpack"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5", "PyTorch"),
    "gguf": (b"GGUF\x03\x00\x00\x00" + bytes(99), "GGUF", "PyTorch"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(99), "a PNG picture", "weight file"),
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".bin", ".ckpt"])
@pytest.mark.parametrize("kind", CASES)
def test_what_holds_no_weights_is_named(tmp_path: Path, kind: str, suffix: str) -> None:
    data, says, then = CASES[kind]
    path = tmp_path / f"dinov3_vits16_pretrain{suffix}"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=says) as caught:
        read_state_dict(path)
    assert str(path) in caught.value.message
    assert then in caught.value.hint
    assert "run code" not in caught.value.one_line()


def test_a_right_file_under_a_wrong_name(tmp_path: Path) -> None:
    state = {"a": torch.ones(3)}
    save_file(state, tmp_path / "w.pth")
    torch.save(state, tmp_path / "w.safetensors")
    for name, then in (("w.pth", "Rename it to .safetensors"), ("w.safetensors", "Rename it to .pth")):
        with pytest.raises(CheckpointError, match="under ") as caught:
            read_state_dict(tmp_path / name)
        assert then in caught.value.hint


@pytest.mark.parametrize("name", ["w.ckpt", "checkpoint.pth.tar", "w.bin"])
def test_usual_names_of_training_scripts(tmp_path: Path, name: str) -> None:
    torch.save({"state_dict": {"a": torch.ones(3)}}, tmp_path / name)
    assert read_state_dict(tmp_path / name).keys() == {"a"}


def test_cut_files_say_that_they_are(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    data = torch_bytes({"a": torch.randn(100, 100)})
    path.write_bytes(data[:20000])
    with pytest.raises(CheckpointError, match="is cut short; 20,000 bytes of it are here"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"model": {"a": torch.ones(2)}, "args": argparse.Namespace(x=1)}, r"argparse\.Namespace"),
        (nn.Linear(2, 2), r"torch\.nn\.modules\.linear\.Linear"),
    ],
)
def test_a_pickled_program_is_told_with_what_it_names(tmp_path: Path, value: object, says: str) -> None:
    path = tmp_path / "w.pth"
    torch.save(value, path)
    with pytest.raises(CheckpointError, match=f"run code from it .*{says}") as caught:
        read_state_dict(path)
    assert "torch.save(model.state_dict()" in caught.value.hint


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript_is_told(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)).save(str(path))
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_state_dict(path)


@pytest.mark.parametrize(
    "value",
    [
        {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]},
        {"optimizer": {"state": {}, "param_groups": []}, "epoch": 3, "lr_scheduler": {}},
        {"optimizer_states": [], "loops": {}, "global_step": 3, "callbacks": {}},
    ],
)
def test_the_state_of_an_optimiser_is_told(tmp_path: Path, value: object) -> None:
    path = tmp_path / "optimizer.pt"
    torch.save(value, path)
    with pytest.raises(CheckpointError, match="optimiser") as caught:
        read_state_dict(path)
    assert "weights" in caught.value.hint


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({}, "it is empty"),
        ([1, 2], "a list"),
        ({"names": ["a"], "count": 3}, r"it holds names \(a list\), count \(a int\)"),
        ({"a": torch.ones(2), "epoch": 3}, r"beside 1 tensors epoch \(a int\)"),
    ],
)
def test_other_contents_are_told(tmp_path: Path, value: object, says: str) -> None:
    path = tmp_path / "w.pth"
    torch.save(value, path)
    with pytest.raises(CheckpointError, match=f"no plain dictionary of tensors.*{says}"):
        read_state_dict(path)
