"""Networks of SAM's kind filled from a file, completely, or the reason why not and the next step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import CheckpointError
from ...weights import (
    Compute,
    Fit,
    Layout,
    StateDict,
    convert,
    fill,
    read_state_dict,
    unfit,
)
from ...weights.identify import PROPOSERS, identify

if TYPE_CHECKING:
    from segment_anything.modeling import Sam


@dataclass(frozen=True, slots=True)
class Family:
    """Networks of one proposer. name: the proposer's. called: one of them, in words. build: tensors by
    the network's names -> modules of their shapes, without values, on the device that is set; raises
    CheckpointError. use: which files there are, one sentence."""

    name: str
    called: str
    layouts: tuple[Layout, ...]
    build: Callable[[StateDict], Sam]
    use: str


def fill_family(
    family: Family, path: Path, compute: Compute, state: StateDict | None = None
) -> tuple[Sam, Fit]:
    """A network on its device. state: what ``read_state_dict`` gave of the file, where that is there
    already. Raises CheckpointError."""
    import torch

    raw = read_state_dict(path) if state is None else state
    try:
        sam, fit = _filled(family, path, raw)
    except CheckpointError as error:
        raise _explain(family, error, raw) from error
    # Sam keeps these two out of its state dict, so the meta device left them without values.
    sam.register_buffer("pixel_mean", torch.tensor([123.675, 116.28, 103.53])[:, None, None], False)
    sam.register_buffer("pixel_std", torch.tensor([58.395, 57.12, 57.375])[:, None, None], False)
    sam.eval().to(compute.device)
    return sam, fit


def _filled(family: Family, path: Path, raw: StateDict) -> tuple[Sam, Fit]:
    import torch

    named = convert(path, raw, family.layouts)
    try:
        with torch.device("meta"):
            sam = family.build(named.state)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", error.hint) from error
    except (AssertionError, RuntimeError, ValueError, TypeError, ZeroDivisionError) as error:
        raise CheckpointError(f"{path}: {unfit(error)}") from error
    fill(path, sam, named)
    return sam, Fit(named.layout, named.prefix)


def _explain(family: Family, error: CheckpointError, raw: StateDict) -> CheckpointError:
    """The error with what the file is and the next step."""
    if error.hint:
        return error
    found = identify({name: tuple(tensor.shape) for name, tensor in raw.items()})
    if found is None:
        return CheckpointError(
            error.message, f"The file is not of a network that is known. {family.use}"
        )
    what, name = found
    if name == family.name:
        said = f"The file is {what}, but not as it was published or fine-tuned whole."
    elif name in PROPOSERS:
        said = f"The file is {what}; pass --proposals {name} with it."
    elif name:
        said = f"The file is {what}; pass it as --backbone-ckpt (--backbone {name})."
    else:
        said = f"The file is {what}."
    return CheckpointError(error.message, f"{said} {family.use}")
