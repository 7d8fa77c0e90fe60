"""Reading a weight file: its plain tensors, or why it has none. Nothing of a file is ever run.

``.safetensors``, or ``.pth`` and the like through ``weights_only=True`` (never retried without); or the
shards that an index names.
"""

from __future__ import annotations

import contextlib
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError
from . import shards
from .parts import unwrap
from .sniff import require_weights

if TYPE_CHECKING:
    from torch import Tensor

StateDict = dict[str, "Tensor"]
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
TARRED = ".pth.tar"
"""What some training scripts call what ``torch.save`` writes; no tar archive."""


def is_weights(path: Path) -> bool:
    """Whether a file has the name of a weight file that can be read."""
    return path.suffix in SUFFIXES or path.name.endswith(TARRED) or shards.is_index(path)


def read_state_dict(path: Path) -> StateDict:
    """Tensors of a weight file on the CPU. Raises CheckpointError; never runs code from the file."""
    _require_there(path)
    if shards.is_index(path):
        return shards.joined(path, read_state_dict)
    _require_kind(path)
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if not state:
        raise CheckpointError(f"{path}: holds no tensors.", "Save the network's state_dict again.")
    _require_plain(path, state)
    _require_finite(path, state)
    return state


def read_names(path: Path) -> frozenset[str]:
    """Names of the tensors of a weight file, whose values are not looked at. Raises CheckpointError."""
    _require_there(path)
    if shards.is_index(path):
        return frozenset(name for names in shards.parts(path).values() for name in names)
    _require_kind(path)
    if path.suffix != ".safetensors":
        return frozenset(_read_torch(path, tell=False))
    import safetensors

    with _as_safetensors(path), safetensors.safe_open(path, "pt") as file:
        return frozenset(file.keys())


def _require_there(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such weight file.", "`searchdet models list` shows where each file comes from."
        )


def _require_kind(path: Path) -> None:
    require_weights(path)
    if not is_weights(path):
        raise CheckpointError(
            f"{path}: unknown kind of weight file.", "Use a .safetensors, .pth or .pt file."
        )


def _read_safetensors(path: Path) -> StateDict:
    from safetensors.torch import load_file

    with _as_safetensors(path):
        return dict(load_file(path))


@contextlib.contextmanager
def _as_safetensors(path: Path) -> Iterator[None]:
    """Says of a file that cannot be read as safetensors what is wrong."""
    import safetensors

    try:
        yield
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}).",
            "It may be cut short: download it again.",
        ) from error


def _read_torch(path: Path, tell: bool = True) -> StateDict:
    """tell: warn of other weights beside those that are read."""
    import torch

    try:
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:  # files written before torch 1.6 are no zip and cannot be mapped
            if "mmap can only be used" not in str(error):
                raise
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _program(path, error) from error
    except Exception as error:  # torch raises many types on damaged archives
        reason = (str(error) or type(error).__name__).splitlines()[0][:160]
        raise CheckpointError(
            f"{path}: damaged or not a weight file ({reason}).", "Download it again."
        ) from error
    return unwrap(path, loaded, tell)


def _program(path: Path, error: Exception) -> CheckpointError:
    """What to say of a pickle that holds more than tensors."""
    found = re.search(r"GLOBAL (\S+) was not an allowed global", str(error))
    named = f" (it names {found[1]})" if found else ""
    return CheckpointError(
        f"{path}: not a plain weight file; reading it would have to run code from it{named}.",
        "Where it was trained, save its tensors alone: torch.save(model.state_dict(), FILE).",
    )


def _require_plain(path: Path, state: StateDict) -> None:
    """Numbers of a usual type, each of them in the file: no sparse or quantized tensors, and no views
    that would only grow in memory."""
    import torch

    whole = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    usual = {torch.float64, torch.float32, torch.float16, torch.bfloat16, *whole}
    for name, tensor in state.items():
        plain = tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.is_nested
        size = tensor.numel() * tensor.element_size()
        if plain and tensor.dtype in usual and size <= tensor.untyped_storage().nbytes():
            continue
        kind = str(tensor.dtype).removeprefix("torch.")
        raise CheckpointError(
            f"{path}: {name!r} of shape {tuple(tensor.shape)} and type {kind} is no plain tensor.",
            "Use the file in float32, float16 or bfloat16; quantized ones do not load.",
        )


def _require_finite(path: Path, state: StateDict) -> None:
    import torch

    for name, tensor in state.items():
        if tensor.dtype == torch.float64:  # networks are filled with narrower numbers
            tensor = tensor.float()
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise CheckpointError(
                f"{path}: tensor {name!r} holds NaN or infinity.",
                "Its training went wrong, or it is damaged: use another one.",
            )
