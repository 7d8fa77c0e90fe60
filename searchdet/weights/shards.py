"""Weights in several files: the index that names them, their tensors, and one digest of them all.

The layout of the Hugging Face Hub: ``model.safetensors.index.json`` with a ``weight_map`` from the name
of each tensor to the file beside it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError
from ..storage.values import Fields

if TYPE_CHECKING:
    from torch import Tensor

INDEX = ".index.json"
WHOLE = ("model.safetensors", "pytorch_model.bin")
"""The weight file of a folder as the hub has it; or its index, for one in several files."""
_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})(\.safetensors|\.bin|\.pth|\.pt)")
_MOST_BYTES = 1 << 26


def is_index(path: Path) -> bool:
    """Whether a path has the name of an index."""
    return path.name.endswith(INDEX)


def is_shard(path: Path) -> bool:
    """Whether a path has the name of one of several files that hold weights together."""
    shard = _SHARD.fullmatch(path.name)
    return shard is not None and int(shard[2]) > 1


def weights_in(path: Path) -> Path:
    """The weight file that a path stands for: the one of a folder of the hub, or the path itself.
    Raises CheckpointError for a folder without one, and for one of several shards."""
    if path.is_dir():
        names = [name for whole in WHOLE for name in (whole, whole + INDEX)]
        found = next((path / name for name in names if (path / name).is_file()), None)
        if found is None:
            raise CheckpointError(
                f"{path}: is a folder without {' or '.join(WHOLE)}.", "Give the weight file in it."
            )
        return found
    shard = _SHARD.fullmatch(path.name)
    if shard and path.is_file() and int(shard[2]) > 1:
        raise CheckpointError(
            f"{path}: is one of {int(shard[2])} files that hold the weights together.",
            f"Give their index, {shard[1]}{shard[3]}{INDEX}, or their folder.",
        )
    return path


def parts(index: Path) -> dict[str, list[str]]:
    """The files that an index names, each with the names of its tensors. Raises CheckpointError for
    what is no index, and for a file that is not beside it."""
    try:
        if index.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too long")
        fields = Fields.of(json.loads(index.read_text(encoding="utf-8"))).child("weight_map")
        files: dict[str, list[str]] = {}
        for name in fields.values:
            files.setdefault(fields.text(name), []).append(name)
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{index}: is no index of weight files ({error}).") from error
    if not files:
        raise CheckpointError(f"{index}: names no weight files.", "Download the whole folder again.")
    for name in files:
        if Path(name).name != name or "\\" in name:
            raise CheckpointError(f"{index}: names {name!r}, which does not lie beside it.")
    absent = sorted(name for name in files if not (index.parent / name).is_file())
    if absent:
        raise CheckpointError(
            f"{index}: {len(absent)} of its {len(files)} files are not beside it (first: {absent[0]}).",
            "Download the whole folder.",
        )
    return dict(sorted(files.items()))


def joined(index: Path, read: Callable[[Path], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of all files of an index, each in the file that the index says. Raises
    CheckpointError for anything else."""
    state: dict[str, Tensor] = {}
    for name, promised in parts(index).items():
        found = read(index.parent / name)
        if found.keys() != set(promised):
            different = sorted(found.keys() ^ set(promised))
            raise CheckpointError(
                f"{index.parent / name}: holds other tensors than {index.name} says (first: "
                f"{different[0]}).",
                "Download the whole folder again.",
            )
        state |= found
    return state


def digest_of(path: Path, sha256: Callable[[Path], str]) -> str:
    """SHA-256 of a weight file; for an index, of the digests of all that it names."""
    if not is_index(path):
        return sha256(path)
    lines = [f"{sha256(path.parent / name)}  {name}\n" for name in parts(path)]
    return hashlib.sha256("".join([f"{sha256(path)}  {path.name}\n", *lines]).encode()).hexdigest()
