"""Sound weight files of other tensors than a network needs: what a reader of names and shapes meets."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

TYPES = (
    *(torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.bool),
    *(torch.int8, torch.uint8, torch.int64, torch.complex64),
)


MOST = 1_000_000
"""Values of a tensor that is written out; views of a few values may seem to hold more."""


def restated(rng: random.Random, data: bytes) -> bytes:
    """A file with one to three entries changed, in any container. Raises ValueError for a broken
    file."""
    state = _read(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        name = rng.choice(list(state))
        change = rng.choice(CHANGES)
        try:
            change(rng, state, name)
        except Exception:
            state.pop(name, None)  # not possible for this tensor
        if not state:
            break
    return _written(rng, state)


def _read(data: bytes) -> dict[str, Any]:
    try:
        if data[8:9] == b"{":
            return dict(load_safetensors(data))
        loaded = torch.load(io.BytesIO(data), weights_only=True)
        loaded = loaded.get("model", loaded)
        return dict(loaded)
    except Exception as error:
        raise ValueError("a broken file") from error


def _written(rng: random.Random, state: dict[str, Any]) -> bytes:
    plain = {
        k: v
        for k, v in state.items()
        if isinstance(k, str) and isinstance(v, Tensor) and v.numel() < MOST
    }
    if len(plain) == len(state) and rng.random() < 0.3:
        try:
            return save_safetensors({k: v.detach().contiguous().clone() for k, v in plain.items()})
        except Exception:  # of tensors that safetensors has no name for
            return b""
    made: Any = state
    draw = rng.random()
    if draw < 0.1:
        made = {rng.choice(("state_dict", "model", "teacher")): state, "epoch": 1}
    elif draw < 0.13:
        made["model"] = made  # holds itself
    elif draw < 0.16:
        made = {"model": {}}
        made["model"]["model"] = made
    elif draw < 0.18:
        made = rng.choice(
            (nn.ParameterDict({}), [state], next(iter(state.values()), None), 3, "x", {1: 2})
        )
    buffer = io.BytesIO()
    try:
        torch.save(made, buffer, _use_new_zipfile_serialization=rng.random() < 0.7)
    except Exception:  # of tensors that one of the containers cannot hold
        torch.save(plain, buffer)
    return buffer.getvalue()


State = dict[str, Any]


def _gone(rng: random.Random, state: State, name: str) -> None:
    for other in [n for n in state if n == name or (rng.random() < 0.02)]:
        del state[other]


def _group_gone(rng: random.Random, state: State, name: str) -> None:
    """All that begins like one name."""
    parts = name.split(".")
    stem = ".".join(parts[: rng.randint(1, len(parts))])
    for other in [n for n in state if str(n).startswith(stem)]:
        del state[other]


def _renamed(rng: random.Random, state: State, name: str) -> None:
    new = rng.choice(
        (f"{name}.x", f"x.{name}", "", "\n", "\ud800", re.sub(r"\d", "7", name), "mask_token")
    )
    key: Any = rng.choice((new, new, new, 1, None, b"x"))
    state[key] = state.pop(name)


def _twice(rng: random.Random, state: State, name: str) -> None:
    state[re.sub(r"\d+", lambda found: str(int(found[0]) + rng.choice((1, 9))), name)] = state[name]


def _swapped(rng: random.Random, state: State, name: str) -> None:
    other = rng.choice(list(state))
    state[name], state[other] = state[other], state[name]


def _retyped(rng: random.Random, state: State, name: str) -> None:
    state[name] = state[name].to(rng.choice(TYPES))


def _all_retyped(rng: random.Random, state: State, name: str) -> None:
    kind = rng.choice(TYPES)
    for other in state:
        state[other] = state[other].to(kind)


def _formed(rng: random.Random, state: State, name: str) -> None:
    tensor = state[name]
    forms: tuple[Callable[[], Tensor], ...] = (
        lambda: tensor.flatten(),
        lambda: tensor[None],
        lambda: tensor.squeeze(),
        lambda: tensor[: rng.choice((0, 1, 2))],
        lambda: tensor[..., : rng.choice((0, 1))],
        lambda: tensor.transpose(0, -1),
        lambda: torch.cat([tensor, tensor]),
        lambda: torch.zeros(()),
        lambda: torch.zeros(0),
        lambda: torch.zeros([1] * rng.choice((2, 5, 20))),
        lambda: torch.full_like(tensor, rng.choice((float("nan"), float("inf"), 1e38, 0.0))),
    )
    state[name] = rng.choice(forms)()


def _odd(rng: random.Random, state: State, name: str) -> None:
    """What is no plain tensor."""
    tensor = state[name]
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: tensor.to_sparse(),
        lambda: tensor.to("meta"),
        lambda: tensor.flatten()[:1].expand(rng.choice((10**6, 10**9, 10**11))),
        lambda: tensor.flatten()[0].expand(tensor.shape),
        lambda: nn.Parameter(tensor),
        lambda: torch.quantize_per_tensor(tensor.float(), 0.1, 0, torch.qint8),
        lambda: torch.nested.nested_tensor([tensor, tensor]),
        lambda: {name: tensor},
        lambda: [tensor],
        lambda: 3,
        lambda: tensor.conj() if tensor.is_complex() else tensor.to(torch.complex64).conj(),
    )
    state[name] = rng.choice(kinds)()


CHANGES = (
    *(
        _gone,
        _group_gone,
        _renamed,
        _twice,
        _swapped,
        _retyped,
        _all_retyped,
        _formed,
        _formed,
        _formed,
    ),
    *(_odd, _odd),
)
