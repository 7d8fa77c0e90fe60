"""Weights of SAM 2, EdgeTAM and SAM 3: a file fits the image part completely or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import CheckpointError
from ...weights import (
    Compute,
    Fit,
    Lazy,
    LoadedBefore,
    StateDict,
    convert,
    fill,
    load_or_wait,
    pixel_stats,
    read_state_dict,
    unfit,
)
from ...weights.identify import next_step
from . import configs
from .configs import Told
from .kinds import Kind
from .package import require

if TYPE_CHECKING:
    from torch import nn

_MISFITS = (RuntimeError, ValueError, TypeError, KeyError, IndexError, ZeroDivisionError)
"""What transformers raises for settings that do not belong together."""


def load(
    kind: Kind,
    path: Path,
    compute: Compute,
    allow_unverified: bool = False,
    before: LoadedBefore | None = None,
) -> Lazy[Any]:
    """A network on its device, completely filled from ``path``: now, or if that file has filled it
    before, when it is first asked for. Raises CheckpointError."""
    require(kind.name)
    try:
        told = _told(kind, path)
    except CheckpointError as error:
        raise error if error.hint else _explain(error, kind, read_state_dict(path)) from error
    named = f"{kind.name} {told.digest}" if told.digest else kind.name
    return load_or_wait(
        named, path, kind.published, allow_unverified, lambda: fill_from(kind, path, compute), before
    )


def fill_from(
    kind: Kind, path: Path, compute: Compute, state: StateDict | None = None
) -> tuple[Any, Fit]:
    """``load`` for a file whose identity is known. state: what ``read_state_dict`` gave of it, where
    that is there already."""
    require(kind.name)
    raw = read_state_dict(path) if state is None else state
    try:
        model, fit = _filled(kind, path, raw)
    except CheckpointError as error:
        raise _explain(error, kind, raw) from error
    model.eval().to(compute.device)
    return model, fit


def _told(kind: Kind, path: Path) -> Told:
    """The settings beside a file, and whether its pixels are as usual. Raises CheckpointError."""
    stats = pixel_stats(path, kind.pixels, ())
    if configs.of_hub(path) and (stats.mean, stats.std) != kind.pixels:
        raise CheckpointError(
            f"{path.parent / stats.source}: tells of pixels of mean {stats.mean} and deviation "
            f"{stats.std}; {kind.name} takes {kind.pixels[0]} and {kind.pixels[1]}.",
            "Take the file away, if the weights were trained as published.",
        )
    return configs.beside(path, kind.types, kind.settings)


def _filled(kind: Kind, path: Path, raw: StateDict) -> tuple[Any, Fit]:
    import torch
    from huggingface_hub.errors import StrictDataclassError

    told = _told(kind, path)
    named = convert(path, raw, tuple(one.layout for one in kind.layouts))
    layout = next(one for one in kind.layouts if one.layout.name == named.layout)
    try:
        with torch.device("meta"):
            model = kind.build(named.state, told)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", error.hint) from error
    except (*_MISFITS, StrictDataclassError) as error:
        raise CheckpointError(f"{path}: {unfit(error)}") from error
    fill(path, model, named)
    _make_tables(path, model)
    names = (name.removeprefix(named.prefix) for name in raw if name.startswith(named.prefix))
    words = f"{named.layout}, {configs.NAME} {told.digest}" if told.digest else named.layout
    return model, Fit(words, named.prefix, layout.parts(names))


def _make_tables(path: Path, model: nn.Module) -> None:
    """Buffers that no file holds, since the network computes them itself: on the meta device they got
    no values. transformers makes them where it makes first weights."""
    import torch

    owners: list[tuple[str, Any]] = [("", model)]
    for name, module in model.named_modules():
        if hasattr(module, "_init_weights"):
            owners.append((f"{name}." if name else "", module))
    for name, module in model.named_modules():
        absent = [key for key, value in module.named_buffers(recurse=False) if value.is_meta]
        if not absent:
            continue
        for key in absent:
            setattr(module, key, torch.empty_like(getattr(module, key), device="cpu"))
        around = [one for one in owners if f"{name}.".startswith(one[0])]
        max(around, key=lambda one: len(one[0]))[1]._init_weights(module)
    left = [name for name, value in model.named_buffers() if value.is_meta]
    if left:
        raise CheckpointError(f"{path}: nothing gives values to {left[0]} of the network.")


def _explain(error: CheckpointError, kind: Kind, raw: StateDict) -> CheckpointError:
    """The error with what the file is and the next step."""
    if error.hint:
        return error
    own = kind.published[0]
    right = f"--proposals {kind.name} takes {own.filename} (from {own.source})."
    shapes = {name: tuple(tensor.shape) for name, tensor in raw.items()}
    return CheckpointError(error.message, next_step(shapes, kind.name, right))
