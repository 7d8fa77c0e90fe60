"""Proposers: image -> class-agnostic masks. A new one is one file and one entry in ``NAMES``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import ProposalOptions
from ..errors import CheckpointError, UsageError
from ..weights import LoadedBefore, find_published, models_folder
from .sam import weights
from .types import Proposals, Proposer

NAMES = ("sam", "regions")


def load_proposer(
    name: str,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    **options: Any,
) -> Proposer:
    """Load a proposer by name (``auto``, ``sam`` or ``regions``).

    options: fields of ProposalOptions (points_per_side, pred_iou_thresh, ...). Raises UsageError for
    an unknown name or option, CheckpointError for missing or refused weights.
    """
    try:
        made = ProposalOptions(
            name=name, checkpoint=Path(checkpoint) if checkpoint else None, **options
        )
    except TypeError as error:
        raise UsageError(f"load_proposer: {error}.") from error
    return load(choose(made), device, precision)


def choose(options: ProposalOptions) -> ProposalOptions:
    """Resolve ``auto`` and find the weight file, without loading anything.

    auto: sam where a checkpoint is given or an official one lies in the models folder, else regions.
    """
    if options.name not in ("auto", *NAMES):
        raise UsageError(f"--proposals {options.name!r} is unknown; choose auto, {', '.join(NAMES)}.")
    found = Path(options.checkpoint) if options.checkpoint else None
    if found is None and options.name in ("auto", "sam"):
        found = find_published(weights.PUBLISHED)
    if options.name not in ("auto", "sam"):
        if options.checkpoint:
            raise UsageError(
                f"--proposals {options.name} takes no --sam-checkpoint; drop one of the two."
            )
        return options
    if found is not None:
        if not found.is_file():
            raise CheckpointError(
                f"{found}: no such weight file.", f"It is published at {weights.SOURCE}."
            )
        return replace(options, name="sam", checkpoint=found)
    if options.name == "sam":
        raise CheckpointError(
            "--proposals sam needs weights.",
            f"Pass --sam-checkpoint FILE, or put {weights.PUBLISHED[0].filename} "
            f"(from {weights.SOURCE}) in {models_folder()}/.",
        )
    return replace(options, name="regions")


def load(
    options: ProposalOptions,
    device: str = "auto",
    precision: str = "auto",
    before: LoadedBefore | None = None,
) -> Proposer:
    """Load what ``choose`` resolved. before: a SAM whose file has loaded completely before is loaded
    when its first masks are asked for."""
    if options.name == "regions":
        from .regions import RegionProposer

        if options.prompting == "guided" or options.crop_layers:
            raise UsageError(
                "--prompting guided and --crop-layers are SAM's; `regions` asks no points.",
                "Pass --sam-checkpoint FILE, or leave them out.",
            )
        return RegionProposer(options)
    from ..weights import resolve
    from .sam import SamProposer
    from .sam.deferred import load_or_defer

    if options.checkpoint is None:
        raise CheckpointError("--proposals sam needs weights.", "Pass --sam-checkpoint FILE.")
    compute = resolve(device, precision)
    path = Path(options.checkpoint)
    if before is not None:
        return load_or_defer(path, options, compute, before)
    network, info = weights.load_sam(path, compute, options.allow_unverified)
    return SamProposer(network, info, options, compute)


__all__ = ["NAMES", "Proposals", "Proposer", "choose", "load", "load_proposer"]
