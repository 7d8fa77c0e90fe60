"""Proposers: image -> class-agnostic masks. A new one is one file and one line in ``PROPOSERS``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import ProposalOptions
from ..errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from ..weights import LoadedBefore
    from .types import OwnWeights, Plan, Proposals, Proposer

__all__ = [
    "PROPOSERS",
    "Proposals",
    "Proposer",
    "ProposerSpec",
    "choose",
    "help_text",
    "load",
    "load_proposer",
    "weights_of",
]
AUTO, GIVEN = "auto", "masks"


@dataclass(frozen=True, slots=True)
class ProposerSpec:
    """A proposer by its name. home: the module that holds its ``PLAN``, imported when it is needed, so
    that the help of the command line costs nothing. words: what the help says of it."""

    name: str
    home: str
    words: str

    def plan(self) -> Plan:
        """How it is made. Raises TypeError for a module without a plan."""
        from .types import Plan

        plan = getattr(import_module(self.home, __name__), "PLAN", None)
        if not isinstance(plan, Plan):
            raise TypeError(f"{self.home}: PLAN is {type(plan).__name__}, not a Plan")
        return plan


def _register(*specs: ProposerSpec) -> dict[str, ProposerSpec]:
    return {spec.name: spec for spec in specs}


PROPOSERS = _register(
    ProposerSpec("sam", ".sam.plan", "segment-anything"),
    ProposerSpec("sam_hq", ".sam_hq.plan", "SAM-HQ, finer edges"),
    ProposerSpec("mobile_sam", ".mobile_sam.plan", "MobileSAM, a small segment-anything"),
    ProposerSpec("sam2", ".transformers_sam.sam2", "SAM 2 and 2.1"),
    ProposerSpec("edgetam", ".transformers_sam.edgetam", "EdgeTAM"),
    ProposerSpec("sam3", ".transformers_sam.sam3", "SAM 3 by points"),
    ProposerSpec("regions", ".regions", "needs no weights"),
    ProposerSpec("spots", ".spots", "small defects; needs no weights"),
    ProposerSpec("masks", ".given", "of other tools, --masks-from"),
)
"""``auto`` is the one that takes the file that is given, or the first whose weight file is found, else
the first that needs none."""


def help_text() -> str:
    """What ``--proposals`` takes."""
    known = ", ".join(f"{spec.name} ({spec.words})" for spec in PROPOSERS.values())
    return f"{AUTO} (the first whose weights are there), {known}."


def weights_of(name: str) -> OwnWeights | None:
    """The weights of the proposer of that name; None where it needs none, or where there is no such
    proposer."""
    return PROPOSERS[name].plan().weights if name in PROPOSERS else None


def load_proposer(
    name: str,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    **options: Any,
) -> Proposer:
    """Load a proposer by name (``auto`` or one of ``PROPOSERS``).

    options: fields of ProposalOptions (points_per_side, pred_iou_thresh, ...). Raises UsageError for
    an unknown name or option, CheckpointError for missing or refused weights.
    """
    path = Path(checkpoint) if checkpoint else None
    try:
        made = ProposalOptions(name=name, checkpoint=path, **options)
    except TypeError as error:
        raise UsageError(f"load_proposer: {error}.") from error
    return load(choose(made), device, precision)


def choose(options: ProposalOptions) -> ProposalOptions:
    """Resolve ``auto`` and find the weight file, without loading anything.

    auto: masks where --masks-from is given; else, where a checkpoint is given, what the names of its
    tensors say; else the first whose official file lies in the models folder, else regions. Raises
    UsageError for an unknown name, CheckpointError where weights are needed and not there.
    """
    if options.name == AUTO and options.masks_from is not None:
        options = replace(options, name=GIVEN)
    if options.name != AUTO:
        if options.name not in PROPOSERS:
            known = ", ".join(PROPOSERS)
            raise UsageError(f"--proposals {options.name!r} is unknown; choose {AUTO}, {known}.")
        return _with_weights(options)
    every = {name: weights_of(name) for name in PROPOSERS}
    if options.checkpoint:
        return _with_weights(replace(options, name=_of_content(Path(options.checkpoint), every)))
    for name, weights in every.items():
        if weights is not None and weights.find():
            return _with_weights(replace(options, name=name))
    return replace(options, name=next(name for name, weights in every.items() if weights is None))


def _of_content(path: Path, every: dict[str, OwnWeights | None]) -> str:
    """The proposer whose weights a file holds; of one that is none's, or is not there, the first with
    weights, which says why when it is loaded. Raises CheckpointError for what cannot be read."""
    from ..weights import read_names, weights_in
    from ..weights.wrapped import bare

    own = {name: weights for name, weights in every.items() if weights is not None}
    found = weights_in(path)
    names = frozenset(map(bare, read_names(found))) if found.is_file() else frozenset()
    return next((name for name, weights in own.items() if weights.recognises(names)), next(iter(own)))


def _with_weights(options: ProposalOptions) -> ProposalOptions:
    """Options of a named proposer with its weight file, if it needs one."""
    from ..weights import weights_in

    weights = weights_of(options.name)
    if weights is None:
        if options.checkpoint:
            by = "--masks-from" if options.masks_from is not None else f"--proposals {options.name}"
            raise UsageError(f"{by} takes no --sam-checkpoint; drop one of the two.")
        return options
    found = weights_in(Path(options.checkpoint)) if options.checkpoint else weights.find()
    if found is None:
        raise CheckpointError(f"--proposals {options.name} needs weights.", weights.remedy())
    if not found.is_file():
        source = weights.published[0].source
        raise CheckpointError(f"{found}: no such weight file.", f"It is published at {source}.")
    return replace(options, checkpoint=found)


def load(
    options: ProposalOptions,
    device: str = "auto",
    precision: str = "auto",
    before: LoadedBefore | None = None,
) -> Proposer:
    """Load what ``choose`` resolved. before: a network whose file has loaded completely before is
    loaded when its first masks are asked for."""
    return PROPOSERS[options.name].plan().make(options, device, precision, before)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """The types on first use, since they need NumPy."""
        if name in ("Proposals", "Proposer"):
            return getattr(import_module(".types", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
