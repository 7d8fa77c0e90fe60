"""Names of modules that were wrapped for a training: compiled or spread block by block."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

WRAPS = frozenset(("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
"""What torch.compile, FSDP and activation checkpointing put into names; no network has such a part."""


def bare(name: str, after: int = 0) -> str:
    """A name without wraps. after: its first parts, which stay as they are."""
    parts = name.split(".")
    return ".".join([*parts[:after], *(part for part in parts[after:] if part not in WRAPS)])


def unwrapped(path: Path, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors by names without wraps, and which wraps there were; those that begin all names alike
    stay, as they are a prefix. Raises CheckpointError where two names become one."""
    after = _in_common(state)
    wraps = {part for name in state for part in name.split(".")[after:]} & WRAPS
    if not wraps:
        return state, ()
    made: dict[str, Tensor] = {}
    for name, tensor in state.items():
        short = bare(name, after)
        if short in made:
            raise CheckpointError(
                f"{path}: holds {short!r} twice, wrapped and not ({', '.join(sorted(wraps))}).",
                "Save the network's state_dict again, without its wrapper.",
            )
        made[short] = tensor
    return made, tuple(sorted(wraps))


def _in_common(names: Iterable[str]) -> int:
    """How many first parts all names share."""
    every = [name.split(".")[:-1] for name in names]
    first = min(every, default=[])
    last = max(every, default=[])
    both = min(len(first), len(last))
    return next((i for i in range(both) if first[i] != last[i]), both)
