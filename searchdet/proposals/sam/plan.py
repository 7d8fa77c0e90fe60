"""How a SAM is made, and what is known of its weights."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import ProposalOptions
from ...errors import CheckpointError
from ...weights.devices import Compute, resolve
from ...weights.loaded import LoadedBefore
from ...weights.loader import StateDict
from ..types import OwnWeights, Plan, Proposer
from . import SamProposer, weights
from .deferred import load_or_defer

if TYPE_CHECKING:
    from segment_anything.modeling import Sam
    from torch import Tensor


def _make(
    options: ProposalOptions, device: str, precision: str, before: LoadedBefore | None
) -> Proposer:
    if options.checkpoint is None:
        raise CheckpointError("--proposals sam needs weights.", "Pass --sam-checkpoint FILE.")
    compute = resolve(device, precision)
    path = Path(options.checkpoint)
    if before is not None:
        return load_or_defer(path, options, compute, before)
    network, info = weights.load_sam(path, compute, options.allow_unverified)
    return SamProposer(network, info, options, compute)


def _recognises(names: Collection[str]) -> bool:
    return "image_encoder.patch_embed.proj.weight" in names


def _fill(path: Path, compute: Compute, state: StateDict | None = None) -> Any:
    return weights.fill_sam(path, compute, state)


def _side(sam: Sam) -> int:
    return int(sam.image_encoder.img_size)


def _embed(sam: Sam, batch: Tensor) -> Tensor:
    features: Tensor = sam.image_encoder(sam.preprocess(batch))
    return features


PLAN = Plan(
    _make,
    OwnWeights(
        what="a SAM model",
        published=weights.PUBLISHED,
        source=weights.SOURCE,
        licence="Apache-2.0",
        recognises=_recognises,
        fill=_fill,
        side=_side,
        embed=_embed,
    ),
)
