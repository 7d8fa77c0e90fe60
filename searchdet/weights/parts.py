"""The dictionaries of a weight file: which of them holds the network, and what lies beside it."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)
StateDict = dict[str, "Tensor"]
WRAPPERS = ("state_dict", "model", "model_ema", "teacher", "module")
"""Keys under which training scripts put the weights; unwrapped only where it is the one tensor dict."""
_TRAINING = re.compile(
    r".*(optim|sched|scaler|\bamp|rng|loop|callback|hparam|hyper_param|config).*|args|epoch.*|.*step|iter.*",
    re.IGNORECASE,
)
"""Keys of what training scripts keep beside the weights."""
_LOSS = re.compile(r".*(loss|criterion|queue|center).*", re.IGNORECASE)
"""Keys of tensors that a training compares with, which are on top of no network."""
_TAIL = 4
"""Most last parts of a name by which another copy of a network is known, whatever its prefix."""
_MOST_DEEP = 4


def unwrap(path: Path, loaded: object, tell: bool = True) -> StateDict:
    """The tensors of the one network that was saved. What was saved beside it under a key of its own
    stays with it, both behind their keys, unless it is another copy of the network, which is said where
    ``tell`` is. Raises CheckpointError."""
    chosen, beside = "", dict[str, StateDict]()
    for _ in range(len(WRAPPERS) + 1):  # a dictionary may hold itself
        if not isinstance(loaded, dict):
            break
        tensors = _tensors(loaded)
        if tensors and len(tensors) == len(loaded):
            return _joined(path, chosen, tensors, beside, tell)
        inner = [k for k in WRAPPERS if isinstance(loaded.get(k), dict)]
        if len(inner) != 1 or (tensors and not _is_plain(loaded[inner[0]])):
            return _side_by_side(path, loaded, tell)
        chosen = inner[0]
        beside |= _beside(loaded, chosen)
        loaded = loaded[chosen]
    raise CheckpointError(
        f"{path}: holds no plain dictionary of tensors ({_kind(loaded)}).",
        "Save the network's tensors alone: torch.save(model.state_dict(), FILE).",
    )


def _joined(
    path: Path, chosen: str, tensors: StateDict, beside: dict[str, StateDict], tell: bool
) -> StateDict:
    """The chosen tensors with those that were trained on top of them. Says which others there are."""
    others = [key for key, part in beside.items() if _LOSS.fullmatch(key) or _is_copy(part, tensors)]
    if others and tell:
        log.warning(
            "%s: its weights are those under %r; beside them lie %s, which are not used.",
            path,
            chosen,
            ", ".join(map(repr, others[:4])),
        )
    parts = [part for key, part in beside.items() if key not in others]
    on_top = {name: tensor for part in parts for name, tensor in part.items()}
    if not on_top:
        return tensors
    return {f"{chosen}.{name}": tensor for name, tensor in tensors.items()} | on_top


def _is_copy(part: StateDict, network: StateDict) -> bool:
    """Whether tensors are the network once more: an average of it, or its student."""
    there = {end for name in part for end in _ends(name)}
    return 2 * sum(_ends(name)[-1] in there for name in network) >= len(network)


def _ends(name: str) -> list[str]:
    """``a.b.c`` -> c, b.c, a.b.c"""
    parts = name.split(".")[-_TAIL:]
    return [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]


def _beside(loaded: Mapping[object, object], chosen: str) -> dict[str, StateDict]:
    """The tensors at any depth under other keys than the chosen one, by their full names. Numbers and
    the state of a training are none."""
    found = {}
    for key, value in loaded.items():
        if key == chosen or _TRAINING.fullmatch(str(key)):
            continue
        part = _flat(str(key), value)
        if part:
            found[str(key)] = part
    return found


def _flat(name: str, value: object, depth: int = 0) -> StateDict:
    import torch

    if isinstance(value, torch.Tensor):
        return {name: value} if depth or value.ndim else {}
    if not isinstance(value, dict) or depth == _MOST_DEEP:
        return {}
    parts = (_flat(f"{name}.{key}", inner, depth + 1) for key, inner in value.items())
    return {key: tensor for part in parts for key, tensor in part.items()}


def _tensors(values: Mapping[object, object]) -> StateDict:
    import torch

    return {str(k): v for k, v in values.items() if isinstance(v, torch.Tensor)}


def _is_plain(value: object) -> bool:
    """Whether it is a dictionary of tensors and of nothing else."""
    return isinstance(value, dict) and bool(value) and len(_tensors(value)) == len(value)


def _side_by_side(path: Path, loaded: Mapping[object, object], tell: bool) -> StateDict:
    """The tensors of dictionaries that lie side by side, each under its key; one alone without it."""
    found = {
        str(key): _tensors(value)
        for key, value in loaded.items()
        if not _TRAINING.fullmatch(str(key)) and isinstance(value, dict) and _is_plain(value)
    }
    if len(found) == 1:
        key, tensors = next(iter(found.items()))
        return _joined(path, key, tensors, _beside(loaded, key), tell)
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
