"""The one weight loader. A file is used completely or refused; nothing is loaded in part.

Reading: ``.safetensors``, or ``.pth`` / ``.pt`` through ``weights_only=True`` (never retried without).
Identity: official names against published hashes. Matching: names and shapes, both ways.
"""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError
from ..storage.hashes import FileHashes
from .folder import carried
from .published import Published

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)
StateDict = dict[str, "Tensor"]
WRAPPERS = ("state_dict", "model", "model_ema", "teacher", "module")
"""Keys under which training scripts put the weights; unwrapped only where it is the one tensor dict."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One naming scheme of a family.

    matches(names) says whether a file follows it. convert(state) returns the tensors by the network's
    names; what it leaves out must be on a short list of names that are known not to be used.
    """

    name: str
    matches: Callable[[frozenset[str]], bool]
    convert: Callable[[StateDict], StateDict]


def read_state_dict(path: Path) -> StateDict:
    """Tensors of a weight file on the CPU. Raises CheckpointError; never runs code from the file."""
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such weight file.", "`searchdet models list` shows where each file comes from."
        )
    if path.suffix not in (".safetensors", ".pth", ".pt", ".bin"):
        raise CheckpointError(
            f"{path}: unknown kind of weight file.", "Use a .safetensors, .pth or .pt file."
        )
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    _require_plain(path, state)
    _require_finite(path, state)
    return state


def _read_safetensors(path: Path) -> StateDict:
    import safetensors
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({error}).", "Download it again."
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
        raise CheckpointError(
            f"{path}: not a plain weight file; reading it would have to run code from it.",
            "Download the official file again, or save its state_dict as .safetensors.",
        ) from error
    except Exception as error:  # torch raises many types on damaged archives
        reason = (str(error) or type(error).__name__).splitlines()[0][:160]
        raise CheckpointError(
            f"{path}: damaged or not a weight file ({reason}).", "Download it again."
        ) from error
    return _unwrap(path, loaded)


def _unwrap(path: Path, loaded: object) -> StateDict:
    import torch

    for _ in range(len(WRAPPERS) + 1):  # a dictionary may hold itself
        if not isinstance(loaded, dict):
            break
        tensors = {k: v for k, v in loaded.items() if isinstance(v, torch.Tensor)}
        if tensors and len(tensors) == len(loaded):
            return {str(k): v for k, v in tensors.items()}
        inner = [loaded[k] for k in WRAPPERS if isinstance(loaded.get(k), dict)]
        if tensors or len(inner) != 1:
            break
        loaded = inner[0]
    raise CheckpointError(
        f"{path}: holds no plain dictionary of tensors.", "Save the network's state_dict alone."
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
            "Download the official file.",
        )


def _require_finite(path: Path, state: StateDict) -> None:
    import torch

    for name, tensor in state.items():
        if tensor.dtype == torch.float64:  # networks are filled with narrower numbers
            tensor = tensor.float()
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise CheckpointError(
                f"{path}: tensor {name!r} holds NaN or infinity.", "Download the file again."
            )


def verify_identity(
    path: Path,
    published: tuple[Published, ...],
    allow_unverified: bool = False,
    hashes: FileHashes | None = None,
) -> tuple[str, bool | None]:
    """(sha256, verified) of a weight file.

    A file with an official name and another hash is refused unless ``allow_unverified``; where the
    published hash is not confirmed to be a SHA-256, it is only warned about. Raises CheckpointError.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such weight file.", "`searchdet models list` shows where each file comes from."
        )
    digest = (hashes or FileHashes()).sha256(path)
    for item in published:
        agrees = item.agrees(digest) if item.filename == path.name else None
        if agrees is None:
            continue
        if agrees:
            return digest, True
        message = f"{path}: the name is official, the content is not (SHA-256 {digest[:16]}...)."
        if item.sure and not allow_unverified:
            again = "Download it again, rename it, or pass --allow-unverified-weights."
            raise CheckpointError(message, item.reinstall if path == carried(item) else again)
        log.warning("%s Its record says verified: false.", message)
        return digest, False
    return digest, None


def rename(state: StateDict, rules: tuple[tuple[str, str], ...], unused: str = r"(?!)") -> StateDict:
    """Rename every tensor by regular expressions, in order; drop only names that match ``unused``.

    A name that no rule touches is kept, so that an unknown tensor shows up as unexpected in ``fill``.
    """
    renamed: StateDict = {}
    for name, tensor in state.items():
        if re.fullmatch(unused, name):
            continue
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        if name in renamed:
            raise CheckpointError(f"two tensors of the file stand for {name}.")
        renamed[name] = tensor
    return renamed


def convert(path: Path, state: StateDict, layouts: tuple[Layout, ...]) -> tuple[StateDict, str]:
    """(tensors by the network's names, layout name). Raises CheckpointError where no layout fits."""
    names = frozenset(state)
    for layout in layouts:
        if layout.matches(names):
            try:
                return layout.convert(state), layout.name
            except CheckpointError as error:
                raise CheckpointError(f"{path}: {error.message}", error.hint) from error
            except (RuntimeError, ValueError, TypeError, IndexError) as error:
                raise CheckpointError(f"{path}: {unfit(error)}") from error
    known = ", ".join(layout.name for layout in layouts)
    first = ", ".join(repr(name) for name in sorted(names)[:3])
    raise CheckpointError(
        f"{path}: of {len(names)} tensors (first: {first}) none follows a known layout ({known})."
    )


def unfit(error: Exception) -> str:
    """What to say of tensors that cannot be put together."""
    reason = (str(error) or type(error).__name__).splitlines()[0][:160]
    return f"its tensors do not fit together ({reason})."


def fill(path: Path, network: nn.Module, state: StateDict) -> None:
    """Put ``state`` into ``network`` (made on the meta device). Names and shapes must match completely.

    Batch-norm counters (``num_batches_tracked``) may be absent: they are not used for inference.
    """
    import torch

    wanted = network.state_dict()
    state = dict(state)
    for name, tensor in wanted.items():
        if name.endswith("num_batches_tracked") and name not in state:
            state[name] = torch.zeros(tensor.shape, dtype=tensor.dtype)
    missing = sorted(wanted.keys() - state.keys())
    unexpected = sorted(state.keys() - wanted.keys())
    reshaped = sorted(k for k in wanted.keys() & state.keys() if wanted[k].shape != state[k].shape)
    if missing or unexpected or reshaped:
        raise CheckpointError(_describe(path, network, state, (missing, unexpected, reshaped)))
    for name, tensor in wanted.items():
        state[name] = state[name].to(tensor.dtype).contiguous()
    network.load_state_dict(state, strict=True, assign=True)
    for parameter in network.parameters():
        parameter.requires_grad_(False)


def _describe(
    path: Path, network: nn.Module, state: StateDict, differences: tuple[list[str], ...]
) -> str:
    wanted = network.state_dict()
    parts = []
    for word, names in zip(("missing", "unexpected", "of another shape"), differences, strict=True):
        if not names:
            continue
        shown = []
        for name in names[:3]:
            shape = f" {tuple(state[name].shape)}" if name in state else ""
            needed = f" needs {tuple(wanted[name].shape)}" if word == "of another shape" else ""
            shown.append(f"{name}{shape}{needed}")
        parts.append(f"{len(names)} {word} (first: {', '.join(shown)})")
    return f"{path}: of {len(wanted)} tensors needed, {'; '.join(parts)}. Nothing was loaded."
