"""Reading a weight file: its plain tensors, or why it has none. Nothing of a file is ever run.

``.safetensors``, or ``.pth`` and the like through ``weights_only=True`` (never retried without); or the
shards that an index names.
"""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError
from . import shards
from .sniff import require_weights

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)
StateDict = dict[str, "Tensor"]
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
TARRED = ".pth.tar"
"""What some training scripts call what ``torch.save`` writes; no tar archive."""
WRAPPERS = ("state_dict", "model", "model_ema", "teacher", "module")
"""Keys under which training scripts put the weights; unwrapped only where it is the one tensor dict."""
_TRAINING = re.compile(
    r".*(optim|sched|scaler|\bamp|rng|loop|callback|hparam|hyper_param|config).*|args|epoch.*|.*step|iter.*",
    re.IGNORECASE,
)
"""Keys of what training scripts keep beside the weights."""


def is_weights(path: Path) -> bool:
    """Whether a file has the name of a weight file that can be read."""
    return path.suffix in SUFFIXES or path.name.endswith(TARRED) or shards.is_index(path)


def read_state_dict(path: Path) -> StateDict:
    """Tensors of a weight file on the CPU. Raises CheckpointError; never runs code from the file."""
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such weight file.", "`searchdet models list` shows where each file comes from."
        )
    if shards.is_index(path):
        return shards.joined(path, read_state_dict)
    require_weights(path)
    if not is_weights(path):
        raise CheckpointError(
            f"{path}: unknown kind of weight file.", "Use a .safetensors, .pth or .pt file."
        )
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if not state:
        raise CheckpointError(f"{path}: holds no tensors.", "Save the network's state_dict again.")
    _require_plain(path, state)
    _require_finite(path, state)
    return state


def names_in(path: Path) -> frozenset[str]:
    """Names of the tensors of a weight file, which are not read; none of a file that is none."""
    import safetensors

    try:
        if shards.is_index(path):
            return frozenset(name for names in shards.parts(path).values() for name in names)
        if path.suffix == ".safetensors":
            with safetensors.safe_open(path, "pt") as stream:
                return frozenset(stream.keys())
        require_weights(path)
        return frozenset(_read_torch(path) if is_weights(path) else ())
    except (CheckpointError, safetensors.SafetensorError, OSError, ValueError):
        return frozenset()  # whoever loads it says what is wrong with it


def _read_safetensors(path: Path) -> StateDict:
    import safetensors
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}).",
            "It may be cut short: download it again.",
        ) from error


def _read_torch(path: Path) -> StateDict:
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
    return _unwrap(path, loaded)


def _program(path: Path, error: Exception) -> CheckpointError:
    """What to say of a pickle that holds more than tensors."""
    found = re.search(r"GLOBAL (\S+) was not an allowed global", str(error))
    named = f" (it names {found[1]})" if found else ""
    return CheckpointError(
        f"{path}: not a plain weight file; reading it would have to run code from it{named}.",
        "Where it was trained, save its tensors alone: torch.save(model.state_dict(), FILE).",
    )


def _unwrap(path: Path, loaded: object) -> StateDict:
    for _ in range(len(WRAPPERS) + 1):  # a dictionary may hold itself
        if not isinstance(loaded, dict):
            break
        tensors = _tensors(loaded)
        if tensors and len(tensors) == len(loaded):
            return tensors
        inner = [k for k in WRAPPERS if isinstance(loaded.get(k), dict)]
        if tensors or len(inner) != 1:
            return _side_by_side(path, loaded)
        _tell_others(path, loaded, inner[0])
        loaded = loaded[inner[0]]
    raise CheckpointError(
        f"{path}: holds no plain dictionary of tensors ({_kind(loaded)}).",
        "Save the network's tensors alone: torch.save(model.state_dict(), FILE).",
    )


def _tell_others(path: Path, loaded: Mapping[object, object], chosen: str) -> None:
    """Say which other weights a file holds beside those that are read."""
    others = [
        str(key)
        for key, value in loaded.items()
        if key != chosen and not _TRAINING.fullmatch(str(key)) and isinstance(value, dict)
        if _tensors(value)
    ]
    if others:
        log.warning(
            "%s: its weights are those under %r; beside them lie %s, which are not used.",
            path,
            chosen,
            ", ".join(map(repr, others[:4])),
        )


def _tensors(values: Mapping[object, object]) -> StateDict:
    import torch

    return {str(k): v for k, v in values.items() if isinstance(v, torch.Tensor)}


def _side_by_side(path: Path, loaded: Mapping[object, object]) -> StateDict:
    """The tensors of dictionaries that lie side by side, each under its key; one alone without it."""
    found = {}
    for key, value in loaded.items():
        if not isinstance(value, dict) or not value or _TRAINING.fullmatch(str(key)):
            continue
        tensors = _tensors(value)
        if len(tensors) == len(value):
            found[str(key)] = tensors
    if len(found) == 1:
        return next(iter(found.values()))
    if found and not _tensors(loaded):
        return {f"{key}.{name}": tensor for key, part in found.items() for name, tensor in part.items()}
    raise _no_tensors(path, loaded)


def _no_tensors(path: Path, loaded: Mapping[object, object]) -> CheckpointError:
    """What to say of a dictionary that is none of tensors."""
    alone = "Save the network's tensors alone: torch.save(model.state_dict(), FILE)."
    keys = [str(key) for key in loaded]
    if "param_groups" in keys or (keys and all(_TRAINING.fullmatch(key) for key in keys)):
        return CheckpointError(
            f"{path}: holds the state of an optimiser or a training run, and no weights of a network.",
            "Give the file with the weights, which training scripts write beside it.",
        )
    tensors = len(_tensors(loaded))
    others = [f"{k} ({_kind(v)})" for k, v in loaded.items() if _kind(v) != "a tensor"]
    beside = f"; beside {tensors} tensors" if tensors else "; it holds"
    said = f"{beside} {', '.join(others[:4])}" if others else ", it is empty"
    return CheckpointError(f"{path}: holds no plain dictionary of tensors{said}.", alone)


def _kind(value: object) -> str:
    import torch

    if isinstance(value, torch.Tensor):
        return "a tensor"
    if isinstance(value, dict):
        return f"a dictionary of {len(value)}"
    return f"a {type(value).__name__}"


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
